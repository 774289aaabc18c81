"""Workers killed at any moment: what they leave is what an undisturbed run leaves, each event once."""

import signal

import pytest

from streams.engine.fail_points import STEPS
from tests.faults.harness import Run, leap_day, moments

pytestmark = pytest.mark.kafka


def test_a_run_that_nobody_disturbs_equals_its_replay(run: Run) -> None:
    """The yardstick of all others."""
    run.write(leap_day())
    run.start()
    run.finish(restart=False)

    run.judge()


def test_killed_at_three_random_moments_nothing_is_lost_or_told_twice(run: Run) -> None:
    _killed_at_random(run, 3, whole=False)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_nothing_is_lost_or_told_twice(run: Run) -> None:
    _killed_at_random(run, 20, whole=True)


def _killed_at_random(run: Run, count: int, *, whole: bool) -> None:
    run.play(leap_day(whole=whole))
    for share in moments(20120229, count):
        worker = run.start()
        run.wait(f"{share:.0%} of it", lambda share=share: run.share() >= share)  # type: ignore[misc]
        worker.kill()
    run.start()
    run.finish()

    assert count + 1 == len(run.workers), run.tails()
    assert any(restore["snapshots"] for worker in run.workers for restore in worker.restores()), run.tails()
    run.judge()


def test_killed_within_a_flush_nothing_is_lost_or_told_twice(run: Run) -> None:
    _killed_within(run, ["in-snapshot:3", "after-commit:10"])


@pytest.mark.slow
def test_killed_at_each_step_of_a_flush_nothing_is_lost_or_told_twice(run: Run) -> None:
    _killed_within(run, [f"{step}:{count}" for count in (1, 5) for step in STEPS])


def _killed_within(run: Run, steps: list[str]) -> None:
    run.play(leap_day())
    for step in steps:
        worker = run.start(fail_at=step)
        run.wait(f"death at {step}", lambda worker=worker: worker.status is not None)  # type: ignore[misc]
        assert worker.status == -signal.SIGKILL, worker.tail()
    run.start()
    run.finish()

    run.judge()
