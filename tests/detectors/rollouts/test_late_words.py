"""What ready_overdue says: singular and plural, with a rollout and without."""

from __future__ import annotations

import pytest

from detectors.rollouts.late_words import one_said, together_said
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject


def late(vm: str, server: str) -> Finding:
    """Return the finding of one VM."""
    return Finding(
        vm,
        "ready_overdue",
        Subject(cluster="c1", server=server, vm=vm),
        FindingState.OPEN,
        Severity.INFO,
        1,
        1,
        one_said(vm, server, "its update", 1800),
        evidence=(Evidence(0, 7),),
        numbers={"limit_s": 1800.0},
        facts={"service": "web", "update": "its update"},
    )


@pytest.mark.parametrize(
    ("places", "rollout", "title"),
    [
        ([("v1", "s1")], "os-7", "in rollout os-7 VM v1 is not READY 30 min after its start-up began"),
        (
            [("v1", "s1"), ("v2", "s1")],
            "os-7",
            "in rollout os-7 2 VMs on 1 server are not READY 30 min after their start-up began",
        ),
        (
            [("v1", "s1"), ("v2", "s2")],
            "",
            "in its update 2 VMs on 2 servers are not READY 30 min after their start-up began",
        ),
    ],
)
def test_an_update_is_told_by_how_many_are_late(places: list[tuple[str, str]], rollout: str, title: str) -> None:
    said = together_said([late(*place) for place in places], rollout)

    assert title == said["title"]
    assert (len(places), len({server for _, server in places})) == (said["numbers"]["vms"], said["numbers"]["servers"])
    assert ("web", len(places)) == (said["facts"]["services"], len(said["evidence"]))
