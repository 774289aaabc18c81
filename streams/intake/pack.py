"""Rows become batches: those of one cluster from one lane within one second of source time, up to a size.

A batch is closed by what comes after it: a row a second later (or stamped before it), too many rows or bytes; and by
`flush`. Rows of one source record (a foreign array) are never parted, since the engine drops repeats by offset.
Batches of two clusters may overtake each other, but nothing overtakes what concerns everyone (`*`): a tombstone stands
before the record of the place that a machine moved to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from schemas.records import once
from schemas.telemetry import EVERYONE, Batch, HostRow, Row
from streams.intake.checks import Limits, Place

SECOND_MS = 1_000
ROW_BYTES = 160
"""What a row takes beside its texts: type, offset, stamp and numbers, generously."""
VERSION_BYTES = 48


@dataclass(slots=True)
class Open:
    """A batch to which rows are still added."""

    cluster: str
    first_ms: int
    last_offset: int
    size_bytes: int = 0
    offsets: list[int] = field(default_factory=list)
    at_ms: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Packer:
    """The open batches of one lane."""

    place: Place
    limits: Limits
    open: dict[str, Open] = field(default_factory=dict)

    def add(self, cluster: str, row: Row, offset: int, at_ms: int) -> list[Batch]:
        """Take a row; return the batches that it closes, in order."""
        closed: list[Batch] = []
        if cluster == EVERYONE:
            closed = [self._close(name) for name in [*self.open] if name != EVERYONE]
        elif EVERYONE in self.open:
            closed = [self._close(EVERYONE)]
        size_bytes = row_bytes(row)
        known = self.open.get(cluster)
        if known is not None and offset != known.last_offset and self._full(known, at_ms, size_bytes):
            closed.append(self._close(cluster))
            known = None
        if known is None:
            known = self.open[cluster] = Open(cluster, at_ms, offset)
        known.last_offset = offset
        known.size_bytes += size_bytes
        known.offsets.append(offset)
        known.at_ms.append(at_ms)
        known.rows.append(row)
        return closed

    def flush(self) -> list[Batch]:
        """Close all; return them, the one begun first before the others."""
        return [self._close(cluster) for cluster in [*self.open]]

    def _full(self, known: Open, at_ms: int, size_bytes: int) -> bool:
        return (
            not known.first_ms <= at_ms < known.first_ms + SECOND_MS
            or len(known.rows) >= self.limits.batch_max_rows
            or known.size_bytes + size_bytes > self.limits.batch_max_bytes
        )

    def _close(self, cluster: str) -> Batch:
        done = self.open.pop(cluster)
        place = self.place
        return Batch(
            cluster,
            place.feed,
            place.topic,
            place.topic_id,
            place.lane,
            tuple(done.offsets),
            tuple(done.at_ms),
            tuple(done.rows),
        )


def row_bytes(row: Row) -> int:
    """Return about how many bytes a row takes in a batch; `halves` mends where this was too little."""
    if type(row) is HostRow:
        size = ROW_BYTES
        if row.versions is not None:
            size += VERSION_BYTES * len(row.versions)
        return size if row.vms_block is None else size + len(row.vms_block)
    return ROW_BYTES + sum([_text_bytes(value) for value in values_of(type(row))(row)])


@once
def values_of(record: type[Any]) -> Callable[[Any], Iterable[Any]]:
    """Return what gives the values of a record's fields; all our records have at least two."""
    getter: Callable[[Any], Iterable[Any]] = attrgetter(*[item.name for item in fields(record)])
    return getter


def _text_bytes(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return sum([len(item) for item in value]) if isinstance(value, tuple) else 0


def halves(batch: Batch) -> tuple[Batch, Batch] | None:
    """Return the batch as two, parted between source records near its middle; None where it holds but one."""
    offsets = batch.offsets
    for distance in range(len(offsets)):
        for cut in (len(offsets) // 2 - distance, len(offsets) // 2 + distance):
            if 0 < cut < len(offsets) and offsets[cut] != offsets[cut - 1]:
                return _part(batch, 0, cut), _part(batch, cut, len(offsets))
    return None


def _part(batch: Batch, start: int, end: int) -> Batch:
    return Batch(
        batch.cluster,
        batch.feed,
        batch.topic,
        batch.topic_id,
        batch.lane,
        batch.offsets[start:end],
        batch.at_ms[start:end],
        batch.rows[start:end],
    )
