"""The way from senders to brokers."""

from random import Random

import pytest

from schemas.source import HOST_AGENT, MAINTENANCE, Pulse
from streams.simulate.courier import Courier
from streams.simulate.scenario import Fault, Scope

RECORD = Pulse("intake-1", 0)


class Agent:
    """Whoever sends."""

    last_at = 0


def courier(low: int = 20, high: int = 300) -> Courier:
    return Courier((low, high), 0, Random(5))


def fault(kind: str, feeds: tuple[str, ...] = (HOST_AGENT,), **fields: float | str) -> Fault:
    return Fault("f", kind, Scope(), 0, None, feeds=feeds, **fields)  # type: ignore[arg-type]


def test_a_record_takes_from_the_least_to_the_longest_latency() -> None:
    way = courier(20, 22)
    taken = {way.send(HOST_AGENT, RECORD, Agent(), 1000) for _ in range(200)}

    assert {1020, 1021, 1022} == taken


def test_one_senders_records_keep_their_order() -> None:
    way, agent = courier(), Agent()
    stamps = [way.send(HOST_AGENT, RECORD, agent, now_ms) for now_ms in range(0, 1000, 5)]

    assert stamps == sorted(stamps, key=lambda stamp: stamp or 0)


@pytest.mark.parametrize(("before_ms", "taken"), [(1020, 0), (1021, 1)])
def test_what_is_stamped_before_a_time_is_handed_out_and_no_more(before_ms: int, taken: int) -> None:
    way = courier(20, 20)
    way.send(HOST_AGENT, RECORD, Agent(), 1000)

    assert taken == len(way.take(before_ms))
    assert 1 - taken == len(way.take(9999))


@pytest.mark.parametrize("trouble", [fault("collector_outage"), fault("loss", fraction=1.0)])
def test_what_is_lost_is_lost_in_its_feed_alone_until_the_fault_ends(trouble: Fault) -> None:
    way = courier()
    way.begin(trouble, 10_000)
    lost = way.send(HOST_AGENT, RECORD, Agent(), 0)
    other = way.send(MAINTENANCE, RECORD, Agent(), 0)
    way.end(trouble)

    assert (None, True, True) == (lost, other is not None, way.send(HOST_AGENT, RECORD, Agent(), 0) is not None)


@pytest.mark.parametrize(("sent_ms", "late_ms"), [(0, 5000), (5000, 5000), (7000, 3000), (10_000, 0)])
def test_a_backlog_is_let_through_at_the_end_of_its_fault_at_the_latest(sent_ms: int, late_ms: int) -> None:
    way = courier(20, 20)
    way.begin(fault("lag", delay_ms=5000, mode="stamped"), 10_000)

    assert sent_ms + 20 + late_ms == way.send(HOST_AGENT, RECORD, Agent(), sent_ms)


def test_a_repeated_record_comes_so_many_times_more_and_never_before_itself() -> None:
    way = courier()
    way.begin(fault("duplicates", fraction=1.0, copies=3, delay_ms=5000), 10_000)
    first_ms = way.send(HOST_AGENT, RECORD, Agent(), 0)
    found = way.take(99_999)

    assert 4 == len(found)
    assert found[0].at_ms == first_ms
    assert all(found[0].at_ms < one.at_ms <= found[0].at_ms + 5000 for one in found[1:])
