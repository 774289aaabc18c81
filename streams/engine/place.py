"""Says where a partition engine works, and reads the log there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from schemas.history import LogRecord
from streams.kafka.transactions import LogReader

SHORT_LOG_S = 30.0
"""How long a log may end before progress: a broker that has just started finds its end again within seconds."""
LOOK_S = 0.5

log = structlog.get_logger(__name__)


class LogTooShort(Exception):  # noqa: N818  # reads as what happened
    """The log ends before progress: it was cut or made anew, and what was decided from it cannot be made again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition engine works."""

    bootstrap: str
    prefix: str
    partition: int
    snapshot_every_s: float = 300.0
    source_topic: str = "telemetry"
    security: dict[str, Any] = field(default_factory=dict)
    """What a Kafka client needs besides the address."""
    check_crcs: bool = True
    """Whether fetched batches are checked; only the embedded broker's cannot be."""
    memory_s: float = 86_400.0
    """How much of the log a detector that starts anew may be fed, at most."""

    @property
    def source(self) -> str:
        """Return the name of the topic that it reads, with its prefix."""
        return self.topic(self.source_topic)

    def topic(self, name: str) -> str:
        """Return the topic's name with its prefix."""
        return f"{self.prefix}{name}"

    @property
    def fleet(self) -> bool:
        """Tell whether this is the fleet engine's place: it reads what engines write."""
        return self.source_topic == "fleet"

    def own(self, name: str) -> str:
        """Return the full name of `progress` or `snapshots`; the fleet engine has its own, for partition 0 is taken."""
        return self.topic(f"fleet-{name}" if self.fleet else name)

    def reader(self) -> LogReader:
        """Return a reader of committed records, not yet connected."""
        return LogReader(self.bootstrap, security=self.security, check_crcs=self.check_crcs)


async def begins(reader: LogReader, place: Place, wanted: int) -> int:
    """Return where reading from offset `wanted` can begin: there, or where the log begins if that is later, told."""
    earliest = (await reader.stretch(place.source, place.partition)).earliest
    if earliest <= wanted:
        return wanted
    log.error(
        "history is gone from the log, and what it held is unknown; keep the topic for longer",
        topic=place.source,
        partition=place.partition,
        wanted=wanted,
        earliest=earliest,
    )
    return earliest


async def reaches(reader: LogReader, place: Place, next_offset: int, *, limit_s: float = SHORT_LOG_S) -> None:
    """Return when the log holds everything below `next_offset`; LogTooShort where it does not within `limit_s`."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + limit_s
    while (end := (await reader.stretch(place.source, place.partition)).end) < next_offset:
        if loop.time() > deadline_s:
            msg = (
                f"{place.source} partition {place.partition} ends at offset {end}, before progress at {next_offset}: "
                "the topic lost records or was made anew; take a new prefix, or restore the topic"
            )
            raise LogTooShort(msg)
        await asyncio.sleep(LOOK_S)


async def history(reader: LogReader, place: Place, from_offset: int, to_offset: int) -> AsyncIterator[LogRecord]:
    """Yield the records of a stretch of the log that are there."""
    async for record in reader.read(place.source, place.partition, from_offset, to_offset):
        if record.value is not None:
            yield LogRecord(record.partition, record.offset, record.timestamp, record.key, record.value)
