"""members: who there was, when each was out and why, and what nobody saw."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from schemas.inventory import Removed, Vm
from schemas.outputs import Finding, Subject
from schemas.source import MaintenanceEvent
from streams.engine.anew import NOT_FOUND
from streams.replay.figures import Sight, figures
from streams.replay.members import Members

PERIOD = (0, 1000)


def interval(start_ms: int, end_ms: int | None = None, vm: str = "v1", reason: str = "", **facts: str) -> Finding:
    """Return a finding of unavailability, closed where it has an end."""
    closed = end_ms is not None
    numbers = {"start_ms": float(start_ms)} | ({"end_ms": float(end_ms or 0)} if closed else {})
    return Finding(
        f"{vm}-{start_ms}",
        "unavailability",
        Subject(cluster="c1", vm=vm),
        "CLOSED" if closed else "OPEN",
        "INFO",
        start_ms,
        end_ms or start_ms,
        "",
        numbers=numbers,
        facts={"server": "s1", "signs": "stopped", **facts},
        close_reason=reason or ("it is available again" if closed else ""),
    )


def cause(of: Finding, name: str, *, planned: str = "no", state: str = "FINAL") -> Finding:
    """Return what is said of the cause of an interval."""
    facts = {"interval": of.id, "cause": name, "planned": planned, "state": state}
    return Finding(f"cause-{of.id}", "root_cause", of.subject, "CLOSED", "INFO", 0, 0, "", facts=facts)


def blind(feed: str, opened_ms: int, at_ms: int, state: str, cluster: str | None = None, **numbers: float) -> Finding:
    """Return a finding of blind."""
    subject = Subject(cluster=cluster, feed=feed, lane=None if cluster else 0)
    return Finding(f"blind-{opened_ms}", "blind", subject, state, "WARNING", opened_ms, at_ms, "dark", numbers=numbers)


def known(*findings: Finding, watched: tuple[int, int] = PERIOD) -> Members:
    """Return one VM of c1 in lane 0, with these findings."""
    members = Members()
    members.take_row(0, 0, Vm("v1", "c1", "s1", subscription="u1", group="g1", update_domain=1, service="web"))
    members.watched(0, *watched)
    for finding in findings:
        members.take_finding(0, finding)
    return members


def times(members: Members) -> dict[str, int]:
    """Return what a period comes to, of all VMs."""
    members.settle()
    found = figures((instance for _, instance in members.instances(PERIOD)), PERIOD)
    return {sight.value: ms for sight, ms in found.instance_ms.items() if ms}


def test_what_is_not_said_to_be_out_was_up_where_it_was_watched() -> None:
    assert {"UP": 1000} == times(known())
    assert {"UP": 400, "UNSEEN": 600} == times(known(watched=(500, 900)))


@pytest.mark.parametrize(
    ("name", "planned", "sight"),
    [
        ("HOST_OS_UPDATE", "yes", "PLANNED"),
        ("HOST_REBOOT", "no", "UNPLANNED"),
        ("UNKNOWN", "no", "UNPLANNED"),
        ("GUEST_INITIATED", "no", "OWN"),
        ("SELF_SERVICE_REDEPLOY", "yes", "OWN"),
    ],
)
def test_the_cause_says_what_kind_of_outage_it_is(name: str, planned: str, sight: str) -> None:
    out = interval(100, 300)

    assert {"UP": 800, sight: 200} == times(known(out, cause(out, name, planned=planned)))


def test_without_a_cause_it_is_unplanned_and_the_newest_statement_counts() -> None:
    out = interval(100, 300)
    first, last = cause(out, "HOST_REBOOT", state="PROVISIONAL"), cause(out, "HOST_OS_UPDATE", planned="yes")

    assert {"UP": 800, "UNPLANNED": 200} == times(known(out))
    assert {"UP": 800, "PLANNED": 200} == times(known(out, first, last))
    assert (Sight.UNPLANNED, "HOST_REBOOT (provisional)") == known(first).why(out)


def test_an_outage_that_goes_on_lasts_to_where_it_was_read() -> None:
    assert {"UP": 100, "UNPLANNED": 800, "UNSEEN": 100} == times(known(interval(100), watched=(0, 900)))


def test_a_vm_that_may_have_run_all_along_was_not_seen() -> None:
    out = interval(100, 300, assumed="it may have run all along")

    assert {"UP": 800, "UNSEEN": 200} == times(known(out, cause(out, "HARDWARE")))


def test_a_person_who_closes_an_outage_makes_the_rest_unseen() -> None:
    out = interval(100)
    members = known(out, dataclasses.replace(out, state="CLOSED", at_ms=300, close_reason="closed by ann: known"))

    assert {"UP": 100, "UNPLANNED": 200, "UNSEEN": 700} == times(members)
    assert ["1 outages were closed by hand: they count up to then, and as not seen from there on"] == members.settle()


def test_what_newer_code_takes_back_was_none() -> None:
    out = interval(100)

    assert {"UP": 1000} == times(known(out, dataclasses.replace(out, state="CLOSED", close_reason=NOT_FOUND)))


def test_a_vm_lives_from_its_first_record_to_its_removal() -> None:
    members = known()
    members.take_row(0, 200, Removed("vm", "v1"))

    assert {"UP": 200} == times(members)
    members.take_row(0, 700, Vm("v1", "c1", "s1"))
    assert {"UP": 500} == times(members)
    members.take_row(0, 800, Removed("server", "s1"))
    assert {"UP": 300} == times(members)
    members.take_row(0, 900, MaintenanceEvent("m1", "c1", 0, "fc", "VM_CREATED", vm="v1"))
    members.take_row(0, 950, MaintenanceEvent("m2", "c1", 0, "fc", "VM_DEALLOCATED", vm="v1"))
    assert {"UP": 350} == times(members)


def test_a_vm_that_was_deallocated_while_it_was_out_is_gone() -> None:
    assert {"UP": 100, "UNPLANNED": 200} == times(known(interval(100, 300, reason="it was deallocated")))


def test_a_vm_that_was_out_before_the_inventory_named_it_was_there() -> None:
    """A compacted topic keeps the newest record of a VM, however old the VM is."""
    members = Members()
    members.take_row(0, 600, Vm("v1", "c1", "s1"))
    members.watched(0, *PERIOD)
    members.take_finding(0, interval(100, 300))

    assert {"UP": 700, "UNPLANNED": 200} == times(members)


def test_of_a_vm_that_the_inventory_does_not_know_the_outages_count_alone() -> None:
    members = known(interval(100, 300, vm="gone", service="web"), interval(500, 600, vm="gone", service="web"))

    assert ["1 VMs that were out are not in the inventory: nothing but their outages is counted"] == members.settle()
    assert "web" == members.members["gone"].service
    assert {"UP": 1000, "UNPLANNED": 300} == times(members)


@pytest.mark.parametrize(
    ("finding", "unseen"),
    [
        (blind("host-agent", 100, 130, "CLOSED", gap_s=0.2), 200),
        (blind("host-agent@foreign", 100, 130, "CLOSED", gap_s=0.2, unread=4.0), 200),
        (blind("guest-agent", 100, 130, "CLOSED", gap_s=0.2), 0),
        (blind("host-agent", 100, 400, "CLOSED", behind_s=70.0, unread=9.0), 0),
        (blind("host-agent", 100, 400, "CLOSED", cluster="c1", reporters=9.0, since_s=0.05), 350),
        (blind("host-agent", 100, 400, "OPEN", cluster="c1", reporters=9.0, since_s=0.05), 950),
        (blind("host-agent", 100, 400, "OPEN", cluster="c2", reporters=9.0, since_s=0.05), 0),
        (blind("host-agent", 100, 400, "OPEN", cluster="c1", lost=9.0), 0),
        (blind("host-agent", 100, 400, "CLOSED"), 400),
    ],
)
def test_time_that_nobody_saw_is_not_up(finding: Finding, unseen: int) -> None:
    """Gaps and holes, a lane never read, host reports lost on the way; what only came late was seen."""
    members = known(finding)

    assert unseen == times(members).get("UNSEEN", 0)
    assert bool(unseen) == bool(members.notes(PERIOD))


def test_an_outage_goes_on_through_time_that_nobody_saw() -> None:
    """A record says that it began, and none that it ended."""
    members = known(interval(100, 500), blind("host-agent", 200, 300, "CLOSED", gap_s=0.6))

    assert {"UP": 300, "UNPLANNED": 400, "UNSEEN": 300} == times(members)


def test_servers_never_heard_hide_their_vms_until_they_are() -> None:
    never = Finding(
        "n", "host_silence", Subject(cluster="c1"), "OPEN", "INFO", 90, 90, "", numbers={"never_heard": 2.0},
        facts={"servers": "s1, s9, ..."},
    )  # fmt: skip
    members = known(never)

    assert {"UNSEEN": 1000} == times(members)
    assert ["2 servers of the inventory were never heard: their VMs are not seen"] == members.settle()
    members.take_finding(0, dataclasses.replace(never, at_ms=400, facts={"servers": "s9"}))
    assert {"UP": 600, "UNSEEN": 400} == times(members)
    members.take_finding(0, dataclasses.replace(never, at_ms=500, state="CLOSED"))
    assert [] == members.settle()


def test_what_nobody_saw_is_named_and_beyond_eight_counted() -> None:
    gaps = [blind("host-agent", 10 * place, 10 * place + 1, "CLOSED", gap_s=0.001) for place in range(1, 10)]
    notes = known(*gaps, watched=(5, 900)).notes(PERIOD)

    assert 9 == len(notes)
    assert notes[0].endswith("what is kept of history begins later")
    assert "not seen: 3 more such times" == notes[-1]
    assert ["nothing was read of the host agents' feed: nothing is known"] == Members().notes(PERIOD)


def test_what_is_not_wanted_is_passed_over() -> None:
    members = known(blind("host-agent", 1, 1, "OPEN"))
    others: list[Any] = [
        Finding("x", "host_silence", Subject(cluster="c1", server="s1"), "OPEN", "WARNING", 1, 1, ""),
        Finding("y", "capacity", Subject(cluster="c1"), "OPEN", "WARNING", 1, 1, ""),
    ]
    for other in others:
        members.take_finding(0, other)
    members.take_row(0, 1, MaintenanceEvent("m1", "c1", 0, "fc", "VM_CREATED", vm="nobody"))

    assert ["v1"] == list(members.members)
    assert {} == members.unheard
