"""What each phase of an OS upgrade should cost a server or a VM, and from when on it is late."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.source import MaintenanceEvent, MaintenanceKind


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of an upgrade, for one server or VM."""

    name: str
    of: str
    """server or VM."""
    costs_s: tuple[float, float]
    """What it takes as a rule, from and to, in seconds."""
    source: str
    """Where these numbers are from."""


HOST_PASS = Phase(
    "host pass", "server", (900, 1200), 'seed 002, "this Host OS update process will take 15 to 20 minutes"'
)
GUEST_PASS = Phase(
    "guest pass",
    "VM",
    (60, 600),
    'seed 002, "roughly the time it takes to do a graceful Windows shutdown + the time it takes to start Windows"; the '
    "minutes are our judgement",
)
AGENT_UPDATE = Phase(
    "guest agent update",
    "VM",
    (30, 300),
    "seed 002: the host process is shut down, the agent updates itself, the process starts; the minutes are our "
    "judgement",
)
SERVER_UPDATE = Phase("update", "server", (60, 1200), "our judgement: no longer than a host pass")
VM_UPDATE = Phase("update", "VM", (60, 600), "our judgement: no longer than a guest pass")
COMPONENT_UPDATE = Phase(
    "component update",
    "server",
    (1, 300),
    "CATALOGUE, root_cause: the interval of a network agent's update is <= 5 min",
)
PHASES = (HOST_PASS, GUEST_PASS, AGENT_UPDATE, SERVER_UPDATE, VM_UPDATE, COMPONENT_UPDATE)

_BY_SYSTEM = {
    ("server", "host-os"): HOST_PASS,
    ("VM", "guest-os"): GUEST_PASS,
    ("VM", "guest-agent"): AGENT_UPDATE,
}
STARTED: dict[str, str] = {
    MaintenanceKind.SERVER_UPDATE_STARTED: "server",
    MaintenanceKind.COMPONENT_UPDATE_STARTED: "server",
    MaintenanceKind.VM_UPDATE_STARTED: "VM",
}
ENDED: dict[str, str] = {
    MaintenanceKind.SERVER_UPDATE_COMPLETED: "server",
    MaintenanceKind.SERVER_UPDATE_FAILED: "server",
    MaintenanceKind.COMPONENT_UPDATE_COMPLETED: "server",
    MaintenanceKind.VM_UPDATE_COMPLETED: "VM",
    MaintenanceKind.VM_UPDATE_FAILED: "VM",
}


def phase_of(event: MaintenanceEvent) -> Phase | None:
    """Return the phase that an event starts for one server or VM, None where it starts none."""
    of = STARTED.get(event.kind)
    if of is None or (event.server if of == "server" else event.vm) is None:
        return None
    if event.kind == MaintenanceKind.COMPONENT_UPDATE_STARTED:
        return COMPONENT_UPDATE
    return _BY_SYSTEM.get((of, event.system)) or (SERVER_UPDATE if of == "server" else VM_UPDATE)
