"""Many findings of single VMs, told as one: when it opens, how it counts, when it ends, and who may close it."""

from __future__ import annotations

import pytest

from schemas.commands import Close
from schemas.inventory import Vm
from schemas.outputs import Finding, Severity
from tests.kit import START_MS, Log, run, vm

ROLL = {"system": "guest-os", "rollout": "os-7"}


def world(vms: int) -> Log:
    """Return two servers with these VMs of a service, all running."""
    log = Log().inventory(2, vms=[Vm(f"v{n}", "c1", f"s{n % 2 + 1}") for n in range(vms)])
    for server in (1, 2):
        log.host(0, f"s{server}", vms=[vm(f"v{n}") for n in range(vms) if n % 2 + 1 == server])
    return log


def waiting(log: Log, at_s: float, waits: list[int], vms: int) -> Log:
    """Append reports in which these VMs wait for their host, and the others are READY."""
    for server in (1, 2):
        mine = [n for n in range(vms) if n % 2 + 1 == server]
        log.host(at_s, f"s{server}", vms=[vm(f"v{n}", 1, "WAITING_FOR_HOST" if n in waits else "READY") for n in mine])
    return log


def until(log: Log, from_s: float, until_s: float) -> Log:
    """Append a beat of each server, and a turn of the clocks, every 30 s."""
    at_s = from_s
    while at_s <= until_s:
        log.host(at_s, "s1").host(at_s, "s2").clocks(at_s)
        at_s += 30
    return log


def crowds(log: Log) -> list[Finding]:
    """Return what is said of all VMs."""
    return [found for found in run(log.frames, only=("waiting_for_host",)) if found.subject.vm is None]


def test_all_that_wait_are_one_warning_and_each_an_info() -> None:
    log = until(waiting(world(4), 10, [0, 1, 2], 4), 30, 1860)
    findings = run(log.frames, only=("waiting_for_host",))

    assert [Severity.INFO] * 3 == [found.severity for found in findings if found.subject.vm is not None]
    (crowd,) = (found for found in findings if found.subject.vm is None)
    assert ("OPEN", Severity.WARNING) == (crowd.state, crowd.severity)
    assert "3 VMs on 2 servers have waited for their host for more than 30 min" == crowd.title
    assert {"vms": 3.0, "servers": 2.0} == crowd.numbers
    assert "v0, v1, v2" == crowd.facts["vms"]
    assert 3 == len(crowd.evidence)
    assert START_MS + 1_810_000 == crowd.opened_ms


@pytest.mark.parametrize(("until_s", "told"), [(1819, 0), (1821, 1)])
def test_it_opens_ten_seconds_after_the_first_of_them(until_s: float, told: int) -> None:
    log = until(waiting(world(2), 10, [0], 2), 30, 1800).host(1811, "s1").clocks(1811).host(until_s, "s1")

    assert told == len(crowds(log.clocks(until_s)))


def test_it_counts_who_comes_and_who_goes_and_ends_with_the_last() -> None:
    log = until(waiting(world(4), 10, [0], 4), 30, 60)
    log = until(waiting(log, 70, [0, 1, 2], 4), 90, 1950)
    log = until(waiting(log, 1970, [1], 4), 1980, 2040)
    findings = crowds(until(waiting(log, 2050, [], 4), 2070, 2100))

    assert [
        ("OPEN", "VM v0 has waited for its host for more than 30 min"),
        ("UPDATED", "3 VMs on 2 servers have waited for their host for more than 30 min"),
        ("UPDATED", "VM v1 has waited for its host for more than 30 min"),
        ("CLOSED", "VM v1 has waited for its host for more than 30 min"),
    ] == [(found.state, found.title) for found in findings]
    assert 1 == len({found.id for found in findings})
    assert "it is over for all of these VMs" == findings[-1].close_reason


def test_whom_a_person_closes_is_counted_no_more() -> None:
    """And what is closed for the last of them is over."""
    log = until(waiting(world(2), 10, [0, 1], 2), 30, 1860)
    singles = [found for found in run(log.frames, only=("waiting_for_host",)) if found.subject.vm is not None]
    closing = [Close(f"k{n}", "c1", found.id, "ada", "known") for n, found in enumerate(singles)]
    log.batch("operator", [(1861, closing[0])])
    log = until(log, 1870, 1900).batch("operator", [(1901, closing[1])])

    assert [
        ("OPEN", "2 VMs on 2 servers have waited for their host for more than 30 min"),
        ("UPDATED", f"VM {singles[1].subject.vm} has waited for its host for more than 30 min"),
        ("CLOSED", f"VM {singles[1].subject.vm} has waited for its host for more than 30 min"),
    ] == [(found.state, found.title) for found in crowds(until(log, 1930, 1960))]


def test_each_rollout_has_a_warning_of_its_own() -> None:
    """VMs late in two rollouts, and after a reboot of none."""
    log = Log().inventory(3, vms=[Vm(f"v{n}", "c1", f"s{n}") for n in (1, 2, 3)])
    for n in (1, 2, 3):
        log.host(0, f"s{n}", vms=[vm(f"v{n}")])
    for n, rollout in ((1, "os-7"), (2, "os-8")):
        log.maintenance(5, "VM_UPDATE_STARTED", vm=f"v{n}", system="guest-os", rollout=rollout)
        log.host(10, f"s{n}", vms=[vm(f"v{n}", 2, "STARTING")])
    log.maintenance(5, "NODE_REBOOT_STARTED", server="s3", planned=True, reason="upkeep")
    log.host(10, "s3", boot="b2", vms=[vm("v3", 2, "STARTING")])
    for at_s in range(60, 1921, 60):
        log.host(at_s, "s1").host(at_s, "s2").host(at_s, "s3", boot="b2").clocks(at_s)
    findings = [found for found in run(log.frames, only=("ready_overdue",)) if found.subject.vm is None]

    assert {
        None: "VM v3 is not READY 30 min after its start-up began",
        "os-7": "in rollout os-7 VM v1 is not READY 30 min after its start-up began",
        "os-8": "in rollout os-8 VM v2 is not READY 30 min after its start-up began",
    } == {found.subject.rollout: found.title for found in findings}
    assert 3 == len(findings)
