"""Tests of fault_class: what speaks for software, for hardware, for neither; the clock; updates and closing."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outputs import Finding
from tests.kit import START_MS, Log, run, vm

HOUR_S = 3600.0
NOON_MS = START_MS + 12 * 3_600_000
"""Far from every calendar edge."""
ALL = ("start_failure", "start_stall", "guest_timeout", "server_hi", "fault_class")
FAILS: dict[str, Any] = {"step": "boot", "error_code": "E"}


def found(log: Log) -> list[Finding]:
    return [finding for finding in run(log.frames, only=ALL) if finding.detector == "fault_class"]


def last(log: Log) -> Finding:
    return found(log)[-1]


def cluster(servers: int = 6, racks: int = 3, start_ms: int = NOON_MS, **versions: str) -> Log:
    log = Log(start_ms=start_ms).inventory(servers, racks=racks)
    for n in range(servers):
        log.host(-30, f"s{n + 1}", vms=[], versions=versions or {"ha": "1"})
    return log


def fail(log: Log, at_s: float, name: str, server: str, incarnation: int = 1, **fields: Any) -> Log:
    log.guest(at_s - 1, name, "START", server=server, incarnation=incarnation, **fields)
    return log.guest(at_s, name, "START_FAILED", server=server, incarnation=incarnation, **FAILS, **fields)


def good(log: Log, at_s: float, name: str, server: str, incarnation: int = 1) -> Log:
    log.guest(at_s - 1, name, "START", server=server, incarnation=incarnation)
    return log.guest(at_s, name, "READY", server=server, incarnation=incarnation)


def hi(log: Log, at_s: float, server: str = "s1") -> Log:
    return log.maintenance(at_s, "SERVER_STATE", server=server, state="HI")


# -- software ----------------------------------------------------------------------------------------------------------


def test_one_signature_on_three_servers_of_two_racks_is_software() -> None:
    log = cluster()
    for n in range(3):
        fail(log, 10 + n, f"v{n}", f"s{n + 1}")
    finding = found(log)[0]

    assert ("SOFTWARE", "") == (finding.verdict, finding.trigger)
    assert "one signature on 3 servers of 3 racks" in finding.facts["reasons"]


@pytest.mark.parametrize(
    ("servers", "racks", "verdict"), [(2, 2, "INCONCLUSIVE"), (3, 2, "SOFTWARE"), (4, 1, "INCONCLUSIVE")]
)
def test_servers_and_racks_at_their_limits(servers: int, racks: int, verdict: str) -> None:
    log = good(cluster(6, racks), 5, "w", "s6")
    for n in range(4):
        fail(log, 10 + n, f"v{n}", f"s{1 + n % servers}")
    log = good(log, 20, "x", "s6")

    assert verdict == found(log.clocks(90))[-1].verdict


def test_without_racks_in_the_inventory_nothing_is_concluded_from_spread() -> None:
    log = Log(start_ms=NOON_MS)
    for n in range(4):
        fail(log, 10 + n, f"v{n}", f"s{n}")

    assert "INCONCLUSIVE" == last(log).verdict


def test_a_failure_that_follows_a_vm_through_healing_is_software() -> None:
    log = hi(fail(cluster(), 10, "v1", "s1"), 20)
    log.maintenance(30, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    log = good(good(log, 31, "x", "s4"), 32, "y", "s5")
    fail(log, 40, "v1", "s2", incarnation=2).clocks(100)
    finding = last(log)

    assert "SOFTWARE" == finding.verdict
    assert "followed v1 from s1 to s2 through healing" in finding.facts["reasons"]
    assert 1 == finding.numbers["followed"]


@pytest.mark.parametrize(("succeeds", "verdict"), [(False, "SOFTWARE"), (True, "INCONCLUSIVE")])
def test_starts_that_fail_wherever_they_are_tried_are_software(succeeds: bool, verdict: str) -> None:
    log = cluster()
    for n in range(3):
        fail(log, 10 + n, f"v{n}", f"s{1 + n % 2}")
    if succeeds:
        good(log, 20, "w", "s5")

    assert verdict == last(log.clocks(100)).verdict


# -- hardware ----------------------------------------------------------------------------------------------------------


def bad_server(*, healed: bool = True) -> Log:
    """Return a cluster whose s1 fails every start; its VM is healed to s2."""
    log = hi(fail(cluster(), 10, "v1", "s1"), 20)
    if healed:
        log.maintenance(30, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
        good(log, 40, "v1", "s2", incarnation=2)
    return log


def test_confined_to_one_server_whose_vms_start_well_elsewhere_is_hardware() -> None:
    finding = last(bad_server().clocks(100))

    assert ("HARDWARE", "s1") == (finding.verdict, finding.subject.server)
    assert "confined to server s1; v1 failed there and started well elsewhere" in finding.facts["reasons"]


def test_confined_alone_is_no_verdict() -> None:
    finding = last(good(bad_server(healed=False), 45, "w", "s3").clocks(100))

    assert "INCONCLUSIVE" == finding.verdict
    assert "none of its VMs has started well elsewhere yet" in finding.facts["reasons"]


def test_confined_to_one_rack_whose_vms_start_well_elsewhere_is_hardware() -> None:
    """s1 and s4 stand in rack r0 of three."""
    log = fail(fail(fail(cluster(), 10, "v1", "s1"), 11, "v2", "s4"), 12, "v3", "s1")
    log.maintenance(30, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    good(log, 40, "v1", "s2", incarnation=2)
    finding = last(log.clocks(100))

    assert "HARDWARE" == finding.verdict
    assert "confined to rack r0" in finding.facts["reasons"]


def test_a_bad_rack_that_a_vm_was_healed_within_is_still_hardware() -> None:
    log = fail(hi(fail(cluster(), 10, "v1", "s1"), 11), 12, "v2", "s4")
    log.maintenance(30, "VM_HEALED", vm="v1", from_server="s1", to_server="s4")
    fail(log, 40, "v1", "s4", incarnation=2)
    log.maintenance(50, "VM_HEALED", vm="v1", from_server="s4", to_server="s2")
    good(log, 60, "v1", "s2", incarnation=3)

    assert "HARDWARE" == last(log.clocks(100)).verdict


def test_a_server_in_hi_without_a_failed_start_is_inconclusive() -> None:
    finding = last(hi(cluster(), 10))

    assert "INCONCLUSIVE" == finding.verdict
    assert "no failed start of its VMs is known" == finding.facts["reasons"]


# -- time-outs ---------------------------------------------------------------------------------------------------------


def test_no_contact_is_the_signature_of_time_outs() -> None:
    """Three servers, on each a clean VM that times out three times: server_hi, by one software."""
    log = cluster(4, 2)
    for at_s in range(0, 4620, 60):
        incarnation = 1 + at_s // 1500
        for n in range(3):
            starts = at_s % 1500 == 0
            log.host(at_s, f"s{n + 1}", vms=[vm(f"v{n}", incarnation, ga="STARTING")] if starts else None)
        log.host(at_s, "s4").clocks(at_s)
    verdicts = {f.subject.server: (f.verdict, f.facts["signature"]) for f in found(log) if f.subject.server}

    assert dict.fromkeys(("s1", "s2", "s3"), ("SOFTWARE", "no contact")) == verdicts


def test_a_stall_is_judged_by_starts_older_than_its_own_age() -> None:
    log = cluster(6, 3)
    for at_s in range(0, 900, 60):
        if at_s == 60:
            for n in range(12):
                log.guest(at_s - 30 + n, f"v{n}", "START", server=f"s{1 + n % 6}")
        for n in range(6):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s)
    finding = found(log)[0]

    assert ("SOFTWARE", "start_stall") == (finding.verdict, finding.facts["about_detector"])
    assert NOON_MS + 30_000 == finding.numbers["onset_ms"]


# -- the clock ---------------------------------------------------------------------------------------------------------


def mixed(first_s: float, start_ms: int = START_MS, versions: tuple[str, ...] = ("1.6", "1.7")) -> Log:
    """Return starts that fail from `first_s` after midnight on, in guest agents of these versions."""
    log = cluster(start_ms=start_ms)
    for n in range(4):
        fail(log, first_s + 1 + n, f"v{n}", f"s{n + 1}", ga_version=versions[n % len(versions)])
    return log


@pytest.mark.parametrize(("first_s", "trigger"), [(-0.001, ""), (0, "clock"), (600, "clock"), (600.001, "")])
def test_onset_within_ten_minutes_after_an_edge_is_the_clock(first_s: float, trigger: str) -> None:
    finding = last(mixed(first_s))

    assert trigger == finding.trigger
    assert ("29 February" in finding.facts.get("edge", "")) == bool(trigger)


def test_one_version_alone_does_not_tell() -> None:
    assert "" == last(mixed(0, versions=("1.7",))).trigger


def test_versions_of_the_host_agent_tell_too() -> None:
    log = Log().inventory(4, racks=2)
    for n in range(4):
        log.host(-30, f"s{n + 1}", vms=[], versions={"ha": f"1.{n % 2}"})
    for n in range(4):
        fail(log, 1 + n, f"v{n}", f"s{n + 1}", ga_version="1.7")

    assert "clock" == last(log).trigger


def test_onset_is_the_start_of_the_first_failing_incarnation_and_not_its_error() -> None:
    """Started at 23:59:50, failed after midnight: it ran before the edge."""
    log = cluster(start_ms=START_MS).guest(-10, "v9", "START", server="s5", ga_version="1.6")
    log.guest(5, "v9", "START_FAILED", server="s5", ga_version="1.6", **FAILS)
    for n in range(3):
        fail(log, 10 + n, f"v{n}", f"s{n + 1}", ga_version="1.7")

    assert "" == last(log).trigger


# -- its life ----------------------------------------------------------------------------------------------------------


def test_a_single_failure_has_no_class() -> None:
    assert [] == found(fail(cluster(), 10, "v1", "s1"))


def test_it_has_the_subject_of_what_it_is_about_and_names_it() -> None:
    log = cluster()
    for n in range(3):
        fail(log, 10 + n, f"v{n}", f"s{n + 1}")
    findings = run(log.frames, only=ALL)
    about = next(f for f in findings if f.detector == "start_failure" and f.subject.vm is None)
    verdict = next(f for f in findings if f.detector == "fault_class")

    assert (about.subject, about.id) == (verdict.subject, verdict.facts["about"])


def test_the_verdict_moves_with_the_evidence() -> None:
    log = cluster()
    for n in range(3):
        fail(log, 10 + n, f"v{n}", f"s{1 + n % 2}")
    good(log, 20, "w", "s5").clocks(90)
    fail(log, 95, "v9", "s4").clocks(160)

    assert ["SOFTWARE", "INCONCLUSIVE", "SOFTWARE"] == [finding.verdict for finding in found(log)]


def test_it_closes_with_what_it_is_about() -> None:
    log = bad_server().clocks(100).maintenance(200, "SERVER_STATE", server="s1", state="READY")

    assert "CLOSED" == last(log).state


def test_old_evidence_that_fades_takes_no_verdict_back() -> None:
    log = bad_server().clocks(100)
    good(log, 5 * HOUR_S, "z", "s3").clocks(5 * HOUR_S + 100)

    assert "HARDWARE" == last(log).verdict


def test_it_goes_on_after_all_that_it_was_about_has_closed() -> None:
    """Its own due time comes when nothing is left to judge."""
    log = bad_server().maintenance(50, "SERVER_STATE", server="s1", state="READY").clocks(100)
    findings = run(hi(log, 200).frames, only=ALL)

    assert [] == [finding for finding in findings if finding.detector == "engine"]
    assert "OPEN" == [finding for finding in findings if finding.detector == "fault_class"][-1].state
