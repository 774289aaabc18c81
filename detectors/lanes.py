"""How far each lane has been read, and how much of an absence was observed: the one place where silence is measured.

A lane's watermark is the stamp up to which Clocks said it was read and forwarded. Time in a gap of a lane (nobody
could write, or nobody watched) and time in which a cluster's own feed was blind count for nobody's silence. An
interval is a pair (from_ms, until_ms) on the axis of the brokers' stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.telemetry import Stretch

Interval = tuple[int, int]

RETRY_MS = 60_000
"""How soon what cannot be known yet is looked for again, at the soonest."""
FAR_MS = 1 << 60
"""The end of an interval that has not ended."""

NEVER_MS = -1
"""The watermark of a lane of which no Clocks has told yet."""

GAPS_KEPT = 4096
"""Gaps kept of one lane; the oldest go first. A lane with a gap every minute keeps almost three days."""


@dataclass(slots=True)
class Lane:
    """What is known of one lane of one topic."""

    feed: str
    """`host-agent`, or `host-agent@topic` where the topic is unkeyed."""
    topic: str
    topic_id: str
    lane: int
    from_ms: int
    watermark_ms: int
    to_offset: int
    gaps: list[Interval] = field(default_factory=list)
    """Disjoint and in order."""
    unread: int = 0
    last_gap: Interval | None = None
    """The last gap that the newest stretch brought and nothing before it told, if any."""
    hole: Interval | None = None
    """The first and last offset that no one will ever read, if the newest stretch brought such."""
    gap_ms: int = 10_000
    """How far apart two neighbours may be: 10 s where it is pulsed, a foreign topic has its own."""
    moved_at_ms: int = 0
    """Stamp of the Clocks record that moved it last."""


@dataclass(slots=True)
class Lanes:
    """The lanes of one partition."""

    lanes: dict[str, Lane] = field(default_factory=dict)
    """By `feed/lane`."""

    def turn(self, stretch: Stretch, at_ms: int) -> Lane:
        """Move a lane by what an intake read of it; return the lane. Repeats of what was read change nothing."""
        key = f"{stretch.feed}/{stretch.lane}"
        lane = self.lanes.get(key)
        if lane is None or lane.topic_id != stretch.topic_id:
            # A topic made anew has offsets of its own: the time between the two was watched by nobody, and so was the
            # time before a lane was read for the first time.
            unwatched = (0, stretch.from_ms) if lane is None else (lane.watermark_ms, stretch.from_ms)
            gaps = add_interval([] if lane is None else lane.gaps, unwatched)
            lane = self.lanes[key] = Lane(
                stretch.feed,
                stretch.topic,
                stretch.topic_id,
                stretch.lane,
                stretch.from_ms if lane is None else lane.from_ms,
                NEVER_MS if lane is None else lane.watermark_ms,
                stretch.from_offset - 1,
                gaps,
            )
        lane.hole = None
        lane.last_gap = None
        found = [(min(gap.from_ms, gap.to_ms), max(gap.from_ms, gap.to_ms)) for gap in stretch.gaps]
        if stretch.from_offset > lane.to_offset + 1:
            lane.hole = (lane.to_offset + 1, stretch.from_offset - 1)
            found.append((lane.watermark_ms, stretch.from_ms))
        elif (
            lane.watermark_ms != NEVER_MS
            and stretch.to_offset > lane.to_offset
            and stretch.from_offset == lane.to_offset + 1
        ):
            # The neighbours on both sides of the seam between two stretches are for us to compare.
            if stretch.from_ms - lane.watermark_ms > stretch.gap_ms:
                found.append((lane.watermark_ms, stretch.from_ms))
            elif stretch.from_ms < lane.watermark_ms:
                found.append((stretch.from_ms, lane.watermark_ms))
        for gap in found:
            # A stretch that is read again tells its gaps again: they add nothing, and are no news.
            if overlap_ms(lane.gaps, *gap) < gap[1] - gap[0]:
                lane.gaps = add_interval(lane.gaps, gap)[-GAPS_KEPT:]
                lane.last_gap = gap
        lane.to_offset = max(lane.to_offset, stretch.to_offset)
        lane.watermark_ms = max(lane.watermark_ms, stretch.to_ms)
        lane.unread, lane.gap_ms = stretch.unread, stretch.gap_ms
        lane.moved_at_ms = at_ms
        return lane

    def of(self, feeds: Iterable[str], sources: Iterable[str] = ()) -> list[Lane | None]:
        """Return the lanes of keyed feeds, and all lanes of the unkeyed `sources` of these feeds.

        None stands for a keyed feed of which nothing is known yet: no lane is ever left out.
        """
        found: list[Lane | None] = []
        for feed in feeds:
            keyed = [lane for lane in self.lanes.values() if lane.feed == feed]
            found.extend(keyed or [None])
            found.extend(
                lane for lane in self.lanes.values() if lane.feed in sources and lane.feed.partition("@")[0] == feed
            )
        return found

    def foremost_ms(self) -> int:
        """Return the watermark of the lane that has been read furthest; NEVER_MS where there is none."""
        return max((lane.watermark_ms for lane in self.lanes.values()), default=NEVER_MS)

    def rearmost_ms(self) -> int:
        """Return the watermark of the lane that has been read least far; NEVER_MS where there is none."""
        return min((lane.watermark_ms for lane in self.lanes.values()), default=NEVER_MS)

    def passed_ms(self, feeds: Iterable[str], sources: Iterable[str] = ()) -> int:
        """Return the least watermark of all lanes of these feeds; NEVER_MS while one is unknown.

        A record stamped *at* the watermark may still come (stamps are not unique), so a time is passed when it is
        less than this.
        """
        return min((NEVER_MS if lane is None else lane.watermark_ms for lane in self.of(feeds, sources)), default=-1)

    def uncounted(
        self, feeds: Iterable[str], blind: Mapping[str, Sequence[Interval]], sources: Iterable[str] = ()
    ) -> list[list[Interval]]:
        """Return, for each lane of these feeds, the intervals that count for nobody's silence.

        A blind stretch that goes on ends, here, where its lane has been read to: beyond that, time is taken to run.
        """
        lists: list[list[Interval]] = []
        for lane in self.of(feeds, sources):
            if lane is None:
                continue
            dark = blind.get(lane.feed.partition("@")[0], ())
            if dark:
                known = [(start, lane.watermark_ms if end == FAR_MS else end) for start, end in dark]
                lists.append(merge_intervals([*lane.gaps, *known]))
            else:
                lists.append(lane.gaps)
        return lists

    def waited_ms(
        self,
        feeds: Iterable[str],
        blind: Mapping[str, Sequence[Interval]],
        since_ms: int,
        until_ms: int,
        excluded: Sequence[Interval] = (),
        sources: Iterable[str] = (),
    ) -> int:
        """Return how much of an absence was observed: of several lanes the least, in milliseconds.

        The time from `since_ms` to `until_ms`, no further than each lane's watermark, less the lane's gaps, less the
        stretches in which the cluster's own feed was blind (`blind`, by feed), less `excluded`. 0 while a lane is
        unknown.
        """
        feeds, sources = tuple(feeds), tuple(sources)
        lanes = self.of(feeds, sources)
        if any(lane is None for lane in lanes):
            return 0
        least = None
        for lane, uncounted in zip(lanes, self.uncounted(feeds, blind, sources), strict=True):
            assert lane is not None  # noqa: S101 - narrowed above, for the type checker
            until = min(until_ms, lane.watermark_ms)
            skip = merge_intervals([*uncounted, *excluded]) if excluded else uncounted
            waited = max(0, until - since_ms) - overlap_ms(skip, since_ms, until)
            least = waited if least is None else min(least, waited)
        return max(0, least or 0)

    def limit_passed_ms(
        self,
        feeds: Iterable[str],
        blind: Mapping[str, Sequence[Interval]],
        since_ms: int,
        limit_ms: int,
        excluded: Sequence[Interval] = (),
        sources: Iterable[str] = (),
    ) -> int:
        """Return the moment at which an absence since `since_ms` has been observed for `limit_ms`, gaps known so far.

        The moment of the slowest lane. Beyond what the lanes have been read, time is taken to run: ask again when
        every lane has passed the answer (`passed_ms` > answer), until then it can only move later.
        """
        feeds, sources = tuple(feeds), tuple(sources)
        latest = since_ms + limit_ms
        for uncounted in self.uncounted(feeds, blind, sources):
            skip = merge_intervals([*uncounted, *excluded]) if excluded else uncounted
            latest = max(latest, after_counting(skip, since_ms, limit_ms))
        return latest


def again_ms(since_ms: int, due_ms: int) -> int:
    """Return when to look again for what, waited for since `since_ms`, is not known at `due_ms`.

    A minute on; and of what has been waited for longer than twenty minutes, a twentieth of that: whatever is named
    within one turn of the clocks is asked in it, and so a log whose time jumps by years costs some hundred looks, not
    millions.
    """
    return due_ms + max(RETRY_MS, (due_ms - since_ms) // 20)


def merge_intervals(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union as disjoint intervals in order; touching ones become one, empty ones fall away."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def add_interval(intervals: list[Interval], new: Interval) -> list[Interval]:
    """Return the disjoint, ordered intervals with one more; the common case (it is the last) costs nothing."""
    if new[1] <= new[0]:
        return intervals
    if not intervals or new[0] > intervals[-1][1]:
        return [*intervals, new]
    return merge_intervals([*intervals, new])


def overlap_ms(intervals: Sequence[Interval], since_ms: int, until_ms: int) -> int:
    """Return how much of `since_ms` to `until_ms` lies in disjoint intervals."""
    total = 0
    for start, end in reversed(intervals):
        if end <= since_ms:
            break
        total += max(0, min(end, until_ms) - max(start, since_ms))
    return total


def after_counting(intervals: Sequence[Interval], since_ms: int, count_ms: int) -> int:
    """Return the moment at which `count_ms` have been counted since `since_ms`, not counting disjoint intervals."""
    moment = since_ms + count_ms
    for start, end in intervals:
        if end <= since_ms:
            continue
        # An interval that starts exactly when the limit is reached comes too late to delay it.
        if start >= moment:
            break
        moment += end - max(start, since_ms)
    return moment
