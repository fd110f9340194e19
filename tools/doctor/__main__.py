"""`python -m tools.doctor`: whether this machine can do the job."""

from hand import program
from tools.doctor.page import Settings, main

if __name__ == "__main__":
    program.run(main, Settings)
