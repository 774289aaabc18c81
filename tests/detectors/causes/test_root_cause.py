"""root_cause: provisional, final, revised; what it waits for, and what an operator's word does."""

from typing import Any

import pytest

from schemas.commands import Confirm
from schemas.outputs import Finding
from tests.kit import Log, run, vm

ONLY = ["guest_timeout", "unavailability", "root_cause"]


def log() -> Log:
    """Return a VM that is READY on s1 from 0 s on, every lane watched."""
    return Log().inventory(2).clocks(-1).host(0, "s1", [vm("v1", network="UP")]).host(0, "s2", [])


def causes(frames: Log) -> list[str]:
    """Return what is said of causes: state of the finding, cause, state of the statement, revision."""
    return [line(finding) for finding in statements(frames)]


def statements(frames: Log) -> list[Finding]:
    """Return the findings of root_cause of the first interval (later a server may be silent because the log ends)."""
    found = [finding for finding in run(frames.frames, only=ONLY) if finding.detector == "root_cause"]
    return [finding for finding in found if finding.facts["interval"] == found[0].facts["interval"]]


def line(finding: Finding) -> str:
    """Return a finding as a short line."""
    return f"{finding.state} {finding.facts['cause']} {finding.facts['state']} {finding.facts['revision']}"


def rebooted(**fields: Any) -> Log:
    """Return an unplanned reboot from 70 s on; the VM is READY again at 400 s."""
    told = log().host(60, "s1").maintenance(70, "NODE_REBOOT_STARTED", server="s1", planned=False, **fields).clocks(71)
    return told.host(390, "s1", [vm("v1", 2, "STARTING")], boot="b2").host(400, "s1", [vm("v1", 2)], boot="b2")


def network_down(until_s: float = 100) -> Log:
    """Return a network that is down from 60 s on, within an update of the network agent from 50 s to 200 s."""
    told = log().maintenance(50, "COMPONENT_UPDATE_STARTED", system="nmagent", server="s1", component="nmagent")
    told.host(60, "s1", [vm("v1", network="DOWN")]).host(until_s, "s1", [vm("v1", network="UP")])
    return told.maintenance(200, "COMPONENT_UPDATE_COMPLETED", system="nmagent", server="s1", component="nmagent")


@pytest.mark.parametrize(("until_s", "expected"), [(460.001, []), (460.002, ["HOST_REBOOT FINAL"])])
def test_it_is_final_a_minute_after_the_end(until_s: float, expected: list[str]) -> None:
    """Every lane must have passed it: what is stamped exactly 60 s late counts."""
    told = rebooted().clocks(389)  # before the end

    said = [what for what in causes(told.clocks(until_s)) if "CLOSED" in what]
    assert [f"CLOSED {what} 1" for what in expected] == said


def test_it_is_provisional_after_five_minutes() -> None:
    told = log().host(60, "s1", [vm("v1", ga="STOPPING")])
    for minute in range(2, 7):
        told.host(minute * 60, "s1")

    assert [] == causes(told.clocks(360))
    assert ["OPEN UNKNOWN PROVISIONAL 1"] == causes(told.clocks(360.001))


def test_one_lane_that_lags_is_waited_for() -> None:
    told = rebooted().clocks(1000, ["host-agent", "guest-agent"])

    assert [] == causes(told)
    told.clocks(1000, ["maintenance"])
    assert "CLOSED HOST_REBOOT FINAL 1" == causes(told)[-1]


def test_a_race_in_the_blob_cache_waits_for_the_deallocation_that_set_it_off() -> None:
    fields = {"workflow": "WORKFLOW_TIMEOUT", "cause": "BLOB_CACHE_RACE"}
    told = rebooted(**fields).clocks(1000)

    assert "HOST_REBOOT PROVISIONAL" in causes(told)[-1]
    # The storage system was slow to tell.
    told.maintenance(30, "VM_DEALLOCATED", system="storage", vm="v9", server="s1").clocks(1010)
    assert "CLOSED HOST_REBOOT FINAL 2" == causes(told)[-1]


def test_a_race_in_the_blob_cache_cites_the_deallocation() -> None:
    told = log().maintenance(30, "VM_DEALLOCATED", system="storage", vm="v9", server="s1")
    told.host(60, "s1").maintenance(
        70,
        "NODE_REBOOT_STARTED",
        server="s1",
        planned=False,
        workflow="WORKFLOW_TIMEOUT",
        cause="BLOB_CACHE_RACE",
    )
    told.host(390, "s1", [vm("v1", 2)], boot="b2").clocks(900)
    said = statements(told)[-1]

    assert "CLOSED HOST_REBOOT FINAL 1" == line(said)
    assert ("WORKFLOW_TIMEOUT", "BLOB_CACHE_RACE", "v9") == tuple(
        said.facts[f"detail_{name}"] for name in ("workflow", "cause", "deallocated_vm")
    )
    assert any("VM_DEALLOCATED" in known.note or "deallocated" in known.note for known in said.evidence)


def test_later_evidence_makes_a_new_revision_that_supersedes_the_old() -> None:
    told = rebooted().clocks(900)
    first = statements(told)[-1]
    told.maintenance(
        1000, "NODE_REBOOT_COMPLETED", server="s1", planned=False, workflow="WORKFLOW_TIMEOUT", cause="HARDWARE"
    )
    told.clocks(1001)
    opened, closed = statements(told)[-2:]

    assert ("OPEN HARDWARE REVISED 2", "CLOSED HARDWARE REVISED 2") == (line(opened), line(closed))
    assert (first.id,) == opened.supersedes
    assert first.id != opened.id


def test_evidence_that_changes_nothing_says_nothing() -> None:
    told = rebooted().clocks(900)
    before = causes(told)
    told.maintenance(1000, "SERVER_STATE", server="s1", state="READY").clocks(1001)

    assert before == causes(told)


def test_after_six_hours_nothing_is_revised() -> None:
    told = rebooted().clocks(900).clocks(22_010)
    before = causes(told)
    told.maintenance(22_020, "NODE_REBOOT_COMPLETED", server="s1", cause="HARDWARE").clocks(22_030)

    assert before == causes(told)


def test_an_update_of_the_network_agent_is_provisional_until_an_operator_confirms_it() -> None:
    told = network_down().clocks(1000)
    opened = statements(told)[-1]

    assert "OPEN NMAGENT_UPDATE PROVISIONAL 1" == line(opened)
    told.batch("operator", [(1100, Confirm("k1", "c1", opened.id, "NMAGENT_UPDATE", "ada", "seen in the switch"))])
    closed = statements(told)[-1]
    assert "CLOSED NMAGENT_UPDATE FINAL 2" == line(closed)
    assert ("yes", "ada") == (closed.facts["planned"], closed.facts["detail_confirmed_by"])


def test_an_operator_may_confirm_by_the_id_of_the_interval_and_say_otherwise() -> None:
    told = network_down().clocks(1000)
    interval = statements(told)[-1].facts["interval"]
    told.batch("operator", [(1100, Confirm("k1", "c1", interval, "HARDWARE", "ada"))])

    assert "CLOSED HARDWARE FINAL 2" == causes(told)[-1]


def test_a_cause_that_is_none_confirms_nothing() -> None:
    told = network_down().clocks(1000)
    before = causes(told)
    told.batch("operator", [(1100, Confirm("k1", "c1", statements(told)[-1].id, "MAGIC", "ada"))])

    assert before == causes(told)


def test_what_nobody_confirms_closes_after_a_day_and_stays_provisional() -> None:
    told = network_down().clocks(1000).clocks(100 + 86_400.002)
    last = statements(told)[-1]

    assert "CLOSED NMAGENT_UPDATE PROVISIONAL 1" == line(last)
    assert "nobody confirmed it" in last.close_reason


def test_a_maintenance_feed_that_was_not_watched_leaves_it_provisional() -> None:
    """Something there might explain it better."""
    told = rebooted().clocks(900, gaps=[(80, 120)])

    assert "OPEN HOST_REBOOT PROVISIONAL 1" == causes(told)[-1]


def test_the_evidence_of_an_interval_and_of_its_cause_are_cited() -> None:
    said = statements(rebooted().clocks(900))[-1]

    assert {"last report of s1", "NODE_REBOOT_STARTED", "available again"} <= {known.note for known in said.evidence}


def test_a_vm_that_is_deallocated_is_gone_and_has_no_cause() -> None:
    told = log().host(60, "s1", [vm("v1", ga="STOPPING")]).maintenance(90, "VM_DEALLOCATED", vm="v1", server="s1")

    found = run(told.host(100, "s1", []).clocks(1000).frames, only=ONLY)
    assert [] == [finding for finding in found if finding.detector == "root_cause"]


def test_a_cause_that_was_told_provisionally_closes_when_the_vm_is_deallocated() -> None:
    told = log().host(60, "s1", [vm("v1", ga="STOPPING")])
    for minute in range(2, 8):
        told.host(minute * 60, "s1")
    told.clocks(421).maintenance(430, "VM_DEALLOCATED", vm="v1", server="s1")

    assert ["OPEN", "CLOSED"] == [finding.state for finding in statements(told)]
    assert "it was deallocated" == statements(told)[-1].close_reason
