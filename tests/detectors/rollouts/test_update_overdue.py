"""Tests of update_overdue: what is under way for longer than its phase should take, one info a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.inventory import Removed
from schemas.outputs import Finding, Severity
from tests.kit import Log, run, short, vm

HOST: dict[str, Any] = {"system": "host-os", "rollout": "host-9"}
GUEST: dict[str, Any] = {"system": "guest-os", "rollout": "os-7"}


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=("update_overdue",))


def cluster() -> Log:
    log = Log().inventory(3)
    for n in range(3):
        log.host(0, f"s{n + 1}", vms=[vm(f"v{n + 1}")])
    return log


def beats(log: Log, from_s: float, until_s: float, servers: int = 3) -> Log:
    at_s = from_s
    while at_s <= until_s:
        for n in range(servers):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s)
        at_s += 60
    return log


@pytest.mark.parametrize(("done_s", "late"), [(1810, 0), (1810.001, 1)])
def test_the_update_of_a_server_may_take_thirty_minutes(done_s: float, late: int) -> None:
    log = beats(cluster().maintenance(10, "SERVER_UPDATE_STARTED", server="s1", **HOST), 60, 1800)
    log.maintenance(done_s, "SERVER_UPDATE_COMPLETED", server="s1", **HOST)

    assert late * ["OPEN", "CLOSED"] == [finding.state for finding in found(beats(log, 1860, 1980))]


@pytest.mark.parametrize(("done_s", "late"), [(2110, 0), (2110.001, 1)])
def test_the_update_of_a_vm_may_take_thirty_five(done_s: float, late: int) -> None:
    log = beats(cluster().maintenance(10, "VM_UPDATE_STARTED", vm="v1", **GUEST), 60, 2100)
    log.maintenance(done_s, "VM_UPDATE_COMPLETED", vm="v1", **GUEST)

    assert late * ["OPEN", "CLOSED"] == [finding.state for finding in found(beats(log, 2160, 2280))]


def test_it_tells_the_phase_its_cost_and_what_the_others_took() -> None:
    log = cluster()
    for n in (1, 2, 3):
        log.maintenance(10, "SERVER_UPDATE_STARTED", server=f"s{n}", **HOST)
    beats(log, 60, 1020).maintenance(1030, "SERVER_UPDATE_COMPLETED", server="s2", **HOST)
    log.maintenance(1040, "SERVER_UPDATE_FAILED", server="s3", error_code="E", **HOST)
    (finding,) = found(beats(log, 1080, 1860))

    assert ["update_overdue c1/host-9/host-os OPEN 1810s"] == short([finding])
    assert (Severity.INFO, "host pass", "s1") == (finding.severity, finding.facts["phase"], finding.facts["late"])
    assert {"late": 1, "done": 1, "failed": 1, "mean_s": 1025, "longest_s": 1030, "costs_to_s": 1200} == {
        name: finding.numbers[name] for name in ("late", "done", "failed", "mean_s", "longest_s", "costs_to_s")
    }


def test_all_that_are_late_in_one_rollout_are_one_finding() -> None:
    log = cluster()
    for n in (1, 2, 3):
        log.maintenance(10 + 20 * n, "SERVER_UPDATE_STARTED", server=f"s{n}", **HOST)
    findings = found(beats(log, 60, 1980))

    assert 1 == len({finding.id for finding in findings})
    assert 3 == findings[-1].numbers["late"]


def test_a_server_that_is_away_is_host_silences() -> None:
    log = beats(cluster().maintenance(10, "SERVER_UPDATE_STARTED", server="s3", **HOST), 60, 60)
    beats(log, 120, 3000, servers=2)
    assert [] == found(log)

    assert ["update_overdue c1/host-9/host-os OPEN 1810s"] == short(found(beats(log, 3060, 3180)))


def test_a_gap_counts_for_nobody() -> None:
    log = beats(cluster().maintenance(10, "SERVER_UPDATE_STARTED", server="s1", **HOST), 60, 600)
    for n in (1, 2, 3):
        log.host(660, f"s{n}")
    log.clocks(660, gaps=[(610, 640)])

    assert ["update_overdue c1/host-9/host-os OPEN 1840s"] == short(found(beats(log, 720, 1920)))


@pytest.mark.parametrize("how", ["completed", "aborted", "removed"])
def test_it_closes(how: str) -> None:
    log = beats(cluster().maintenance(10, "SERVER_UPDATE_STARTED", server="s1", **HOST), 60, 1860)
    if how == "completed":
        log.maintenance(1870, "SERVER_UPDATE_COMPLETED", server="s1", **HOST)
    elif how == "aborted":
        log.maintenance(1870, "ROLLOUT_ABORTED", **HOST)
    else:
        log.batch("inventory", [(1870, Removed("server", "s1"))])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_a_components_update_is_told_by_its_system() -> None:
    log = cluster().maintenance(
        10, "COMPONENT_UPDATE_STARTED", system="nmagent", server="s1", component="nmagent", impact="network"
    )
    (finding,) = found(beats(log, 60, 1860))

    assert ("component update", "nmagent") == (finding.facts["phase"], finding.subject.component)


def test_a_clean_pass_says_nothing() -> None:
    log = cluster()
    for n in (1, 2, 3):
        log.maintenance(10 + 1200 * n, "SERVER_UPDATE_STARTED", server=f"s{n}", **HOST)
        log.maintenance(1100 + 1200 * n, "SERVER_UPDATE_COMPLETED", server=f"s{n}", **HOST)

    assert [] == found(beats(log, 4800, 7200))
