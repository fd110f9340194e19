"""The error that a user caused and can fix."""


class UserError(Exception):
    """One sentence for the user: what was wrong, with its value; what was expected; what to do. Printed without a traceback."""
