"""The clock of a lane: how far it has been read, and which of that time counts for nobody.

Stamps come in the order of the lane. Two neighbours of any kind (a report, a pulse, a dead letter) more than `gap_ms`
apart, or a stamp that steps back, leave a gap. What lies before the first record read is for the reader of Clocks to
see, who knows the stretches of the intake before this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.lanes import Interval, merge_intervals
from schemas.telemetry import Gap, Stretch
from streams.intake.checks import Place

GAPS_MAX = 256
"""Gaps that one stretch tells apart; of more, neighbours become one. That can delay a verdict and never make one."""


@dataclass(slots=True)
class LaneClock:
    """What has been read of one lane since its last Clocks.

    `position` is the offset that comes next. A stamp that is no time, or that lies ahead of the lane (see Checks),
    moves the position and not the clock.
    """

    place: Place
    gap_ms: int
    position: int
    end_offset: int = 0
    """Where the lane ended when last asked: one more than its newest record."""
    from_offset: int = -1
    """Where the stretch being read began; -1 where nothing has been read."""
    from_ms: int = -1
    to_ms: int = -1
    last_ms: int = -1
    """The stamp of the last record, in this stretch or before it."""
    newest_ms: int = -1
    """The latest stamp, in this stretch or before it."""
    gaps: list[Interval] = field(default_factory=list)

    def saw(self, offset: int, at_ms: int | None) -> None:
        """Take note of a record; `at_ms` None: its stamp is not to be believed."""
        if self.from_offset < 0:
            self.from_offset = self.position
        self.position = offset + 1
        if at_ms is None:
            return
        if at_ms < self.last_ms:
            self._gap(at_ms, self.newest_ms)
        elif 0 <= self.last_ms < at_ms - self.gap_ms:
            self._gap(self.last_ms, at_ms)
        self.newest_ms = max(self.newest_ms, at_ms)
        if self.from_ms < 0:
            self.from_ms = self.to_ms = at_ms
        else:
            self.to_ms = max(self.to_ms, at_ms)
        self.last_ms = at_ms

    def saw_pulses(self, count: int, last_ms: int, every_ms: int) -> None:
        """Take note of pulses as if one by one: `count`, the last at `last_ms`, `every_ms` (at most a gap) apart."""
        self.saw(self.position, last_ms - (count - 1) * every_ms)
        if count > 1:
            self.position += count - 2
            self.last_ms = max(self.last_ms, last_ms - every_ms)
            self.saw(self.position, last_ms)

    def begin_at(self, offset: int) -> Stretch | None:
        """Go on reading at `offset`, because what stood before it is gone or not ours to read.

        Returns the stretch read so far, if any: it must stand in a Clocks of its own, so that the hole behind it shows.
        """
        stretch = self.take()
        self.position = offset
        return stretch

    @property
    def moved(self) -> bool:
        """Return whether anything has been read since the last Clocks."""
        return self.from_offset >= 0

    @property
    def span_ms(self) -> int:
        """Return how much source time the stretch being read covers."""
        return self.to_ms - self.from_ms

    def take(self) -> Stretch | None:
        """Return the stretch read and begin the next one; None where nothing was read, or never a stamp to believe."""
        if self.from_offset < 0 or self.newest_ms < 0:
            return None
        if self.from_ms < 0:
            # Nothing but unbelieved stamps: the lane stands where it stood, and its offsets are read.
            self.from_ms = self.to_ms = self.newest_ms
        place = self.place
        stretch = Stretch(
            place.feed,
            place.topic,
            place.topic_id,
            place.lane,
            self.from_offset,
            self.position - 1,
            self.from_ms,
            self.to_ms,
            tuple([Gap(start, end) for start, end in self.gaps]),
            max(0, self.end_offset - self.position),
            self.gap_ms,
        )
        self.from_offset = self.from_ms = self.to_ms = -1
        self.gaps = []
        return stretch

    def _gap(self, from_ms: int, to_ms: int) -> None:
        # Stamps of several producers step back by milliseconds all the time; what lies in a known gap is no news.
        if self.gaps and self.gaps[-1][0] <= from_ms and to_ms <= self.gaps[-1][1]:
            return
        self.gaps = merge_intervals([*self.gaps, (from_ms, to_ms)])
        if len(self.gaps) > GAPS_MAX:
            self.gaps[-2:] = [(self.gaps[-2][0], self.gaps[-1][1])]


@dataclass(slots=True)
class Turns:
    """When the next Clocks of a partition is due: `every_ms` by the wall, and `catch_up_ms` of source time."""

    every_ms: int = 1_000
    catch_up_ms: int = 10_000
    last_ms: int | None = None
    """The wall's time of the last one, as the shell told it."""

    def due(self, now_ms: int) -> bool:
        """Return whether a second has gone by since the last one; a clock set back does not stop the turns."""
        return self.last_ms is None or not self.last_ms <= now_ms < self.last_ms + self.every_ms

    def span_full(self, clock: LaneClock) -> bool:
        """Return whether a lane has been read so far that a Clocks is due without waiting for the wall."""
        return clock.span_ms >= self.catch_up_ms
