"""How a command ends: its exit code, and one line on stderr that says what and what to do."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command; `leapwatch --help` lists them."""

    OK = 0
    BAD = 1
    """Judged, and found wanting: a truth missed, a configuration with errors, a check that failed."""
    USAGE = 2
    """The command line or what it was given is wrong: a flag, a file, an id that is not there."""
    AWAY = 3
    """The broker (or what else must answer) is away: the same command may do later."""
    REFUSED = 4
    """Nothing was done, because it would do harm; the message says which flag insists."""
    PENDING = 5
    """Sent, and not yet confirmed by the engine."""
    BROKEN = 70
    """A fault of ours: run again with --debug, and report what it prints."""
    INTERRUPTED = 130


class Failure(Exception):  # noqa: N818 - reads as what it is where it is raised
    """Ends the command with one message and a code."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
