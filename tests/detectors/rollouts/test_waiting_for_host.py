"""Tests of waiting_for_host: thirty minutes without a change, and whose fault it is by the network."""

from __future__ import annotations

import pytest

from schemas.inventory import Removed
from schemas.outputs import Finding, Severity, Verdict
from tests.kit import Log, run, short, vm

WAITING = "WAITING_FOR_HOST"


def found(log: Log) -> list[Finding]:
    """Return what is said of VMs; of how many there are, test_crowds.py tells."""
    return [finding for finding in run(log.frames, only=("waiting_for_host",)) if finding.subject.vm is not None]


def waiting(network: str = "DOWN") -> Log:
    """Return a log in which v1 on s1 waits for its host from 10 s on."""
    return Log().inventory(2).host(0, "s1", vms=[]).host(10, "s1", vms=[vm("v1", 2, WAITING, network=network)])


def beats(log: Log, from_s: float, until_s: float) -> Log:
    at_s = from_s
    while at_s <= until_s:
        log.host(at_s, "s1").clocks(at_s)
        at_s += 60
    return log


@pytest.mark.parametrize(("changed_s", "opens"), [(1809.999, 0), (1810, 0), (1810.001, 1)])
def test_thirty_minutes_are_not_too_long_a_millisecond_more_is(changed_s: float, opens: int) -> None:
    log = beats(waiting(), 60, 1800).host(changed_s, "s1", vms=[vm("v1", 2, "READY")])
    findings = found(beats(log, 1860, 1980))

    assert opens == sum(finding.state == "OPEN" for finding in findings)
    assert opens == sum(finding.close_reason == "its state changed" for finding in findings)


def test_it_opens_at_the_limit_when_every_lane_has_passed_it() -> None:
    log = beats(waiting(), 60, 1800).host(1860, "s1").clocks(1860, feeds=("host-agent", "guest-agent"))
    assert [] == found(log)

    log.clocks(1860, feeds=("maintenance",))
    assert ["waiting_for_host c1/s1/v1 OPEN 1810s"] == short(found(log))


@pytest.mark.parametrize(
    ("network", "verdict", "fault"),
    [
        ("UP", Verdict.SOFTWARE, "start-up code"),
        ("DOWN", Verdict.NONE, "host"),
        ("UNKNOWN", Verdict.NONE, "host"),
    ],
)
def test_the_network_tells_whose_fault_it_is(network: str, verdict: str, fault: str) -> None:
    (finding,) = found(beats(waiting(network), 60, 1860))

    assert (Severity.INFO, verdict, fault) == (finding.severity, finding.verdict, finding.facts["at_fault"])
    assert ("start-up code" in finding.title) == (fault == "start-up code")
    assert 1 <= len(finding.evidence)


def test_a_network_that_comes_up_changes_the_verdict_at_once() -> None:
    log = beats(waiting(), 60, 1860).host(1861, "s1", vms=[vm("v1", 2, WAITING, network="UP")])

    assert [("OPEN", Verdict.NONE), ("UPDATED", Verdict.SOFTWARE)] == [(f.state, f.verdict) for f in found(log)]


def test_a_network_that_changes_is_no_change_of_state() -> None:
    log = beats(waiting(), 60, 900).host(910, "s1", vms=[vm("v1", 2, WAITING, network="UP")])

    assert ["waiting_for_host c1/s1/v1 OPEN 1810s"] == short(found(beats(log, 960, 1860)))


@pytest.mark.parametrize("kind", ["START", "READY", "BUSY", "RECYCLED"])
def test_a_word_of_the_guest_is_a_change(kind: str) -> None:
    log = beats(waiting(), 60, 900).guest(910, "v1", kind, incarnation=2)

    assert [] == found(beats(log, 960, 2400))


def test_another_state_between_begins_the_wait_anew() -> None:
    log = beats(waiting(), 60, 900).host(910, "s1", vms=[vm("v1", 2, "STARTING")])
    log.host(920, "s1", vms=[vm("v1", 2, WAITING)])

    assert ["waiting_for_host c1/s1/v1 OPEN 2720s"] == short(found(beats(log, 960, 2760)))


def test_time_stands_while_the_server_is_silent() -> None:
    log = beats(beats(waiting(), 60, 600), 1000, 2300)

    assert ["waiting_for_host c1/s1/v1 OPEN 2210s"] == short(found(log))


@pytest.mark.parametrize(("changed_s", "opens"), [(1840, 0), (1840.001, 1)])
def test_a_gap_counts_for_nobody(changed_s: float, opens: int) -> None:
    log = beats(waiting(), 60, 600).host(660, "s1").clocks(660, gaps=[(610, 640)])
    beats(log, 720, 1800).host(changed_s, "s1", vms=[vm("v1", 2, "READY")])

    assert opens == sum(finding.state == "OPEN" for finding in found(beats(log, 1860, 1980)))


@pytest.mark.parametrize("how", ["new start", "healed", "gone", "removed"])
def test_it_closes_when_the_vm_starts_anew_or_leaves(how: str) -> None:
    log = beats(waiting(), 60, 1860)
    if how == "new start":
        log.guest(1870, "v1", "START", incarnation=3)
    elif how == "healed":
        log.maintenance(1870, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    elif how == "gone":
        log.host(1870, "s1", vms=[])
    else:
        log.batch("inventory", [(1870, Removed("vm", "v1"))])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_it_opens_again_where_it_waits_anew() -> None:
    log = beats(waiting(), 60, 1860).host(1870, "s1", vms=[vm("v1", 3, WAITING)])

    assert ["OPEN", "CLOSED", "OPEN"] == [finding.state for finding in found(beats(log, 1920, 3720))]


def test_a_removed_server_takes_its_waits_along() -> None:
    log = beats(waiting(), 60, 1860).batch("inventory", [(1870, Removed("server", "s1"))])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]
