"""What the brokers say of topics: how many lanes, which id, and whose clock stamps them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import ApiVersionRequest

from streams.config.model import Config
from streams.kafka.client import aiokafka_settings
from streams.kafka.plain import TopicError

DESCRIBE_CONFIGS = 32
"""The API key of the request that the embedded broker does not know: its topics have neither id nor settings."""
APPEND_TIME = "LogAppendTime"


@dataclass(frozen=True, slots=True)
class SourceTopic:
    """One topic as its brokers describe it."""

    name: str
    lanes: int
    topic_id: str
    """Empty on a broker whose topics have none (the embedded one)."""
    broker_stamps: bool
    """Its broker stamps its records (LogAppendTime); else their producers do."""


async def describe(config: Config, names: Iterable[str]) -> dict[str, SourceTopic]:
    """Return what is known of each topic; TopicError where one is not there."""
    wanted = list(names)
    client = AIOKafkaClient(
        bootstrap_servers=list(config.kafka.bootstrap),
        request_timeout_ms=int(config.kafka.request_timeout_s * 1000),
        **aiokafka_settings(config),
    )
    await client.bootstrap()
    try:
        metadata = await client.fetch_all_metadata()
        counts = {name: _lanes(metadata, name) for name in wanted}
        known = await client.send(client.get_random_node(), ApiVersionRequest())
        whole = any(key == DESCRIBE_CONFIGS for key, *_ in known.api_versions)
    finally:
        await client.close()
    ids, stamps = await asyncio.to_thread(_described, config, wanted) if whole else ({}, {})
    return {
        name: SourceTopic(name, counts[name], ids.get(name, ""), stamps.get(name) == APPEND_TIME) for name in wanted
    }


def _lanes(metadata: Any, name: str) -> int:
    partitions = metadata.partitions_for_topic(name)
    if not partitions:
        message = f"topic {name} is not there; make it with `leapwatch topics apply`"
        raise TopicError(message)
    return len(partitions)


def _described(config: Config, names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return ids and `message.timestamp.type` by name. Blocks: kafka-python knows topic ids and aiokafka does not."""
    # Half a second of the processor, which a worker on the embedded broker can do without.
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient  # noqa: PLC0415

    admin = KafkaAdminClient(bootstrap_servers=list(config.kafka.bootstrap), **aiokafka_settings(config))
    try:
        ids = {topic["name"]: str(topic["topic_id"]) for topic in admin.describe_topics(names)}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        answer = admin.describe_configs(asked, config_filter="all")
    finally:
        admin.close()
    found = {str(kind).lower(): each for kind, each in answer.items()}["topic"]
    return ids, {name: str(found[name]["message.timestamp.type"]["value"]) for name in names}
