"""`python -m tools.sweep`: adapt to many camera pairs or recordings at once."""

from hand import program
from tools.sweep.command import Settings, main

if __name__ == "__main__":
    program.run(main, Settings)
