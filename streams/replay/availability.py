"""`leapwatch availability`: figures of each service, group, subscription or cluster, from Kafka, a capture or files.

From Kafka it is read from what engines wrote: `findings` tell who was out and why, `inventory` who there is,
`telemetry` and `progress` from when to when anything was watched. Nothing is run again: a month of a fleet is read in
minutes. From a capture or from files of source records the engine is run over them, as `replay` does. Nothing is
written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from detectors.frames import BatchFrame
from detectors.lanes import Interval
from schemas.codec import decode
from schemas.history import LogRecord
from schemas.inventory import INVENTORY, Vm
from schemas.outputs import Finding, Progress
from schemas.source import HOST_AGENT
from schemas.telemetry import Clocks
from streams.config.model import Config
from streams.engine.frames import frame_of
from streams.kafka.plain import reader
from streams.kafka.transactions import LogReader
from streams.replay.figures import PROMISE, Figures, Instance, Kept, figures
from streams.replay.history import reader_of
from streams.replay.members import WANTED, Member, Members
from streams.replay.run import Replay

MONTH_MS = 30 * 86_400_000
"""How far back figures go where no beginning is asked for: promises are made by the month."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the figures of which period, of whom, and made of what."""

    by: str = "service"
    """service, group, subscription or cluster."""
    from_ms: int | None = None
    to_ms: int | None = None
    only: dict[str, str] = field(default_factory=dict)
    """Field of a VM (service, group, subscription, cluster) to what it must be."""

    def wants(self, member: Member) -> bool:
        """Tell whether a VM belongs to what is asked for."""
        return all(getattr(member, name) == wanted for name, wanted in self.only.items())


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one service, group, subscription or cluster."""

    name: str
    """Empty: of VMs that have none."""
    clusters: tuple[str, ...]
    subscriptions: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Availability:
    """The answer."""

    period: Interval
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    """What was not seen, and what else the reader must know."""


def answer(known: Members, question: Question) -> Availability:
    """Return the figures of what has been read; in order of name."""
    notes = known.settle()
    period = period_of(known, question)
    made: dict[str, list[tuple[Member, Instance]]] = {}
    for member, instance in known.instances(period):
        if question.wants(member):
            made.setdefault(getattr(member, question.by), []).append((member, instance))
    rows = tuple(_row(name, made[name], period) for name in sorted(made))
    return Availability(period, rows, (*notes, *known.notes(period)))


def _row(name: str, made: list[tuple[Member, Instance]], period: Interval) -> Row:
    clusters = tuple(sorted({member.cluster for member, _ in made}))
    subscriptions = tuple(sorted({member.subscription for member, _ in made if member.subscription}))
    return Row(name, clusters, subscriptions, figures((instance for _, instance in made), period))


def period_of(known: Members, question: Question) -> Interval:
    """Return the period: as asked, else to where all lanes have been read, from a month before or the first record."""
    until_ms = min((end for _, end in known.lanes.values()), default=0) if question.to_ms is None else question.to_ms
    if question.from_ms is not None:
        return question.from_ms, max(question.from_ms, until_ms)
    since_ms = min((start for start, _ in known.lanes.values()), default=until_ms)
    return max(min(since_ms, until_ms), until_ms - MONTH_MS), until_ms


def from_records(records: Iterable[LogRecord], until_ms: int | None = None) -> Members:
    """Return what records of `telemetry` tell, run through the engine; `until_ms`: no row stamped later is taken."""
    known, run = Members(), Replay()
    for record in records:
        run.note(record)
        frame = frame_of(record)
        for output in run.runner_of(record.partition).tell([frame]):
            if isinstance(output, Finding) and output.detector in WANTED:
                known.take_finding(record.partition, output)
        if isinstance(frame, BatchFrame):
            for at_ms, row in zip(frame.batch.at_ms, frame.batch.rows, strict=True):
                if until_ms is None or at_ms < until_ms:
                    known.take_row(record.partition, at_ms, row)
    for partition, runner in run.runners.items():
        lanes = [lane for lane in runner.lanes.lanes.values() if _of_hosts(lane.feed)]
        if lanes:
            known.watched(partition, max(lane.from_ms for lane in lanes), min(lane.watermark_ms for lane in lanes))
    return known


async def from_kafka(config: Config) -> Members:
    """Return what Kafka's topics tell."""
    known, prefix = Members(), config.kafka.prefix
    first: dict[int, int] = {}
    async with reader(config) as connected:
        lanes = await connected.lanes(f"{prefix}telemetry")
        async for record in connected.read(prefix + INVENTORY):
            _inventory(known, record)
        async for record in connected.read(f"{prefix}findings"):
            first.setdefault(record.partition, record.timestamp)
            finding = decode(record.value) if record.value is not None else None
            if isinstance(finding, Finding) and finding.detector in WANTED:
                known.take_finding(record.partition, finding)
    async with reader_of(config) as log:
        for lane in lanes:
            since_ms, until_ms = await _began(log, f"{prefix}telemetry", lane), await _read_to(log, prefix, lane)
            if since_ms is not None and until_ms is not None:
                # Findings may be kept for longer than what they were made of.
                known.watched(lane, min(since_ms, first.get(lane, since_ms)), until_ms)
    return known


def _inventory(known: Members, record: Any) -> None:
    """Take a record of `inventory`, whose key is kind:id and which is a tombstone where it has no value."""
    if record.value is None:
        kind, _, name = (record.key or b"").decode().partition(":")
        known.removed(kind, name, record.timestamp)
        return
    row = decode(record.value)
    if isinstance(row, Vm):
        known.take_row(record.partition, record.timestamp, row)


async def _began(log: LogReader, topic: str, lane: int) -> int | None:
    """Return since when a lane of the host agents' feed was watched, as far as is kept; None: it never was.

    By its first Clocks, as the engine knows it: what people wrote before them may bear stamps of another time.
    """
    async for record in log.read(topic, lane):
        clocks = decode(record.value) if record.value is not None else None
        if isinstance(clocks, Clocks):
            for stretch in clocks.stretches:
                if _of_hosts(stretch.feed):
                    return stretch.from_ms
    return None


async def _read_to(log: LogReader, prefix: str, lane: int) -> int | None:
    """Return up to when a lane of the host agents' feed has been judged; None: nothing of it has."""
    newest = await log.newest(f"{prefix}progress", lane)
    progress = decode(newest.value) if newest is not None and newest.value is not None else None
    if not isinstance(progress, Progress):
        return None
    marks = [at_ms for key, at_ms in progress.watermarks.items() if _of_hosts(key.partition("/")[0])]
    return min(marks, default=None)


def _of_hosts(feed: str) -> bool:
    return feed.partition("@")[0] == HOST_AGENT


def ranked(rows: Iterable[Row], promise: Fraction = PROMISE) -> list[Row]:
    """Return rows as a person wants them: what was broken first, then what cannot be said, then by name."""
    order = {Kept.BREACHED: 0, Kept.INCONCLUSIVE: 1}
    return sorted(rows, key=lambda row: (order.get(row.figures.kept(promise), len(order)), row.name))
