"""`python -m tools.train`: train a hand network on synthetic hands."""

from hand import program
from tools.train.network import Settings, main

if __name__ == "__main__":
    program.run(main, Settings)
