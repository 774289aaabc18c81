"""Tests of stop_overrun: five minutes from STOPPING to STOPPED, by either agent's word."""

from __future__ import annotations

import pytest

from schemas.inventory import Removed
from schemas.outputs import Finding, Severity
from tests.kit import Log, run, short, vm


def found(log: Log) -> list[Finding]:
    """Return what is said of VMs; of how many there are, test_crowds.py tells."""
    return [finding for finding in run(log.frames, only=("stop_overrun",)) if finding.subject.vm is not None]


def stopping() -> Log:
    """Return a log in which the guest of v1 on s1 says STOPPING at 10 s."""
    return Log().inventory(2).host(0, "s1", vms=[vm("v1")]).guest(10, "v1", "STOPPING")


def beats(log: Log, from_s: float, until_s: float) -> Log:
    at_s = from_s
    while at_s <= until_s:
        log.host(at_s, "s1").clocks(at_s)
        at_s += 60
    return log


@pytest.mark.parametrize(("stopped_s", "opens"), [(309.999, 0), (310, 0), (310.001, 1)])
def test_exactly_five_minutes_are_in_time(stopped_s: float, opens: int) -> None:
    log = beats(stopping(), 60, 300).guest(stopped_s, "v1", "STOPPED")

    assert opens * ["stop_overrun c1/s1/v1 OPEN 310s", "stop_overrun c1/s1/v1 CLOSED 310s"] == short(
        found(beats(log, 360, 420))
    )


def test_one_that_never_says_stopped_opens_at_the_limit() -> None:
    (finding,) = found(beats(stopping(), 60, 420))

    assert ["stop_overrun c1/s1/v1 OPEN 310s"] == short([finding])
    assert Severity.INFO == finding.severity
    assert "no update" == finding.facts["during"]


def test_it_says_in_which_update_it_stops() -> None:
    log = Log().inventory(2).host(0, "s1", vms=[vm("v1")])
    log.maintenance(5, "VM_UPDATE_STARTED", system="guest-os", rollout="os-7", vm="v1").guest(10, "v1", "STOPPING")
    (finding,) = found(beats(log, 60, 420))

    assert "its update (os-7, guest-os)" == finding.facts["during"]


def test_the_shutdown_of_the_system_does_not_count() -> None:
    """OnStop took 200 s; the system then needs ten minutes, and its host agent says STOPPING all that time."""
    log = stopping().host(12, "s1", vms=[vm("v1", 1, "STOPPING")])
    beats(log, 60, 180).guest(210, "v1", "STOPPED")

    assert [] == found(beats(log, 240, 1200))


def test_a_shutdown_after_stopping_ends_it() -> None:
    log = beats(stopping(), 60, 180).guest(200, "v1", "SHUTDOWN", initiator="WaAppAgent.exe")

    assert [] == found(beats(log, 240, 1200))


def test_stopped_after_a_shutdown_too_late_tells_of_it_all_the_same() -> None:
    log = beats(stopping(), 60, 180).guest(200, "v1", "SHUTDOWN").guest(311, "v1", "STOPPED")

    assert 1 == sum(finding.state == "OPEN" for finding in found(beats(log, 360, 420)))


def test_the_host_agent_shows_it_where_the_guest_says_nothing() -> None:
    log = Log().inventory(2).host(0, "s1", vms=[vm("v1")]).host(10, "s1", vms=[vm("v1", 1, "STOPPING")])

    assert ["stop_overrun c1/s1/v1 OPEN 310s"] == short(found(beats(log, 60, 420)))


@pytest.mark.parametrize(("shutdown_s", "opens"), [(-50.001, 1), (-50, 0), (9, 0), (11, 0)])
def test_a_shutdown_about_the_host_agents_stopping_says_that_it_is_the_system(shutdown_s: float, opens: int) -> None:
    log = Log().inventory(2).host(-60, "s1", vms=[vm("v1")])
    if shutdown_s < 10:
        log.guest(shutdown_s, "v1", "SHUTDOWN")
    log.host(10, "s1", vms=[vm("v1", 1, "STOPPING")])
    if shutdown_s > 10:
        log.guest(shutdown_s, "v1", "SHUTDOWN")

    assert opens == len(found(beats(log, 60, 420)))


def test_both_agents_of_one_stop_are_one_finding() -> None:
    log = stopping().host(12, "s1", vms=[vm("v1", 1, "STOPPING")])

    assert ["stop_overrun c1/s1/v1 OPEN 310s"] == short(found(beats(log, 60, 600)))


@pytest.mark.parametrize("how", ["start", "ready", "healed", "gone"])
def test_what_ends_otherwise_before_the_limit_is_no_overrun(how: str) -> None:
    log = beats(stopping().host(12, "s1", vms=[vm("v1", 1, "STOPPING")]), 60, 240)
    if how == "start":
        log.guest(300, "v1", "START", incarnation=2)
    elif how == "ready":
        log.host(300, "s1", vms=[vm("v1", 1, "READY")])
    elif how == "healed":
        log.maintenance(300, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    else:
        log.host(300, "s1", vms=[])

    assert [] == found(beats(log, 360, 900))


def test_a_server_that_goes_down_takes_nobodys_time() -> None:
    """Silent from 120 s to 1,200 s for its reboot; then its VM starts anew: it had 110 s of its five minutes."""
    log = beats(stopping(), 60, 120)
    for at_s in range(180, 1200, 60):
        log.clocks(at_s)
    log.host(1200, "s1", boot="b2", run="r2", vms=[vm("v1", 2, "STARTING")])

    assert [] == found(log.clocks(1260).clocks(1800))


def test_a_gap_of_the_guests_feed_counts_for_nobody() -> None:
    log = beats(stopping(), 60, 180).host(240, "s1").clocks(240, gaps=[(190, 220)]).guest(335, "v1", "STOPPED")

    assert [] == found(beats(log, 360, 480))


@pytest.mark.parametrize("how", ["stopped", "start", "removed"])
def test_it_closes(how: str) -> None:
    log = beats(stopping(), 60, 420)
    if how == "stopped":
        log.guest(430, "v1", "STOPPED")
    elif how == "start":
        log.guest(430, "v1", "START", incarnation=2)
    else:
        log.batch("inventory", [(430, Removed("vm", "v1"))])
    findings = found(log)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in findings]
    assert ("after 420 s" in findings[-1].close_reason) == (how == "stopped")
