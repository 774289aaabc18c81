"""unavailability: what begins an interval, what ends it, and what is none."""

from typing import Any

import pytest

from schemas.inventory import Removed
from schemas.outputs import Finding
from schemas.source import VmReport
from tests.kit import START_MS, Log, run, vm

ONLY = ["guest_timeout", "unavailability"]


def log(**fields: Any) -> Log:
    """Return a VM that is READY on s1 from 0 s on."""
    return Log().inventory(2).host(0, "s1", [vm("v1", network="UP", **fields)]).host(0, "s2", [])


def found(frames: Log) -> list[str]:
    """Return the intervals as short lines: state, start, end, what was seen."""
    return [line(finding) for finding in run(frames.frames, only=ONLY) if finding.detector == "unavailability"]


def line(finding: Finding) -> str:
    """Return a finding as a short line."""
    numbers = finding.numbers
    start_s = (numbers["start_ms"] - START_MS) / 1000
    end = f" {(numbers['end_ms'] - START_MS) / 1000:g}s" if "end_ms" in numbers else ""
    return f"{finding.state} {start_s:g}s{end} {finding.facts['signs']}"


@pytest.mark.parametrize(
    ("ga", "sign"),
    [
        ("STOPPING", "stopped"),
        ("WAITING_FOR_HOST", "waiting for its host"),
        ("STARTING", "starting"),
        ("SILENT", "guest agent silent"),
    ],
)
def test_a_state_of_the_guest_agent_begins_an_interval_and_ready_ends_it(ga: str, sign: str) -> None:
    told = log().host(10, "s1", [vm("v1", ga=ga)]).host(70, "s1", [vm("v1")])

    assert [f"OPEN 10s {sign}", f"CLOSED 10s 70s {sign}"] == found(told)


def test_busy_runs_and_can_be_reached() -> None:
    """It begins no interval; and it ends none: a load balancer sends it nothing (seed 002)."""
    busy = [vm("v1", ga="BUSY")]

    assert [] == found(log().host(10, "s1", busy))
    assert ["OPEN 10s stopped"] == found(log().host(10, "s1", [vm("v1", ga="STOPPING")]).host(20, "s1", busy))


def test_a_network_that_is_down_begins_an_interval() -> None:
    told = log().host(10, "s1", [vm("v1", network="DOWN")]).host(70, "s1", [vm("v1", network="UP")])

    assert ["OPEN 10s network down", "CLOSED 10s 70s network down"] == found(told)


def test_a_restart_without_a_word_began_with_the_last_report_before() -> None:
    told = log().host(60, "s1").host(100, "s1", [vm("v1", 2, "STARTING")]).host(130, "s1", [vm("v1", 2)])

    assert ["OPEN 60s restarted", "CLOSED 60s 130s restarted, starting"] == found(told)


def test_a_restart_that_the_guest_told_began_with_its_word() -> None:
    told = log().host(60, "s1")
    told.guest(80, "v1", "SHUTDOWN", initiator="C:\\app\\setup.exe").host(100, "s1", [vm("v1", 2)])

    assert ["OPEN 80s stopped", "CLOSED 80s 100s stopped, restarted"] == found(told)


def test_a_guest_agent_that_stops_and_is_ready_again_in_the_same_incarnation() -> None:
    """An update of the guest agent (seed 002): the server may report nothing of it."""
    told = log().guest(10, "v1", "STOPPING", initiator="StopContainer()").guest(40, "v1", "READY")

    assert ["OPEN 10s stopped", "CLOSED 10s 40s stopped"] == found(told)


def test_a_server_that_boots_anew_had_its_vms_away_since_its_last_report() -> None:
    told = (
        log()
        .host(60, "s1")
        .host(130, "s1", [vm("v1", 2, "STARTING")], boot="b2")
        .host(150, "s1", [vm("v1", 2)], boot="b2")
    )

    assert ["OPEN 60s server rebooted", "CLOSED 60s 150s server rebooted, starting"] == found(told)


def test_a_vm_that_lives_through_a_boot_of_its_server_is_back_with_the_second_report() -> None:
    told = log().host(60, "s1").host(130, "s1", [vm("v1", network="UP")], boot="b2").host(190, "s1", boot="b2")

    assert [] == found(told)
    told = log().host(60, "s1").host(130, "s1", [vm("v1", since_ms=1)], boot="b2").host(190, "s1", boot="b2")

    assert ["OPEN 60s server rebooted", "CLOSED 60s 190s server rebooted"] == found(told)


@pytest.mark.parametrize(("until_s", "expected"), [(180, []), (180.002, ["OPEN 0s server not heard"])])
def test_a_silent_server_takes_its_vms_with_it(until_s: float, expected: list[str]) -> None:
    """Three intervals of 60 s; exactly at the limit it is alive."""
    assert expected == found(log().clocks(until_s))


def test_time_that_nobody_watched_makes_no_interval() -> None:
    assert [] == found(log().clocks(181, gaps=[(20, 170)]))


def test_a_vm_whose_guest_agent_speaks_is_not_lost_with_its_server() -> None:
    """75 s after the last report a living host would have reported again."""
    assert [] == found(log().guest(76, "v1", "HEARTBEAT").clocks(181))
    assert ["OPEN 0s server not heard"] == found(log().guest(75, "v1", "HEARTBEAT").clocks(181))
    late = log().clocks(181).guest(200, "v1", "HEARTBEAT")

    assert ["OPEN 0s server not heard", "CLOSED 0s 200s server not heard"] == found(late)


def test_a_server_heard_again_that_was_never_down_says_so() -> None:
    told = log().clocks(181).host(300, "s1")
    closed = run(told.frames, only=ONLY)[-1]

    assert "CLOSED 0s 300s server not heard" == line(closed)
    assert "it may have run all along" == closed.facts["assumed"]


def test_an_announced_reboot_begins_an_interval_before_the_silence_is_judged() -> None:
    told = log().maintenance(30, "NODE_REBOOT_STARTED", server="s1", planned=False).clocks(31)

    assert ["OPEN 30s server not heard"] == found(told)


def test_a_reboot_is_none_while_the_server_is_heard_after_it() -> None:
    told = log().maintenance(30, "NODE_REBOOT_STARTED", server="s1", planned=True).host(40, "s1").clocks(41)

    assert [] == found(told)


def test_a_server_heard_as_before_its_reboot_does_not_end_what_the_guest_said() -> None:
    """A host goes on for a while when its reboot has begun: its beats know nothing yet of guests that stop (seed 002).

    One outage, and not two.
    """
    told = log().guest(10, "v1", "STOPPING", initiator="StopContainer()")
    told.maintenance(11, "NODE_REBOOT_STARTED", server="s1", planned=True).clocks(12).host(60, "s1")
    told.host(70, "s1", [vm("v1", ga="STOPPING")]).host(400, "s1", [vm("v1", 2)], boot="b2")

    signs = "stopped, server not heard, server rebooted"
    assert ["OPEN 10s stopped", f"CLOSED 10s 400s {signs}"] == found(told)


def test_a_guest_that_says_it_stops_when_its_server_was_thought_away_is_away_itself() -> None:
    """The reboot is told first, the guest's word comes, then a beat of the host that knows nothing yet: one outage."""
    told = log().maintenance(30, "NODE_REBOOT_STARTED", server="s1", planned=True).clocks(31)
    told.guest(40, "v1", "STOPPING", initiator="StopContainer()").host(60, "s1")
    ready = Log()
    ready.frames, ready.offsets = [*told.frames], dict(told.offsets)
    told.host(70, "s1", [vm("v1", ga="STOPPING")]).host(400, "s1", [vm("v1", 2)], boot="b2")

    signs = "server not heard, stopped, server rebooted"
    assert ["OPEN 30s server not heard", f"CLOSED 30s 400s {signs}"] == found(told)
    ready.guest(90, "v1", "READY", event_id="again")
    assert ["OPEN 30s server not heard", "CLOSED 30s 90s server not heard, stopped"] == found(ready)


def test_a_server_heard_as_before_leaves_its_vms_without_network() -> None:
    """As before is: without network. The report that shows it up ends it."""
    told = log().host(10, "s1", [vm("v1", network="DOWN")]).clocks(191).host(250, "s1")
    told.host(310, "s1", [vm("v1", network="UP")])

    signs = "network down, server not heard"
    assert ["OPEN 10s network down", f"CLOSED 10s 310s {signs}"] == found(told)


def test_a_new_boot_that_shows_a_vm_well_ends_what_was_said_before_it() -> None:
    told = (
        log().guest(10, "v1", "STOPPING").host(130, "s1", [vm("v1", since_ms=1)], boot="b2").host(190, "s1", boot="b2")
    )

    assert ["OPEN 10s stopped", "CLOSED 10s 190s stopped, server rebooted"] == found(told)


def test_a_healing_moves_a_vm() -> None:
    told = log().maintenance(30, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")
    told.host(31, "s2", [vm("v1", 2, "STARTING")]).host(60, "s2", [vm("v1", 2)])

    assert ["OPEN 30s moved to another server", "CLOSED 30s 60s moved to another server, starting"] == found(told)


def test_a_start_that_never_was_ready_counts_from_its_beginning_once_it_failed() -> None:
    told = Log().inventory(1).host(0, "s1", [vm("v1", ga="STARTING")])

    assert [] == found(told)
    told.guest(8, "v1", "START_FAILED", step="transfer-certificate", error_code="0x80")
    assert ["OPEN 0s start failed"] == found(told)


def test_a_start_that_times_out_counts_from_its_beginning() -> None:
    told = Log().inventory(1).host(0, "s1", [vm("v1", ga="STARTING")])
    for minute in range(1, 27):
        told.host(minute * 60, "s1")
    told.clocks(1561)

    assert ["OPEN 0s start timed out"] == found(told)


def test_a_vm_that_is_deallocated_is_gone() -> None:
    told = log().host(10, "s1", [vm("v1", ga="STOPPING")]).maintenance(20, "VM_DEALLOCATED", vm="v1", server="s1")
    told.host(30, "s1", [])
    closed = run(told.frames, only=ONLY)[-1]

    assert "it was deallocated" == closed.close_reason
    assert [] == found(log().maintenance(20, "VM_DEALLOCATED", vm="v1", server="s1").host(30, "s1", []).clocks(200))


@pytest.mark.parametrize("removed", [Removed("vm", "v1"), Removed("server", "s1")])
def test_what_is_removed_closes(removed: Removed) -> None:
    told = log().host(10, "s1", [vm("v1", ga="STOPPING")]).batch("inventory", [(20, removed)])

    assert "removed" == run(told.frames, only=ONLY)[-1].close_reason


def test_a_cluster_without_guest_agents_has_intervals_by_network_and_restart() -> None:
    told = Log().inventory(1, ga="none").host(0, "s1", [VmReport("v1", 1, "UNKNOWN")])
    told.host(60, "s1", [VmReport("v1", 2, "UNKNOWN")])

    assert ["OPEN 0s restarted", "CLOSED 0s 60s restarted"] == found(told)


def test_a_report_older_than_a_word_of_readiness_opens_nothing() -> None:
    told = log().guest(10, "v1", "STOPPING").guest(40, "v1", "READY").host(30, "s1", [vm("v1", ga="STOPPING")])

    assert 2 == len(found(told))
