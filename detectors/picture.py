"""The picture of one cluster: who is where, which version, last heard, which incarnation, what maintenance goes on.

Folded from frames once, for all detectors. Every fold is a least, a greatest or a union by stamp, so that lanes may
interleave in any order that keeps each lane's own. Every map has a bound. What a detector needs of the present frame
stands in `news`, made anew by each fold.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from detectors.frames import BatchFrame, source_name
from detectors.lanes import FAR_MS, Interval, Lanes, add_interval, merge_intervals
from schemas.columns import unpack_vms
from schemas.inventory import InventoryComplete, InventoryState, Region, Removed, Server, Service, Subscription, Vm
from schemas.outputs import Evidence
from schemas.source import (
    HOST_AGENT,
    GaState,
    GuestEvent,
    GuestKind,
    HostState,
    MaintenanceEvent,
    MaintenanceKind,
    VmReport,
)
from schemas.telemetry import HostRow

SERVERS_MOST = 20_000
"""Servers kept of one cluster, known or not; a cluster has about 1,000 (DESIGN, Words)."""
VMS_MOST = 400_000
STARTS_KEPT = 8
"""Incarnations kept of one VM: a time-out chain has three (seed 004), a recycling fifteen minutes holds about five."""
INTERVALS_KEPT = 64
"""Silences, unsure stretches and maintenance intervals kept of one server."""
MISSING_KEPT = 64
CHANGES_KEPT = 64
CHANGES_MEMORY_MS = 30 * 86_400_000
"""A fault may sleep for two weeks behind its change (CATALOGUE, rollout_regression): changes are kept 30 days."""
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

    @property
    def start(self) -> Start | None:
        """Return the newest incarnation."""
        return self.starts[-1] if self.starts else None


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
class Change:
    """A component of a server changed its version."""

    at_ms: int
    component: str
    from_version: str
    to_version: str


@dataclass(slots=True)
class ServerView:
    """What is known of a server."""

    server: str
    inventory: Server | None = None
    heard_ms: int = 0
    """Greatest stamp of its reports; 0: never heard."""
    first_heard_ms: int = 0
    """Least stamp of its reports; 0: never heard."""
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

    @property
    def counted(self) -> bool:
        """Tell whether it is part of fractions: in the inventory and not decommissioned."""
        return self.inventory is not None and self.inventory.state != InventoryState.DECOMMISSIONED

    @property
    def silent_after_ms(self) -> int:
        """Return after how much observed time without a report it is silent."""
        return max(SILENT_AFTER_INTERVALS * self.interval_s * 1000, SILENT_AFTER_MS)

    def unheard(self) -> list[Interval]:
        """Return the stretches in which nothing was known of its VMs: ended silences and unsure beats."""
        return merge_intervals([*self.silences, *self.unsure])


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
    servers: dict[str, int] = field(default_factory=dict)
    """Servers it has begun to change, with the stamp."""


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
    heard: list[str] = field(default_factory=list)
    """Servers that reported."""
    back: list[str] = field(default_factory=list)
    """Servers that reported after a silence."""
    lost: list[str] = field(default_factory=list)
    """Servers whose `lost` changed."""
    maintenance: list[tuple[int, MaintenanceEvent]] = field(default_factory=list)
    """(row index, event), doubles gone."""
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
    events_seen: dict[str, int] = field(default_factory=dict)
    """event_id to stamp, of counted kinds, for 24 h."""
    management_disabled_ms: int | None = None
    unknown_servers: int = 0
    """Servers heard that the inventory does not name."""
    dropped: int = 0
    """Servers or VMs not kept because a bound was reached."""


class Picture:
    """The picture of one cluster, and the partition's lanes beside it."""

    def __init__(self, cluster: str, lanes: Lanes, state: ClusterState | None = None) -> None:
        self.cluster = cluster
        self.lanes = lanes
        self.state = state or ClusterState(cluster)
        self.news = News()

    # -- questions -----------------------------------------------------------------------------------------------

    @property
    def servers(self) -> dict[str, ServerView]:
        """Return the servers by name, those unknown to the inventory among them."""
        return self.state.servers

    @property
    def vms(self) -> dict[str, VmView]:
        """Return the VMs by name."""
        return self.state.vms

    def counted_servers(self) -> int:
        """Return how many servers fractions are of; 0 before the first complete import."""
        if not self.state.inventory_complete:
            return 0
        return sum(1 for server in self.state.servers.values() if server.counted)

    def guest_agents(self) -> bool:
        """Tell whether VMs of this cluster run guest agents (storage clusters run none)."""
        return not any(
            server.inventory is not None and server.inventory.ga.lower() == "none"
            for server in self.state.servers.values()
        )

    def waited_ms(
        self, feeds: tuple[str, ...], since_ms: int, until_ms: int, excluded: tuple[Interval, ...] = ()
    ) -> int:
        """Return how much of an absence in this cluster was observed (see `Lanes.waited_ms`)."""
        blind = self.blind_at(until_ms)
        return self.lanes.waited_ms(feeds, blind, since_ms, until_ms, excluded, self.state.sources)

    def limit_passed_ms(
        self,
        feeds: tuple[str, ...],
        since_ms: int,
        limit_ms: int,
        excluded: tuple[Interval, ...] = (),
        *,
        known_ms: int | None = None,
    ) -> int:
        """Return when an absence in this cluster reached its limit (see `Lanes.limit_passed_ms`).

        `known_ms`: by the blind stretches that had been told by then, whatever a lane ahead of others told since; as a
        rule the due time at which it is asked. None: up to where the host lanes have been read.
        """
        blind = self.blind_at(self.passed_ms((HOST_AGENT,)) if known_ms is None else known_ms)
        return self.lanes.limit_passed_ms(feeds, blind, since_ms, limit_ms, excluded, self.state.sources)

    def blind_at(self, at_ms: int) -> dict[str, list[Interval]]:
        """Return the blind stretches of the cluster's feeds that had been told by `at_ms`."""
        told = [(quiet.from_ms, quiet.until_ms) for quiet in self.quiets(at_ms) if quiet.told_ms is not None]
        return {HOST_AGENT: told} if told else {}

    def passed_ms(self, feeds: tuple[str, ...]) -> int:
        """Return up to when all lanes of these feeds have been read for this cluster."""
        return self.lanes.passed_ms(feeds, self.state.sources)

    def guests_spoke(self, after_ms: int, until_ms: int) -> bool:
        """Tell whether a guest event of the cluster lies between two times, to ten seconds (see `guests_told_ms`)."""
        return self.guests_told_ms(after_ms, until_ms) is not None

    def guests_told_ms(self, after_ms: int, until_ms: int) -> int | None:
        """Return by when a guest event stamped after `after_ms` had come, None if none had by `until_ms`.

        Only ten seconds that lie between the two with both their ends count, and the answer is such an end: all that
        is stamped within is known once the lane has passed it, however lanes interleave. Two hours are remembered.
        """
        first = after_ms // SPOKEN_BUCKET_MS + 1
        end = min(until_ms // SPOKEN_BUCKET_MS, self.state.guest_ms // SPOKEN_BUCKET_MS + 1)
        spoke = self.state.guest_spoke
        # The shorter way: the seconds in question, or all that are remembered.
        asked = range(first, end) if end - first < len(spoke) else sorted(spoke)
        bucket = next((known for known in asked if first <= known < end and known in spoke), None)
        return None if bucket is None else (bucket + 1) * SPOKEN_BUCKET_MS

    def quiets(self, at_ms: int) -> list[Quiet]:
        """Return the stretches without any host report as they stood at `at_ms`, in order; told: by then. Of 2 h.

        To be asked when the host lanes have passed `at_ms`; what guests told is whole when theirs has too.
        """
        state = self.state
        stretches = list(state.quiets)
        if state.host_report_ms:
            longest_s, source = state.longest_interval_s, self._last_report_source()
            stretches.append(Quiet(state.host_report_ms, FAR_MS, longest_s, source=source))
        return [
            replace(quiet, told_ms=self._told_ms(quiet, at_ms))
            for quiet in stretches
            if min(quiet.until_ms, at_ms) - quiet.from_ms > quiet.least_ms
            and quiet.until_ms > at_ms - SPOKEN_KEPT_MS
        ]

    def _told_ms(self, quiet: Quiet, at_ms: int) -> int | None:
        """Return by when guests had told that a stretch is blind, if by `at_ms` and by its end.

        They must have spoken, and it must have lasted, in time that was observed in the host lanes: in a gap of these
        no host could write, and words of guests say nothing.
        """
        if self.state.guest_ms <= quiet.from_ms:
            return None
        late_ms = round(LATE_INTERVALS * quiet.longest_s * 1000)
        sources = self.state.sources
        after_ms = self.lanes.limit_passed_ms((HOST_AGENT,), {}, quiet.from_ms, late_ms, sources=sources)
        told_ms = self.guests_told_ms(after_ms, min(at_ms, quiet.until_ms))
        if told_ms is None:
            return None
        least_ms = self.lanes.limit_passed_ms((HOST_AGENT,), {}, quiet.from_ms, quiet.least_ms, sources=sources)
        told_ms = max(told_ms, least_ms + 1)
        return told_ms if told_ms <= min(at_ms, quiet.until_ms) else None

    def _last_report_source(self) -> str:
        server = self.state.servers.get(self.state.host_report_server)
        return server.heard_source if server is not None else ""

    # -- folding -------------------------------------------------------------------------------------------------

    def fold(self, frame: BatchFrame) -> News:
        """Take a batch of this cluster (or of `*`) into the picture; return what is new in it."""
        self.news = News()
        batch = frame.batch
        feed = batch.feed.partition("@")[0]
        if feed != batch.feed and batch.at_ms:
            self.state.sources[batch.feed] = max(self.state.sources.get(batch.feed, 0), *batch.at_ms)
        for index, row in enumerate(batch.rows):
            at_ms = batch.at_ms[index]
            if isinstance(row, HostRow):
                self._host(frame, index, at_ms, row)
            elif isinstance(row, GuestEvent):
                self._guest(frame, index, at_ms, row)
            elif isinstance(row, MaintenanceEvent):
                self._maintenance(frame, index, at_ms, row)
            elif isinstance(row, (Server, Vm, Service, Subscription, Region, InventoryComplete, Removed)):
                self._inventory(row)
        return self.news

    def _guest_spoke(self, at_ms: int) -> None:
        state = self.state
        bucket = at_ms // SPOKEN_BUCKET_MS
        if state.guest_spoke.get(bucket, 0) < at_ms:
            state.guest_spoke[bucket] = at_ms
            if len(state.guest_spoke) > SPOKEN_KEPT_MS // SPOKEN_BUCKET_MS:
                del state.guest_spoke[min(state.guest_spoke)]
        state.guest_ms = max(state.guest_ms, at_ms)

    def _host_feed_heard(self, at_ms: int, row: HostRow) -> None:
        """Take the stamp of a host report of the cluster: it ends a stretch without any."""
        state = self.state
        since_ms, longest_s = state.host_report_ms, state.longest_interval_s
        if at_ms > since_ms:
            if since_ms and at_ms - since_ms > BLIND_AFTER_INTERVALS * longest_s * 1000:
                quiet = Quiet(since_ms, at_ms, longest_s, source=self._last_report_source())
                state.quiets = [*state.quiets, quiet][-INTERVALS_KEPT:]
            state.host_report_ms, state.host_report_server = at_ms, row.server
        elif state.quiets and at_ms > state.quiets[0].from_ms:
            self._split_quiet(at_ms, source_name(row, self.cluster))
        state.longest_interval_s = max(longest_s, row.interval_s)

    def _split_quiet(self, at_ms: int, source: str) -> None:
        """Take a report that came late, by another lane, out of a stretch that was thought to hold none."""
        for place, quiet in enumerate(self.state.quiets):
            if quiet.from_ms < at_ms < quiet.until_ms:
                parts = [replace(quiet, until_ms=at_ms), replace(quiet, from_ms=at_ms, source=source)]
                self.state.quiets[place : place + 1] = [
                    part for part in parts if part.until_ms - part.from_ms > part.least_ms
                ]
                return

    def _server(self, name: str) -> ServerView | None:
        server = self.state.servers.get(name)
        if server is None:
            if len(self.state.servers) >= SERVERS_MOST:
                self.state.dropped += 1
                return None
            server = self.state.servers[name] = ServerView(name)
            self.state.unknown_servers += 1
        return server

    def _vm(self, name: str, server: str) -> VmView | None:
        vm = self.state.vms.get(name)
        if vm is None:
            if len(self.state.vms) >= VMS_MOST:
                self.state.dropped += 1
                return None
            vm = self.state.vms[name] = VmView(name, server)
        return vm

    def _host(self, frame: BatchFrame, index: int, at_ms: int, row: HostRow) -> None:
        server = self._server(row.server)
        if server is None or self._told_before(server, row):
            return
        self._host_feed_heard(at_ms, row)
        self.news.heard.append(row.server)
        server.first_heard_ms = min(server.first_heard_ms or at_ms, at_ms)
        newest = at_ms >= server.heard_ms
        if newest:
            if server.heard_ms and at_ms - server.heard_ms > server.silent_after_ms:
                server.silences = add_interval(server.silences, (server.heard_ms, at_ms))[-INTERVALS_KEPT:]
                self.news.back.append(row.server)
            self._seq(server, row)
            if row.seq > server.seq or row.run != server.run or row.boot_id != server.boot_id:
                server.seq = row.seq
            server.boot_id, server.run = row.boot_id, row.run
            server.heard_ms = at_ms
            server.heard_evidence = frame.evidence(index)
            server.heard_source = f"{row.server}/{row.boot_id}/{row.run}/{row.seq}"
            server.interval_s = row.interval_s
            server.state = row.state
        else:
            if (row.run, row.boot_id) == (server.run, server.boot_id):
                self._seq(server, row)
            server.silences = _split(server.silences, at_ms, server.silent_after_ms)
        if row.versions:
            self._versions(server, at_ms, row.versions)
        if row.vms_block is not None:
            self._full(frame, index, at_ms, row, server, newest)
        elif server.full != (row.boot_id, row.run, row.full_seq):
            if server.unsure_since_ms is None:
                server.unsure_since_ms = at_ms
        elif server.unsure_since_ms is not None:
            self._sure(server, at_ms)

    @staticmethod
    def _told_before(server: ServerView, row: HostRow) -> bool:
        """Tell whether this is a sender's own double: sent again, late perhaps, it is no sign of life."""
        same_run = (row.run, row.boot_id) == (server.run, server.boot_id)
        return same_run and row.seq <= server.seq and row.seq not in server.missing

    def _seq(self, server: ServerView, row: HostRow) -> None:
        """Count the seqs never seen; one that comes after all is taken out again."""
        if row.run != server.run or row.boot_id != server.boot_id:
            server.lost, server.missing = 0, []
        elif row.seq > server.seq + 1:
            server.lost += row.seq - server.seq - 1
            newest = range(max(server.seq + 1, row.seq - MISSING_KEPT), row.seq)
            server.missing = [*server.missing, *newest][-MISSING_KEPT:]
            self.news.lost.append(server.server)
        elif row.seq in server.missing:
            server.missing.remove(row.seq)
            server.lost -= 1
            self.news.lost.append(server.server)

    def _sure(self, server: ServerView, at_ms: int) -> None:
        if server.unsure_since_ms is not None:
            server.unsure = add_interval(server.unsure, (server.unsure_since_ms, at_ms))[-INTERVALS_KEPT:]
            server.unsure_since_ms = None

    def _versions(self, server: ServerView, at_ms: int, versions: dict[str, str]) -> None:
        for component, version in versions.items():
            before = server.versions.get(component)
            if before == version:
                continue
            server.versions[component] = version
            if before is not None:
                server.changes.append(Change(at_ms, component, before, version))
                oldest = at_ms - CHANGES_MEMORY_MS
                server.changes = [change for change in server.changes if change.at_ms >= oldest][-CHANGES_KEPT:]

    def _full(self, frame: BatchFrame, index: int, at_ms: int, row: HostRow, server: ServerView, newest: bool) -> None:
        if not newest:
            return
        server.full = (row.boot_id, row.run, row.seq)
        self._sure(server, at_ms)
        block = row.vms_block or b""
        if block == server.vms_block:
            return
        server.vms_block = block
        before = server.vms
        server.vms = {}
        for report in unpack_vms(block):
            server.vms[report.vm] = report.incarnation
            self._vm_report(frame, index, at_ms, row, report)
        for name, incarnation in before.items():
            if name not in server.vms:
                self._gone(name, row.server, incarnation, at_ms)

    def _vm_report(self, frame: BatchFrame, index: int, at_ms: int, row: HostRow, report: VmReport) -> None:
        vm = self._vm(report.vm, row.server)
        if vm is None:
            return
        start = self._started(
            vm, report.incarnation, row.server, at_ms, source_name(row, self.cluster), frame.evidence(index)
        )
        if start is None:
            return
        # Of an older incarnation too: the guest's own lane may have told of the next one already.
        start.clean = report.clean
        start.ga_version = report.ga_version or start.ga_version
        if report.ga in CONTACT_GA:
            self._contact(vm, start, at_ms)
        if start is not vm.start:
            return
        vm.server = row.server
        vm.clean = report.clean
        vm.ga_version = report.ga_version or vm.ga_version
        if report.ga != vm.ga:
            self.news.ga_changes.append((vm.vm, vm.ga))
            vm.ga, vm.ga_from_ms = report.ga, at_ms
            vm.ga_evidence, vm.ga_source = frame.evidence(index), source_name(row, self.cluster)
        if report.network != vm.network:
            vm.network, vm.network_from_ms = report.network, at_ms

    def _started(
        self, vm: VmView, incarnation: int, server: str, at_ms: int, source: str, evidence: Evidence
    ) -> Start | None:
        """Return the VM's start of this incarnation, moved to the least stamp; None: older than what is kept."""
        for start in reversed(vm.starts):
            if start.incarnation == incarnation:
                if at_ms < start.at_ms:
                    start.at_ms, start.source, start.evidence = at_ms, source, evidence
                    self._end_before(vm, start)
                return start
        if vm.starts and incarnation < vm.starts[0].incarnation:
            return None
        start = Start(incarnation, server, at_ms, source, evidence)
        at = len(vm.starts)
        while at and vm.starts[at - 1].incarnation > incarnation:
            at -= 1
        vm.starts.insert(at, start)
        self._end_before(vm, start)
        if at + 1 < len(vm.starts):
            later = vm.starts[at + 1]
            self._end(vm, start, later.at_ms, replaced=True)
        else:
            vm.server = server
        del vm.starts[:-STARTS_KEPT]
        self.news.starts.append((vm.vm, start))
        return start

    def _end_before(self, vm: VmView, start: Start) -> None:
        for earlier in vm.starts:
            if earlier.incarnation < start.incarnation:
                self._end(vm, earlier, start.at_ms, replaced=True)

    def _end(self, vm: VmView, start: Start, at_ms: int, *, replaced: bool) -> None:
        if start.ended_ms is None:
            self.news.ended.append((vm.vm, start))
        if start.ended_ms is None or at_ms < start.ended_ms:
            start.ended_ms = at_ms
        start.replaced = start.replaced or replaced

    def _gone(self, name: str, server: str, incarnation: int, at_ms: int) -> None:
        """End an incarnation that its server no longer names."""
        vm = self.state.vms.get(name)
        if vm is None:
            return
        for start in vm.starts:
            if start.incarnation == incarnation and start.server == server:
                self._end(vm, start, at_ms, replaced=False)

    def _contact(self, vm: VmView, start: Start, at_ms: int) -> None:
        if start.contact_ms is None:
            self.news.contacts.append((vm.vm, start))
        if start.contact_ms is None or at_ms < start.contact_ms:
            start.contact_ms = at_ms

    def _double(self, event_id: str, at_ms: int) -> bool:
        """Tell whether this event was seen before, in the last 24 h."""
        seen = self.state.events_seen
        if event_id in seen:
            return True
        seen[event_id] = at_ms
        while len(seen) > EVENTS_SEEN_MOST or seen[next(iter(seen))] < at_ms - EVENTS_SEEN_MS:
            del seen[next(iter(seen))]
        return False

    def _guest(self, frame: BatchFrame, index: int, at_ms: int, event: GuestEvent) -> None:
        self._guest_spoke(at_ms)
        if event.kind != GuestKind.HEARTBEAT and self._double(event.event_id, at_ms):
            return
        vm = self._vm(event.vm, event.server)
        if vm is None:
            return
        vm.guest_ms = max(vm.guest_ms, at_ms)
        start = self._started(
            vm, event.incarnation, event.server, at_ms, source_name(event, self.cluster), frame.evidence(index)
        )
        if event.kind == GuestKind.START_FAILED:
            self.news.failures.append((index, event))
            if start is not None and (start.failed_ms is None or at_ms < start.failed_ms):
                start.failed_ms, start.signature = at_ms, signature_of(event)
        if start is None:
            return
        start.ga_version = event.ga_version or start.ga_version
        if start is vm.start:
            vm.ga_version = event.ga_version or vm.ga_version
        if event.kind in CONTACT_KINDS:
            self._contact(vm, start, at_ms)

    def _maintenance(self, frame: BatchFrame, index: int, at_ms: int, event: MaintenanceEvent) -> None:
        if self._double(event.event_id, at_ms):
            return
        self.news.maintenance.append((index, event))
        kind = event.kind
        evidence = frame.evidence(index)
        if event.server is not None and kind in _UPKEEP_STARTS:
            self._upkeep_started(event, at_ms, evidence)
        elif event.server is not None and kind in _UPKEEP_ENDS:
            self._upkeep_ended(event, at_ms, evidence)
        elif kind == MaintenanceKind.SERVER_STATE and event.server is not None:
            server = self._server(event.server)
            if server is not None and at_ms >= server.fc_state_ms:
                server.fc_state, server.fc_state_ms = event.state or "", at_ms
                server.fc_evidence, server.fc_source = evidence, event.event_id
        elif kind == MaintenanceKind.VM_HEALED and event.vm is not None:
            self._healed(event, at_ms, evidence)
        elif kind == MaintenanceKind.VM_DEALLOCATED and event.vm is not None:
            vm = self.state.vms.get(event.vm)
            if vm is not None and vm.start is not None and vm.start.at_ms <= at_ms:
                self._end(vm, vm.start, at_ms, replaced=False)
        elif kind in (MaintenanceKind.MANAGEMENT_DISABLED, MaintenanceKind.MANAGEMENT_RESTORED):
            disabled = kind == MaintenanceKind.MANAGEMENT_DISABLED
            self.state.management_disabled_ms = at_ms if disabled else None
        if event.rollout is not None:
            self._rollout(event, event.rollout, at_ms)

    def _healed(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
        vm = self._vm(event.vm or "", event.from_server or "")
        if vm is None:
            return
        vm.healed.append((at_ms, event.from_server or "", event.to_server or "", evidence))
        vm.healed.sort(key=lambda healing: healing[0])
        del vm.healed[:-STARTS_KEPT]
        for start in vm.starts:
            if start.server == event.from_server and start.at_ms <= at_ms:
                self._end(vm, start, at_ms, replaced=False)

    def _upkeep_started(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
        server = self._server(event.server or "")
        if server is None:
            return
        what = _UPKEEP_STARTS[event.kind]
        planned = event.planned if event.planned is not None else what != "reboot"
        server.upkeep.append(
            Upkeep(
                what,
                at_ms,
                None,
                planned,
                evidence,
                event.rollout or "",
                event.reason or event.cause or "",
                event.impact or "",
            )
        )
        server.upkeep.sort(key=lambda upkeep: upkeep.from_ms)
        del server.upkeep[:-INTERVALS_KEPT]

    def _upkeep_ended(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
        server = self._server(event.server or "")
        if server is None:
            return
        what = _UPKEEP_ENDS[event.kind]
        for upkeep in reversed(server.upkeep):
            if upkeep.what == what and upkeep.from_ms <= at_ms:
                upkeep.until_ms = at_ms if upkeep.until_ms is None else min(at_ms, upkeep.until_ms)
                return
        # Its start was never seen: what ended now explains nothing before it, but is remembered as having been.
        server.upkeep.append(Upkeep(what, at_ms, at_ms, bool(event.planned), evidence, event.rollout or ""))
        server.upkeep.sort(key=lambda upkeep: upkeep.from_ms)
        del server.upkeep[:-INTERVALS_KEPT]

    def _rollout(self, event: MaintenanceEvent, name: str, at_ms: int) -> None:
        rollout = self.state.rollouts.get(name)
        if rollout is None:
            if len(self.state.rollouts) >= CHANGES_KEPT:
                oldest = min(self.state.rollouts.values(), key=lambda known: known.started_ms)
                del self.state.rollouts[oldest.rollout]
            rollout = self.state.rollouts[name] = RolloutView(
                name,
                event.component or "",
                event.from_version or "",
                event.to_version or "",
                event.mode or "",
                at_ms,
            )
        if event.kind.startswith("ROLLOUT_"):
            rollout.state = event.kind.removeprefix("ROLLOUT_")
        if event.kind == MaintenanceKind.SERVER_UPDATE_STARTED and event.server is not None:
            rollout.servers.setdefault(event.server, at_ms)

    def _inventory(self, row: Server | Vm | Service | Subscription | Region | InventoryComplete | Removed) -> None:
        self.news.inventory = True
        state = self.state
        if isinstance(row, Server):
            server = state.servers.get(row.server)
            if server is None:
                server = self._server(row.server)
                state.unknown_servers -= 1 if server is not None else 0
            elif server.inventory is None:
                state.unknown_servers -= 1
            if server is not None:
                server.inventory = row
        elif isinstance(row, Vm):
            vm = self._vm(row.vm, row.server)
            if vm is not None:
                vm.group, vm.update_domain, vm.service = row.group, row.update_domain, row.service
        elif isinstance(row, Service):
            state.services[row.service] = row
        elif isinstance(row, Region):
            state.regions[row.region] = row
        elif isinstance(row, InventoryComplete):
            state.inventory_complete = True
        elif isinstance(row, Removed):
            self._removed(row)

    def _removed(self, row: Removed) -> None:
        if row.kind == "server" and self.state.servers.pop(row.id, None) is not None:
            self.news.removed_servers.append(row.id)
        elif row.kind == "vm":
            self.state.vms.pop(row.id, None)
        elif row.kind == "service":
            self.state.services.pop(row.id, None)
        elif row.kind == "region":
            self.state.regions.pop(row.id, None)


_UPKEEP_STARTS: dict[str, str] = {
    MaintenanceKind.NODE_REBOOT_STARTED: "reboot",
    MaintenanceKind.SERVER_UPDATE_STARTED: "update",
    MaintenanceKind.COMPONENT_UPDATE_STARTED: "component",
}
_UPKEEP_ENDS: dict[str, str] = {
    MaintenanceKind.NODE_REBOOT_COMPLETED: "reboot",
    MaintenanceKind.SERVER_UPDATE_COMPLETED: "update",
    MaintenanceKind.SERVER_UPDATE_FAILED: "update",
    MaintenanceKind.COMPONENT_UPDATE_COMPLETED: "component",
}

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


def _split(silences: list[Interval], at_ms: int, silent_after_ms: int) -> list[Interval]:
    """Return the silences given that a report stamped `at_ms` came late by another lane."""
    split: list[Interval] = []
    for start, end in silences:
        if start < at_ms < end:
            split.extend(part for part in ((start, at_ms), (at_ms, end)) if part[1] - part[0] > silent_after_ms)
        else:
            split.append((start, end))
    return split


__all__ = ["HOST_AGENT", "ClusterState", "News", "Picture", "ServerView", "Start", "VmView", "signature_of"]
