"""Findings and decisions as they stand: the newest record of each id on its topic, read committed."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

from streams.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from schemas.outputs import Decision, Finding
    from streams.config.model import Config


async def histories(config: Config, topic: str) -> dict[str, list[Any]]:
    """Return every record of `topic` (without its prefix) by id, oldest first."""
    from schemas import codec
    from streams.kafka.plain import reader

    found: dict[str, list[Any]] = {}
    async with reader(config) as connected:
        async for record in connected.read(config.kafka.prefix + topic):
            if record.value is not None:
                read = codec.decode(record.value)
                found.setdefault(read.id, []).append(read)
    return found


async def ends(config: Config, topic: str) -> dict[int, int]:
    """Return where each lane of `topic` (without its prefix) ends now: what comes after is news."""
    from streams.kafka.plain import reader

    async with reader(config) as connected:
        return await connected.ends(config.kafka.prefix + topic)


async def newest(config: Config, topic: str, since: dict[int, int] | None = None) -> dict[str, Any]:
    """Return the newest record of each id on `topic`, or on it from the offsets `since`; no history is kept."""
    from schemas import codec
    from streams.kafka.plain import reader

    found: dict[str, Any] = {}
    async with reader(config) as connected:
        async for record in connected.read(config.kafka.prefix + topic, since=since):
            if record.value is not None:
                read = codec.decode(record.value)
                found[read.id] = read
    return found


async def command(config: Config, record: Any) -> None:
    """Write what a person asks into `operator`: into its cluster's lane, for `*` into every one."""
    from schemas import codec
    from schemas.commands import OPERATOR
    from schemas.telemetry import EVERYONE
    from streams.kafka.partition import lane_of
    from streams.kafka.plain import Outgoing, reader, send

    topic = config.kafka.prefix + OPERATOR
    async with reader(config) as connected:
        lanes = await connected.lanes(topic)
    chosen = lanes if record.cluster == EVERYONE else [lane_of(record.cluster, len(lanes))]
    value, key = codec.encode(record), record.cluster.encode()
    await send(config, [Outgoing(topic, lane, key, value, at_ms=record.sent_ms) for lane in chosen])


def cluster_of_finding(finding: Finding) -> str:
    """Return the cluster that a command about this finding is keyed by."""
    from schemas.telemetry import EVERYONE

    return finding.subject.cluster or EVERYONE


def cluster_of_decision(decision: Decision) -> str:
    """Return the cluster that a command about this decision is keyed by; wider scopes are everyone's."""
    from schemas.telemetry import EVERYONE

    kind, _, name = decision.scope.partition(":")
    return name if kind == "cluster" else EVERYONE


def standing_for(finding_id: str, decisions: dict[str, Decision]) -> list[Decision]:
    """Return what was decided for a finding and still stands."""
    return [
        decision
        for decision in decisions.values()
        if finding_id in decision.finding_ids and decision.state not in {"RELEASED", "REFUSED"}
    ]


def as_dict(record: Any) -> dict[str, Any]:
    """Return a record as JSON's own values."""
    return dataclasses.asdict(record)


def signed(by: str, reason: str, *, need_reason: bool = True) -> tuple[str, str]:
    """Return name and reason, refused where they say nothing: the log keeps them for good."""
    by, reason = by.strip(), reason.strip()
    if not by or len(by) > 200:
        message = "--by: your name is needed (at most 200 characters)"
        raise Failure(message)
    if (need_reason and not reason) or len(reason) > 2000:
        message = "--reason: a reason is needed (at most 2,000 characters)"
        raise Failure(message)
    return by, reason


def command_id() -> str:
    """Return an id of its own for a command."""
    return uuid.uuid4().hex


def now_ms() -> int:
    """Return the sender's clock, for `sent_ms`: nothing is judged by it."""
    import time

    return time.time_ns() // 1_000_000


__all__ = [
    "Exit",
    "as_dict",
    "cluster_of_decision",
    "cluster_of_finding",
    "command",
    "command_id",
    "ends",
    "histories",
    "newest",
    "standing_for",
]
