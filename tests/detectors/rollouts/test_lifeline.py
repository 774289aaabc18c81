"""Tests of lifeline: starts, each once, and stretches of READY, whichever agent said so."""

from __future__ import annotations

from detectors.lanes import FAR_MS
from detectors.rollouts.lifeline import beginnings, ready_stretches
from tests.detectors.pictured import pictured
from tests.kit import START_MS, Log, vm

STARTING = vm("v1", ga="STARTING")


def starts(log: Log) -> list[tuple[float, bool]]:
    view = pictured(log).vms["v1"]
    return [((known.at_ms - START_MS) / 1000, known.recycled) for known in beginnings(view)]


def ready(log: Log, from_s: float = 0, until_s: float = 1000) -> list[tuple[float, float]]:
    view = pictured(log).vms["v1"]
    stretches = ready_stretches(view, log.ms(from_s), log.ms(until_s))
    return [((start - START_MS) / 1000, (end - START_MS) / 1000) for start, end in stretches]


def test_incarnations_and_recycled_are_starts() -> None:
    log = (
        Log()
        .host(0, "s1", [vm("v1", ga="STARTING")])
        .guest(100, "v1", "RECYCLED")
        .host(200, "s1", [vm("v1", 2, "STARTING")])
    )

    assert [(0, False), (100, True), (200, False)] == starts(log)


def test_a_recycled_within_a_minute_of_its_incarnation_or_the_next_is_that_start() -> None:
    log = (
        Log()
        .host(0, "s1", [vm("v1", ga="STARTING")])
        .guest(140, "v1", "RECYCLED")
        .host(200, "s1", [vm("v1", 2, "STARTING")])
    )
    log.guest(210, "v1", "RECYCLED", incarnation=2).guest(220, "v1", "RECYCLED", incarnation=2)

    assert [(0, False), (200, False), (220, True)] == starts(log)
    assert [(0, False), (139.999, True), (200, False)] == starts(
        Log()
        .host(0, "s1", [vm("v1", ga="STARTING")])
        .guest(139.999, "v1", "RECYCLED")
        .host(200, "s1", [vm("v1", 2, "STARTING")])
    )


def test_ready_by_the_guest_until_the_next_start() -> None:
    log = Log().host(0, "s1", [vm("v1", 1, "STARTING")]).guest(30, "v1", "READY")
    log.host(31, "s1", [vm("v1", 1, "READY")]).guest(90, "v1", "START", incarnation=2)
    # The host agent has not heard of it yet.
    log.host(95, "s1", [vm("v1", 1, "READY", network="UP")])

    assert [(30, 90)] == ready(log)


def test_ready_by_the_host_agent_until_it_says_otherwise() -> None:
    log = Log().host(10, "s1", [vm("v1", 1, "READY")]).host(50, "s1", [vm("v1", 1, "BUSY")])
    log.host(70, "s1", [vm("v1", 1, "READY")])

    assert [(10, 50), (70, 1000)] == ready(log)
    assert [(20, 50), (70, 80)] == ready(log, 20, 80)
    view = pictured(log).vms["v1"]
    assert FAR_MS == ready_stretches(view, 0, FAR_MS)[-1][1]


def test_a_vm_that_left_is_not_ready() -> None:
    log = Log().host(10, "s1", [vm("v1", 1, "READY")]).host(50, "s1", [])

    assert [(10, 50)] == ready(log)


def test_first_sight_of_what_runs_already_is_no_start() -> None:
    log = Log().host(0, "s1", [vm("v1")]).host(200, "s1", [vm("v1", 2, "BUSY")])

    assert [(200, False)] == starts(log)
    assert [(0, False)] == starts(Log().guest(0, "v1", "START").host(1, "s1", [vm("v1", 1, "BUSY")]))
