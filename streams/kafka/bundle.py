"""What a fetch of one partition gives: its records in a bundle, and the stretch of the log that they are all of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MAX_RECORDS: Final = 2_000
MAX_BYTES: Final = 4 * 1024 * 1024
"""Bounds of a bundle, so that rebalances and timers stay prompt: tens of milliseconds of work."""


ANSWERED_WITHIN_S: Final = 10.0
"""Seconds without an answer of a broker after which it counts as away; a fetch is answered within a second."""


class Record(Protocol):
    """One record as the client fetched it (aiokafka's ConsumerRecord).

    `timestamp`: milliseconds, the broker's or the producer's, as `timestamp_type` says (1: broker, 0: producer).
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one partition stands: `next_offset` to hand out, `end_offset` that can be read, bundles not yet acked.

    `heard_s`: when the broker last answered a fetch, on the monotonic clock; None before the first answer.
    """

    next_offset: int
    end_offset: int
    outstanding: int
    heard_s: float | None


def last_heard_s(standing: Iterable[Standing]) -> float | None:
    """Return when a broker last answered for any of these partitions; None where none has yet."""
    return max((each.heard_s for each in standing if each.heard_s is not None), default=None)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Every record that exists from `from_offset` up to, not including, `to_offset`, in order; at least one.

    Offsets may be missing in between: those of transaction markers, of aborted transactions, and what compaction took.
    The next bundle of the partition begins at this one's `to_offset`, unless somebody sought (a rebalance goes back to
    what was committed), or records went unread; `streams.kafka.guards.Continuity` tells.
    """

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    records: tuple[Record, ...]


def split(
    topic: str,
    partition: int,
    from_offset: int,
    to_offset: int,
    records: Sequence[Record],
    *,
    max_records: int,
    max_bytes: int,
) -> Iterator[Bundle]:
    """Yield the records of one fetch in bundles within both bounds; a record over `max_bytes` has one to itself."""
    begin, start, held = from_offset, 0, 0
    for i, record in enumerate(records):
        size = len(record.value or b"") + len(record.key or b"")
        if i > start and (held + size > max_bytes or i - start >= max_records):
            end = records[i - 1].offset + 1
            yield Bundle(topic, partition, begin, end, tuple(records[start:i]))
            begin, start, held = end, i, 0
        held += size
    if start < len(records):
        yield Bundle(topic, partition, begin, to_offset, tuple(records[start:]))
