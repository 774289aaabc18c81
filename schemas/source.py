"""What agents and maintenance systems send: the records of the three telemetry feeds.

Times are UTC milliseconds by the sender's clock (`sent_ms`, `since_ms`); nothing is judged by them. What counts is
`at_ms`, the stamp of the source topic's broker, which travels beside the record, not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HOST_AGENT = "host-agent"
GUEST_AGENT = "guest-agent"
MAINTENANCE = "maintenance"
TELEMETRY_FEEDS = (HOST_AGENT, GUEST_AGENT, MAINTENANCE)


class HostState(StrEnum):
    """How a host agent describes its server."""

    UNKNOWN = "UNKNOWN"
    READY = "READY"
    UPDATING = "UPDATING"
    BOOTING = "BOOTING"
    FAULTED = "FAULTED"


class GaState(StrEnum):
    """How a host agent sees the guest agent of a VM."""

    UNKNOWN = "UNKNOWN"
    STARTING = "STARTING"
    READY = "READY"
    BUSY = "BUSY"
    SILENT = "SILENT"
    STOPPING = "STOPPING"
    WAITING_FOR_HOST = "WAITING_FOR_HOST"


class Network(StrEnum):
    """Whether a VM can be reached over its virtual network."""

    UNKNOWN = "UNKNOWN"
    UP = "UP"
    DOWN = "DOWN"


class GuestKind(StrEnum):
    """What a guest agent tells of its VM."""

    UNKNOWN = "UNKNOWN"
    START = "START"
    START_FAILED = "START_FAILED"
    READY = "READY"
    BUSY = "BUSY"
    HEARTBEAT = "HEARTBEAT"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    RECYCLED = "RECYCLED"
    SHUTDOWN = "SHUTDOWN"


class MaintenanceKind(StrEnum):
    """What a maintenance system did or announced."""

    UNKNOWN = "UNKNOWN"
    ROLLOUT_STARTED = "ROLLOUT_STARTED"
    ROLLOUT_PAUSED = "ROLLOUT_PAUSED"
    ROLLOUT_RESUMED = "ROLLOUT_RESUMED"
    ROLLOUT_ABORTED = "ROLLOUT_ABORTED"
    ROLLOUT_COMPLETED = "ROLLOUT_COMPLETED"
    UD_STARTED = "UD_STARTED"
    UD_COMPLETED = "UD_COMPLETED"
    SERVER_UPDATE_STARTED = "SERVER_UPDATE_STARTED"
    SERVER_UPDATE_COMPLETED = "SERVER_UPDATE_COMPLETED"
    SERVER_UPDATE_FAILED = "SERVER_UPDATE_FAILED"
    VM_UPDATE_STARTED = "VM_UPDATE_STARTED"
    VM_UPDATE_COMPLETED = "VM_UPDATE_COMPLETED"
    VM_UPDATE_FAILED = "VM_UPDATE_FAILED"
    SERVER_STATE = "SERVER_STATE"
    NODE_REBOOT_STARTED = "NODE_REBOOT_STARTED"
    NODE_REBOOT_COMPLETED = "NODE_REBOOT_COMPLETED"
    VM_CREATED = "VM_CREATED"
    VM_DEALLOCATED = "VM_DEALLOCATED"
    IMAGE_COPY_COMPLETED = "IMAGE_COPY_COMPLETED"
    MANAGEMENT_DISABLED = "MANAGEMENT_DISABLED"
    MANAGEMENT_RESTORED = "MANAGEMENT_RESTORED"
    VM_HEALED = "VM_HEALED"
    VM_REDEPLOYED = "VM_REDEPLOYED"
    WAVE_ANNOUNCED = "WAVE_ANNOUNCED"
    WAVE_STARTED = "WAVE_STARTED"
    WAVE_ABORTED = "WAVE_ABORTED"
    WAVE_COMPLETED = "WAVE_COMPLETED"
    COMPONENT_UPDATE_STARTED = "COMPONENT_UPDATE_STARTED"
    COMPONENT_UPDATE_COMPLETED = "COMPONENT_UPDATE_COMPLETED"
    SCHEDULED = "SCHEDULED"
    CANCELLED = "CANCELLED"
    COMMAND_APPLIED = "COMMAND_APPLIED"


@dataclass(frozen=True, slots=True)
class VmReport:
    """One VM as its host agent sees it."""

    vm: str
    incarnation: int
    """Grows at each (re)start of the VM."""
    ga: str
    """A GaState."""
    clean: bool = False
    """No customer code has run since the last imaging."""
    ga_version: str = ""
    since_ms: int = 0
    """Since when the guest agent is in this state, by the host's clock."""
    network: str = Network.UNKNOWN


@dataclass(frozen=True, slots=True)
class HostReport:
    """A host agent's report: full at start, on change and every 5 minutes; else a beat that says "all as before"."""

    cluster: str
    server: str
    boot_id: str
    run: str
    """New at each start of the agent; `seq` starts at 0 with it."""
    seq: int
    full_seq: int
    """The `seq` of the full report that "as before" means; a full report names itself."""
    sent_ms: int
    interval_s: int
    """Seconds to the next report, as promised."""
    state: str = HostState.READY
    versions: dict[str, str] | None = None
    """Component to version (fc, ha, netplugin, host_os, nmagent); None: unchanged since the full report."""
    vms: tuple[VmReport, ...] | None = None
    """None: unchanged since the full report."""


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """A guest agent's word on its VM."""

    event_id: str
    cluster: str
    server: str
    vm: str
    incarnation: int
    sent_ms: int
    kind: str
    """A GuestKind."""
    ga_version: str = ""
    guest_os: str = ""
    step: str = ""
    """The start-up step, such as `transfer-certificate`."""
    error_code: str = ""
    message: str = ""
    reason: str = ""
    initiator: str = ""
    """What shut it down: the process and reason of Windows event 1074, or `StopContainer()`."""


@dataclass(frozen=True, slots=True)
class MaintenanceEvent:
    """What a maintenance system did; which of the optional fields are set depends on `kind` (see DESIGN, Records)."""

    event_id: str
    cluster: str
    sent_ms: int
    system: str
    """fc, host-os, guest-os, guest-agent, nmagent, storage or customer."""
    kind: str
    """A MaintenanceKind."""
    server: str | None = None
    vm: str | None = None
    rollout: str | None = None
    component: str | None = None
    from_version: str | None = None
    to_version: str | None = None
    mode: str | None = None
    """ud or blast."""
    update_domain: int | None = None
    group: str | None = None
    error_code: str | None = None
    state: str | None = None
    """SERVER_STATE: READY, HI or OUT_FOR_REPAIR."""
    planned: bool | None = None
    reason: str | None = None
    workflow: str | None = None
    cause: str | None = None
    datacenter: str | None = None
    scope: str | None = None
    from_server: str | None = None
    to_server: str | None = None
    result_code: str | None = None
    message: str | None = None
    wave: str | None = None
    region: str | None = None
    vms: tuple[str, ...] | None = None
    self_service_start_ms: int | None = None
    self_service_end_ms: int | None = None
    scheduled_start_ms: int | None = None
    scheduled_end_ms: int | None = None
    impact: str | None = None
    notice_id: str | None = None
    event_type: str | None = None
    not_before_ms: int | None = None
    duration_s: int | None = None
    description: str | None = None
    decision_id: str | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Written by every intake into every lane every second, so that the clock of a lane is in the lane."""

    intake: str
    seq: int
