"""What brokers say of topics."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streams.config.model import Config, Kafka
from streams.intake.source_topics import SourceTopic, describe
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.plain import TopicError
from streams.kafka.real import RealBroker


@pytest.mark.embedded
async def test_topics_of_the_embedded_broker_have_neither_id_nor_clock(embedded_broker: EmbeddedBroker) -> None:
    """Their producers stamp them."""
    embedded_broker.create_topic("a", 3)
    config = Config(kafka=Kafka(bootstrap=(embedded_broker.bootstrap,)))

    assert {"a": SourceTopic("a", 3, "", False)} == await describe(config, ["a"])
    with pytest.raises(TopicError, match="topic absent is not there; make it with `leapwatch topics apply`"):
        await describe(config, ["a", "absent"])


@pytest.mark.kafka
async def test_topics_of_kafka_have_an_id_and_say_whose_clock_stamps_them(
    real_broker: RealBroker, topic_prefix: str
) -> None:
    """A topic made anew under the same name has another id."""
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    names = [f"{topic_prefix}{stamp}" for stamp in ("LogAppendTime", "CreateTime")]
    made = [NewTopic(name, 2, 1, config={"message.timestamp.type": name.removeprefix(topic_prefix)}) for name in names]
    for future in admin.create_topics(made).values():
        future.result(30)
    found = await describe(Config(kafka=Kafka(bootstrap=tuple(real_broker.bootstrap.split(",")))), names)

    assert [(2, True), (2, False)] == [(found[name].lanes, found[name].broker_stamps) for name in names]
    ids = {found[name].topic_id for name in names}
    assert 2 == len(ids)
    assert "" not in ids
