"""A partition on the real broker for each test."""

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.place import Place
from streams.kafka.real import RealBroker


@pytest.fixture
def place(real_broker: RealBroker, topic_prefix: str) -> Place:
    """Give partition 0 of topics of this test's own."""
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    wanted = ("telemetry", "findings", "decisions", "rca", "progress", "snapshots", "fleet")
    for made in admin.create_topics([NewTopic(f"{topic_prefix}{name}", 1, 1) for name in wanted]).values():
        made.result(20)
    return Place(real_broker.bootstrap, topic_prefix, 0, snapshot_every_s=60)
