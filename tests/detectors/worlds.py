"""Random histories of one cluster whose truth is known, and the many ways in which their lanes can be read.

A world is made by a seed: hosts that beat, die, reboot by announcement; guests that speak; brokers that are away,
whose clocks differ and step; intakes that stop and write no pulse. Its records are written once, into three lanes. A
schedule, made by another seed, reads them: lanes interleaved in any order that keeps each lane's own, lagging by
minutes, read again after a re-assignment, and Clocks cut anywhere.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

from detectors.frames import BatchFrame, ClocksFrame
from schemas.inventory import InventoryComplete, Server
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, TELEMETRY_FEEDS, GuestEvent, MaintenanceEvent
from schemas.telemetry import Batch, Clocks, Gap, HostRow, Row, Stretch
from streams.engine.runner import TelemetryFrame

START_MS = 1_330_473_600_000
LENGTH_MS = 75 * 60_000
QUIET_END_MS = 12 * 60_000
"""Nothing happens at the end, so that every verdict is due within the log."""

Span = tuple[int, int]


@dataclass
class Plan:
    """What kinds of trouble a world may have."""

    steps: bool = False
    """Brokers' clocks step, by up to 20 s."""
    whole: str = ""
    """What befalls the whole cluster: `power`, `collector` or nothing."""


@dataclass
class Down:
    """A time in which a server really was silent."""

    server: str
    from_ms: int
    until_ms: int
    announced: bool


@dataclass
class Broker:
    """Who stamps a lane: away at times, with a clock of its own."""

    away: list[Span]
    offset_ms: int
    steps: list[tuple[int, int]]
    """(true time, by how much)."""

    def up_ms(self, at_ms: int) -> int:
        """Return when a record sent at a time can be written."""
        for start, end in self.away:
            if start <= at_ms < end:
                return end
        return at_ms

    def stamp(self, at_ms: int) -> int:
        """Return the stamp of a record written at a time."""
        return START_MS + at_ms + self.offset_ms + sum(by for when, by in self.steps if when <= at_ms)


@dataclass
class World:
    """One history: the truth, and the records of each lane in the order in which they stand in it."""

    seed: int
    interval_s: int
    servers: list[str]
    downs: list[Down]
    unseen: list[Span]
    """Times in which nobody could write, or nobody watched, a lane that a silence needs."""
    lost: list[Span]
    """Times in which the host reports were lost on the way."""
    dark: list[Span]
    lanes: dict[str, list[tuple[int, Row | None]]] = field(default_factory=dict)
    """Feed to (stamp, row; None: a pulse)."""
    stepped_ms: int = 0
    """By how much clocks stepped, in all."""

    @property
    def limit_ms(self) -> int:
        """Return after how much observed time a server is silent."""
        return max(3 * self.interval_s, 90) * 1000


def _spans(draw: random.Random, most: int, shortest_s: float, longest_s: float, end_ms: int) -> list[Span]:
    spans = []
    for _ in range(draw.randint(0, most)):
        start = draw.randrange(120_000, end_ms)
        spans.append((start, start + round(draw.uniform(shortest_s, longest_s) * 1000)))
    return sorted(spans)


def _broker(draw: random.Random, plan: Plan, away: list[Span]) -> Broker:
    steps = []
    if plan.steps:
        steps = sorted(
            (draw.randrange(60_000, LENGTH_MS), draw.randint(-20_000, 20_000)) for _ in range(draw.randint(0, 2))
        )
    return Broker(away, draw.randint(-10_000, 10_000), steps)


def _downs(draw: random.Random, world: World, end_ms: int) -> None:
    """Let some servers die or reboot; never the last, for then guests that speak would tell of blindness."""
    for server in world.servers[:-1]:
        at_ms = draw.randrange(60_000, end_ms)
        while at_ms < end_ms and draw.random() < 0.5:
            announced = draw.random() < 0.5
            # Lengths keep away from the limit: there clocks alone decide, and no oracle can know.
            short = draw.random() < 0.3
            lasts_s = draw.uniform(5, 20) if short else draw.uniform(world.limit_ms / 1000 + 180, 1300)
            until_ms = min(at_ms + round(lasts_s * 1000), LENGTH_MS if draw.random() < 0.2 else end_ms)
            world.downs.append(Down(server, at_ms, until_ms, announced))
            at_ms = until_ms + draw.randrange(300_000, 1_500_000)


def make_world(seed: int, plan: Plan) -> World:
    """Return the history that a seed stands for."""
    draw = random.Random(seed)
    interval_s = draw.choice((20, 30, 60))
    servers = [f"s{n}" for n in range(draw.randint(4, 14))]
    world = World(seed, interval_s, servers, [], [], [], [])
    end_ms = LENGTH_MS - QUIET_END_MS
    shared = _spans(draw, 2, 5, 300, end_ms)
    brokers = {feed: _broker(draw, plan, shared or _spans(draw, 1, 5, 300, end_ms)) for feed in TELEMETRY_FEEDS}
    idle = {feed: _spans(draw, 2, 2, 100, end_ms) for feed in TELEMETRY_FEEDS}
    world.stepped_ms = sum(abs(by) for broker in brokers.values() for _, by in broker.steps)
    for feed in (HOST_AGENT, MAINTENANCE):
        world.unseen += [*brokers[feed].away, *idle[feed]]
    if plan.whole == "":
        _downs(draw, world, end_ms)
    else:
        start = draw.randrange(600_000, end_ms - 1_500_000)
        whole = (start, start + round(draw.uniform(world.limit_ms / 1000 + 240, 1200) * 1000))
        (world.dark if plan.whole == "power" else world.lost).append(whole)
    pen = Pen(draw, brokers, world)
    for feed in TELEMETRY_FEEDS:
        for at_ms in range(0, LENGTH_MS, 1000):
            if not _within(at_ms, idle[feed]):
                pen.write(feed, at_ms, None)
    for server in servers:
        _beats(draw, world, server, pen)
    for at_ms in range(5_000, LENGTH_MS, 20_000):
        row = GuestEvent(f"g{at_ms}", "c1", servers[0], "v1", 1, at_ms, "HEARTBEAT")
        pen.write(GUEST_AGENT, at_ms + draw.randrange(8_000), row, world.dark)
    for place, down in enumerate(world.downs):
        delay_ms = draw.randrange(-5_000, 15_000)
        for kind, when in (("NODE_REBOOT_STARTED", down.from_ms), ("NODE_REBOOT_COMPLETED", down.until_ms)):
            if down.announced:
                event = MaintenanceEvent(f"m{place}-{kind}", "c1", when, "fc", kind, server=down.server, planned=True)
                pen.write(MAINTENANCE, max(0, when + delay_ms), event)
    for feed, records in pen.written.items():
        records.sort(key=lambda known: known[:2])
        world.lanes[feed] = [(brokers[feed].stamp(at_ms), row) for at_ms, _, row in records]
    return world


def _within(at_ms: int, spans: list[Span]) -> bool:
    return any(start <= at_ms < end for start, end in spans)


class Pen:
    """What writes records into lanes, and again once a broker is back; the dead write nothing."""

    def __init__(self, draw: random.Random, brokers: dict[str, Broker], world: World) -> None:
        self.draw = draw
        self.brokers = brokers
        self.world = world
        self.written: dict[str, list[tuple[int, int, Row | None]]] = {feed: [] for feed in TELEMETRY_FEEDS}
        self.number = 0

    def write(self, feed: str, at_ms: int, row: Row | None, dead: list[Span] | None = None) -> None:
        """Write a record at a time, or when the broker is back; not while its sender is dead."""
        self.number += 1
        up_ms = self.brokers[feed].up_ms(at_ms)
        if up_ms != at_ms:
            if row is None:
                return  # a pulse of a minute ago would be a lie: it is not sent again
            # A system that announces keeps its order; the others come back as they like.
            up_ms += self.draw.randrange(3_000) if feed != MAINTENANCE else 0
        if not (_within(up_ms, dead or []) or _within(at_ms, dead or [])):
            self.written[feed].append((up_ms, self.number, row))


def _beats(draw: random.Random, world: World, server: str, pen: Pen) -> None:
    downs = [(down.from_ms, down.until_ms) for down in world.downs if down.server == server]
    back = {end: end + draw.randrange(60_000) for _, end in world.dark}
    downs += [(start, back[end]) for start, end in world.dark]
    at_ms, seq, run = draw.randrange(world.interval_s * 1000), 0, 0
    silent = False
    while at_ms < LENGTH_MS:
        if any(start <= at_ms < end for start, end in downs):
            silent = True
            at_ms = max(end for start, end in downs if start <= at_ms < end)
            continue
        if silent:
            silent, seq, run = False, 0, run + 1
        if not any(start <= at_ms < end for start, end in world.lost):
            row = HostRow(server, f"b{run}", f"r{run}", seq, -1, at_ms, world.interval_s)
            pen.write(HOST_AGENT, at_ms, row, downs)
        seq += 1
        at_ms += world.interval_s * 1000 + draw.randrange(-500, 1500)


class Reading:
    """One way to read a world's lanes: frames in an order of its own."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.draw = random.Random(seed)
        self.frames: list[TelemetryFrame] = []
        self.at = dict.fromkeys(world.lanes, 0)
        self.saved = dict.fromkeys(world.lanes, 0)
        self.pending: dict[str, list[Stretch]] = {feed: [] for feed in world.lanes}

    def read(self) -> list[TelemetryFrame]:
        """Return the frames of the whole log."""
        draw, world = self.draw, self.world
        rows: list[Row] = [Server("c1", server) for server in world.servers]
        rows.append(InventoryComplete("c1", len(world.servers)))
        stamps = tuple(START_MS - 30_000 for _ in rows)
        batch = Batch("c1", "inventory", "inventory", "i", 0, tuple(range(len(rows))), stamps, tuple(rows))
        self.frames.append(BatchFrame(0, 0, stamps[-1], batch))
        weights = [1.0, 1.0, 1.0]
        feeds = list(world.lanes)
        longest = draw.choice((30, 300, 3000))
        while any(self.at[feed] < len(world.lanes[feed]) for feed in feeds):
            if draw.random() < 0.02:
                # For a while one lane is far slower than the others.
                weights = [draw.choice((0.02, 1.0, 1.0)) for _ in feeds]
                longest = draw.choice((30, 300, 3000))
            feed = draw.choices(feeds, weights)[0]
            self.forward(feed, draw.randint(1, longest))
            if draw.random() < 0.7:
                self.turn([feed] if draw.random() < 0.5 else feeds)
            if draw.random() < 0.03:
                # Its intake dies: what was forwarded behind the last Clocks, and some before, is read again.
                back = max(0, self.saved[feed] - draw.choice((0, 5, 60)))
                self.pending[feed] = []
                self.at[feed] = self.saved[feed] = back
        self.turn(feeds)
        self.end()
        return self.frames

    def forward(self, feed: str, count: int) -> None:
        """Read records of a lane: batches of a second each, and the stretch that Clocks will tell of."""
        lane = self.world.lanes[feed]
        first, end = self.at[feed], min(len(lane), self.at[feed] + count)
        if first == end:
            return
        batch: list[int] = []
        for offset in range(first, end):
            if lane[offset][1] is None:
                continue
            if batch and abs(lane[offset][0] - lane[batch[0]][0]) > 1000:
                self._batch(feed, batch)
                batch = []
            batch.append(offset)
        self._batch(feed, batch)
        stamps = [lane[offset][0] for offset in range(first, end)]
        gaps = [
            Gap(min(one, two), max(one, two))
            for one, two in itertools.pairwise(stamps)
            if two < one or two - one > 10_000
        ]
        self.pending[feed].append(
            Stretch(feed, feed, f"id-{feed}", 0, first, end - 1, stamps[0], max(stamps), tuple(gaps), len(lane) - end)
        )
        self.at[feed] = end

    def _batch(self, feed: str, offsets: list[int]) -> None:
        if not offsets:
            return
        lane = self.world.lanes[feed]
        rows = tuple(row for offset in offsets if (row := lane[offset][1]) is not None)
        stamps = tuple(lane[offset][0] for offset in offsets)
        batch = Batch("c1", feed, feed, f"id-{feed}", 0, tuple(offsets), stamps, rows)
        self.frames.append(BatchFrame(0, len(self.frames), stamps[-1], batch))

    def turn(self, feeds: list[str]) -> None:
        """Write Clocks for what was read."""
        stretches = tuple(stretch for feed in feeds for stretch in self.pending[feed])
        for feed in feeds:
            self.pending[feed] = []
            self.saved[feed] = self.at[feed]
        if stretches:
            at_ms = max(stretch.to_ms for stretch in stretches)
            self.frames.append(ClocksFrame(0, len(self.frames), at_ms, Clocks(0, stretches)))

    def end(self) -> None:
        """Let all lanes go on a while, to one time, so that what waits for the others is asked."""
        last_ms = max(lane[-1][0] for lane in self.world.lanes.values())
        for turn in range(1, 4):
            stretches = []
            for feed, lane in self.world.lanes.items():
                offset, from_ms = len(lane) + turn - 1, lane[-1][0] if turn == 1 else last_ms + (turn - 1) * 1000
                to_ms = last_ms + turn * 1000
                stretches.append(Stretch(feed, feed, f"id-{feed}", 0, offset, offset, from_ms, to_ms))
            self.frames.append(ClocksFrame(0, len(self.frames), last_ms + turn * 1000, Clocks(0, tuple(stretches))))
