"""counting: what becomes of what was gathered, by the real engine."""

from __future__ import annotations

import pytest

from detectors.rollouts.counting import waiting
from detectors.rollouts.gathering import RegressionState
from detectors.rollouts.ledger import ANY, SERVER, START
from streams.engine.runner import Runner
from tests.detectors.rollouts.rolling import HOUR_S, ONLY, Rolling
from tests.kit import Log, vm


def state(log: Log) -> RegressionState:
    runner = Runner(0, only=ONLY)
    runner.feed(log.frames)
    known = runner.clusters["c1"].detectors["rollout_regression"].state
    assert isinstance(known, RegressionState)
    return known


def counted(log: Log, sphere: str = START, signature: str = ANY) -> tuple[int, int]:
    """Return what could have failed, and what did."""
    counts = state(log).ledger.counts(sphere, signature)
    return sum(known.events for known in counts), sum(known.failures for known in counts)


def cluster() -> Log:
    log = Log().inventory(4)
    for n in range(4):
        log.host(0, f"s{n + 1}", vms=[])
    return log


def beat(log: Log, until_s: int) -> Log:
    for at_s in range(60, until_s, 60):
        for n in range(4):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s + 1)
    return log


def test_contact_is_a_success_and_start_failed_a_failure() -> None:
    log = cluster().guest(30, "v1", "START").guest(50, "v1", "READY")
    log.guest(30, "v2", "START").guest(35, "v2", "START_FAILED", step="boot", error_code="E")

    assert (2, 1) == counted(beat(log, 300))


@pytest.mark.parametrize(("until_s", "failed"), [(1530, (0, 0)), (1650, (1, 1))])
def test_no_contact_in_25_minutes_is_a_failure(until_s: int, failed: tuple[int, int]) -> None:
    assert failed == counted(beat(cluster().guest(30, "v1", "START"), until_s))


def test_contact_after_25_minutes_is_a_failure_still() -> None:
    log = beat(cluster().guest(30, "v1", "START"), 1800).guest(1810, "v1", "READY").clocks(1900)

    assert (1, 1) == counted(log)


def test_vms_that_were_there_before_are_no_starts() -> None:
    """In contact at first sight, or starting in the first full report of their server."""
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1", ga="READY"), vm("v2", ga="STARTING")]).guest(20, "v3", "READY")

    assert (0, 0) == counted(log.clocks(3000))


def test_a_start_that_was_ended_in_good_time_counts_neither_way() -> None:
    log = cluster().guest(30, "v1", "START").maintenance(90, "VM_DEALLOCATED", vm="v1", server="s1")

    assert (0, 0) == counted(beat(log, 1800))


def test_what_becomes_of_starts_on_servers_not_heard_is_unknown() -> None:
    world = Rolling(servers=4)
    world.beats(1, 2).update(2, world.servers[:1])
    world.start(2 * HOUR_S, "s1", "v1", silent=True)
    world.servers.remove("s1")
    known = state(world.beats(2, 9).log)

    assert 1 == known.changes.known["r"].unknown
    assert not known.ledger.counts(START, ANY)


def test_a_boot_after_an_update_is_no_fault_and_one_out_of_the_blue_is() -> None:
    log = cluster().maintenance(30, "SERVER_UPDATE_STARTED", server="s1", rollout="r")
    log.host(70, "s1", boot="b2", vms=[]).host(70, "s2", boot="b2", vms=[])
    log.clocks(700).clocks(8000)

    assert 1 == counted(log, SERVER, "server:reboot")[1]


def test_one_fault_of_a_server_counts_once_in_two_hours() -> None:
    log = cluster()
    for at_s in (10, 20, 7300):
        log.maintenance(at_s, "SERVER_STATE", server="s1", state="HI")

    assert 2 == counted(log.clocks(8000), SERVER, "server:HI")[1]


def test_a_failure_just_before_the_report_that_shows_a_change_is_with_it() -> None:
    """Nobody announced it; the report comes a minute after the start that failed."""
    log = cluster().guest(30, "v1", "START").guest(35, "v1", "START_FAILED", step="boot").clocks(40)
    for n in range(4):
        log.host(20, f"s{n + 1}", vms=[], versions={"ha": "1"})
    log.host(90, "s1", vms=[], versions={"ha": "2"})

    (change,) = state(log.clocks(200)).changes.known.values()
    assert ["start|boot:"] == list(change.onsets)


def test_failures_are_told_apart_by_rack_where_there_are_two() -> None:
    for racks, units in ((1, {"s1", "s2", "s5", "s6"}), (2, {"r0", "r1"})):
        log = Log().inventory(8, racks=racks)
        for n in range(8):
            log.host(0, f"s{n + 1}", vms=[])
            log.maintenance(10, "SERVER_UPDATE_STARTED", server=f"s{n + 1}", rollout="r")
        for n, server in enumerate(("s1", "s2", "s5", "s6")):
            log.guest(30, f"v{n}", "START", server=server)
            log.guest(35, f"v{n}", "START_FAILED", server=server, step="boot")

        known = state(log.clocks(600))
        assert units == set(known.changes.known["r"].onsets["start|boot:"].units)
        assert 4 == known.ledger.counts(START, ANY)[0].per_event.hits


def test_starts_that_only_a_vms_numbers_show_are_unknown() -> None:
    log = cluster()
    for n in range(4):
        log.maintenance(10, "SERVER_UPDATE_STARTED", server=f"s{n + 1}", rollout="r")
    for number, at_s in ((1, 30), (2, 60), (5, 90)):
        log.guest(at_s, "v1", "START", incarnation=number).guest(at_s + 5, "v1", "READY", incarnation=number)

    assert 2 == state(beat(log, 600)).changes.known["r"].unknown


def test_a_later_start_is_one_though_nobody_but_its_contact_told_of_it() -> None:
    log = cluster().guest(30, "v1", "START", incarnation=1).guest(40, "v1", "READY", incarnation=1)

    assert (2, 0) == counted(beat(log.guest(50, "v1", "READY", incarnation=2), 600))


@pytest.mark.parametrize(("lost", "unknown"), [(False, 0), (True, 1)])
def test_contact_without_a_start_told_shows_that_events_are_lost(lost: bool, unknown: int) -> None:
    log = cluster()
    for n in range(4):
        log.maintenance(10, "SERVER_UPDATE_STARTED", server=f"s{n + 1}", rollout="r")
    log.guest(30, "v1", "START", incarnation=1).guest(40, "v1", "READY", incarnation=1)
    if not lost:
        log.guest(50, "v1", "START", incarnation=2)
    log.guest(60, "v1", "READY", incarnation=2)

    assert unknown == state(beat(log, 600)).changes.known["r"].unknown


@pytest.mark.parametrize(("failed", "faults"), [(False, 1), (True, 0)])
def test_a_server_given_up_for_its_starts_is_no_fault_beside_them(failed: bool, faults: int) -> None:
    """Running VMs that were not restarted are no control: the starts are counted, and not their consequence again."""
    log = cluster().guest(30, "v1", "START")
    log.guest(40, "v1", *(("START_FAILED",) if failed else ("READY",)))
    log.maintenance(4500, "SERVER_STATE", server="s1", state="HI")

    assert faults == counted(beat(log, 4800), SERVER, "server:HI")[1]


@pytest.mark.parametrize(("after_s", "expected"), [(120, 0), (120.001, 1), (1300, 1), (1600, 0)])
def test_a_start_without_an_outcome_is_waited_for(after_s: float, expected: int) -> None:
    """From when contact is looked for until its limit; of a VM where the change is not, never."""
    runner = Runner(0, only=ONLY)
    log = cluster().maintenance(10, "SERVER_UPDATE_STARTED", server="s1", rollout="r")
    log.guest(100, "v1", "START", server="s1", incarnation=1).guest(100, "v2", "START", server="s2", incarnation=1)
    runner.feed(beat(log, 100 + round(after_s)).frames)
    known = runner.clusters["c1"].detectors["rollout_regression"].state
    (change,) = known.changes.known.values()

    due_ms = change.began_ms + 90_000 + round(after_s * 1000)

    assert expected == waiting(known, runner.clusters["c1"].picture, change, due_ms)
