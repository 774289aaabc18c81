"""Tests of phases: which phase an event starts."""

from __future__ import annotations

import pytest

from detectors.rollouts.phases import (
    AGENT_UPDATE,
    COMPONENT_UPDATE,
    GUEST_PASS,
    HOST_PASS,
    PHASES,
    SERVER_UPDATE,
    VM_UPDATE,
    Phase,
    phase_of,
)
from schemas.source import MaintenanceEvent


@pytest.mark.parametrize(
    ("system", "kind", "where", "phase"),
    [
        ("host-os", "SERVER_UPDATE_STARTED", "server", HOST_PASS),
        ("guest-os", "VM_UPDATE_STARTED", "vm", GUEST_PASS),
        ("guest-agent", "VM_UPDATE_STARTED", "vm", AGENT_UPDATE),
        ("guest-agent", "SERVER_UPDATE_STARTED", "server", SERVER_UPDATE),
        ("storage", "VM_UPDATE_STARTED", "vm", VM_UPDATE),
        ("nmagent", "COMPONENT_UPDATE_STARTED", "server", COMPONENT_UPDATE),
        ("host-os", "SERVER_UPDATE_COMPLETED", "server", None),
        ("host-os", "SERVER_UPDATE_STARTED", "vm", None),
        ("fc", "NODE_REBOOT_STARTED", "server", None),
    ],
)
def test_system_and_kind_tell_the_phase(system: str, kind: str, where: str, phase: Phase | None) -> None:
    event = MaintenanceEvent("e1", "c1", 0, system, kind, **{where: "x"})  # type: ignore[arg-type]

    assert phase == phase_of(event)


def test_each_phase_costs_something_and_says_where_that_is_from() -> None:
    for phase in PHASES:
        assert 0 < phase.costs_s[0] < phase.costs_s[1]
        assert phase.source
