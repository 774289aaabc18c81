"""Kills this very process at a named step, for the fault tests: `LEAPWATCH_FAIL_AT=before-commit:3` at its third time.

Off unless the variable is set when the worker starts; a kill here is a SIGKILL, as real as the machine's.
"""

from __future__ import annotations

import os
import signal

STEPS = ("before-send", "after-send", "before-commit", "after-commit", "before-ack", "after-ack", "in-snapshot")
VARIABLE = "LEAPWATCH_FAIL_AT"


class FailPoints:
    """The step at which this process dies, if any."""

    def __init__(self, wanted: str = "") -> None:
        """Take `STEP` or `STEP:COUNT`; ValueError names what is not a step."""
        self.step, _, count = wanted.partition(":")
        if self.step and self.step not in STEPS:
            msg = f"{VARIABLE}: {self.step!r} is no step; there are {', '.join(STEPS)}"
            raise ValueError(msg)
        self.left = int(count or 1)

    def reach(self, step: str) -> None:
        """Die here if this is the step, and its time has come."""
        if not self.step or step != self.step:
            return
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
