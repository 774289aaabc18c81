"""Transactions on the real broker: all or none, and only by the youngest producer. And reading what was committed."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.real import RealBroker
from streams.kafka.transactions import (
    Fenced,
    FlushFailed,
    LogReader,
    Output,
    RecordsGone,
    TransactionalProducer,
    end_offset,
    read_partition,
)


@pytest.fixture
def topic(real_broker: RealBroker, topic_prefix: str) -> str:
    name = f"{topic_prefix}t"
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    return name


async def _read(bootstrap: str, topic: str, *bounds: Any, **how: Any) -> list[tuple[bytes | None, bytes | None, int]]:
    return [(r.key, r.value, r.timestamp) async for r in read_partition(bootstrap, topic, 0, *bounds, **how)]


async def _abort_one(bootstrap: str, topic: str, transactional_id: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()


@pytest.mark.kafka
async def test_a_flush_is_seen_whole_in_its_order_with_its_stamps(real_broker: RealBroker, topic: str) -> None:
    outputs = [Output(topic, 0, b"k%d" % i, b"v%d" % i, 1_330_473_600_000 + i) for i in range(100)]
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        await producer.flush(outputs[:50])
        await producer.flush([])
        await producer.flush([*outputs[50:], Output(topic, 1, b"tombstone", None, None)])

    assert [tuple(o[2:]) for o in outputs] == await _read(real_broker.bootstrap, topic)


@pytest.mark.kafka
async def test_what_was_aborted_is_hidden_and_reading_ends_behind_it(real_broker: RealBroker, topic: str) -> None:
    await _abort_one(real_broker.bootstrap, topic, f"{topic}-x")
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        await producer.flush([Output(topic, 0, None, b"seen", 1)])
    await _abort_one(real_broker.bootstrap, topic, f"{topic}-x")

    assert [(None, b"seen", 1)] == await _read(real_broker.bootstrap, topic)
    uncommitted = await _read(real_broker.bootstrap, topic, isolation="read_uncommitted")
    assert [b"aborted", b"seen", b"aborted"] == [value for _, value, _ in uncommitted]


@pytest.mark.kafka
async def test_an_older_producer_is_fenced_by_a_younger_one(real_broker: RealBroker, topic: str) -> None:
    old = TransactionalProducer(real_broker.bootstrap, f"{topic}-x")
    await old.start()
    await old.flush([Output(topic, 0, None, b"old", 1)])
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as young:
        with pytest.raises(Fenced, match="younger producer"):
            await old.flush([Output(topic, 0, None, b"zombie", 2)])
        await young.flush([Output(topic, 0, None, b"young", 3)])
    with pytest.raises(FlushFailed, match="has failed"):
        await old.flush([Output(topic, 0, None, b"zombie again", 4)])

    assert [b"old", b"young"] == [value for _, value, _ in await _read(real_broker.bootstrap, topic)]


@pytest.mark.kafka
async def test_starting_aborts_what_a_dead_producer_left_open(real_broker: RealBroker, topic: str) -> None:
    dead = AIOKafkaProducer(bootstrap_servers=real_broker.bootstrap, transactional_id=f"{topic}-x")
    await dead.start()
    await dead.begin_transaction()
    await dead.send_and_wait(topic, b"half", partition=0)
    assert 0 == await end_offset(real_broker.bootstrap, topic, 0)

    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        await producer.flush([Output(topic, 0, None, b"whole", 1)])

    assert [b"whole"] == [value for _, value, _ in await _read(real_broker.bootstrap, topic)]
    await dead._sender.close()
    await dead.client.close()
    dead._closed = True


@pytest.mark.kafka
async def test_a_record_that_is_refused_fails_the_whole_flush(real_broker: RealBroker, topic: str) -> None:
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        with pytest.raises(FlushFailed, match="MessageSizeTooLarge"):
            await producer.flush([Output(topic, 0, None, b"fine", 1), Output(topic, 0, None, b"x" * 4_000_000, 1)])

    assert [] == await _read(real_broker.bootstrap, topic, isolation="read_committed")


@pytest.mark.kafka
async def test_a_stretch_is_read_from_its_first_to_before_its_last_offset(real_broker: RealBroker, topic: str) -> None:
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        await producer.flush([Output(topic, 0, None, b"%d" % i, 1_000 + i) for i in range(10)])

    stretch = [value for _, value, _ in await _read(real_broker.bootstrap, topic, 3, 6)]
    assert [b"3", b"4", b"5"] == stretch
    async with LogReader(real_broker.bootstrap) as reader:
        assert 7 == await reader.offset_at(topic, 0, 1_007)
        assert await reader.offset_at(topic, 0, 2**62) is None


@pytest.mark.kafka
async def test_a_flush_says_where_its_records_stand_and_asks_before_it_commits(
    real_broker: RealBroker, topic: str
) -> None:
    asked: list[str] = []
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        first = await producer.flush([Output(topic, 0, None, b"a", 1), Output(topic, 1, None, b"b", 1)])
        second = await producer.flush([Output(topic, 0, None, b"c", 1)], before_commit=lambda: asked.append("once"))

    # Offset 1 is the first transaction's marker.
    assert ([0, 0], [2]) == (first, second)
    assert ["once"] == asked


@pytest.mark.kafka
async def test_the_newest_record_is_found_before_any_number_of_markers(real_broker: RealBroker, topic: str) -> None:
    async with LogReader(real_broker.bootstrap) as reader:
        assert await reader.newest(topic, 0) is None
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        await producer.flush([Output(topic, 0, None, b"seen", 1)])
    async with AIOKafkaProducer(
        bootstrap_servers=real_broker.bootstrap, transactional_id=f"{topic}-x"
    ) as producer_that_aborts:
        for _ in range(40):
            await producer_that_aborts.begin_transaction()
            await producer_that_aborts.send_and_wait(topic, b"aborted", partition=0)
            await producer_that_aborts.abort_transaction()

    async with LogReader(real_broker.bootstrap) as reader:
        newest = await reader.newest(topic, 0)
    assert newest is not None
    assert b"seen" == newest.value


@pytest.mark.kafka
async def test_records_that_were_deleted_are_told_and_not_skipped(real_broker: RealBroker, topic: str) -> None:
    async with TransactionalProducer(real_broker.bootstrap, f"{topic}-x") as producer:
        await producer.flush([Output(topic, 0, None, b"%d" % i, i) for i in range(10)])
    admin = KafkaAdminClient(bootstrap_servers=real_broker.bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 5})
    admin.close()

    with pytest.raises(RecordsGone, match="offset 0 is gone, the log begins at 5"):
        await _read(real_broker.bootstrap, topic, 0)
    assert 5 == len(await _read(real_broker.bootstrap, topic))


@pytest.mark.embedded
async def test_a_flush_and_its_reading_work_on_the_embedded_broker_too(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic("t", 1)
    async with TransactionalProducer(embedded_broker.bootstrap, "x") as producer:
        await producer.flush([Output("t", 0, None, b"%d" % i, 5) for i in range(3)])

    end = 3
    assert [b"0", b"1", b"2"] == [value for _, value, _ in await _read(embedded_broker.bootstrap, "t", 0, end)]


async def test_no_broker_is_a_failed_flush_that_names_the_transactional_id() -> None:
    producer = TransactionalProducer("127.0.0.1:1", "engine-7", transaction_limit_s=2)

    with pytest.raises(FlushFailed, match="transactional id engine-7: no producer started"):
        await producer.start()
