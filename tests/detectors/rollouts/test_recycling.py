"""Tests of recycling: three starts in fifteen minutes, without five of READY."""

from __future__ import annotations

import pytest

from schemas.inventory import Removed
from schemas.outputs import Finding, Severity
from tests.kit import Log, run, short, vm


def found(log: Log) -> list[Finding]:
    """Return what is said of VMs; of how many there are, test_crowds.py tells."""
    return [finding for finding in run(log.frames, only=("recycling",)) if finding.subject.vm is not None]


def beats(log: Log, from_s: float, until_s: float) -> Log:
    at_s = from_s
    while at_s <= until_s:
        log.host(at_s, "s1").clocks(at_s)
        at_s += 60
    return log


def starting(*at_s: float, ready_s: float | None = None, until_s: float | None = None) -> Log:
    """Return a log in which v1 starts at these times, READY for `ready_s` seconds before the last of them."""
    log = Log().inventory(1).host(0, "s1", vms=[])
    clock_s = 0.0
    for incarnation, second in enumerate(at_s, 1):
        while clock_s + 60 < second:
            clock_s += 60
            log.host(clock_s, "s1").clocks(clock_s)
        if ready_s is not None and incarnation == len(at_s):
            log.guest(second - ready_s, "v1", "READY", incarnation=incarnation - 1)
        log.host(second, "s1", vms=[vm("v1", incarnation, "STARTING")])
    return log.clocks(at_s[-1] + 1)


@pytest.mark.parametrize(("last_s", "opens"), [(909.999, 1), (910, 1), (910.001, 0)])
def test_fifteen_minutes_both_ends_included(last_s: float, opens: int) -> None:
    assert opens == len(found(starting(10, 500, last_s)))


def test_two_starts_are_none() -> None:
    assert [] == found(starting(10, 200))


@pytest.mark.parametrize(("ready_s", "opens"), [(299.999, 1), (300, 0), (300.001, 0)])
def test_five_minutes_of_ready_are_a_good_life(ready_s: float, opens: int) -> None:
    assert opens == len(found(starting(10, 300, 800, ready_s=ready_s)))


def test_it_opens_with_the_third_start() -> None:
    (finding,) = found(starting(10, 200, 400))

    assert ["recycling c1/s1/v1 OPEN 400s"] == short([finding])
    assert (Severity.INFO, 3.0, "nothing announced") == (
        finding.severity,
        finding.numbers["starts"],
        finding.facts["began_with"],
    )
    assert 3 == len(finding.evidence)


def test_ready_in_two_pieces_is_not_five_minutes() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[]).host(10, "s1", vms=[vm("v1", 1, "STARTING")])
    log.guest(20, "v1", "READY").guest(220, "v1", "BUSY").guest(230, "v1", "READY")
    beats(log, 60, 420).host(430, "s1", vms=[vm("v1", 2, "STARTING")])
    beats(log, 480, 540).host(550, "s1", vms=[vm("v1", 3, "STARTING")])

    assert 1 == len(found(log.clocks(560)))


def test_it_says_with_which_update_it_began_and_what_its_starts_report() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1")])
    log.maintenance(5, "VM_UPDATE_STARTED", system="guest-os", rollout="os-7", vm="v1")
    for n in range(2, 5):
        log.host(100 * n, "s1", vms=[vm("v1", n, "STARTING")])
        log.guest(100 * n + 5, "v1", "START_FAILED", incarnation=n, step="startup-task", error_code="1")
    (finding,) = found(log.clocks(406))

    assert ("vm", "os-7", "startup-task:1") == (
        finding.facts["began_with"],
        finding.facts["rollout"],
        finding.facts["signatures"],
    )
    assert "its update (os-7, guest-os)" in finding.title


def test_it_keeps_saying_how_it_began_however_many_starts_follow() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1")])
    log.maintenance(5, "VM_UPDATE_STARTED", system="guest-os", rollout="os-7", vm="v1")
    log.maintenance(150, "VM_UPDATE_FAILED", system="guest-os", rollout="os-7", vm="v1")
    for n in range(2, 16):
        log.host(100 * n, "s1", vms=[vm("v1", n, "STARTING")]).clocks(100 * n + 1)
    last = found(log)[-1]

    assert ("vm", "os-7", log.ms(200), 8.0) == (
        last.facts["began_with"],
        last.facts["rollout"],
        last.numbers["since_ms"],
        last.numbers["starts"],
    )
    assert "the last 8 starts within 12 min, beginning with its update" in last.title


def test_a_planned_reboot_is_told_as_such() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1")])
    log.maintenance(5, "NODE_REBOOT_STARTED", server="s1", planned=True, reason="host-os")
    for n in range(2, 5):
        log.host(100 * n, "s1", vms=[vm("v1", n, "STARTING")])

    assert ["reboot"] == [finding.facts["began_with"] for finding in found(log.clocks(406))]


def test_recycled_events_are_starts() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1")])
    for at_s in (100, 200, 300):
        log.guest(at_s, "v1", "RECYCLED")

    # First seen at 0 s, when it ran already: that is no start.
    assert ["recycling c1/s1/v1 OPEN 300s"] == short(found(log.clocks(301)))


def test_a_recycled_and_its_new_incarnation_are_one_start() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[vm("v1", ga="STARTING")])
    log.guest(100, "v1", "RECYCLED").host(110, "s1", vms=[vm("v1", 2, "STARTING")])

    assert [] == found(beats(log, 120, 240))

    log.guest(290, "v1", "RECYCLED", incarnation=3).clocks(300)

    assert ["recycling c1/s1/v1 OPEN 290s"] == short(found(log))


def test_lanes_may_bring_it_in_any_order() -> None:
    """The guest's READY of 310 s, five minutes before the third start, is read after that start."""
    log = starting(10, 300)
    log.host(620, "s1", vms=[vm("v1", 3, "STARTING")]).clocks(620, feeds=("host-agent", "maintenance"))
    log.guest(310, "v1", "READY", incarnation=2).clocks(640)

    assert [] == found(log)


def test_time_that_nobody_watched_counts_as_ready() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[]).host(10, "s1", vms=[vm("v1", 1, "STARTING")]).clocks(20)
    log.host(400, "s1", vms=[vm("v1", 2, "STARTING")]).clocks(400, gaps=[(30, 390)])
    log.host(500, "s1", vms=[vm("v1", 3, "STARTING")]).clocks(510)

    assert [] == found(log)


@pytest.mark.parametrize(("unready_s", "closes"), [(719.999, 0), (720, 1), (720.001, 1)])
def test_it_closes_after_five_minutes_of_ready(unready_s: float, closes: int) -> None:
    log = starting(10, 200, 400).guest(420, "v1", "READY", incarnation=3)
    beats(log, 480, 660).guest(unready_s, "v1", "BUSY", incarnation=3)
    findings = found(beats(log, 780, 1440))

    assert closes == sum(finding.close_reason == "it has been READY for 5 min" for finding in findings)


def test_it_closes_when_it_has_not_started_for_fifteen_minutes() -> None:
    log = beats(starting(10, 200, 400), 420, 1320)
    findings = found(log)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in findings]
    assert "it has not started again for 15 min" == findings[-1].close_reason
    assert log.ms(1320) == findings[-1].at_ms


def test_it_stays_open_while_its_server_is_silent() -> None:
    log = starting(10, 200, 400)
    for at_s in range(420, 5000, 60):
        log.clocks(at_s)

    assert ["OPEN"] == [finding.state for finding in found(log)]


@pytest.mark.parametrize("how", ["gone", "removed"])
def test_it_closes_when_the_vm_leaves(how: str) -> None:
    log = starting(10, 200, 400)
    if how == "gone":
        log.host(410, "s1", vms=[]).clocks(420)
    else:
        log.batch("inventory", [(410, Removed("vm", "v1"))])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_further_starts_are_told_in_the_same_finding() -> None:
    log = starting(10, 200, 400, 600, 800)
    findings = found(log)

    assert 1 == len({finding.id for finding in findings})
    assert [3.0, 4.0, 5.0] == [finding.numbers["starts"] for finding in findings]


def test_the_time_outs_of_the_leap_day_are_no_recycling() -> None:
    """Every 25 minutes a start: that is guest_timeout's."""
    assert [] == found(starting(0, 1500, 3000, 4500))
