"""Partitions of telemetry on a real broker, for the tests of restoring and of owners."""

from collections.abc import Sequence

from detectors.frames import BatchFrame, ClocksFrame
from schemas.codec import encode
from schemas.history import LogRecord
from streams.engine.place import Place
from streams.engine.runner import TelemetryFrame
from streams.kafka.transactions import Output, TransactionalProducer
from tests.detectors.investigate.failing import cluster, names


def frames() -> list[TelemetryFrame]:
    """Return the frames of a cluster that reaches its brake."""
    log = cluster(20)
    log.fail(names(10), 3)
    return log.frames


def log_records(log: Sequence[TelemetryFrame]) -> list[LogRecord]:
    """Return frames as the records of telemetry that they came from."""
    records = []
    for frame in log:
        assert isinstance(frame, (BatchFrame, ClocksFrame))
        held = frame.batch if isinstance(frame, BatchFrame) else frame.clocks
        records.append(LogRecord(0, frame.offset, frame.at_ms, b"c1", encode(held)))
    return records


async def write(place: Place, records: Sequence[LogRecord]) -> None:
    """Write records into the place's log."""
    async with TransactionalProducer(place.bootstrap, f"{place.prefix}writer") as producer:
        await producer.flush([Output(place.source, 0, r.key, r.value, r.at_ms) for r in records])
