"""`python -m tools.evaluate`: how good a network is."""

from hand import program
from tools.evaluate.network import Settings, main

if __name__ == "__main__":
    program.run(main, Settings)
