"""Inventory and configuration, whole, as they stand in a lane: written into `telemetry` once a day.

The day begins by the stamps of the lane's feeds, and where an intake takes a lane over, by the stamp of the last record
before its first: so a day that began while nobody read is begun by whoever reads next. No wall clock is asked.

So a replay of any day finds who was where, and which thresholds were in force, without the years before it. The rows
keep their source offsets: an engine that knows them drops them as repeats, one that begins here takes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

from schemas.commands import OPERATOR, ConfigChanged
from schemas.inventory import INVENTORY
from schemas.outputs import DeadLetter
from schemas.source import Pulse
from schemas.telemetry import Row
from streams.config.model import Config
from streams.intake.checks import Checks, Limits, Place, RawRecord
from streams.intake.pack import Packer
from streams.intake.reader import Out, outs_of
from streams.kafka.plain import reader

DAY_MS = 86_400_000


def day_of(at_ms: int) -> int:
    """Return the UTC day of a stamp, as a number."""
    return at_ms // DAY_MS


def whole(place: Place, raws: Iterable[RawRecord], limits: Limits, at_ms: int) -> list[Out]:
    """Return the newest record of each key of a lane of `inventory` or `operator`, packed, stamped with `at_ms`.

    Of `operator` that is the newest ConfigChanged alone: commands are history, and stand where they were given.
    """
    newest: dict[bytes, tuple[int, RawRecord, str, Row]] = {}
    checks = Checks(place, limits)
    for raw in raws:
        if raw.value is None:
            newest.pop(raw.key or b"", None)
            continue
        judged = checks.judge(raw)
        if isinstance(judged, DeadLetter | Pulse):
            continue
        cluster, row = judged
        if place.feed == OPERATOR and not isinstance(row, ConfigChanged):
            continue
        newest[raw.key or b""] = (raw.offset, raw, cluster, row)
    packer = Packer(place, limits)
    batches = []
    for offset, raw, cluster, row in sorted(newest.values(), key=lambda entry: entry[0]):
        batches += packer.add(cluster, row, offset, raw.at_ms)
    batches += packer.flush()
    return [out for batch in batches for out in outs_of(batch, (place.lane,), limits.batch_max_bytes, at_ms)]


async def stamp_before(config: Config, topic: str, lane: int, offset: int) -> int | None:
    """Return the stamp of the record that stands before `offset` in a lane; None where that one is gone."""
    async with reader(config) as connected:
        records: Any = connected.read(topic, lanes=[lane], since={lane: offset - 1})
        async with aclosing(records):
            async for record in records:
                return int(record.timestamp) if record.offset < offset else None
    return None


async def read_whole(config: Config, place: Place, limits: Limits, until_offset: int, at_ms: int) -> list[Out]:
    """Return what stands in a lane below `until_offset`, which the intake has forwarded already."""
    async with reader(config) as connected:
        raws = [
            RawRecord(record.offset, record.timestamp, record.key, record.value)
            async for record in connected.read(place.topic, lanes=[place.lane])
            if record.offset < until_offset
        ]
    return whole(place, raws, limits, at_ms)


FEEDS = (INVENTORY, OPERATOR)
