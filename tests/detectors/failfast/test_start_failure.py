"""Tests of start_failure: three VMs on two servers within ten minutes, and when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outputs import Finding, Severity
from tests.kit import START_MS, Log, run, vm

ERROR = {"step": "transfer-certificate", "error_code": "E1", "ga_version": "1.7"}
SIGNATURE = "transfer-certificate:E1"


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=("start_failure",))


def common(log: Log) -> list[Finding]:
    """Return the findings of the cluster, not those of single VMs."""
    return [finding for finding in found(log) if finding.subject.vm is None]


def fail(log: Log, at_s: float, name: str, server: str, **fields: Any) -> Log:
    return log.guest(at_s, name, "START_FAILED", server=server, **{**ERROR, **fields})


def two_failed() -> Log:
    return fail(fail(Log().inventory(4), 10, "v1", "s1"), 20, "v2", "s2")


def test_third_vm_on_the_second_server_opens_it_in_its_frame() -> None:
    log = fail(two_failed(), 30, "v3", "s1")
    finding = common(log)[0]

    assert [] == common(two_failed())
    assert (START_MS + 30_000, log.frames[-1].at_ms) == (finding.opened_ms, finding.at_ms)
    assert (Severity.CRITICAL, SIGNATURE) == (finding.severity, finding.subject.signature)
    assert {"vms": 3, "servers": 2, "racks": 2, "update_domains": 2, "rate_per_min": 3.0} == {
        name: finding.numbers[name] for name in ("vms", "servers", "racks", "update_domains", "rate_per_min")
    }
    assert "1.7" == finding.facts["ga_versions"]
    assert [0, 1, 2] == [record.source_offset for record in finding.evidence]


def test_three_vms_of_one_server_are_not_a_common_fault() -> None:
    log = fail(fail(fail(Log().inventory(4), 10, "v1", "s1"), 20, "v2", "s1"), 30, "v3", "s1")

    assert [] == common(log)


def test_two_vms_that_fail_again_and_again_are_two() -> None:
    log = fail(fail(two_failed(), 30, "v1", "s1", incarnation=2), 40, "v2", "s2", incarnation=2)

    assert [] == common(log)


@pytest.mark.parametrize(("last_s", "opens"), [(609.999, 1), (610, 1), (610.001, 0)])
def test_window_is_ten_minutes_both_ends_included(last_s: float, opens: int) -> None:
    assert opens == len(common(fail(two_failed(), last_s, "v3", "s1")))


def test_another_signature_counts_apart() -> None:
    assert [] == common(fail(two_failed(), 30, "v3", "s3", error_code="E2"))


def test_messages_that_differ_in_digits_are_one_signature() -> None:
    log = Log().inventory(4)
    for n, server in enumerate(("s1", "s2", "s3")):
        fail(log, 10 + n, f"v{n}", server, error_code="", message=f"bad date 2013-02-{29 + n} at 0x{n}f")

    assert ["transfer-certificate:bad date #-#-# at #x#f"] == [finding.subject.signature for finding in common(log)]


def test_doubles_of_an_event_count_once() -> None:
    log = fail(fail(Log().inventory(4), 10, "v1", "s1"), 20, "v2", "s2", event_id="e2")
    fail(log, 30, "v3", "s2", event_id="e2")

    assert [] == common(log)


def test_lanes_may_bring_failures_in_any_order() -> None:
    """Two unkeyed lanes, one an hour behind the other: windows go by stamps."""
    log = Log().inventory(4)
    fail(log, 4000, "v1", "s1")
    fail(log, 4010, "v2", "s2")
    fail(log, 400, "v3", "s3")
    assert [] == common(log)

    fail(log, 3990, "v4", "s1")
    assert [START_MS + 4_010_000] == [finding.opened_ms for finding in common(log)]


def test_what_is_older_than_the_watermark_less_the_window_is_forgotten() -> None:
    log = two_failed().clocks(620.5)
    fail(log, 609, "v3", "s3")

    assert [] == common(log)


def test_watermark_at_the_window_keeps_what_stands_at_its_edge() -> None:
    log = two_failed().clocks(610)
    fail(log, 610, "v3", "s3")

    assert 1 == len(common(log))


def test_numbers_are_told_again_after_ten_seconds() -> None:
    log = fail(fail(two_failed(), 30, "v3", "s1"), 39.999, "v4", "s3")
    assert ["OPEN"] == [finding.state for finding in common(log)]

    fail(log, 40, "v5", "s4")
    assert [("OPEN", 3), ("UPDATED", 5)] == [(finding.state, finding.numbers["vms"]) for finding in common(log)]


# -- one VM ------------------------------------------------------------------------------------------------------------


def test_single_failure_is_an_info_of_its_vm() -> None:
    finding = found(fail(Log().inventory(2), 10, "v1", "s1"))[0]

    assert Severity.INFO == finding.severity
    assert ("c1", "s1", "v1", SIGNATURE) == (
        finding.subject.cluster,
        finding.subject.server,
        finding.subject.vm,
        finding.subject.signature,
    )


@pytest.mark.parametrize("incarnation", [1, 2])
def test_single_failure_closes_with_contact(incarnation: int) -> None:
    log = fail(Log().inventory(2), 10, "v1", "s1").guest(20, "v1", "READY", incarnation=incarnation)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_a_restart_does_not_close_a_single_failure() -> None:
    log = fail(Log().inventory(2), 10, "v1", "s1").guest(20, "v1", "START", incarnation=2)

    assert ["OPEN"] == [finding.state for finding in found(log)]


def test_contact_known_before_the_failure_closes_it_at_once() -> None:
    """The host agent's lane is ahead: it has told of contact at 30 s when the failure at 10 s is read."""
    log = Log().inventory(2).host(0, "s1", vms=[vm("v1", ga="STARTING")]).host(30, "s1", vms=[vm("v1", ga="READY")])

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(fail(log, 10, "v1", "s1"))]


def test_single_failure_closes_when_its_vm_leaves() -> None:
    log = fail(Log().inventory(2), 10, "v1", "s1").maintenance(20, "VM_DEALLOCATED", vm="v1", server="s1")

    assert ["OPEN", "CLOSED"] == [finding.state for finding in found(log)]


def test_another_error_of_the_vm_is_another_finding() -> None:
    log = fail(fail(Log().inventory(2), 10, "v1", "s1"), 20, "v1", "s1", error_code="E2")

    assert ["OPEN", "CLOSED", "OPEN"] == [finding.state for finding in found(log)]


# -- its end -----------------------------------------------------------------------------------------------------------


def succeed(log: Log, at_s: float, vms: int = 3, servers: int = 2, prefix: str = "n") -> Log:
    """Let new VMs start, and make contact five seconds later."""
    for n in range(vms):
        log.guest(at_s - 5, f"{prefix}{n}", "START", server=f"s{1 + n % servers}")
        log.guest(at_s + n * 0.001, f"{prefix}{n}", "READY", server=f"s{1 + n % servers}")
    return log


def opened() -> Log:
    return fail(two_failed(), 30, "v3", "s1")


def test_closes_when_it_was_quiet_and_starts_succeed() -> None:
    log = succeed(opened(), 1000).clocks(1830.001)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in common(log)]


def test_quiet_for_exactly_the_limit_is_not_over() -> None:
    assert ["OPEN"] == [finding.state for finding in common(succeed(opened(), 1000).clocks(1830))]


@pytest.mark.parametrize(("vms", "servers", "states"), [(2, 2, 1), (3, 1, 1), (3, 2, 2), (4, 2, 2)])
def test_as_many_starts_must_succeed_as_opened_it(vms: int, servers: int, states: int) -> None:
    log = succeed(opened(), 1000, vms, servers).clocks(1840).clocks(9000)

    assert states == len(common(log))


def test_starts_that_succeed_after_the_quiet_time_close_it_then() -> None:
    log = succeed(opened().clocks(5000), 5100).clocks(5101)

    assert ["OPEN", "CLOSED"] == [finding.state for finding in common(log)]


def test_another_failure_begins_the_quiet_time_anew() -> None:
    log = succeed(fail(opened(), 1500, "v9", "s4"), 1600).clocks(3300)
    assert "CLOSED" not in [finding.state for finding in common(log)]

    log.clocks(3301)
    assert "CLOSED" == common(log)[-1].state


def test_missing_data_never_closes_it() -> None:
    log = succeed(opened(), 100)
    log.clocks(200).clocks(20_000, gaps=[(201, 20_000)])

    assert ["OPEN"] == [finding.state for finding in common(log)]


def test_vms_first_seen_running_are_no_starts_that_succeed() -> None:
    log = opened().host(100, "s1", vms=[vm("a"), vm("b")]).host(100, "s2", vms=[vm("c")])

    assert ["OPEN"] == [finding.state for finding in common(log.clocks(9000))]


def test_a_failure_after_the_end_that_a_lane_ahead_has_told_does_not_hinder_it() -> None:
    """The end was at 1,830 s; a failure of 2,000 s is known already when it is judged."""
    log = fail(succeed(opened(), 1000), 2000, "v9", "s4").clocks(2100)

    assert ["OPEN", "UPDATED", "CLOSED"] == [finding.state for finding in common(log)]


def test_a_new_common_fault_behind_the_end_opens_anew() -> None:
    log = succeed(opened(), 1000)
    for n in range(3):
        fail(log, 2000 + n, f"w{n}", f"s{1 + n}")
    findings = common(log.clocks(2100))

    assert ["OPEN", "CLOSED", "OPEN"] == [finding.state for finding in findings if finding.state != "UPDATED"]
    assert START_MS + 2_002_000 == findings[-1].opened_ms


def test_a_failure_just_after_the_deciding_one_moves_the_end_as_much() -> None:
    log = succeed(fail(opened(), 33, "v9", "s4"), 1000).clocks(1833)
    assert "CLOSED" not in [finding.state for finding in common(log)]

    assert "CLOSED" == common(log.clocks(1833.001))[-1].state
