"""What is remembered of a cluster, its servers and its VMs, and for how long; `detectors.picture` asks it."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.fleet_view import FleetState
from detectors.lanes import Interval, merge_intervals
from detectors.upkeep import Change, Deallocation, Redeploy, RolloutView, Upkeep, VmUpdate, WaveView
from schemas.inventory import NO_GUEST_AGENT, InventoryState, Region, Server, Service
from schemas.outputs import Evidence
from schemas.source import GaState, GuestEvent, GuestKind, HostState, MaintenanceEvent

SERVERS_MOST = 20_000
"""Servers kept of one cluster, known or not; a cluster has about 1,000 (DESIGN, Words)."""
VMS_MOST = 400_000
STARTS_KEPT = 8
"""Incarnations kept of one VM: a time-out chain has three (seed 004), a recycling fifteen minutes holds about five."""
INTERVALS_KEPT = 64
"""Silences, unsure stretches and maintenance intervals kept of one server."""
MISSING_KEPT = 64
EVENTS_SEEN_MS = 24 * 3_600_000
"""A sender's own double is known by its event_id for 24 h (DESIGN, Time)."""
EVENTS_SEEN_MOST = 500_000
SILENT_AFTER_INTERVALS = 3
SILENT_AFTER_MS = 90_000
"""A server is taken for silent after 3 of its intervals, at least 90 s (CATALOGUE, host_silence)."""
BLIND_AFTER_INTERVALS = 1.5
"""A cluster's host feed is quiet for this many of its longest intervals before it may be blind (CATALOGUE, blind)."""
LATE_INTERVALS = 1.25
"""Guests must have spoken so long after the last host report: the last words before a loss of power would else look
like life behind a broken collector; every living host would have reported again by then."""
SPOKEN_KEPT_MS = 2 * 3_600_000
SPOKEN_BUCKET_MS = 10_000

WORDS_KEPT = 24
"""Words of its guest agent kept of one VM (heartbeats apart): a recycling of fifteen minutes has about twenty."""

TURNS_KEPT = 8
"""Changes of what a host agent calls a guest agent kept of one incarnation: an orderly life has four."""

CONTACT_KINDS = (GuestKind.BUSY, GuestKind.READY, GuestKind.HEARTBEAT)
CONTACT_GA = (GaState.BUSY, GaState.READY)


@dataclass(slots=True)
class Start:
    """One incarnation of a VM, from the first record that showed it."""

    incarnation: int
    server: str
    at_ms: int
    """The least stamp of any record that shows it."""
    source: str
    """The name of that record in its source's terms: what an absence's id is made of."""
    evidence: Evidence
    clean: bool = False
    ga_version: str = ""
    contact_ms: int | None = None
    """The least stamp of a contact of the guest agent: BUSY, READY or HEARTBEAT."""
    failed_ms: int | None = None
    """The least stamp of a START_FAILED."""
    signature: str = ""
    """Of that START_FAILED: see `signature_of`."""
    ended_ms: int | None = None
    """The least stamp of what ended it: a later incarnation, healing, deallocation, its server no longer naming it."""
    replaced: bool = False
    """Ended by a later incarnation."""
    ready_ms: int | None = None
    """The least stamp at which its own or its host agent called it READY."""
    turns: list[tuple[int, str]] = field(default_factory=list)
    """(at_ms, ga): what its host agent called its guest agent, each time that changed; at most TURNS_KEPT."""


@dataclass(slots=True)
class Word:
    """What a guest agent said of its VM, heartbeats apart."""

    at_ms: int
    kind: str
    """A GuestKind."""
    incarnation: int
    event_id: str
    evidence: Evidence
    reason: str = ""
    initiator: str = ""
    signature: str = ""
    """Of a START_FAILED: see `signature_of`."""


@dataclass(slots=True)
class VmView:
    """What is known of a VM."""

    vm: str
    server: str
    starts: list[Start] = field(default_factory=list)
    """In order of incarnation; at most STARTS_KEPT."""
    ga: str = GaState.UNKNOWN
    ga_from_ms: int = 0
    """Stamp of the first report that showed `ga` as it is."""
    ga_evidence: Evidence | None = None
    ga_source: str = ""
    network: str = "UNKNOWN"
    network_from_ms: int = 0
    ga_version: str = ""
    clean: bool = False
    guest_ms: int = 0
    """Greatest stamp of a guest event."""
    healed: list[tuple[int, str, str, Evidence]] = field(default_factory=list)
    """(at_ms, from_server, to_server, evidence) of each healing, in order; at most STARTS_KEPT."""
    group: str = ""
    update_domain: int = 0
    service: str = ""
    subscription: str = ""
    known: bool = False
    """Named by the inventory."""
    words: list[Word] = field(default_factory=list)
    """In order of stamp; at most WORDS_KEPT."""
    updates: list[VmUpdate] = field(default_factory=list)
    """In order of stamp; at most STARTS_KEPT."""
    redeploys: list[Redeploy] = field(default_factory=list)
    """In order of stamp; at most STARTS_KEPT."""

    @property
    def start(self) -> Start | None:
        """Return the newest incarnation."""
        return self.starts[-1] if self.starts else None


@dataclass(slots=True)
class Quiet:
    """A stretch without any host report of the cluster, longer than BLIND_AFTER_INTERVALS of its longest interval."""

    from_ms: int
    """Stamp of the last report."""
    until_ms: int
    """Stamp of the next one; FAR_MS while it goes on."""
    longest_s: int
    """The cluster's longest interval then."""
    told_ms: int | None = None
    """By when guest agents had told that the cluster lives: the stretch is blind, not silent. None: they did not.
    Filled in by `Picture.quiets`, as of the time asked for."""
    source: str = ""
    """The last report, in its source's own terms."""

    @property
    def least_ms(self) -> int:
        """Return how long a stretch must be at least."""
        return round(BLIND_AFTER_INTERVALS * self.longest_s * 1000)


@dataclass(slots=True)
class ServerView:
    """What is known of a server."""

    server: str
    inventory: Server | None = None
    heard_ms: int = 0
    """Greatest stamp of its reports; 0: never heard."""
    first_heard_ms: int = 0
    """Least stamp of its reports; 0: never heard."""
    first_full_ms: int = 0
    """Least stamp of its reports that named its VMs; 0: none has. Whoever joins a running fleet hears beats before."""
    heard_source: str = ""
    heard_evidence: Evidence | None = None
    interval_s: int = 60
    boot_id: str = ""
    run: str = ""
    seq: int = -1
    full: tuple[str, str, int] | None = None
    """(boot_id, run, full_seq) of the full report that is known; beats that name another say nothing of the VMs."""
    vms_block: bytes = b""
    vms: dict[str, int] = field(default_factory=dict)
    """The VMs it named last, each with its incarnation there."""
    state: str = HostState.UNKNOWN
    versions: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    silences: list[Interval] = field(default_factory=list)
    """(last heard, heard again): ended silences longer than `silent_after_ms`."""
    unsure_since_ms: int | None = None
    """Since when its beats name a full report that never came."""
    unsure: list[Interval] = field(default_factory=list)
    lost: int = 0
    """Reports lost between it and us in the present run: seqs never seen."""
    missing: list[int] = field(default_factory=list)
    """The newest of those seqs, at most MISSING_KEPT: one that comes after all, retried by its agent, is not lost."""
    upkeep: list[Upkeep] = field(default_factory=list)
    fc_state: str = ""
    """What the FC said last: READY, HI or OUT_FOR_REPAIR; empty: nothing."""
    fc_state_ms: int = 0
    fc_evidence: Evidence | None = None
    fc_source: str = ""
    deallocations: list[Deallocation] = field(default_factory=list)
    """In order of stamp; at most DEALLOCATED_KEPT."""

    @property
    def counted(self) -> bool:
        """Tell whether it is part of fractions: in the inventory and not decommissioned."""
        return self.inventory is not None and self.inventory.state != InventoryState.DECOMMISSIONED

    @property
    def guest_agents(self) -> bool:
        """Tell whether its VMs run guest agents, as far as the inventory says (storage servers' run none)."""
        return self.inventory is None or self.inventory.ga.lower() != NO_GUEST_AGENT

    @property
    def silent_after_ms(self) -> int:
        """Return after how much observed time without a report it is silent."""
        return max(SILENT_AFTER_INTERVALS * self.interval_s * 1000, SILENT_AFTER_MS)

    def unheard(self) -> list[Interval]:
        """Return the stretches in which nothing was known of its VMs: ended silences and unsure beats."""
        return merge_intervals([*self.silences, *self.unsure])


@dataclass(slots=True)
class News:
    """What the present frame brought."""

    starts: list[tuple[str, Start]] = field(default_factory=list)
    """(vm, start) of each incarnation first seen now."""
    contacts: list[tuple[str, Start]] = field(default_factory=list)
    """(vm, start) of each first contact seen now."""
    failures: list[tuple[int, GuestEvent]] = field(default_factory=list)
    """(row index, event) of each START_FAILED that is no double."""
    ended: list[tuple[str, Start]] = field(default_factory=list)
    ga_changes: list[tuple[str, str]] = field(default_factory=list)
    """(vm, ga before)."""
    turns: list[tuple[int, str, Start]] = field(default_factory=list)
    """(row index, vm, start) of each entry of `Start.turns` made now, of older incarnations too."""
    heard: list[str] = field(default_factory=list)
    """Servers that reported."""
    told: list[int] = field(default_factory=list)
    """Row indices of the host reports that say something new of their VMs."""
    back: list[str] = field(default_factory=list)
    """Servers that reported after a silence."""
    lost: list[str] = field(default_factory=list)
    """Servers whose `lost` changed."""
    maintenance: list[tuple[int, MaintenanceEvent]] = field(default_factory=list)
    """(row index, event), doubles gone."""
    guests: list[tuple[int, GuestEvent]] = field(default_factory=list)
    """(row index, event) of each guest event that is no heartbeat and no double."""
    network_changes: list[tuple[str, str]] = field(default_factory=list)
    """(vm, network before) of each VM whose newest incarnation's network changed."""
    changes: list[tuple[str, Change]] = field(default_factory=list)
    """(server, change) of each component's version that changed."""
    versions: bool = False
    """A server told a version for the first time, or another than before."""
    inventory: bool = False
    """The inventory changed or was completed."""
    removed_servers: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ClusterState:
    """All that is remembered of a cluster; saved and restored whole."""

    cluster: str
    servers: dict[str, ServerView] = field(default_factory=dict)
    vms: dict[str, VmView] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    inventory_complete: bool = False
    sources: dict[str, int] = field(default_factory=dict)
    """Unkeyed feeds (`feed@topic`) through which it was heard, with the greatest stamp."""
    host_report_ms: int = 0
    """Greatest stamp of any host report."""
    host_report_server: str = ""
    """Whose it was."""
    longest_interval_s: int = 0
    guest_spoke: dict[int, int] = field(default_factory=dict)
    """Stamp divided by 10 s, to the greatest stamp in it, of guest events: the last two hours, in order of arrival."""
    guest_ms: int = 0
    """Greatest stamp of any guest event."""
    quiets: list[Quiet] = field(default_factory=list)
    """Ended stretches without any host report, in order."""
    rollouts: dict[str, RolloutView] = field(default_factory=dict)
    waves: dict[str, WaveView] = field(default_factory=dict)
    """At most WAVES_KEPT, for WAVES_MEMORY_MS."""
    events_seen: dict[str, int] = field(default_factory=dict)
    """event_id to stamp, of counted kinds, for 24 h."""
    management_disabled_ms: int | None = None
    unknown_servers: int = 0
    """Servers heard that the inventory does not name."""
    dropped: int = 0
    """Servers or VMs not kept because a bound was reached."""
    fleet: FleetState = field(default_factory=FleetState)
    """Only the fleet engine's: what is remembered of all clusters."""


_DIGITS = str.maketrans("0123456789", "##########")


def signature_of(event: GuestEvent) -> str:
    """Return what fails, in words that are the same for the same fault: step and code, else the normalised message.

    Normalised: digits become `#` and runs of them one, so that names, dates and addresses do not tell faults apart.
    """
    if event.error_code:
        return f"{event.step}:{event.error_code}"
    message = event.message.translate(_DIGITS)
    while "##" in message:
        message = message.replace("##", "#")
    return f"{event.step}:{' '.join(message.split())[:120]}"
