"""Tests of ready_overdue: thirty minutes from the first start of an update to READY; domains that do not wait."""

from __future__ import annotations

import pytest

from schemas.inventory import Removed, Vm
from schemas.outputs import Finding, Severity
from tests.kit import Log, run, short, vm

ROLL = {"system": "guest-os", "rollout": "os-7"}


def found(log: Log) -> list[Finding]:
    """Return what is said of VMs and of update domains; of how many there are, test_crowds.py tells."""
    said = run(log.frames, only=("ready_overdue",))
    return [finding for finding in said if finding.subject.vm is not None or finding.subject.signature is not None]


def inventory() -> Log:
    """Return two VMs of one group in two update domains, on servers of two, both running."""
    vms = [Vm(f"v{n}", "c1", f"s{n}", group="g", update_domain=n - 1, service="web") for n in (1, 2)]
    log = Log().inventory(2, vms=vms)
    return log.host(0, "s1", vms=[vm("v1")]).host(0, "s2", vms=[vm("v2")])


def updated() -> Log:
    """Return a log in which v1 is updated from 5 s on, and starts at 10 s."""
    log = inventory().maintenance(5, "VM_UPDATE_STARTED", vm="v1", **ROLL)
    return log.host(10, "s1", vms=[vm("v1", 2, "STARTING")])


def beats(log: Log, from_s: float, until_s: float) -> Log:
    at_s = from_s
    while at_s <= until_s:
        log.host(at_s, "s1").host(at_s, "s2").clocks(at_s)
        at_s += 60
    return log


@pytest.mark.parametrize(("ready_s", "opens"), [(1809.999, 0), (1810, 0), (1810.001, 1)])
def test_ready_at_thirty_minutes_is_in_time(ready_s: float, opens: int) -> None:
    log = beats(updated(), 60, 1800).guest(ready_s, "v1", "READY", incarnation=2)

    assert opens * ["OPEN", "CLOSED"] == [finding.state for finding in found(beats(log, 1860, 1920))]


def test_it_says_what_began_and_where() -> None:
    (finding,) = found(beats(updated(), 60, 1860))

    assert ["ready_overdue c1/s1/v1/os-7 OPEN 1810s"] == short([finding])
    assert (Severity.INFO, "vm", "web") == (
        finding.severity,
        finding.facts["began_with"],
        finding.facts["service"],
    )
    assert 2 == len(finding.evidence)


def test_busy_is_not_ready() -> None:
    log = beats(updated().guest(30, "v1", "BUSY", incarnation=2), 60, 1860)

    assert 1 == len(found(log))


def test_the_host_agents_ready_is_as_good() -> None:
    log = beats(updated(), 60, 120).host(130, "s1", vms=[vm("v1", 2, "READY")])

    assert [] == found(beats(log, 180, 1980))


def test_who_recycles_is_not_ready_and_his_time_runs_from_the_first_start() -> None:
    log = updated()
    for n in range(11):
        beats(log, 60 + 180 * n, 180 + 180 * n).host(190 + 180 * n, "s1", vms=[vm("v1", n + 3, "STARTING")])
    findings = found(beats(log, 2040, 2400))

    assert ["ready_overdue c1/s1/v1/os-7 OPEN 1810s"] == short(findings)


@pytest.mark.parametrize(("again", "opens"), [(False, 0), (True, 1)])
def test_more_starts_than_are_kept_are_of_the_same_update(again: bool, opens: int) -> None:
    """READY in time, it recycles later in the same update, twelve times in half an hour: no second start-up of it."""
    log = beats(updated().guest(60, "v1", "READY", incarnation=2), 120, 2400)
    if again:
        log.maintenance(2401, "VM_UPDATE_STARTED", vm="v1", **ROLL)
    for n in range(12):
        log.host(2410 + 180 * n, "s1", vms=[vm("v1", n + 3, "STARTING")])
        beats(log, 2420 + 180 * n, 2580 + 180 * n)

    assert opens == len(found(beats(log, 4620, 4800)))


def test_late_once_it_is_not_late_again_in_the_same_update() -> None:
    log = beats(updated(), 60, 1860).guest(1870, "v1", "READY", incarnation=2)
    for n in range(12):
        log.host(1900 + 180 * n, "s1", vms=[vm("v1", n + 3, "STARTING")])
        beats(log, 1920 + 180 * n, 2060 + 180 * n)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(beats(log, 4100, 4300))]


def test_ready_once_and_unready_again_was_in_time() -> None:
    log = updated().guest(60, "v1", "READY", incarnation=2).guest(70, "v1", "BUSY", incarnation=2)

    assert [] == found(beats(log, 120, 2400))


def test_a_start_that_nothing_explains_is_not_of_an_update() -> None:
    log = inventory().host(10, "s1", vms=[vm("v1", 2, "STARTING")])

    assert [] == found(beats(log, 60, 2400))


@pytest.mark.parametrize(
    ("planned", "start_s", "opens"),
    [(True, 900, 1), (True, 1500, 1), (True, 1500.001, 0), (False, 900, 0)],
)
def test_a_planned_reboot_covers_starts_until_ten_minutes_after_it(planned: bool, start_s: float, opens: int) -> None:
    log = inventory().maintenance(5, "NODE_REBOOT_STARTED", server="s1", planned=planned)
    log.maintenance(900, "NODE_REBOOT_COMPLETED", server="s1", planned=planned)
    log.host(start_s, "s1", boot="b2", run="r2", vms=[vm("v1", 2, "STARTING")]).clocks(start_s)
    for at_s in range(1560, 3600, 60):
        log.host(at_s, "s1", boot="b2", run="r2").clocks(at_s)

    assert opens == len(found(log))


@pytest.mark.parametrize(("impact", "opens"), [("reboot", 1), ("none", 0), ("network", 0), ("freeze", 0)])
def test_a_components_update_that_restarts_nothing_covers_nothing(impact: str, opens: int) -> None:
    log = inventory().maintenance(5, "COMPONENT_UPDATE_STARTED", server="s1", component="nmagent", impact=impact)
    log.host(10, "s1", vms=[vm("v1", 2, "STARTING")])

    assert opens == len(found(beats(log, 60, 1860)))


def test_time_stands_while_the_server_is_silent() -> None:
    log = beats(updated(), 60, 600)
    beats(log, 1000, 2300)

    assert ["ready_overdue c1/s1/v1/os-7 OPEN 2210s"] == short(found(log))


@pytest.mark.parametrize(("ready_s", "opens"), [(1840, 0), (1840.001, 1)])
def test_a_gap_counts_for_nobody(ready_s: float, opens: int) -> None:
    log = beats(updated(), 60, 600).host(660, "s1").host(660, "s2").clocks(660, gaps=[(610, 640)])
    beats(log, 720, 1800).guest(ready_s, "v1", "READY", incarnation=2)

    assert opens == sum(finding.state == "OPEN" for finding in found(beats(log, 1860, 1980)))


def test_a_vm_first_seen_in_the_middle_of_its_life_was_not_seen_to_start() -> None:
    log = Log().inventory(1).maintenance(5, "VM_UPDATE_STARTED", vm="v1", **ROLL)
    log.host(10, "s1", vms=[vm("v1", 2, "BUSY")])

    assert [] == found(beats(log, 60, 1980))


@pytest.mark.parametrize("how", ["ready", "deallocated", "removed"])
def test_it_closes(how: str) -> None:
    log = beats(updated(), 60, 1860)
    if how == "ready":
        log.host(1870, "s1", vms=[vm("v1", 3, "READY")])
    elif how == "deallocated":
        log.maintenance(1870, "VM_DEALLOCATED", vm="v1", server="s1")
    else:
        log.batch("inventory", [(1870, Removed("vm", "v1"))])
    findings = found(log)
    reasons = {"ready": "it is READY", "deallocated": "it no longer runs", "removed": "removed"}

    assert ["OPEN", "CLOSED"] == [finding.state for finding in findings]
    assert reasons[how] == findings[-1].close_reason


# -- update domains ----------------------------------------------------------------------------------------------------


def next_domain(log: Log, at_s: float, domain: int = 1, group: str | None = "g", rollout: str = "os-7") -> Log:
    return log.maintenance(
        at_s, "UD_STARTED", system="guest-os", rollout=rollout, update_domain=domain, group=group
    ).clocks(at_s + 1)


def test_the_next_domain_starts_while_the_last_is_not_ready() -> None:
    findings = found(next_domain(beats(updated(), 60, 240), 300))

    assert ["ready_overdue c1/os-7/g/1 OPEN 300s"] == short(findings)
    assert ("v1", 290.0) == (findings[0].facts["vms"], findings[0].numbers["longest_s"])


@pytest.mark.parametrize(("ready_s", "opens"), [(299.999, 0), (300, 0), (300.001, 1)])
def test_ready_when_the_next_domain_starts_is_in_time(ready_s: float, opens: int) -> None:
    """The guest's lane tells of it after the domain's start: stamps decide."""
    log = beats(updated(), 60, 240).maintenance(
        300, "UD_STARTED", system="guest-os", rollout="os-7", update_domain=1, group="g"
    )
    log.guest(ready_s, "v1", "READY", incarnation=2).clocks(301)

    assert opens == sum(finding.state == "OPEN" for finding in found(log))


@pytest.mark.parametrize(
    ("domain", "group", "rollout"), [(0, "g", "os-7"), (1, "other", "os-7"), (1, "g", "os-8"), (1, None, "os-8")]
)
def test_the_same_domain_another_group_or_rollout_are_nothing_to_it(
    domain: int, group: str | None, rollout: str
) -> None:
    assert [] == found(next_domain(beats(updated(), 60, 240), 300, domain, group, rollout))


def test_domains_of_servers() -> None:
    """A host pass: s1 of domain 0 is back, its VM not READY, and domain 1 starts."""
    log = inventory().maintenance(5, "SERVER_UPDATE_STARTED", system="host-os", rollout="host-9", server="s1")
    log.host(1000, "s1", boot="b2", run="r2", vms=[vm("v1", 2, "STARTING")])
    next_domain(log, 1100, 1, None, "host-9")

    assert ["ready_overdue c1/host-9//1 OPEN 1100s"] == short(found(log))


def test_it_closes_when_all_are_ready() -> None:
    log = next_domain(beats(updated(), 60, 240), 300).guest(310, "v1", "READY", incarnation=2)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def two_domains_out() -> Log:
    """Return v1 updated and not READY when domain 1 starts; v2, of domain 1, READY until its update in it."""
    log = next_domain(beats(updated(), 60, 240), 300).host(302, "s2", vms=[vm("v2", 2)])
    log.maintenance(304, "VM_UPDATE_STARTED", vm="v2", **ROLL)
    return log.host(310, "s2", vms=[vm("v2", 3, "STARTING")])


def test_the_domains_of_a_group_are_one_finding() -> None:
    findings = found(next_domain(two_domains_out(), 400, 2))

    assert ["OPEN", "UPDATED"] == [finding.state for finding in findings]
    assert ("v1, v2", 2.0, 2.0) == (
        findings[-1].facts["vms"],
        findings[-1].numbers["vms"],
        findings[-1].numbers["update_domain"],
    )


def test_a_domain_that_follows_at_once_is_told_of_at_once() -> None:
    log = next_domain(next_domain(beats(updated(), 60, 240), 300), 302, 2)

    assert [1.0, 2.0] == [finding.numbers["update_domain"] for finding in found(log)]


@pytest.mark.parametrize(("second", "closes"), [(False, 0), (True, 1)])
def test_it_is_over_when_those_are_ready_whom_a_later_domain_met(second: bool, closes: int) -> None:
    log = next_domain(two_domains_out(), 400, 2).guest(410, "v1", "READY", incarnation=2)
    if second:
        log.guest(411, "v2", "READY", incarnation=3)

    assert closes == sum(finding.state == "CLOSED" for finding in found(log))


def test_who_was_late_already_holds_up_the_next_domain_too() -> None:
    log = next_domain(beats(updated(), 60, 1860), 1900)

    assert ["ready_overdue c1/s1/v1/os-7 OPEN 1810s", "ready_overdue c1/os-7/g/1 OPEN 1900s"] == short(found(log))


def test_a_clean_pass_says_nothing() -> None:
    log = updated().guest(60, "v1", "READY", incarnation=2).host(61, "s1", vms=[vm("v1", 2)])
    log.maintenance(70, "VM_UPDATE_COMPLETED", vm="v1", **ROLL)
    next_domain(log, 80).maintenance(81, "VM_UPDATE_STARTED", vm="v2", **ROLL)
    log.host(90, "s2", vms=[vm("v2", 2, "STARTING")]).host(150, "s2", vms=[vm("v2", 2)])

    assert [] == found(beats(log, 180, 2400))
