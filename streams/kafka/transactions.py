"""Writes outputs all or none, fenced against an older self; and reads a partition whole, as committed.

An engine's flush is one transaction whose id is its partition's: outputs and the progress record appear together or not
at all, and a worker that lost the partition cannot write any more. aiokafka's transactions are of the first version
(without KIP-890), so every record is awaited before the commit: nothing that was refused is committed past.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    OffsetOutOfRangeError,
    ProducerFenced,
)

from streams.kafka.bundle import Record

Isolation = Literal["read_committed", "read_uncommitted"]

TRANSACTION_LIMIT_S: Final = 30.0
"""After which the broker aborts a transaction that nobody ended; readers of committed records wait for that long."""

REQUEST_LIMIT_S: Final = 20.0
READ_STALLED_S: Final = 60.0
MAX_RECORD_BYTES: Final = 1024 * 1024
_FETCH_BYTES: Final = 4 * 1024 * 1024
_POLL_MS: Final = 500
_FETCH_WAIT_MS: Final = 50
_STOP_S: Final = 2.0
_TAIL: Final = 32


class Output(NamedTuple):
    """One record to write; `timestamp_ms` None leaves the stamp to the producer's clock."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None


class FlushFailed(Exception):  # noqa: N818  # reads as what happened
    """Nothing of this flush will be seen, or all of it, and nobody knows which: restore from the log, do not retry."""


class Fenced(FlushFailed):
    """A younger producer has this transactional id: the partition is somebody else's now."""


class RecordsGone(Exception):  # noqa: N818
    """What was asked for was deleted from the log, or never was in it."""


class ReadStalled(Exception):  # noqa: N818
    """The broker gave nothing for a minute although the end was not reached."""


class TransactionalProducer:
    """A producer of one transactional id. `start()` fences every older one and aborts what that left open.

    After any `FlushFailed` it is of no more use: close it, and start another where the partition is still ours.
    """

    def __init__(
        self,
        bootstrap: str,
        transactional_id: str,
        *,
        transaction_limit_s: float = TRANSACTION_LIMIT_S,
        security: dict[str, Any] | None = None,
    ) -> None:
        self.transactional_id = transactional_id
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(transaction_limit_s * 1000),
            request_timeout_ms=int(REQUEST_LIMIT_S * 1000),
            max_request_size=2 * MAX_RECORD_BYTES,
            compression_type="lz4",
            linger_ms=0,
            **(security or {}),
        )
        self._limit_s = transaction_limit_s
        self._usable = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Fence older producers of this id; when this returns, whatever they had open is aborted."""
        try:
            async with asyncio.timeout(self._limit_s):
                await self._producer.start()
        except (KafkaError, TimeoutError) as error:
            with contextlib.suppress(KafkaError):
                await self._producer.stop()
            raise FlushFailed(f"transactional id {self.transactional_id}: no producer started: {error!r}") from error
        self._usable = True

    async def flush(
        self,
        outputs: Sequence[Output | tuple[str, int, bytes | None, bytes | None, int | None]],
        *,
        before_commit: Callable[[], object] | None = None,
    ) -> list[int]:
        """Write all of `outputs` in one transaction, in their order within each partition; return each one's offset.

        None is no error. `before_commit` is called when every record is acknowledged and none is committed.
        """
        if not self._usable:
            raise FlushFailed(f"transactional id {self.transactional_id}: this producer was not started, or has failed")
        if not outputs:
            return []
        # Whatever happens from here on, only a whole success leaves it usable.
        self._usable = False
        waiting: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._limit_s):
                await self._producer.begin_transaction()
                for topic, partition, key, value, timestamp_ms in outputs:
                    sent = self._producer.send(topic, value, key, partition, timestamp_ms)
                    waiting.append(await sent)
                written = await asyncio.gather(*waiting)
                if before_commit is not None:
                    before_commit()
                await self._producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping) as error:
            await self._give_up(waiting)
            raise Fenced(f"transactional id {self.transactional_id} was taken over by a younger producer") from error
        except (KafkaError, TimeoutError, ValueError, TypeError, AssertionError) as error:
            await self._give_up(waiting)
            raise FlushFailed(f"transactional id {self.transactional_id}: {error!r}") from error
        self._usable = True
        return [record.offset for record in written]

    async def close(self) -> None:
        """Let the connection go; an open transaction is left to its time limit, or to the next producer's start."""
        self._usable = False
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(REQUEST_LIMIT_S):
                await self._producer.stop()

    async def _give_up(self, waiting: list["asyncio.Future[Any]"]) -> None:
        """Close, and fetch what became of each record, so that no error is left that nobody retrieved.

        aiokafka fails two futures of its own with a fenced producer, which nobody waits for: logged at some later
        garbage collection, they would look like a fault of whatever runs then.
        """
        accumulator, manager = self._producer._message_accumulator, self._producer._txn_manager
        batches = [*itertools.chain.from_iterable(accumulator._batches.values()), *accumulator._pending_batches]
        await self.close()
        own = [manager._transaction_waiter, *(batch._drain_waiter for batch in batches)]
        for future in own:
            if future is not None and future.done() and not future.cancelled():
                future.exception()
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What there is to read of a partition: from the earliest offset up to, not including, the end."""

    earliest: int
    end: int


class LogReader:
    """Reads any stretch of any partition by plain assignment: no group, no commit.

    `isolation`: with read_committed, what was aborted does not show, and the end is before the first transaction that
    is still open. One stretch at a time.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        isolation: Isolation = "read_committed",
        check_crcs: bool = True,
        security: dict[str, Any] | None = None,
    ) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            # An offset that is gone is told, not replaced by another.
            auto_offset_reset="none",
            isolation_level=isolation,
            check_crcs=check_crcs,
            max_partition_fetch_bytes=_FETCH_BYTES,
            # Requests of one connection wait for each other: a fetch that waits for new records holds up the next read.
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=int(REQUEST_LIMIT_S * 1000),
            **(security or {}),
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            # What was not closed complains when it is collected, behind the one line that says what failed.
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # aiokafka's fetcher loses a cancellation that comes while it changes its assignment, and `stop` then waits for
        # ever; the second cancellation, which is the time limit's, ends it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._consumer.stop()

    async def lanes(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 where it is not there."""
        # Asked of all topics: asked of one by name, a broker that makes topics by themselves would make it.
        known = await self._consumer._client.fetch_all_metadata()
        return len(known.partitions_for_topic(topic) or ())

    async def stretch(self, topic: str, partition: int) -> Stretch:
        """Return earliest offset and end of a partition, as they are now."""
        tp = TopicPartition(topic, partition)
        earliest = (await self._consumer.beginning_offsets([tp]))[tp]
        return Stretch(earliest, (await self._consumer.end_offsets([tp]))[tp])

    async def offset_at(self, topic: str, partition: int, at_ms: int) -> int | None:
        """Return an offset before which nothing is stamped at `at_ms` or later; None where nothing is at all.

        In a topic of transactions it may be a marker's, which bears the broker's own clock: then it is far too early,
        but never too late. The embedded broker always says None: read from the earliest offset there.
        """
        tp = TopicPartition(topic, partition)
        found = (await self._consumer.offsets_for_times({tp: at_ms}))[tp]
        return None if found is None else int(found.offset)

    async def newest(self, topic: str, partition: int) -> Record | None:
        """Return the newest record of a partition, None where it holds none.

        Reads the tail, further back each time until there is one: the last offsets may be markers or aborted.
        """
        bounds = await self.stretch(topic, partition)
        reach = _TAIL
        while bounds.end > bounds.earliest:
            start = max(bounds.earliest, bounds.end - reach)
            newest: Record | None = None
            async for record in self.read(topic, partition, start, bounds.end):
                newest = record
            if newest is not None or start == bounds.earliest:
                return newest
            reach *= _TAIL
        return None

    async def read(
        self, topic: str, partition: int, from_offset: int | None = None, to_offset: int | None = None
    ) -> AsyncGenerator[Record, None]:
        """Yield the records from `from_offset` up to, not including, `to_offset`.

        None: from the earliest, to the end as it is now. It ends when the log's position reaches `to_offset`, whether
        or not there is a record just before it: markers, aborted records and compaction leave gaps. `RecordsGone` where
        the log begins after `from_offset`, `ReadStalled` where the end is not reached and nothing comes for a minute.
        """
        tp = TopicPartition(topic, partition)
        bounds = await self.stretch(topic, partition)
        start = bounds.earliest if from_offset is None else from_offset
        end = bounds.end if to_offset is None else to_offset
        if start < bounds.earliest:
            raise RecordsGone(f"{topic}-{partition}: offset {start} is gone, the log begins at {bounds.earliest}")
        if start >= end:
            return
        self._consumer.assign([tp])
        self._consumer.seek(tp, start)
        loop = asyncio.get_running_loop()
        moved_s, position = loop.time(), start
        while position < end:
            try:
                fetched = await self._consumer.getmany(tp, timeout_ms=_POLL_MS)
            except OffsetOutOfRangeError as error:
                raise RecordsGone(f"{topic}-{partition}: offset {position} is not in the log") from error
            for record in fetched.get(tp, ()):
                if record.offset >= end:
                    return
                yield record
            reached = await self._consumer.position(tp)
            if reached > position:
                moved_s, position = loop.time(), reached
            elif loop.time() - moved_s > READ_STALLED_S:
                raise ReadStalled(f"{topic}-{partition}: stuck at offset {position} before {end}")


async def read_partition(
    bootstrap: str,
    topic: str,
    partition: int,
    from_offset: int | None = None,
    to_offset: int | None = None,
    isolation: Isolation = "read_committed",
) -> AsyncGenerator[Record, None]:
    """Yield one stretch as `LogReader.read` does, by a connection of its own."""
    async with (
        LogReader(bootstrap, isolation=isolation) as reader,
        contextlib.aclosing(reader.read(topic, partition, from_offset, to_offset)) as records,
    ):
        async for record in records:
            yield record


async def end_offset(bootstrap: str, topic: str, partition: int, isolation: Isolation = "read_committed") -> int:
    """Return the end of a partition for a reader of this isolation, by a connection of its own."""
    async with LogReader(bootstrap, isolation=isolation) as reader:
        return (await reader.stretch(topic, partition)).end
