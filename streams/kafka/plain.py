"""Reads whole topics to their end and writes a few records: what commands need, without a group and without Faust."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.config.model import Config
from streams.kafka.client import aiokafka_settings

FETCH_MS = 250
STILL_S = 30.0
"""Seconds without any movement after which a topic that has not been read to its end counts as not readable."""


class BrokerAway(ConnectionError):  # noqa: N818 - reads as what it is
    """No broker answers; the text names those that were asked, and says what to do."""


class TopicError(Exception):
    """A topic that is not there, or that cannot be read to its end; the text names it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write, and where; `at_ms` counts only in topics stamped by their producers.

    It has a key or a value: the client sends nothing that has neither.
    """

    topic: str
    lane: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    at_ms: int | None = None


@dataclass(slots=True)
class Reader:
    """One connection that reads topics from their beginning to the end that they have when it begins."""

    config: Config
    _consumer: Any = field(default=None)

    async def lanes(self, topic: str) -> list[int]:
        """Return the partitions of `topic` (with its prefix); TopicError where there is none."""
        # Asked of all topics: asked of one by name, a broker that makes topics by themselves would make it.
        cluster = await self._consumer._client.fetch_all_metadata()
        partitions = cluster.partitions_for_topic(topic)
        if not partitions:
            message = f"topic {topic} is not there; make it with `leapwatch topics apply`"
            raise TopicError(message)
        return sorted(partitions)

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the end offset of each lane of `topic` as it stands now."""
        places = [TopicPartition(topic, lane) for lane in await self.lanes(topic)]
        return {place.partition: end for place, end in (await self._consumer.end_offsets(places)).items()}

    async def unread(self, group: str) -> int | None:
        """Return how many records stand behind what `group` has committed; None where it has committed nothing."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=list(self.config.kafka.bootstrap),
            request_timeout_ms=int(self.config.kafka.request_timeout_s * 1000),
            **aiokafka_settings(self.config),
        )
        known = await self._consumer._client.fetch_all_metadata()
        # Each place by name: asked for whatever there is, the embedded broker gives an answer that cannot be read.
        places = [TopicPartition(topic, lane) for topic in known.topics() for lane in known.partitions_for_topic(topic)]
        try:
            await admin.start()
            found = await admin.list_consumer_group_offsets(group, partitions=places)
        finally:
            await admin.close()
        committed = {place: int(at.offset) for place, at in found.items() if at.offset >= 0}
        if not committed:
            return None
        ends = await self._consumer.end_offsets(list(committed))
        return sum(max(0, int(ends[place]) - offset) for place, offset in committed.items())

    async def read(
        self, topic: str, *, lanes: Iterable[int] | None = None, since: dict[int, int] | None = None
    ) -> AsyncIterator[Any]:
        """Yield every committed record of `topic`, from its beginning (or the offsets `since`) to its present end."""
        consumer = self._consumer
        places = [TopicPartition(topic, lane) for lane in (await self.lanes(topic) if lanes is None else lanes)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        at = {place: max(begins[place], (since or {}).get(place.partition, 0)) for place in places}
        open_places = {place for place in places if at[place] < ends[place]}
        for place in places:
            consumer.seek(place, at[place])
        moved_s = asyncio.get_running_loop().time()
        while open_places:
            fetched = await consumer.getmany(*open_places, timeout_ms=FETCH_MS)
            for place, records in fetched.items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            # Not the last record but the position tells the end: the last offsets may be a transaction's marker.
            reached = {place: await consumer.position(place) for place in open_places}
            if any(reached[place] > at[place] for place in reached):
                moved_s = asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - moved_s > STILL_S:
                lane = min(place.partition for place in open_places)
                message = f"topic {topic}, lane {lane}: stands still for {STILL_S:.0f} s before its end"
                raise TopicError(message)
            at.update(reached)
            open_places = {place for place in open_places if at[place] < ends[place]}


async def reached(config: Config) -> None:
    """Return as soon as a broker has answered; BrokerAway where none does.

    Asked before a worker or a feeder is made: Faust would end with a traceback, librdkafka try for five minutes.
    """
    kafka = config.kafka
    try:
        client = AIOKafkaClient(
            bootstrap_servers=list(kafka.bootstrap),
            request_timeout_ms=int(kafka.request_timeout_s * 1000),
            **aiokafka_settings(config),
        )
        try:
            await client.bootstrap()
        finally:
            await client.close()
    except (KafkaError, OSError) as error:
        message = (
            f"no broker answers at {', '.join(kafka.bootstrap)}: start it (`leapwatch broker start` runs one on this "
            f"machine) or set [kafka] bootstrap; `leapwatch doctor` tells more"
        )
        raise BrokerAway(message) from error


@asynccontextmanager
async def reader(config: Config) -> AsyncIterator[Reader]:
    """Give a connected Reader, read committed, that belongs to no group and commits nothing."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=list(config.kafka.bootstrap),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=config.kafka.check_crcs,
        request_timeout_ms=int(config.kafka.request_timeout_s * 1000),
        **aiokafka_settings(config),
    )
    try:
        await consumer.start()
        yield Reader(config, consumer)
    finally:
        await consumer.stop()


async def send(config: Config, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
    """Write `records` in their order, each acknowledged by all replicas; return the lane and offset of each."""
    producer = AIOKafkaProducer(
        bootstrap_servers=list(config.kafka.bootstrap),
        enable_idempotence=True,
        acks="all",
        max_request_size=16_000_000,
        request_timeout_ms=int(config.kafka.request_timeout_s * 1000),
        **aiokafka_settings(config),
    )
    try:
        await producer.start()
        waiting = [
            await producer.send(
                record.topic,
                value=record.value,
                key=record.key,
                partition=record.lane,
                timestamp_ms=record.at_ms,
                headers=list(record.headers),
            )
            for record in records
        ]
        return [(placed.partition, placed.offset) for placed in [await future for future in waiting]]
    finally:
        await producer.stop()
