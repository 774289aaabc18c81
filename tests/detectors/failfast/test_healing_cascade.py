"""Tests of healing_cascade: the second healed VM that fails, whichever lane tells it, and when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outputs import Finding
from tests.kit import START_MS, Log, run, vm

ALL = ("guest_timeout", "server_hi", "healing_cascade")
FAILS = {"step": "transfer-certificate", "error_code": "E"}


def found(log: Log) -> list[Finding]:
    return [finding for finding in run(log.frames, only=ALL) if finding.detector == "healing_cascade"]


def hi(log: Log, at_s: float, server: str = "s1", state: str = "HI") -> Log:
    return log.maintenance(at_s, "SERVER_STATE", server=server, state=state)


def heal(log: Log, at_s: float, name: str, to_server: str, from_server: str = "s1") -> Log:
    return log.maintenance(at_s, "VM_HEALED", vm=name, from_server=from_server, to_server=to_server)


def fail(log: Log, at_s: float, name: str, server: str, incarnation: int = 2, **fields: Any) -> Log:
    return log.guest(at_s, name, "START_FAILED", server=server, incarnation=incarnation, **{**FAILS, **fields})


def one_failed() -> Log:
    log = hi(Log().inventory(4), 10)
    heal(heal(log, 20, "v1", "s2"), 21, "v2", "s3")
    return fail(log, 30, "v1", "s2")


def test_second_healed_vm_that_fails_opens_it_in_its_frame() -> None:
    log = fail(one_failed(), 40, "v2", "s3")
    finding = found(log)[0]

    assert [] == found(one_failed())
    assert (START_MS + 40_000, log.frames[-1].at_ms) == (finding.opened_ms, finding.at_ms)
    assert ("disable-healing",) == finding.advised
    assert (
        "v1 from s1 to s2: transfer-certificate:E; v2 from s1 to s3: transfer-certificate:E" == finding.facts["lineage"]
    )
    assert (2, 1, 2) == tuple(finding.numbers[name] for name in ("vms", "from_servers", "to_servers"))


def test_one_vm_that_fails_again_and_again_is_one() -> None:
    log = fail(fail(one_failed(), 40, "v1", "s2", 3), 50, "v1", "s2", 4)

    assert [] == found(log)


def test_another_signature_is_another_fault() -> None:
    assert [] == found(fail(one_failed(), 40, "v2", "s3", error_code="OTHER"))


def test_healing_off_a_server_that_is_not_in_hi_is_no_cascade() -> None:
    log = Log().inventory(4)
    heal(heal(log, 20, "v1", "s2"), 21, "v2", "s3")
    fail(fail(log, 30, "v1", "s2"), 40, "v2", "s3")

    assert [] == found(log)


@pytest.mark.parametrize(("healed_s", "findings"), [(159.999, 1), (160, 1), (160.001, 0)])
def test_healing_long_after_the_server_is_ready_again_is_no_cascade(healed_s: float, findings: int) -> None:
    """READY at 100 s; brokers' clocks may differ by a minute."""
    log = hi(hi(Log().inventory(4), 10), 100, state="READY")
    heal(heal(log, healed_s, "v1", "s2"), healed_s, "v2", "s3")
    fail(fail(log, 200, "v1", "s2"), 210, "v2", "s3")

    assert findings == len(found(log))


@pytest.mark.parametrize("late", ["healing", "hi"])
def test_lanes_may_bring_the_explanation_last(late: str) -> None:
    log = Log().inventory(4)
    if late == "healing":
        hi(log, 10)
    fail(fail(log, 30, "v1", "s2"), 40, "v2", "s3")
    heal(heal(log, 20, "v1", "s2"), 21, "v2", "s3")
    if late == "hi":
        assert [] == found(log)
        hi(log, 10)

    assert [START_MS + 40_000] == [finding.opened_ms for finding in found(log)]


@pytest.mark.parametrize(("healed_s", "findings"), [(90, 1), (90.001, 0)])
def test_failures_before_the_healing_are_not_its_doing(healed_s: float, findings: int) -> None:
    """Started at 30 s: a healing stamped up to a minute later may still have brought it here."""
    log = hi(Log().inventory(4), 10)
    log.guest(30, "v1", "START", server="s2", incarnation=2).guest(30, "v2", "START", server="s3", incarnation=2)
    fail(fail(log, 95, "v1", "s2"), 96, "v2", "s3")
    heal(heal(log, healed_s, "v1", "s2"), healed_s, "v2", "s3")

    assert findings == len(found(log))


def test_failure_on_a_third_server_counts_by_its_own_healing() -> None:
    log = fail(one_failed(), 35, "v2", "s4")

    assert [] == found(log)


def silent_cascade() -> Log:
    """Return a log without an error: two VMs healed at 60 s, silent on their new servers until 1,860 s."""
    log = Log().inventory(4)
    for n in range(4):
        log.host(0, f"s{n + 1}", vms=[])
    hi(log, 10)
    heal(heal(log, 60, "v1", "s2"), 61, "v2", "s3")
    log.host(60, "s2", vms=[vm("v1", 2, ga="STARTING")]).host(61, "s3", vms=[vm("v2", 2, ga="STARTING")])
    for at_s in range(120, 1860, 60):
        for n in range(4):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s)
    return log


def test_time_outs_are_a_signature_too() -> None:
    finding = found(silent_cascade())[0]

    assert ("no contact", START_MS + 1_561_000) == (finding.subject.signature, finding.opened_ms)
    assert "v1 from s1 to s2: no contact; v2 from s1 to s3: no contact" == finding.facts["lineage"]


def test_our_own_verdict_on_a_server_counts_like_the_fabric_controllers() -> None:
    """s1 is given up by three time-outs alone; its VMs are healed, and fail."""
    log = Log().inventory(4).host(-60, "s1", vms=[])
    for at_s in range(0, 4680, 60):
        restarts = at_s % 1500 == 0
        log.host(at_s, "s1", vms=[vm("v0", 1 + at_s // 1500, ga="STARTING")] if restarts else None).clocks(at_s)
    heal(heal(log, 4700, "v1", "s2"), 4701, "v2", "s3")
    fail(fail(log, 4710, "v1", "s2"), 4720, "v2", "s3")

    assert [START_MS + 4_720_000] == [finding.opened_ms for finding in found(log)]


# -- its end -----------------------------------------------------------------------------------------------------------


def ready(log: Log, at_s: float, name: str, server: str, incarnation: int = 3) -> Log:
    return log.guest(at_s, name, "READY", server=server, incarnation=incarnation)


def states(log: Log) -> list[str]:
    return [finding.state for finding in found(log)]


def test_closes_when_each_vm_has_made_contact() -> None:
    log = ready(fail(one_failed(), 40, "v2", "s3"), 50, "v1", "s2")

    assert ["OPEN"] == states(log)
    assert ["OPEN", "CLOSED"] == states(ready(log, 60, "v2", "s3"))


def test_a_vm_healed_once_more_is_on_its_way_and_not_gone() -> None:
    log = ready(fail(one_failed(), 40, "v2", "s3"), 50, "v1", "s2")
    heal(log, 60, "v2", "s4", "s3")

    assert ["OPEN"] == states(log)


def test_a_deallocated_vm_is_gone() -> None:
    log = ready(fail(one_failed(), 40, "v2", "s3"), 50, "v1", "s2")
    log.maintenance(60, "VM_DEALLOCATED", vm="v2", server="s3")

    assert ["OPEN", "CLOSED"] == states(log)


def test_a_third_vm_updates_it() -> None:
    log = fail(heal(fail(one_failed(), 40, "v2", "s3"), 41, "v3", "s4"), 50, "v3", "s4")

    assert [("OPEN", 2), ("UPDATED", 3)] == [(finding.state, finding.numbers["vms"]) for finding in found(log)]


def test_what_recovered_before_the_second_failed_is_still_part_of_it() -> None:
    log = fail(ready(one_failed(), 35, "v1", "s2"), 40, "v2", "s3")

    assert ["OPEN"] == states(log)
