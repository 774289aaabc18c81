"""Tests of vm_waits: what is waited for, and when its limit is reached."""

from __future__ import annotations

from detectors.picture import Picture
from detectors.rollouts.vm_waits import Wait, WaitState, first, still
from schemas.inventory import Removed
from schemas.outputs import Evidence
from tests.detectors.pictured import pictured
from tests.kit import Log, vm

WAIT = Wait("v1", 1, "s1", Log().ms(10), "record", Evidence(0, 1))


def watched(*beats_s: float) -> Picture:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1", 1, "STARTING")]).clocks(0)
    for at_s in beats_s:
        log.host(at_s, "s1").clocks(at_s)
    return pictured(log)


def test_the_least_stamp_of_what_is_waited_for_counts() -> None:
    state, later = WaitState(), Wait("v1", 1, "s1", WAIT.since_ms + 5, "later", Evidence(0, 2))
    state.wait("k", later, 500)
    state.wait("k", WAIT, 400)
    state.wait("k", later, 500)

    assert (WAIT, 400) == (state.waits["k"], state.deadlines.next_ms())


def test_the_limit_is_reached_when_the_server_has_spoken_again() -> None:
    state, due_ms = WaitState(), WAIT.since_ms + 60_000
    state.wait("k", WAIT, due_ms)
    state.deadlines.pop(due_ms)

    assert None is state.limit_at("k", "s1", 60_000, due_ms, watched(60))
    assert {"s1": ["k"]} == state.parked
    assert due_ms == state.limit_at("k", "s1", 60_000, due_ms, watched(60, 120))


def test_a_server_that_speaks_lets_its_waits_be_judged() -> None:
    state, picture = WaitState(), watched(60)
    state.wait("k", WAIT, 1)
    state.deadlines.pop(1)
    state.park("k", "s1")
    state.park("k", "s1")
    state.unpark(picture.news)

    assert ({}, WAIT.since_ms) == (state.parked, state.deadlines.next_ms())


def test_a_removed_server_takes_its_waits_along() -> None:
    state = WaitState()
    state.wait("k", WAIT, 1)
    state.park("k", "s1")
    log = Log().inventory(1).batch("inventory", [(1, Removed("server", "s1"))])
    state.unpark(pictured(log).news)

    assert ({}, {}) == (state.parked, state.waits)


def test_an_unknown_server_is_waited_for() -> None:
    state = WaitState()
    state.wait("k", WAIT, 1)

    assert None is state.limit_at("k", "s9", 60_000, WAIT.since_ms, watched(60))
    assert ["k"] == state.parked["s9"]


def test_dropped_is_waited_for_no_more() -> None:
    state = WaitState()
    state.wait("k", WAIT, 1)
    state.drop("k")

    assert ({}, None) == (state.waits, state.deadlines.next_ms())


def test_still_finds_the_incarnation_and_first_the_least() -> None:
    start = still(watched(), WAIT)

    assert start is not None
    assert 1 == start.incarnation
    assert None is still(watched(), Wait("v2", 1, "s1", 0, "", Evidence(0, 1)))
    assert (3, None) == (first(None, 7, 3), first(None))
