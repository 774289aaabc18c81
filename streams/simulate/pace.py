"""Says when the next record of a demo may go: no faster than asked, nor than it is judged. Pure: time is passed in.

The embedded broker drops what nobody has read yet once a partition holds 5 MiB: a feeder that does not look at its
readers loses records. So what is not judged yet is bounded, in bytes and in source time. Until the first rollout or
fault of a scenario nothing happens, and that is left out; until the first fault it goes as fast as it is judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.source import TELEMETRY_FEEDS
from streams.simulate.feed import Sent
from streams.simulate.scenario import Scenario
from streams.simulate.stage import LEAD_MS

EVE_MS = 60_000
"""What is played of the time in which nothing happens."""
HELD_S = 0.01
"""How long to wait before asking again, where it is not the clock that says wait."""
LEAD_BYTES = 1_000_000
"""Bytes of a lane that may be sent and not judged; three feeds of that size fit into one partition of `telemetry`."""
RECORD_BYTES = 70
"""What a record takes of a partition besides its value, about."""


def quiet_until_ms(scenario: Scenario) -> int:
    """Return until when nothing goes wrong: the first fault's beginning, that of a bug by date its day's."""
    begins = [scenario.end_ms]
    for fault in scenario.faults:
        days = [int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000) for day in fault.dates]
        begins.append(max(fault.at_ms, min(days, default=fault.at_ms)))
    return max(scenario.start_ms, min(begins))


def begin_ms(scenario: Scenario) -> int:
    """Return from when on a scenario is worth watching: a minute before its first rollout or fault."""
    first_ms = min([quiet_until_ms(scenario), *(rollout.at_ms for rollout in scenario.rollouts)])
    return max(scenario.start_ms, first_ms - EVE_MS)


@dataclass(slots=True)
class _Lane:
    """What was sent of one lane of a feed and is not judged: (newest stamp when sent, bytes)."""

    sent: deque[tuple[int, int]] = field(default_factory=deque)
    size_bytes: int = 0
    newest_ms: int = 0


@dataclass(slots=True)
class Pace:
    """The pace of one play: `speed` seconds of the source's time a second from `quiet_ms` on, before that any."""

    speed: float
    quiet_ms: int
    lanes: dict[tuple[str, int], _Lane] = field(default_factory=dict)
    anchor: tuple[float, int] | None = None
    """Wall's and source's time from which the pace is counted; anew after each hold, so that nothing is caught up."""

    def wait_s(self, message: Sent, now_s: float) -> float:
        """Return how long to wait before this message, 0: none; after it has gone, tell `sent`."""
        lane = self.lanes.get((message.feed, message.lane))
        if lane is not None and self._full(lane, message.at_ms):
            self.anchor = None
            return HELD_S
        if message.at_ms <= self.quiet_ms:
            return 0.0
        if self.anchor is None:
            self.anchor = (now_s, message.at_ms)
        from_s, from_ms = self.anchor
        return max(0.0, (message.at_ms - from_ms) / 1000 / self.speed - (now_s - from_s))

    def sent(self, message: Sent) -> None:
        """Note that a message has gone; only of the pulsed feeds is it known what has been judged."""
        if message.feed not in TELEMETRY_FEEDS:
            return
        lane = self.lanes.setdefault((message.feed, message.lane), _Lane())
        # A lane that is late sends stamps of long ago: they are judged with what comes after them.
        lane.newest_ms = max(lane.newest_ms, message.at_ms)
        size = len(message.value or b"") + RECORD_BYTES
        lane.sent.append((lane.newest_ms, size))
        lane.size_bytes += size

    def judged(self, watermarks: Mapping[tuple[str, int], int]) -> None:
        """Note up to when lanes have been judged."""
        for place, until_ms in watermarks.items():
            lane = self.lanes.get(place)
            while lane is not None and lane.sent and lane.sent[0][0] <= until_ms:
                lane.size_bytes -= lane.sent.popleft()[1]

    @staticmethod
    def _full(lane: _Lane, at_ms: int) -> bool:
        return bool(lane.sent) and (lane.size_bytes > LEAD_BYTES or at_ms - lane.sent[0][0] > LEAD_MS)


def lanes_of(watermarks: Mapping[str, int]) -> dict[tuple[str, int], int]:
    """Return watermarks by (feed, lane), as Progress tells them by `feed/topic_id/lane`."""
    found = {}
    for name, until_ms in watermarks.items():
        feed, _, rest = name.partition("/")
        found[feed, int(rest.rpartition("/")[2])] = until_ms
    return found
