"""History in Kafka: any range of `telemetry`, and engines restored from the last snapshots before it. Only reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from schemas.codec import decode
from schemas.history import LogRecord
from schemas.outputs import SnapshotChunk, SnapshotManifest
from schemas.telemetry import EVERYONE
from streams.config.model import Config
from streams.engine.digest import code_digest
from streams.engine.runner import Runner
from streams.engine.snapshots import SnapshotError, assemble
from streams.kafka.client import aiokafka_settings
from streams.kafka.partition import lane_of
from streams.kafka.plain import TopicError
from streams.kafka.transactions import LogReader


@dataclass(frozen=True, slots=True)
class Start:
    """Where the replay of one partition begins."""

    partition: int
    from_offset: int
    to_offset: int
    runner: Runner | None
    """Restored from snapshots; None: it begins at the earliest record there is, knowing nothing."""


async def lanes_to_read(config: Config, reader: LogReader, cluster: str | None, *, fleet: bool = False) -> list[int]:
    """Return the lanes that hold a range of `telemetry`, or of `fleet`; TopicError where the log has others.

    Asked first: a topic that is not there answers nothing, and the client takes the broker for away.
    """
    topic = f"{config.kafka.prefix}{'fleet' if fleet else 'telemetry'}"
    lanes = await reader.lanes(topic)
    if not lanes:
        message = f"topic {topic} is not there; make it with `leapwatch topics apply`, or mend [kafka] prefix"
        raise TopicError(message)
    if fleet:
        return [0]
    if lanes != config.kafka.lanes:
        message = f"topic {topic} has {lanes} lanes, and [kafka] lanes is {config.kafka.lanes}: set it to {lanes}"
        raise TopicError(message)
    return [lane_of(cluster, lanes)] if cluster else list(range(lanes))


def reader_of(config: Config) -> LogReader:
    """Return a reader of committed records, without a group."""
    kafka = config.kafka
    return LogReader(",".join(kafka.bootstrap), check_crcs=kafka.check_crcs, security=aiokafka_settings(config))


async def start_of(
    config: Config, reader: LogReader, partition: int, from_ms: int | None, *, fleet: bool = False
) -> Start:
    """Return where to begin so that the engine knows what it knew at `from_ms`: the last whole set of snapshots before.

    Without one (or without `from_ms`) the whole log is fed from its earliest record.
    """
    topic = f"{config.kafka.prefix}{'fleet' if fleet else 'telemetry'}"
    bounds = await reader.stretch(topic, partition)
    if from_ms is not None:
        # Stamps are those of the last record in each batch: nothing stamped before `from_ms` stands at or above this.
        first = await reader.offset_at(topic, partition, from_ms)
        limit = bounds.end if first is None else first
        runner, offset = await _restored(config, reader, partition, limit, bounds.earliest, fleet=fleet)
        if runner is not None:
            return Start(partition, offset, bounds.end, runner)
    return Start(partition, bounds.earliest, bounds.end, None)


async def _restored(
    config: Config, reader: LogReader, partition: int, limit: int, earliest: int, *, fleet: bool
) -> tuple[Runner | None, int]:
    """Return an engine restored from the last whole set of snapshots that hold no frame at or above `limit`."""
    topic = f"{config.kafka.prefix}{'fleet-snapshots' if fleet else 'snapshots'}"
    best: list[tuple[SnapshotManifest, list[SnapshotChunk]]] = []
    current: list[tuple[SnapshotManifest, list[SnapshotChunk]]] = []
    wanted: set[str] = set()
    chunks: list[SnapshotChunk] = []
    async for record in reader.read(topic, partition):
        if record.value is None:
            continue
        piece = decode(record.value)
        if isinstance(piece, SnapshotChunk):
            if not chunks or (chunks[0].cluster, chunks[0].next_offset) != (piece.cluster, piece.next_offset):
                chunks = []
            chunks.append(piece)
            continue
        if piece.next_offset > limit:
            break
        if piece.cluster == EVERYONE:
            current, wanted = [], {EVERYONE, *piece.clusters}
        current.append((piece, chunks))
        chunks = []
        if piece.cluster in wanted and {manifest.cluster for manifest, _ in current} == wanted:
            best = current
    if not best or best[0][0].next_offset < earliest:
        return None, earliest
    runner = Runner(partition, code_digest=code_digest(), fleet=fleet)
    try:
        for manifest, pieces in best:
            runner.restore(manifest.cluster, assemble(pieces, manifest), manifest.next_offset)
    except SnapshotError:
        return None, earliest
    return runner, best[0][0].next_offset


async def read_log(config: Config, reader: LogReader, start: Start, *, fleet: bool = False) -> AsyncIterator[LogRecord]:
    """Yield the records of one partition (of `fleet`: of its one) from its start to its end as it stood then."""
    topic = f"{config.kafka.prefix}{'fleet' if fleet else 'telemetry'}"
    async for record in reader.read(topic, start.partition, start.from_offset, start.to_offset):
        if record.value is not None:
            yield LogRecord(record.partition, record.offset, record.timestamp, record.key, record.value)
