"""Tests of capacity: READY against all less one update domain, two missing for five minutes, single instances."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.inventory import Removed, Vm
from schemas.outputs import Finding, Severity
from streams.config.catalogue import config_types
from streams.config.thresholds import parse
from streams.engine.runner import Runner
from tests.kit import Log, run, short, vm

NAMES = [f"v{n}" for n in range(10)]
"""Ten instances of `web` on ten servers, two in each of five update domains."""


def found(log: Log, **only: Any) -> list[Finding]:
    return [f for f in run(log.frames, only=("capacity", "host_silence")) if f.detector == "capacity"]


def opened(log: Log) -> list[tuple[str, float]]:
    return [(str(f.severity), f.numbers.get("missing", -1)) for f in found(log) if f.state == "OPEN"]


def web(vms: list[str] | None = None, domains: int = 5, **fields: Any) -> Log:
    names = NAMES if vms is None else vms
    rows = [Vm(name, "c1", f"s{n}", update_domain=n % domains, service="web") for n, name in enumerate(names)]
    log = Log().inventory([f"s{n}" for n in range(len(names))], vms=rows, update_domains=domains, **fields)
    for n, name in enumerate(names):
        log.host(0, f"s{n}", vms=[vm(name)])
    return log


def down(log: Log, at_s: float, *which: int, ga: str = "BUSY") -> Log:
    for n in which:
        log.host(at_s, f"s{n}", vms=[vm(f"v{n}", ga=ga)])
    return log


def beats(log: Log, from_s: float, until_s: float, servers: int = 10) -> Log:
    at_s = from_s
    while at_s <= until_s:
        for n in range(servers):
            log.host(at_s, f"s{n}")
        log.clocks(at_s + 1)
        at_s += 60
    return log


def planned(log: Log, at_s: float, *which: int, rollout: str = "os-7") -> Log:
    for n in which:
        log.maintenance(at_s, "VM_UPDATE_STARTED", system="guest-os", rollout=rollout, vm=f"v{n}")
    return log


# -- deeper than one update domain -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "opens"), [((0,), 0), ((0, 5), 0), ((0, 5, 1), 1)])
def test_one_update_domain_may_be_out_and_no_more(which: tuple[int, ...], opens: int) -> None:
    log = down(web(), 10, *which).clocks(12)

    assert opens * [("WARNING", 3)] == opened(log)


def test_whoever_joins_a_running_fleet_hears_heartbeats_before_reports_and_misses_nobody() -> None:
    rows = [Vm(name, "c1", f"s{n}", update_domain=n % 5, service="web") for n, name in enumerate(NAMES)]
    log = Log().inventory([f"s{n}" for n in range(10)], vms=rows, update_domains=5)
    for n, name in enumerate(NAMES):
        log.guest(0, name, "HEARTBEAT", server=f"s{n}", incarnation=4)
    log.clocks(10)
    assert [] == opened(log)

    for n in (0, 5, 1):
        log.guest(20, NAMES[n], "HEARTBEAT", server=f"s{n}", incarnation=5)
    assert [("WARNING", 3)] == opened(log.clocks(30))


def test_it_tells_what_is_missing_and_what_was_planned() -> None:
    (finding,) = found(down(down(web(), 10, 0, 5), 20, 1).clocks(22))

    assert ["capacity c1/web OPEN 20s"] == short([finding])
    assert {"ready": 7, "instances": 10, "missing": 3, "largest_update_domain": 2, "share_planned": 0.2} == {
        name: finding.numbers[name]
        for name in ("ready", "instances", "missing", "largest_update_domain", "share_planned")
    }
    assert "v0, v1, v5" == finding.facts["unexplained"]
    assert 3 == len(finding.evidence)


def test_nothing_is_said_before_every_lane_has_passed_that_second() -> None:
    log = down(web(), 10, 0, 5, 1).clocks(12, feeds=("host-agent", "maintenance"))
    assert [] == found(log)

    assert 1 == len(found(log.clocks(12, feeds=("guest-agent",))))


def test_ready_by_the_guests_word_read_late_is_ready() -> None:
    log = down(web(), 10, 0, 5).guest(9.5, "v1", "BUSY").guest(9.8, "v1", "READY").clocks(12)

    assert [] == found(log)


def test_a_second_update_domain_of_a_rollout_is_deeper_than_planned() -> None:
    log = planned(web(), 5, 0, 5, 1)

    assert [("WARNING", 3)] == opened(down(log, 10, 0, 5, 1, ga="STOPPING").clocks(12))


def test_a_planned_reboot_beside_an_update_domain_is_info() -> None:
    log = planned(web(), 5, 0, 5).maintenance(5, "NODE_REBOOT_STARTED", server="s1", planned=True)

    assert [("INFO", 3)] == opened(down(log, 10, 0, 5, 1, ga="STOPPING").clocks(12))


@pytest.mark.parametrize(("lost", "severity"), [((1,), "INFO"), ((1, 2), "WARNING")])
def test_the_loss_of_one_server_beside_an_update_domain_is_info(lost: tuple[int, ...], severity: str) -> None:
    log = down(planned(web(), 5, 0, 5), 10, 0, 5, ga="STOPPING")
    for n in lost:
        log.maintenance(11, "NODE_REBOOT_STARTED", server=f"s{n}", planned=False)

    assert [(severity, 2 + len(lost))] == opened(log.clocks(13))


def test_without_an_update_a_lost_server_and_one_instance_alone_are_deeper_than_planned() -> None:
    log = down(web(domains=10), 10, 1).maintenance(11, "NODE_REBOOT_STARTED", server="s2", planned=False)

    assert [("WARNING", 2)] == opened(log.clocks(13))


@pytest.mark.parametrize(("alone", "severity"), [((1,), "INFO"), ((1, 2), "WARNING")])
def test_instances_that_are_out_alone_beside_an_update_domain_are_deeper_than_planned_where_they_are_many(
    alone: tuple[int, ...], severity: str
) -> None:
    log = down(planned(web(), 5, 0, 5), 10, 0, 5, *alone, ga="STOPPING")

    assert [(severity, 2 + len(alone))] == opened(log.clocks(12))


def large(*alone: tuple[int, float]) -> Log:
    """Return a service of 100, 20 an update domain, one of which is updated; others are out alone from a second on."""
    log = web([f"v{n}" for n in range(100)])
    log = down(planned(log, 5, *range(0, 100, 5)), 10, *range(0, 100, 5), ga="STOPPING")
    for n, at_s in alone:
        log = down(log, at_s, n)
    return log.clocks(13)


@pytest.mark.parametrize(("alone", "severity"), [(((1, 11),), "INFO"), (((1, 11), (2, 11)), "WARNING")])
def test_a_tenth_of_an_update_domain_at_once_is_deeper_than_planned(
    alone: tuple[tuple[int, float], ...], severity: str
) -> None:
    assert [(severity, 20 + len(alone))] == opened(large(*alone))


@pytest.mark.parametrize(("which", "severity"), [((1,), "INFO"), ((1, 2), "WARNING")])
def test_fewer_are_deeper_than_planned_when_two_of_them_are_out_for_five_minutes(
    which: tuple[int, ...], severity: str
) -> None:
    """One agent that starts anew is met at any moment in a service of thousands."""
    limits = parse("[detectors.capacity]\nbeside_share = 1.0\n", config_types())
    log = large(*((n, 11.0) for n in which))

    def said(frames: Log) -> list[str]:
        findings = run(frames.frames, runner=Runner(0, limits, only=("capacity", "host_silence"), pinned=True))
        return [f.severity for f in findings if f.detector == "capacity"]

    assert ["INFO"] == said(log)
    assert severity == said(beats(log, 60, 420, 100))[-1]


def test_none_left_is_critical_at_once() -> None:
    log = down(down(web(), 10, 0, 5, 1).clocks(11.5), 12, *(2, 3, 4, 6, 7, 8, 9)).clocks(14)
    findings = found(log)

    assert [("OPEN", Severity.WARNING), ("UPDATED", Severity.CRITICAL)] == [(f.state, f.severity) for f in findings]
    assert "none of its 10 instances is READY" in findings[-1].title


def test_it_closes_when_one_update_domain_is_out_again() -> None:
    log = down(web(), 10, 0, 5, 1).clocks(12).host(20, "s1", vms=[vm("v1")]).clocks(22)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]
    assert "8 of 10 instances are READY" == found(log)[-1].close_reason


def test_a_start_anew_is_missing_until_it_is_ready() -> None:
    log = web()
    for n in (0, 5, 1):
        log.guest(10 + n, f"v{n}", "START", server=f"s{n}", incarnation=2)
    log.clocks(17).guest(20, "v1", "READY", server="s1", incarnation=2).clocks(22)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_a_host_agents_late_word_of_an_older_incarnation_is_nothing() -> None:
    log = down(web(), 5, 1, ga="BUSY").guest(10, "v1", "START", server="s1", incarnation=2)
    log.host(10.5, "s1", vms=[vm("v1")])

    assert [("WARNING", 3)] == opened(down(log, 20, 0, 5).clocks(22))


def test_a_deallocated_vm_is_no_instance() -> None:
    """Nine are left, two of which are missing: no more than an update domain."""
    log = web().maintenance(5, "VM_DEALLOCATED", vm="v1", server="s1").host(6, "s1", vms=[])

    assert [] == found(down(log, 10, 0, 5).clocks(12))


def test_a_vm_just_created_is_none_until_it_is_ready() -> None:
    log = web()
    log.batch("inventory", [(4, Vm("new", "c1", "s1", update_domain=1, service="web"))])
    log.maintenance(4.5, "VM_CREATED", vm="new", server="s1", reason="scale-out")
    log.host(5, "s1", vms=[vm("v1"), vm("new", ga="STARTING")])

    assert [] == found(down(log, 10, 0, 5).clocks(12))


def test_a_healed_vm_is_missing_until_it_is_ready_elsewhere() -> None:
    log = web().maintenance(5, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    log.guest(30, "v1", "READY", server="s2", incarnation=2)

    assert ["OPEN", "CLOSED"] == [f.state for f in found(down(log, 10, 0, 5).clocks(12).clocks(32))]


def test_an_unknown_state_and_a_heartbeat_say_nothing() -> None:
    log = down(web(), 10, 0, 5).host(10, "s1", vms=[vm("v1", ga="UNKNOWN")]).guest(11, "v2", "HEARTBEAT", server="s2")

    assert [] == found(log.clocks(13))


# -- servers -----------------------------------------------------------------------------------------------------------


def test_vms_of_a_silent_server_are_missing_and_back_with_it() -> None:
    """s1 is silent from 60 s on, which is known at 240 s; it comes back without a restart at 400 s."""
    log = beats(web(), 60, 60)
    down(log, 70, 0, 5)
    others = [0, *range(2, 10)]
    for at_s in range(120, 400, 60):
        for n in others:
            log.host(at_s, f"s{n}")
        log.clocks(at_s + 1)
    assert ["capacity c1/web OPEN 240s"] == short(found(log))

    beats(log, 420, 480)
    last = found(log)[-1]
    # Two are missing still, and have been for more than five minutes.
    assert (Severity.INFO, "v0, v5") == (last.severity, last.facts["missing"])


def test_an_unplanned_reboot_takes_its_vms_out() -> None:
    log = down(web(), 5, 0, 5).maintenance(10, "NODE_REBOOT_STARTED", server="s1", planned=False).clocks(12)

    assert [("INFO", 3)] == [(str(f.severity), f.numbers["missing"]) for f in found(log)] or [("WARNING", 3)] == opened(
        log
    )


def test_a_planned_reboot_takes_out_what_stops() -> None:
    log = down(web(), 5, 0, 5).maintenance(10, "NODE_REBOOT_STARTED", server="s1", planned=True).clocks(12)

    assert [] == found(log)


# -- two missing for five minutes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("back_s", "opens"), [(310, 0), (310.001, 1)])
def test_two_missing_for_longer_than_five_minutes_are_info(back_s: float, opens: int) -> None:
    log = beats(down(web(), 10, 0, 5), 60, 300).host(back_s, "s0", vms=[vm("v0")])

    assert opens * [("INFO", 2)] == opened(beats(log, 360, 420))


def test_one_missing_is_nothing() -> None:
    assert [] == found(beats(down(web(), 10, 0), 60, 900))


def test_its_five_minutes_are_counted_from_the_second() -> None:
    log = beats(down(web(), 10, 0), 60, 180)

    assert ["capacity c1/web OPEN 500s"] == short(found(beats(down(log, 200, 5), 240, 600)))


def test_what_an_update_explains_does_not_count() -> None:
    log = down(planned(web(), 5, 0, 5), 10, 0, 5, ga="STOPPING")

    assert [] == found(beats(log, 60, 900))


def test_what_is_missing_half_an_hour_after_its_update_counts() -> None:
    log = down(planned(web(), 5, 0, 5), 10, 0, 5, ga="STOPPING")
    for n in (0, 5):
        log.maintenance(20, "VM_UPDATE_COMPLETED", system="guest-os", rollout="os-7", vm=f"v{n}")

    assert [] == found(beats(log, 60, 1800))
    assert [("INFO", 2)] == opened(beats(log, 1860, 2000))


def test_a_gap_counts_for_nobody() -> None:
    log = beats(down(web(), 10, 0, 5), 60, 120)
    for n in range(10):
        log.host(180, f"s{n}")
    log.clocks(181, gaps=[(130, 160)])

    assert ["capacity c1/web OPEN 340s"] == short(found(beats(log, 240, 420)))


# -- services ----------------------------------------------------------------------------------------------------------


def test_services_with_one_instance_are_listed_in_advance() -> None:
    log = web(["v0"], 1)
    (finding,) = found(down(log, 10, 0).clocks(12).clocks(900))

    assert (Severity.INFO, "web", 1) == (finding.severity, finding.facts["services"], finding.numbers["services"])
    assert finding.evidence


def test_a_second_instance_closes_it() -> None:
    log = web(["v0"], 1).batch("inventory", [(5, Vm("v1", "c1", "s0", update_domain=1, service="web"))])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_two_instances_in_one_update_domain_that_are_updated_are_as_planned() -> None:
    log = planned(web(["v0", "v1"], 1), 5, 0, 1)

    assert [] == found(down(log, 10, 0, 1, ga="STOPPING").clocks(12))


def test_two_instances_in_two_domains_both_out_are_none_left() -> None:
    assert [("CRITICAL", 2)] == opened(down(web(["v0", "v1"], 2), 10, 0, 1).clocks(12))


def test_before_the_inventory_is_complete_nothing_is_said() -> None:
    assert [] == found(down(web(complete=False), 10, 0, 5, 1).clocks(12))


def test_clusters_without_guest_agents_have_no_instances() -> None:
    assert [] == found(down(web(ga="none"), 10, 0, 5, 1).clocks(12))


def test_a_removed_service_closes_its_finding() -> None:
    log = down(web(), 10, 0, 5, 1).clocks(12)
    log.batch("inventory", [(13, Removed("vm", name)) for name in NAMES])

    assert "removed" == found(log)[-1].close_reason
