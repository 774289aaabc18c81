"""What may be committed when: acks, waiting lanes, rebalances, holes, failures; without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from schemas.codec import encode
from schemas.errors import RegistryAway
from schemas.outputs import DeadLetter
from schemas.source import GUEST_AGENT, HOST_AGENT, Pulse
from schemas.telemetry import Batch, Clocks
from streams.config.model import Config, Kafka
from streams.intake.host import SLICE_RECORDS, WAITING_BUNDLES, IntakeHost, TopicPlan
from streams.intake.reader import Out, Output
from streams.intake.writers_asked import AskedSchemas
from streams.kafka.bundle import Bundle, Standing
from streams.operate.health import Health
from tests.streams.intake.makers import CLUSTER, T0, guest, report

FRAMED = b"\x00\x00\x00\x00\x07abc"
"""A record framed with a schema that only the registry knows."""


class Out_:  # noqa: N801 - `Out` is taken
    """A forwarder whose writes are acknowledged when the test says so."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.futures: list[asyncio.Future[Any]] = []

    async def send(self, outputs: Iterable[Output]) -> list[asyncio.Future[Any]]:
        made = []
        for output in outputs:
            self.outputs.append(output)
            made.append(asyncio.get_running_loop().create_future())
        self.futures += made
        return made

    async def acknowledge(self) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(None)
        await settle()

    def kinds(self) -> list[str]:
        return [type(out.record).__name__ if isinstance(out, Out) else "DeadLetter" for out in self.outputs]


@dataclass
class Event:
    """What Faust hands to an agent."""

    value: Bundle
    acked: bool = False
    message: Any = None

    def ack(self) -> None:
        self.acked = True


@dataclass
class Registry:
    """Away until the test says otherwise; then it knows no schema."""

    away: bool = True
    asked: int = 0

    def by_id(self, schema_id: int) -> None:
        self.asked += 1
        if self.away:
            raise RegistryAway("no answer")

    def by_guid(self, guid: bytes) -> None:
        return self.by_id(0)


@dataclass
class World:
    """A host of two lanes of one partition and all around it."""

    host: IntakeHost
    out: Out_
    registry: Registry
    released: list[Event]
    ended: list[str]
    standing: dict[Any, Standing] = field(default_factory=dict)
    rebalancing: bool = False


def world() -> World:
    out, registry = Out_(), Registry()
    released: list[Event] = []
    ended: list[str] = []
    made: list[World] = []
    host = IntakeHost(
        Config(kafka=Kafka(lanes=1)),
        [TopicPlan(feed, feed, "topic-1", 10_000) for feed in (HOST_AGENT, GUEST_AGENT)],
        out,  # type: ignore[arg-type]
        Health("intake"),
        writers=AskedSchemas(registry),
        standing=lambda: made[0].standing,
        rebalancing=lambda: made[0].rebalancing,
        release=released.append,
        end=ended.append,
    )
    made.append(World(host, out, registry, released, ended))
    host.assigned([(HOST_AGENT, 0), (GUEST_AGENT, 0)])
    return made[0]


def test_partitions_that_were_added_while_it_ran_end_it() -> None:
    """Their number is fixed: with another a cluster's records would go on in another lane."""
    made = world()
    made.host.assigned([(HOST_AGENT, 0), (HOST_AGENT, 1), (GUEST_AGENT, 0)])

    (told,) = made.ended
    assert "host-agent has a lane 1, and [kafka] lanes is 1: partitions were added" in told


def event(values: list[bytes | None], start: int = 0, topic: str = HOST_AGENT, lane: int = 0, end: int = 0) -> Event:
    records = tuple(
        SimpleNamespace(
            offset=start + place,
            timestamp=T0 + start + place,
            timestamp_type=1,
            key=CLUSTER.encode(),
            value=value,
            headers=(),
        )
        for place, value in enumerate(values)
    )
    return Event(Bundle(topic, lane, start, end or start + len(values), records))


def reports(count: int, first: int = 0) -> list[bytes | None]:
    return [encode(report(number)) for number in range(first, first + count)]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def seqs(out: Out_) -> list[int]:
    return [
        getattr(row, "seq", -1)
        for output in out.outputs
        if isinstance(output, Out) and isinstance(output.record, Batch) and output.record.feed == HOST_AGENT
        for row in output.record.rows
    ]


async def test_a_bundle_is_acked_when_the_clocks_that_cover_it_are_acknowledged() -> None:
    """Not when it was read, not when its rows were forwarded."""
    all_ = world()
    first = event(reports(3))
    await all_.host.bundle(first)
    await all_.host.tick(1_000)
    await settle()

    assert (["Batch", "Clocks"], False) == (all_.out.kinds(), first.acked)
    all_.out.futures[0].set_result(None)
    await settle()
    assert not first.acked
    await all_.out.acknowledge()
    assert first.acked


async def test_between_two_clocks_rows_are_forwarded_and_nothing_is_acked() -> None:
    """A batch waits 250 ms at most, an ack for the next Clocks."""
    all_ = world()
    await all_.host.bundle(event([encode(Pulse("i", 1))]))
    await all_.host.tick(1_000)
    second = event(reports(1), 1)
    await all_.host.bundle(second)
    await all_.host.tick(1_250)
    await all_.out.acknowledge()

    assert (["Clocks", "Batch"], False) == (all_.out.kinds(), second.acked)
    await all_.host.tick(2_000)
    await all_.out.acknowledge()
    assert (["Clocks", "Batch", "Clocks"], True) == (all_.out.kinds(), second.acked)


async def test_what_is_unread_stands_in_the_clocks() -> None:
    """The end of the lane as the broker told it, less what was taken."""
    all_ = world()
    await all_.host.bundle(event(reports(3)))
    all_.standing = {TP(HOST_AGENT, 0): Standing(3, 103, 0, None)}
    await all_.host.tick(1_000)

    clocks = [out.record for out in all_.out.outputs if isinstance(out, Out) and isinstance(out.record, Clocks)]
    assert [100] == [stretch.unread for one in clocks for stretch in one.stretches]


async def test_a_large_bundle_lets_others_work() -> None:
    """Whole and in order, though taken in slices."""
    all_ = world()
    await all_.host.bundle(event(reports(2 * SLICE_RECORDS + 7)))
    await all_.host.tick(1_000)

    assert [*range(2 * SLICE_RECORDS + 7)] == seqs(all_.out)


async def test_a_lane_whose_registry_is_away_waits_alone_and_in_order() -> None:
    """Its bundles behind it wait too, the other lane goes on, and nothing is lost or overtaken."""
    all_ = world()
    waiting = [event([*reports(1), FRAMED, *reports(1, 2)]), event(reports(2, 3), 3), event(reports(1, 5), 5)]
    for one in waiting:
        await all_.host.bundle(one)
    other = event([encode(guest())], topic=GUEST_AGENT)
    await all_.host.bundle(other)
    await all_.host.tick(1_000)
    await all_.out.acknowledge()

    assert ([False] * 3, True, True) == ([one.acked for one in waiting], other.acked, all_.host.busy)
    assert [0] == seqs(all_.out)
    asked = all_.registry.asked
    await all_.host.tick(1_250)
    assert asked == all_.registry.asked
    all_.registry.away = False
    all_.host._ask_again_s = 0.0
    await all_.host.tick(2_000)
    await all_.host.tick(3_000)
    await all_.out.acknowledge()
    assert ([True] * 3, False) == ([one.acked for one in waiting], all_.host.busy)
    assert [0, 2, 3, 4, 5] == seqs(all_.out)
    assert [(1, "UNKNOWN_SCHEMA")] == [
        (out.offset, out.reason) for out in all_.out.outputs if isinstance(out, DeadLetter)
    ]


async def test_with_too_many_waiting_bundles_the_topic_stands() -> None:
    """Memory is bounded; the broker keeps the rest, and all goes on when the registry is back."""
    all_ = world()
    for number in range(WAITING_BUNDLES):
        await all_.host.bundle(event([FRAMED], number))
    blocked = asyncio.create_task(all_.host.bundle(event([FRAMED], WAITING_BUNDLES)))
    await settle()

    assert not blocked.done()
    all_.registry.away = False
    await all_.host.tick(1_000)
    await settle()
    assert blocked.done()


async def test_what_waits_is_given_back_when_lanes_move() -> None:
    """Unacked, so that the next owner reads it; what was forwarded is acked at once, without waiting a second."""
    all_ = world()
    done, waiting = event([encode(guest())], topic=GUEST_AGENT), event([FRAMED])
    await all_.host.bundle(done)
    await all_.host.bundle(waiting)
    await all_.host.tick(1_000)
    late = event([encode(guest("e-2"))], 1, topic=GUEST_AGENT)
    await all_.host.bundle(late)
    all_.rebalancing = True
    await all_.host.tick(1_250)
    await all_.out.acknowledge()

    assert ([waiting], False) == (all_.released, waiting.acked)
    assert (True, True) == (done.acked, late.acked)


async def test_a_bundle_of_the_assignment_before_is_acked_and_left_alone() -> None:
    """Another intake reads that lane now."""
    all_ = world()
    all_.host.assigned([(GUEST_AGENT, 0)])
    stray = event(reports(1))
    await all_.host.bundle(stray)
    await all_.host.tick(1_000)

    assert (True, []) == (stray.acked, all_.out.outputs)


async def test_records_that_were_gone_before_they_were_read_leave_a_hole() -> None:
    """A Clocks ends before it, the next one begins behind it."""
    all_ = world()
    await all_.host.bundle(event(reports(2)))
    await all_.host.bundle(event(reports(1, 50), 50))
    await all_.host.tick(1_000)

    clocks = [out.record for out in all_.out.outputs if isinstance(out, Out) and isinstance(out.record, Clocks)]
    assert [(0, 1), (50, 50)] == [
        (stretch.from_offset, stretch.to_offset) for one in clocks for stretch in one.stretches
    ]


async def test_a_write_that_fails_ends_the_intake() -> None:
    """Nothing behind it may be committed."""
    all_ = world()
    first = event(reports(1))
    await all_.host.bundle(first)
    await all_.host.tick(1_000)
    all_.out.futures[0].set_exception(ConnectionError("broker gone"))
    await all_.out.acknowledge()

    assert (1, False) == (len(all_.ended), first.acked)


async def test_an_end_in_good_order_leaves_nothing_unacked() -> None:
    """What is packed goes out, and is waited for."""
    all_ = world()
    first = event(reports(1))
    await all_.host.bundle(first)
    ending = asyncio.create_task(all_.host.finish())
    await settle()

    assert not ending.done()
    await all_.out.acknowledge()
    await ending
    assert first.acked


@pytest.mark.parametrize("value", [None, b"", b"junk"])
async def test_bundles_of_nothing_but_dead_letters_are_acked_too(value: bytes | None) -> None:
    """Once the letters are safe."""
    all_ = world()
    first = event([value])
    await all_.host.bundle(first)
    await all_.host.tick(1_000)
    await all_.out.acknowledge()

    assert (["DeadLetter", "Clocks"], True) == (all_.out.kinds(), first.acked)
