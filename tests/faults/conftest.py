"""A broker of the fault tests' own, which they may stop, and a run on it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka import real
from streams.kafka.real import RealBroker
from tests.conftest import skip_loudly
from tests.faults.harness import BROKER_PROPERTIES, Run


@pytest.fixture(scope="package")
def broker() -> Iterator[RealBroker]:
    """Give a real Kafka of one node that lets members of a group die within seconds."""
    if reason := real.missing():
        skip_loudly(reason)
    with RealBroker(properties=BROKER_PROPERTIES) as running:
        yield running


@pytest.fixture
def run(broker: RealBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Run]:
    """Give a run on a prefix of its own; whatever still runs at its end is ended."""
    each = Run(tmp_path, broker.bootstrap, topic_prefix)
    try:
        yield each
    finally:
        each.close()
