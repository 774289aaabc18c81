"""Fail points: a process dies at the step and the time asked for, and nowhere else."""

import signal
import subprocess
import sys

import pytest

from streams.engine.fail_points import STEPS, FailPoints

_PROGRAM = """
from streams.engine.fail_points import FailPoints
points = FailPoints("before-commit:3")
for turn in range(5):
    print(turn, flush=True)
    points.reach("after-send")
    points.reach("before-commit")
"""


def test_it_dies_at_the_third_time() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=60)

    assert (-signal.SIGKILL, ["0", "1", "2"]) == (done.returncode, done.stdout.split())


def test_without_a_step_nothing_dies() -> None:
    points = FailPoints()
    for step in (*STEPS, ""):
        points.reach(step)

    assert "" == points.step


def test_a_step_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'before-lunch' is no step; there are before-send"):
        FailPoints("before-lunch:2")
