"""Workers that come, go, freeze and wait: each partition has one owner, and no event is lost or told twice."""

import pytest

from tests.faults.harness import LANES, SESSION_S, Run, leap_day

pytestmark = pytest.mark.kafka

SHUTDOWN_S = 30.0


def test_a_second_worker_joins_and_leaves(run: Run) -> None:
    run.play(leap_day(), ahead=60)
    first = run.start()
    run.wait("it works", lambda: run.share() > 0.02)
    second = run.start()
    run.wait("the second owns a partition", lambda: bool(second.restores()))
    joined = run.share()
    run.wait("both work", lambda: run.share() > min(0.95, joined + 0.15))
    second.terminate()
    run.finish(restart=False)

    assert first.status is None
    assert joined < 0.9, "it joined too late to prove anything"
    run.judge()


def test_a_frozen_worker_is_fenced_and_ends(run: Run) -> None:
    """It believes that it owns the partitions when it goes on, and cannot write another byte."""
    run.play(leap_day())
    zombie = run.start()
    run.wait("a third", lambda: run.share() > 0.3)
    zombie.freeze()
    frozen = run.share()
    heir = run.start()
    run.wait("its partitions moved", lambda: run.share() > frozen + 0.1)
    zombie.thaw()
    run.finish(restart=False)
    run.wait("the zombie ended, or joined anew", lambda: zombie.status is not None or len(zombie.restores()) > 2)

    assert heir.status is None
    assert zombie.status in (None, 70), zombie.tail()
    run.judge()


def test_a_spare_worker_takes_over(run: Run) -> None:
    """With more workers than partitions one is idle, for longer than a session; then both owners die."""
    run.play(leap_day())
    workers = [run.start() for _ in range(3)]
    run.wait(
        "two of three own a partition", lambda: sum(bool(w.restores()) for w in workers) >= 2 and run.share() > 0.3
    )
    idle_since = run.share()
    run.wait("the spare has nothing to do for a while", lambda: run.share() > idle_since + 0.2)
    workers[0].kill()
    workers[1].kill()
    run.finish(restart=False, limit_s=60 + SESSION_S)

    assert workers[2].status is None
    run.judge()


def test_a_worker_asked_to_end_under_load_ends_soon_and_loses_nothing(run: Run) -> None:
    run.play(leap_day(), ahead=1_000)
    for share in (0.1, 0.5):
        worker = run.start()
        run.wait(f"{share:.0%} of it", lambda: len(worker.restores()) == LANES and run.share() > share)  # noqa: B023
        took_s = worker.terminate()

        assert took_s < SHUTDOWN_S
        stands = dict(run.reached)
        assert all(run.committed()[lane] <= stands[lane] for lane in stands), "committed past progress"
    run.start()
    run.finish(restart=False)

    run.judge()
