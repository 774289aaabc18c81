"""The feeder: what goes into which lane, and that a broker has it all afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, TopicPartition

from schemas.codec import decode_source
from schemas.records import FEEDS
from schemas.source import Pulse
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.partition import lane_of
from streams.simulate.feed import Feeder, Sent, play, scenario_messages
from streams.simulate.load import load
from streams.simulate.scenario import Scenario

LANES = 4


def tiny() -> Scenario:
    return load("bad-server").with_size(clusters=2, servers=3, vms=1, days=0.005)


@pytest.mark.parametrize("form", ["avro", "json"])
def test_every_message_is_keyed_in_its_lane_and_can_be_decoded(form: str) -> None:
    sent = list(scenario_messages(tiny(), LANES, "json" if form == "json" else "avro"))

    for message in sent:
        assert message.value is not None
        record = decode_source(message.value, FEEDS[message.feed])
        if isinstance(record, Pulse):
            assert message.key is None
            continue
        cluster = getattr(record, "cluster", "*")
        if cluster != "*":
            assert lane_of(cluster, LANES) == message.lane
        if message.feed != "inventory":
            assert cluster.encode() == message.key
    assert {b"region:north"} == {one.key for one in sent if one.feed == "inventory" and b"region" in (one.key or b"")}
    assert list(range(LANES)) == [one.lane for one in sent if one.key == b"region:north"]
    assert all(later.at_ms >= earlier.at_ms for earlier, later in pairwise(sent))


@pytest.mark.embedded
def test_a_broker_holds_all_that_was_played_with_its_stamps() -> None:
    scenario = tiny()
    expected = Counter((one.feed, one.lane) for one in scenario_messages(scenario, LANES))
    told: list[int] = []
    with EmbeddedBroker() as broker:
        asyncio.run(
            play(scenario, broker.bootstrap, LANES, prefix="sim.", progress=lambda count, _: told.append(count))
        )
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
        )
        consumer.assign([TopicPartition(f"sim.{feed}", lane, 0) for feed, lane in expected])
        held: Counter[tuple[str, int]] = Counter()
        last: dict[tuple[str, int], int] = {}
        while held.total() < expected.total():
            message = consumer.poll(10)
            assert message is not None, f"only {held.total()} of {expected.total()}"
            assert message.error() is None
            topic, lane = message.topic(), message.partition()
            assert topic is not None
            assert lane is not None
            kind, at_ms = message.timestamp()
            assert TIMESTAMP_CREATE_TIME == kind
            place = (topic.removeprefix("sim."), lane)
            assert at_ms >= last.get(place, 0)
            last[place] = at_ms
            held[place] += 1
        consumer.close()

    assert expected == held
    assert told == sorted(told)


@pytest.mark.embedded
def test_a_feeder_can_be_cancelled_and_keeps_what_it_handed_over() -> None:
    async def cancelled(bootstrap: str) -> Feeder:
        feeder = Feeder(bootstrap)
        started = asyncio.Event()
        sending = (Sent("host-agent", 0, 1_330_473_600_000 + place * 1000, None, b"x") for place in range(10_000))
        task = asyncio.create_task(feeder.play(sending, speed=100.0, progress=lambda *_: started.set()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return feeder

    with EmbeddedBroker() as broker:
        feeder = asyncio.run(cancelled(broker.bootstrap))

    assert 0 < feeder.sent < 10_000


@pytest.mark.embedded
@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with EmbeddedBroker() as broker, pytest.raises(ValueError, match="speed"):
        asyncio.run(Feeder(broker.bootstrap).play([], speed=speed))


@pytest.mark.embedded
def test_a_pace_is_asked_of_each_message_until_it_says_go() -> None:
    """With the loop's time, which does not go back; a message that need not wait is asked about once."""
    asked: list[tuple[int, float]] = []

    def pace(message: Sent, now_s: float) -> float:
        asked.append((message.at_ms, now_s))
        return 0.01 if message.at_ms == 2 and len(asked) < 4 else 0.0

    with EmbeddedBroker() as broker:
        sending = [Sent("host-agent", 0, at_ms, None, b"x") for at_ms in (1, 2, 3)]
        assert 3 == asyncio.run(Feeder(broker.bootstrap).play(sending, pace=pace))

    assert [1, 2, 2, 2, 3] == [at_ms for at_ms, _ in asked]
    assert [now_s for _, now_s in asked] == sorted(now_s for _, now_s in asked)
