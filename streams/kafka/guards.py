"""Ends a worker that can no longer be trusted: one that is stuck, whose role failed, or that lost sight of records.

A worker that ends is started again by whoever supervises it and goes on at what was committed; one that hangs, or goes
on after an error that nobody foresaw, is the outage that we are here to see.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import structlog

from streams.kafka.bundle import ANSWERED_WITHIN_S, Bundle, Standing

EXIT_STATUS: Final = 70
"""EX_SOFTWARE: start it again."""

BLOCKED_S: Final = 30.0
STALLED_S: Final = 60.0
_LOOK_S: Final = 1.0

log = structlog.get_logger(__name__)


def die(reason: str) -> NoReturn:
    """End this process at once with status 70: no commit, no flush, nothing that could write a half-done state."""
    log.critical("worker ends", reason=reason, exit_status=EXIT_STATUS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_STATUS)


@dataclass(slots=True)
class Stall:
    """Finds that work is there and none is done.

    Work is there where records are unread of a broker that answers, or bundles are not acked; it is done where any of
    these numbers moved. Pure: the caller says what time it is, and looks about once a second.
    """

    limit_s: float = STALLED_S
    _seen: object = None
    _since_s: float = 0.0

    def stalled_s(self, standing: Mapping[Any, Standing], *, busy_elsewhere: bool, now_s: float) -> float:
        """Return for how long nothing moved although something was there to do.

        `busy_elsewhere`: a rebalance is under way, state is being restored, or there is no broker to write to: no work
        is expected of the partitions.
        """
        position = {tp: (each.next_offset, each.outstanding) for tp, each in standing.items()}
        idle = busy_elsewhere or not any(self._waits(each, now_s) for each in standing.values())
        if idle or position != self._seen:
            self._seen, self._since_s = position, now_s
        return now_s - self._since_s

    @staticmethod
    def _waits(each: Standing, now_s: float) -> bool:
        # A broker that is away is not our stall: what was unread when it went cannot be read.
        answered = each.heard_s is not None and now_s - each.heard_s <= ANSWERED_WITHIN_S
        return each.outstanding > 0 or (each.next_offset < each.end_offset and answered)


class Watchdog:
    """Ends the process when its event loop is blocked for 30 s, or work is there and none is done for 60 s.

    `standing`: gives where each partition stands (`BundleApp.standing`). `busy_elsewhere`: says that the role is
    rebalancing or restoring, or that no broker is connected (`BundleApp.away`). Both are called in the event loop, once
    a second.
    """

    def __init__(
        self,
        standing: Callable[[], Mapping[Any, Standing]],
        busy_elsewhere: Callable[[], bool],
        *,
        blocked_s: float = BLOCKED_S,
        stalled_s: float = STALLED_S,
        end: Callable[[str], object] = die,
    ) -> None:
        self._standing = standing
        self._busy_elsewhere = busy_elsewhere
        self._blocked_s = blocked_s
        self._stall = Stall(stalled_s)
        self._end = end
        self._look_s = min(_LOOK_S, blocked_s / 4, stalled_s / 4)
        self._beat_s = 0.0
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch the running event loop."""
        self._beat_s = time.monotonic()
        loop = asyncio.get_running_loop()
        self._beat(loop)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat_s = now_s = time.monotonic()
        stalled_s = self._stall.stalled_s(self._standing(), busy_elsewhere=self._busy_elsewhere(), now_s=now_s)
        if stalled_s > self._stall.limit_s:
            self._end(f"records are there, and none was handled for {stalled_s:.0f} s: {self._standing()}")
        if not self._stopped.is_set():
            self._timer = loop.call_later(self._look_s, self._beat, loop)

    def _watch(self) -> None:
        while not self._stopped.wait(self._look_s):
            blocked_s = time.monotonic() - self._beat_s
            if blocked_s > self._blocked_s:
                # What blocks it is what one wants to know, and it is gone with the process.
                faulthandler.dump_traceback(all_threads=True)
                self._end(f"the event loop is blocked for {blocked_s:.0f} s")
                return


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets of a partition that were skipped: from the first up to, not including, the last."""

    topic: str
    partition: int
    from_offset: int
    to_offset: int


class Continuity:
    """Finds holes between bundles.

    A hole is either records that the broker deleted before we read them (then its earliest offset is at `to_offset` or
    beyond: tell it, loudly, and go on), or records that the host lost on the way to us (then `die`: they come again).
    Markers and compaction make none: a bundle's stretch covers them.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], int] = {}

    def expect(self, topic: str, partition: int, offset: int) -> None:
        """Say where the next bundle of a partition must begin at the latest: what progress, or a commit, names."""
        self._next[topic, partition] = offset

    def forget(self, topic: str, partition: int) -> None:
        """Expect nothing of a partition that went to somebody else."""
        self._next.pop((topic, partition), None)

    def hole(self, bundle: Bundle) -> Hole | None:
        """Return what is missing before `bundle`, and expect the next one behind it. A repeat is no hole."""
        place = bundle.topic, bundle.partition
        expected = self._next.get(place, bundle.from_offset)
        self._next[place] = max(expected, bundle.to_offset)
        if bundle.from_offset > expected:
            return Hole(*place, expected, bundle.from_offset)
        return None


def partitions_added(topic: str, lane: int, lanes: int) -> str:
    """Return what to tell where a topic has more lanes than it was made with: their number is fixed."""
    return (
        f"topic {topic} has a lane {lane}, and [kafka] lanes is {lanes}: partitions were added, and clusters now go "
        "into other lanes than before. Nothing is judged until that is mended: make the topics anew under another "
        "[kafka] prefix (`leapwatch topics apply`), and let producers write there; growth is always a new prefix"
    )
