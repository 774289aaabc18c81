"""The order of reading: pulses in every lane, outages of pulses, lanes that are read late."""

from __future__ import annotations

from itertools import pairwise

from schemas.history import SourceRecord
from schemas.source import HOST_AGENT, TELEMETRY_FEEDS, HostReport, Pulse
from streams.kafka.partition import lane_of
from streams.simulate.arrivals import Lateness, arrivals
from streams.simulate.generator import Delay, PulseOutage

START_MS = 1_330_473_600_000
LANES = 4
LANE = lane_of("north-1", LANES)


def report(after_ms: int) -> SourceRecord:
    record = HostReport("north-1", "s", "b", "r", after_ms, 0, START_MS + after_ms, 60)
    return SourceRecord(HOST_AGENT, START_MS + after_ms, record)


def test_every_second_brings_a_pulse_into_every_lane_of_the_three_feeds() -> None:
    found = list(arrivals([report(0), report(2500)], LANES, tail_ms=2000))
    pulses = [(one.feed, one.lane, one.at_ms - START_MS) for one in found if isinstance(one.record, Pulse)]

    assert {
        (feed, lane, second * 1000) for feed in TELEMETRY_FEEDS for lane in range(LANES) for second in range(5)
    } == set(pulses)
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(found))


def test_an_outage_of_pulses_strikes_one_lane_of_one_feed() -> None:
    outage = PulseOutage("north-1", HOST_AGENT, START_MS + 1000, START_MS + 3000)
    found = arrivals([report(0), report(4500)], LANES, Lateness(LANES, (), [outage]))
    pulses = {(one.feed, one.lane, one.at_ms - START_MS) for one in found if isinstance(one.record, Pulse)}

    assert {(HOST_AGENT, LANE, 1000), (HOST_AGENT, LANE, 2000)} == {
        (feed, lane, second * 1000) for feed in TELEMETRY_FEEDS for lane in range(LANES) for second in range(5)
    } - pulses


def test_a_lane_that_is_read_late_comes_late_whole_and_in_its_order() -> None:
    delay = Delay("north-1", HOST_AGENT, START_MS + 2000, START_MS + 4000, 5000)
    sent = [report(after_ms) for after_ms in range(0, 20_000, 500)]
    found = list(arrivals(sent, LANES, Lateness(LANES, [delay])))
    late = [one for one in found if one.feed == HOST_AGENT and one.lane in {None, LANE}]
    reading: dict[int, int] = {}
    clock_ms = 0
    for one in found:
        if one.feed != HOST_AGENT:
            clock_ms = one.at_ms - START_MS
        elif one.lane is None:
            reading[one.at_ms - START_MS] = clock_ms

    assert sent == [one for one in found if one.lane is None]
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(late))
    assert 1000 == reading[1000]
    assert 7000 == reading[2000]
    assert 8000 <= reading[5000] <= 9000
    assert 15_000 == reading[15_000]
