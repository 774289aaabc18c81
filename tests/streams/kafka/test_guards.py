"""Guards: what hangs or lost sight of records is ended; what merely waits is not."""

import asyncio
import subprocess
import sys
import threading

import pytest

from streams.kafka.bundle import Bundle, Standing
from streams.kafka.guards import Continuity, Hole, Stall, Watchdog
from tests.streams.kafka.records import record

TP = ("t", 0)


def _stalled(*looks: tuple[float, Standing], busy: bool = False) -> float:
    stall, stalled_s = Stall(), 0.0
    for now_s, standing in looks:
        stalled_s = stall.stalled_s({TP: standing}, busy_elsewhere=busy, now_s=now_s)
    return stalled_s


def test_unread_records_of_a_broker_that_answers_are_a_stall() -> None:
    assert 61 == _stalled((0, Standing(5, 9, 0, 0)), (61, Standing(5, 9, 0, 60)))


def test_a_bundle_that_is_never_acked_is_a_stall_even_with_nothing_unread() -> None:
    assert 61 == _stalled((0, Standing(9, 9, 1, None)), (61, Standing(9, 9, 1, None)))


def test_progress_ends_a_stall() -> None:
    assert 1 == _stalled((0, Standing(5, 9, 0, 0)), (60, Standing(6, 9, 0, 60)), (61, Standing(6, 9, 0, 61)))


def test_nothing_to_do_is_no_stall() -> None:
    assert 0 == _stalled((0, Standing(9, 9, 0, 0)), (600, Standing(9, 9, 0, 600)))


def test_a_broker_that_is_away_is_no_stall_of_ours() -> None:
    assert 0 == _stalled((0, Standing(5, 9, 0, 0)), (61, Standing(5, 9, 0, 0)))


def test_a_rebalance_or_a_restore_is_no_stall() -> None:
    assert 0 == _stalled((0, Standing(5, 9, 3, 0)), (600, Standing(5, 9, 3, 600)), busy=True)


async def test_a_watchdog_ends_what_is_stalled() -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()
    dog = Watchdog(lambda: {TP: Standing(5, 9, 1, None)}, lambda: False, stalled_s=0.1, end=ended.put_nowait)
    dog.start()

    assert "none was handled" in await ended.get()
    dog.stop()


async def test_a_watchdog_ends_a_blocked_loop_from_outside() -> None:
    ended = threading.Event()
    dog = Watchdog(dict, lambda: False, blocked_s=0.2, end=lambda _reason: ended.set())
    dog.start()
    await asyncio.sleep(0)

    # The loop is blocked by this very wait.
    assert ended.wait(30)
    dog.stop()


async def test_a_watchdog_lets_a_loop_that_turns_alone() -> None:
    ended: list[str] = []
    dog = Watchdog(dict, lambda: False, blocked_s=5, stalled_s=5, end=ended.append)
    dog.start()
    for _ in range(1_000):
        await asyncio.sleep(0)
    dog.stop()

    assert [] == ended


def test_dying_says_why_and_exits_70() -> None:
    died = subprocess.run(
        [sys.executable, "-c", "from streams.kafka.guards import die; die('lost the thread')"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 70 == died.returncode
    assert "lost the thread" in died.stdout + died.stderr


def _bundle(begin: int, end: int) -> Bundle:
    return Bundle("t", 0, begin, end, (record(begin),))


@pytest.mark.parametrize(
    ("stretches", "hole"),
    [
        ([(0, 5), (5, 9)], None),
        ([(0, 5), (0, 5), (5, 6)], None),
        ([(0, 5), (3, 4), (5, 6)], None),
        ([(0, 5), (7, 9)], Hole("t", 0, 5, 7)),
        ([(7, 9)], None),
    ],
)
def test_only_what_was_skipped_is_a_hole(stretches: list[tuple[int, int]], hole: Hole | None) -> None:
    continuity = Continuity()

    assert hole == [continuity.hole(_bundle(*stretch)) for stretch in stretches][-1]


def test_the_first_bundle_is_measured_by_what_was_expected_and_by_nothing_once_forgotten() -> None:
    continuity = Continuity()
    continuity.expect("t", 0, 3)

    assert Hole("t", 0, 3, 4) == continuity.hole(_bundle(4, 5))
    continuity.forget("t", 0)
    assert continuity.hole(_bundle(9, 10)) is None
