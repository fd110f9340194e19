"""All that can be made of a network's weights: what cannot is said, and only what proved wrong is a failure."""

import pytest

from export.all import make
from hand.errors import UserError
from runtime.engines.parity import Parity
from runtime.engines.refused import EngineRefused


def works() -> None:
    pass


def unavailable() -> None:
    raise EngineRefused("there is no GPU: use another --engine")


def wrong() -> None:
    raise EngineRefused("fails the parity check", Parity(9.0, 9.0, 9.0, 9.0, 9.0, 9.0))


def unusable() -> None:
    raise UserError("there are no such weights")


@pytest.mark.parametrize(
    ("steps", "code"),
    [((works, unavailable), 0), ((works, wrong), 1), ((wrong, works), 1), ((unusable, unavailable), 2)],
)
def test_the_exit_code_tells_whether_something_was_made_and_is_right(steps, code, capsys):
    assert make({step.__name__: step for step in steps}) == code
    said = capsys.readouterr().out
    assert [step.__name__ for step in steps if f"{step.__name__}: " in said] == [
        step.__name__ for step in steps if step is not works
    ]
