"""Reading whole topics and writing a few records, without a group."""

import dataclasses
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.config.load import load
from streams.config.model import Config
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.plain import BrokerAway, Outgoing, TopicError, reached, reader, send

pytestmark = pytest.mark.embedded

LANES = 3


@pytest.fixture
def config(embedded_broker: EmbeddedBroker) -> Config:
    """Give what leads to a broker with one topic."""
    embedded_broker.create_topic("t", LANES)
    found = load(None, {"LEAPWATCH_KAFKA_BOOTSTRAP": embedded_broker.bootstrap})
    return dataclasses.replace(found, kafka=dataclasses.replace(found.kafka, request_timeout_s=5.0))


def letters(text: str, lane: int = 0) -> list[Outgoing]:
    return [Outgoing("t", lane, None, letter.encode()) for letter in text]


async def values(config: Config, **chosen: Any) -> list[bytes]:
    async with reader(config) as connected:
        return [record.value async for record in connected.read("t", **chosen)]


async def test_what_was_sent_is_read_in_its_lane_with_key_headers_and_stamp(config: Config) -> None:
    sent = Outgoing("t", 2, b"key", b"\x00\xff", (("h", b"\x01"),), 1_330_473_600_000)

    assert [(2, 0), (2, 1)] == await send(config, [sent, dataclasses.replace(sent, value=None)])
    async with reader(config) as connected:
        first, second = [record async for record in connected.read("t")]
    assert sent == Outgoing(first.topic, first.partition, first.key, first.value, tuple(first.headers), first.timestamp)
    assert (b"key", None) == (second.key, second.value)


async def test_a_broker_that_answers_is_reached_and_one_that_does_not_is_named(config: Config) -> None:
    await reached(config)
    away = dataclasses.replace(
        config, kafka=dataclasses.replace(config.kafka, bootstrap=("127.0.0.1:1", "127.0.0.1:2"))
    )

    with pytest.raises(BrokerAway, match=r"no broker answers at 127\.0\.0\.1:1, 127\.0\.0\.1:2: start it"):
        await reached(away)


async def test_reading_ends_where_the_topic_ended_when_it_began(config: Config) -> None:
    await send(config, letters("ab"))
    found = []
    async with reader(config) as connected:
        async for record in connected.read("t"):
            found.append(record.value)
            await send(config, letters("c"))

    assert [b"a", b"b"] == found


async def test_an_empty_topic_and_one_that_is_read_to_its_end_have_nothing_more(config: Config) -> None:
    assert [] == await values(config)
    await send(config, letters("ab"))
    assert [] == await values(config, since={0: 2})


async def test_lanes_and_offsets_choose_what_is_read(config: Config) -> None:
    await send(config, [*letters("abc"), *letters("xyz", 1)])

    assert [b"x", b"y", b"z"] == await values(config, lanes=[1])
    assert [b"c", b"z"] == sorted(await values(config, since={0: 2, 1: 2}))
    async with reader(config) as connected:
        assert {0: 3, 1: 3, 2: 0} == await connected.ends("t")


async def test_a_topic_that_is_not_there_is_named_and_not_made(config: Config) -> None:
    async with reader(config) as connected:
        for _ in range(2):
            with pytest.raises(TopicError, match="topic gone is not there; make it with `leapwatch topics apply`"):
                await connected.lanes("gone")


async def test_what_a_group_has_not_read_is_counted_from_what_it_committed(config: Config) -> None:
    await send(config, letters("abcd"))
    async with reader(config) as connected:
        assert await connected.unread("group") is None

        consumer = Consumer({"bootstrap.servers": config.kafka.bootstrap[0], "group.id": "group", "log_level": 0})
        consumer.commit(offsets=[TopicPartition("t", 0, 3)], asynchronous=False)
        consumer.close()
        assert 1 == await connected.unread("group")
