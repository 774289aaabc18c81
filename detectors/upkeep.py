"""What maintenance did to a server, a VM or a cluster, as the picture remembers it: see `detectors.views`."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.outputs import Evidence

CHANGES_KEPT = 64
CHANGES_MEMORY_MS = 30 * 86_400_000
"""A fault may sleep for two weeks behind its change (CATALOGUE, rollout_regression): changes are kept 30 days."""
WAVES_KEPT = 64
WAVES_MEMORY_MS = 120 * 86_400_000
"""A wave is announced 30 days before its impact (seed 003) and may be followed by another: kept four months."""
DEALLOCATED_KEPT = 32


@dataclass(slots=True)
class VmUpdate:
    """An update or reimage of one VM, as its maintenance system tells it."""

    rollout: str
    system: str
    from_ms: int
    evidence: Evidence
    event_id: str
    until_ms: int | None = None
    failed: bool = False
    error_code: str = ""
    wave: str = ""
    """The wave of planned maintenance that the event names, if any."""


@dataclass(slots=True)
class Redeploy:
    """A redeploy that the VM's owner asked for."""

    at_ms: int
    to_server: str
    result_code: str
    message: str
    event_id: str
    evidence: Evidence
    wave: str = ""


@dataclass(slots=True)
class Upkeep:
    """Something announced that explains a server's silence: a reboot or an update, planned or not."""

    what: str
    """reboot, update or component."""
    from_ms: int
    until_ms: int | None
    planned: bool
    evidence: Evidence
    rollout: str = ""
    reason: str = ""
    impact: str = ""
    """Of a component's update: none, freeze, network or reboot; empty where nothing was said."""
    system: str = ""
    """Which maintenance system said so."""
    workflow: str = ""
    cause: str = ""
    event_id: str = ""
    failed: bool = False
    wave: str = ""
    """The wave of planned maintenance that the event names, if any."""


@dataclass(slots=True)
class Change:
    """A component of a server changed its version."""

    at_ms: int
    component: str
    from_version: str
    to_version: str
    evidence: Evidence | None = None
    source: str = ""
    """The report that showed it, in its source's own terms."""


@dataclass(slots=True)
class Deallocation:
    """A VM was deallocated on a server."""

    at_ms: int
    vm: str
    event_id: str
    evidence: Evidence


@dataclass(slots=True)
class RolloutView:
    """A rollout as its events tell it."""

    rollout: str
    component: str
    from_version: str
    to_version: str
    mode: str
    started_ms: int
    state: str = "STARTED"
    """The last word of its ROLLOUT_ events: STARTED, PAUSED, RESUMED, ABORTED or COMPLETED."""
    servers: dict[str, int] = field(default_factory=dict)
    """Servers it has begun to change, with the stamp."""
    system: str = ""
    event_id: str = ""
    evidence: Evidence | None = None
    """Of the event that told of it first."""
    state_ms: int = 0
    """Stamp of the newest ROLLOUT_ event."""
    vms: dict[str, int] = field(default_factory=dict)
    """VMs whose update by it is under way, with the stamp."""
    domains: dict[str, int] = field(default_factory=dict)
    """Update domains under way (`group/update_domain`; group empty: of the servers), with the stamp."""


@dataclass(slots=True)
class WaveView:
    """A wave of planned maintenance as its events tell it (seed 003)."""

    wave: str
    region: str
    vms: tuple[str, ...]
    announced_ms: int
    """Stamp of WAVE_ANNOUNCED; 0: never seen."""
    event_id: str
    evidence: Evidence
    self_service_start_ms: int = 0
    self_service_end_ms: int = 0
    scheduled_start_ms: int = 0
    scheduled_end_ms: int = 0
    state: str = "ANNOUNCED"
    """ANNOUNCED, STARTED, ABORTED or COMPLETED."""
    state_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    """Stamp of its abort or completion; 0: neither."""
