"""Writes records in one transaction, and reads a stretch of one partition: plain aiokafka, no group, no Faust."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ConcurrentTransactions, KafkaError, ProducerFenced

_START_LIMIT_S: Final = 60.0
_TRANSACTION_TIMEOUT_MS: Final = 60_000
_READ_AT_MOST: Final = 2_000
_NO_NEWS_S: Final = 30.0


class Fenced(Exception):  # noqa: N818 - the state it names
    """Somebody else took over this transaction id: nothing more can be written here."""


class FlushFailed(Exception):  # noqa: N818 - the event it names
    """A transaction did not commit; what it held is not in the log."""


class ReadFailed(Exception):  # noqa: N818 - the event it names
    """A partition could not be read to the end asked for."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One record and where it goes."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class Transactions:
    """A producer whose every write is a transaction of its own; starting it fences whoever had its id before."""

    def __init__(self, bootstrap: str, transactional_id: str, **client: Any) -> None:
        self.transactional_id = transactional_id
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=transactional_id,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            max_request_size=4 * 1024 * 1024,
            compression_type="lz4",
            **client,
        )
        self._started = False

    async def start(self) -> None:
        """Take the id over: the older producer's open transaction is aborted, its next write fails with Fenced."""
        deadline = asyncio.get_running_loop().time() + _START_LIMIT_S
        while True:
            try:
                await self._producer.start()
            except ConcurrentTransactions:
                # The coordinator still ends the transaction of the owner before us.
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                self._started = True
                return

    async def write(self, records: Sequence[Placed], *, before_commit: Callable[[], object] | None = None) -> list[int]:
        """Write all of these or nothing; return the offset of each. Fenced or FlushFailed: nothing more may be written.

        `before_commit` is called when the broker has acknowledged every record and none is committed yet.
        """
        try:
            await self._producer.begin_transaction()
            futures = [
                await self._producer.send(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                )
                for record in records
            ]
            placed = [(await future).offset for future in futures]
            if before_commit is not None:
                before_commit()
            await self._producer.commit_transaction()
        except ProducerFenced as error:
            msg = f"{self.transactional_id} was taken over by another worker"
            raise Fenced(msg) from error
        except KafkaError as error:
            msg = f"{self.transactional_id}: {len(records)} records were not committed: {error!r}"
            raise FlushFailed(msg) from error
        return placed

    async def stop(self) -> None:
        """Close the connection; a transaction under way is aborted by the broker."""
        if self._started:
            self._started = False
            await self._producer.stop()


async def read_partition(
    bootstrap: str,
    topic: str,
    partition: int,
    from_offset: int | None,
    to_offset: int | None,
    *,
    isolation: str = "read_committed",
    **client: Any,
) -> AsyncIterator[Any]:
    """Yield the records of a partition from `from_offset` up to, not including, `to_offset`.

    None: from the earliest, to the end as it stands now. Aborted records and transaction markers are passed over: what
    counts is the position, not the last record. ReadFailed where the broker says nothing for 30 s.
    """
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        **client,
    )
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        to_offset = end if to_offset is None else min(to_offset, end)
        begin = (await consumer.beginning_offsets([place]))[place]
        position = max(begin, from_offset or 0)
        if position >= to_offset:
            return
        consumer.seek(place, position)
        loop = asyncio.get_running_loop()
        moved_s = loop.time()
        while position < to_offset:
            fetched = await consumer.getmany(place, timeout_ms=200, max_records=_READ_AT_MOST)
            for record in fetched.get(place, ()):
                if record.offset >= to_offset:
                    return
                yield record
            reached = await consumer.position(place)
            if reached != position:
                position, moved_s = reached, loop.time()
            elif loop.time() - moved_s > _NO_NEWS_S:
                place_now = f"{topic} partition {partition} offset {position} of {to_offset}"
                msg = f"{place_now}: nothing came for {_NO_NEWS_S:.0f} s"
                raise ReadFailed(msg)
    finally:
        await consumer.stop()


async def last_record(bootstrap: str, topic: str, partition: int, **client: Any) -> Any | None:
    """Return the newest committed record of a partition, None where it holds none.

    Reads the tail, further back each time until a record is found: the last offsets may be markers or aborted.
    """
    begin, end = await offsets(bootstrap, topic, partition, **client)
    reach = 64
    while end > begin:
        start = max(begin, end - reach)
        last = None
        async for record in read_partition(bootstrap, topic, partition, start, end, **client):
            last = record
        if last is not None:
            return last
        if start == begin:
            return None
        reach *= 16
    return None


async def offsets(bootstrap: str, topic: str, partition: int, **client: Any) -> tuple[int, int]:
    """Return the earliest offset of a partition and the one that its next record will have."""
    place = TopicPartition(topic, partition)
    async with _asking(bootstrap, **client) as consumer:
        begin = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        return int(begin), int(end)


async def offset_at(bootstrap: str, topic: str, partition: int, at_ms: int, **client: Any) -> int | None:
    """Return the first offset stamped at or after `at_ms`; None where there is none (the embedded broker: always)."""
    place = TopicPartition(topic, partition)
    async with _asking(bootstrap, **client) as consumer:
        found = (await consumer.offsets_for_times({place: at_ms}))[place]
        return None if found is None else int(found.offset)


class _asking:  # noqa: N801 - reads as a verb where it is used
    """A consumer that only answers questions."""

    def __init__(self, bootstrap: str, **client: Any) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **client)

    async def __aenter__(self) -> Any:
        await self._consumer.start()
        return self._consumer

    async def __aexit__(self, *error: object) -> None:
        await self._consumer.stop()
