"""The embedded broker: what of Kafka it gives, and what it says where it cannot."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka.admin import AdminClient

from streams.kafka.embedded import DEFAULT_PARTITIONS, EmbeddedBroker, EmbeddedBrokerError

pytestmark = pytest.mark.embedded


def _partitions(broker: EmbeddedBroker, topic: str) -> int:
    return len(
        AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(topic, timeout=10).topics[topic].partitions
    )


def test_a_topic_has_the_partitions_asked_for(embedded_broker: EmbeddedBroker) -> None:
    assert embedded_broker.create_topic("fleet", 1)

    assert 1 == _partitions(embedded_broker, "fleet")


def test_a_topic_never_created_has_the_default_partitions(embedded_broker: EmbeddedBroker) -> None:
    assert DEFAULT_PARTITIONS == _partitions(embedded_broker, "first-used")


def test_creating_a_topic_again_changes_nothing_and_says_so(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic("twice", 2)

    assert not embedded_broker.create_topic("twice", 3)
    assert 2 == _partitions(embedded_broker, "twice")


async def test_records_come_back_in_order_with_their_own_stamps(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic("t", 1)
    sent = [(b"%d" % i, 1_330_473_600_000 + i) for i in range(1000)]
    async with AIOKafkaProducer(bootstrap_servers=embedded_broker.bootstrap) as producer:
        for value, at_ms in sent:
            await producer.send("t", value, timestamp_ms=at_ms)

    consumer = AIOKafkaConsumer("t", bootstrap_servers=embedded_broker.bootstrap, auto_offset_reset="earliest")
    async with consumer:
        read = [(r.value, r.timestamp) for r in [await consumer.getone() for _ in sent]]

    assert sent == read


def test_a_broker_that_was_down_still_has_its_topics(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic("kept", 3)
    embedded_broker.set_down()
    embedded_broker.set_up()

    assert 3 == _partitions(embedded_broker, "kept")


def test_a_closed_broker_refuses_by_name_and_closes_twice() -> None:
    broker = EmbeddedBroker()
    broker.close()
    broker.close()

    with pytest.raises(EmbeddedBrokerError, match="closed"):
        broker.create_topic("t", 1)


def test_what_librdkafka_refuses_is_told_with_its_reason(embedded_broker: EmbeddedBroker) -> None:
    with pytest.raises(EmbeddedBrokerError, match=r"take broker 7 down: .*librdkafka code"):
        embedded_broker.set_down(7)


def test_no_brokers_is_refused() -> None:
    with pytest.raises(ValueError, match="brokers is 0"):
        EmbeddedBroker(brokers=0)
