"""An embedded broker's topics as the tests of commands fill and read them, and records to fill them with."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from schemas import codec
from schemas.outputs import Decision, Evidence, Finding, Subject
from streams.config.load import load
from streams.config.model import Config
from streams.kafka.partition import lane_of
from streams.kafka.plain import Outgoing, reader, send

LANES = 4
TOPICS = ("host-agent", "inventory", "operator", "findings", "decisions", "incidents", "dead-letters")
FINDING = Finding(
    id="f" * 32,
    detector="hi_threshold",
    subject=Subject(cluster="c1"),
    state="OPEN",
    severity="CRITICAL",
    opened_ms=1_330_478_100_000,
    at_ms=1_330_478_100_500,
    title="50 of 1000 servers in HI",
    evidence=(Evidence(0, 7, "host-agent", "t", 0, 9, 1_330_478_100_000),),
    numbers={"servers": 50.0},
)
DECISION = Decision(
    "d" * 32, "stop-updates", "cluster:c1", "ENFORCED", "enforce", "brake", (FINDING.id,), 1_330_478_100_500
)

Run = Callable[..., tuple[int, list[str]]]
"""Runs a command; gives its code and its lines of output."""


def config_of(bootstrap: str) -> Config:
    """Return the configuration that leads to an embedded broker, and to our prefix there."""
    config = load(None, {"LEAPWATCH_KAFKA_BOOTSTRAP": bootstrap, "LEAPWATCH_KAFKA_PREFIX": "t."})
    # It renumbers what a transaction writes and leaves the check sums as they were.
    return dataclasses.replace(config, kafka=dataclasses.replace(config.kafka, check_crcs=False))


def put(bootstrap: str, records: Iterable[Outgoing]) -> None:
    """Write records."""
    asyncio.run(send(config_of(bootstrap), list(records)))


def held(bootstrap: str, topic: str) -> list[Any]:
    """Return every record of a topic."""

    async def read() -> list[Any]:
        async with reader(config_of(bootstrap)) as connected:
            return [record async for record in connected.read(topic)]

    return asyncio.run(read())


def place(bootstrap: str, topic: str, record: Finding | Decision) -> None:
    """Write an engine's output into the lane of cluster c1."""
    put(bootstrap, [Outgoing(f"t.{topic}", lane_of("c1", LANES), record.id.encode(), codec.encode(record))])
