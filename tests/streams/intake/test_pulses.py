"""Pulses in every lane, and none kept for a broker that is away."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas.codec import decode
from schemas.source import Pulse
from streams.config.model import Config, Kafka
from streams.intake import pulses
from streams.intake.pulses import Pulses
from streams.kafka.embedded import EmbeddedBroker
from streams.operate import metrics


def config(broker: EmbeddedBroker) -> Config:
    return Config(kafka=Kafka(bootstrap=(broker.bootstrap,)))


def ends(broker: EmbeddedBroker, topic: str, lanes: int) -> list[int]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "e", "log_level": 0})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(topic, lane), timeout=20)[1] for lane in range(lanes)]
    finally:
        consumer.close()


async def quiet(made: Pulses) -> None:
    async with asyncio.timeout(20):
        while made._under_way:  # noqa: ASYNC110 - it is a set, and its owner has no need of an event
            await asyncio.sleep(0.01)


@pytest.mark.embedded
async def test_each_beat_is_a_pulse_in_every_lane(embedded_broker: EmbeddedBroker) -> None:
    """With the intake's name and a number that grows."""
    embedded_broker.create_topic("a", 3)
    embedded_broker.create_topic("b", 2)
    made = Pulses(config(embedded_broker), "intake-1", {"a": (3, "host-agent"), "b": (2, "maintenance")})
    await made.start()
    for _ in range(4):
        await made.beat()
        await quiet(made)
    await made.stop()

    assert ([4] * 3, [4] * 2) == (ends(embedded_broker, "a", 3), ends(embedded_broker, "b", 2))
    consumer = Consumer({"bootstrap.servers": embedded_broker.bootstrap, "group.id": "r", "log_level": 0})
    consumer.assign([TopicPartition("a", 2, 3)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    value = message.value()
    assert isinstance(value, bytes)
    assert Pulse("intake-1", 3) == decode(value)


@pytest.mark.embedded
async def test_a_broker_that_is_away_gets_no_backlog_of_pulses(
    embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is missing: that is what its absence says."""
    monkeypatch.setattr(pulses, "PULSE_TIMEOUT_S", 1.0)
    embedded_broker.create_topic("a", 1)
    made = Pulses(config(embedded_broker), "intake-1", {"a": (1, "test-away")})
    await made.start()
    await made.beat()
    await quiet(made)
    embedded_broker.set_down()
    for _ in range(50):
        await made.beat()
    embedded_broker.set_up()
    await quiet(made)
    async with asyncio.timeout(30):
        before = ends(embedded_broker, "a", 1)[0]
        while ends(embedded_broker, "a", 1)[0] == before:
            await made.beat()
            await quiet(made)
    await made.stop()

    assert ends(embedded_broker, "a", 1)[0] <= 4
    assert metrics.PULSES_FAILED.labels("test-away")._value.get() >= 49
