"""The way out: what goes to the fleet, and the end at the first record that is not taken."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.codec import decode
from schemas.commands import Release
from schemas.inventory import Service
from schemas.outputs import DeadLetter
from schemas.telemetry import Batch, Row
from streams.config.model import Config, Kafka
from streams.intake import forward
from streams.intake.checks import Limits, row_of
from streams.intake.forward import MAX_REQUEST_BYTES, Forwarder
from streams.intake.pack import Packer
from streams.intake.reader import Out, Output, outs_of
from streams.kafka.embedded import EmbeddedBroker
from tests.streams.intake.makers import CLUSTER, T0, place, report


def batch(feed: str, *rows: Row) -> Batch:
    packer = Packer(place(feed), Limits())
    for offset, row in enumerate(rows):
        packer.add("*", row, offset, T0 + offset)
    return packer.flush()[0]


@pytest.mark.embedded
async def test_outputs_stand_in_their_topics_with_their_stamps(embedded_broker: EmbeddedBroker) -> None:
    """Telemetry in its partition with source time, a dead letter under its origin, the fleet's copy."""
    for topic in ("x.telemetry", "x.fleet", "x.dead-letters"):
        embedded_broker.create_topic(topic, 2 if topic == "x.telemetry" else 1)
    config = Config(kafka=Kafka(bootstrap=(embedded_broker.bootstrap,), prefix="x."))
    forwarder = Forwarder(config, end=pytest.fail)
    await forwarder.start()
    letter = DeadLetter("x.host-agent", 1, 17, -1, None, b"junk", "NOT_JSON", "why")
    outs: list[Output] = [*outs_of(batch("inventory", Service("web")), (1,), 1_000_000), letter]
    written = await forwarder.send(outs)
    await asyncio.gather(*written)
    await forwarder.stop()

    assert 3 == len(written)
    stood = {
        topic: newest(embedded_broker.bootstrap, f"x.{topic}", lane)
        for topic, lane in (("telemetry", 1), ("fleet", 0), ("dead-letters", 0))
    }
    assert (b"*", T0, batch("inventory", Service("web"))) == stood["telemetry"]
    assert (b"*", T0, batch("inventory", Service("web"))) == stood["fleet"]
    assert (b"x.host-agent-1-17", letter) == (stood["dead-letters"][0], stood["dead-letters"][2])


def newest(bootstrap: str, topic: str, lane: int) -> tuple[bytes | None, int, object]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "r", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, lane, OFFSET_BEGINNING)])
        message = consumer.poll(20)
        assert message is not None
        key, value = message.key(), message.value()
        assert isinstance(value, bytes)
        return (key if isinstance(key, bytes) else None), message.timestamp()[1], decode(value)
    finally:
        consumer.close()


@pytest.mark.embedded
async def test_a_record_that_is_not_taken_ends_the_intake(embedded_broker: EmbeddedBroker) -> None:
    """The reason names topic and partition."""
    embedded_broker.create_topic("x.telemetry", 1)
    ended: list[str] = []
    config = Config(kafka=Kafka(bootstrap=(embedded_broker.bootstrap,), prefix="x."))
    forwarder = Forwarder(config, end=ended.append)
    await forwarder.start()
    large = Out(0, T0, b"*", b"x" * (MAX_REQUEST_BYTES + 1), batch("operator", Release("c", CLUSTER, "t", "ada", "")))
    with pytest.raises(MessageSizeTooLargeError):
        await forwarder.send([large])
    await forwarder.stop()

    assert 1 == len(ended)
    assert "x.telemetry, partition 0" in ended[0]


@pytest.mark.embedded
async def test_a_stop_does_not_wait_for_ever_for_a_broker_that_is_away(
    embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not acknowledged is not committed either, and comes again."""
    monkeypatch.setattr(forward, "STOP_S", 0.5)
    embedded_broker.create_topic("x.telemetry", 1)
    forwarder = Forwarder(Config(kafka=Kafka(bootstrap=(embedded_broker.bootstrap,), prefix="x.")), end=pytest.fail)
    await forwarder.start()
    outs = [*outs_of(batch("host-agent", row_of(report())), (0,), 1_000_000)]
    await asyncio.gather(*await forwarder.send(outs))
    embedded_broker.set_down()
    waiting = await forwarder.send(outs)
    await forwarder.stop()

    assert not any(future.done() and not future.cancelled() and future.exception() is None for future in waiting)
