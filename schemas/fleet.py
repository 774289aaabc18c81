"""What clusters' engines tell the fleet engine beside their findings, and what it makes of all: incidents."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from schemas.outputs import Verdict


@dataclass(frozen=True, slots=True)
class ServiceCount:
    """How a service stands in one cluster."""

    service: str
    instances: int
    ready: int


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster in numbers, as its engine sees it; written to `fleet` when something of it has changed.

    Counts are of what the inventory names; all are 0 before its first complete import.
    """

    cluster: str
    region: str = ""
    datacenter: str = ""
    servers: int = 0
    servers_out: int = 0
    """In Human Investigate or out for repair."""
    vms: int = 0
    """VMs with a guest agent."""
    vms_ready: int = 0
    vms_unreachable: int = 0
    """Their network is down."""
    management_disabled: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    """`component=version` to how many servers run it; of the guest agent (`ga=...`), how many VMs."""
    services: tuple[ServiceCount, ...] = ()


class IncidentState(StrEnum):
    """Where an incident is in its life."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class Incident:
    """Findings of one cause, folded, as they stand: what, where, how many, since when, what is being done."""

    id: str
    state: str
    severity: str
    title: str
    opened_ms: int
    at_ms: int
    cause: str = ""
    """What the findings have in common: a signature, a rollout, a family of detectors."""
    verdict: str = Verdict.NONE
    trigger: str = ""
    explanation: str = ""
    clusters: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    findings: dict[str, int] = field(default_factory=dict)
    """Detector to how many of its findings are open now."""
    finding_ids: tuple[str, ...] = ()
    """The first of them; `numbers` tells how many there were."""
    numbers: dict[str, float] = field(default_factory=dict)
    actions: tuple[str, ...] = ()
    """What was decided, each `action target scope: state (mode)`, or by whom it was released; then what is advised."""
    services: tuple[str, ...] = ()
    """Services affected, those that others need first."""
    resolved_ms: int = 0
