"""`python -m streams.cli`: the same as `leapwatch`."""

from streams.cli.main import run

if __name__ == "__main__":
    run()
