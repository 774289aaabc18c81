"""A scenario as values: the fleet, what is rolled out, what goes wrong, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streams.simulate.quantity import brake, duration_ms, number, size_names, whole
from streams.simulate.timeline import Turn
from streams.simulate.truth import Truth

Pick = float | str | tuple[str, ...] | None
"""How many, or which: a number or formula, a share such as `"25%"`, an array of name patterns; None is all."""

MOST_CLUSTERS, MOST_SERVERS, MOST_VMS = 1000, 100_000, 1000
"""The largest fleet of a scenario: clusters of a kind, servers of a cluster, VMs of a server. A hundred times what the
history tells of a cluster (about 1,000 servers); beyond it a figure is a slip of the hand."""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """One kind of cluster; `count` of them are built, named `name-1`, `name-2`, ..."""

    name: str
    count: int
    servers: int
    vms: int
    racks: float | str
    update_domains: float | str
    group_size: int
    """VMs of one group (availability set): they stand in different update domains as far as there are enough."""
    services: int
    ga: bool
    """False: its VMs run no guest agent (storage)."""
    region: str
    datacenter: str
    guest_os: str
    versions: dict[str, str]
    """Component to version at the start: fc, ha, netplugin, host_os, nmagent, ga."""
    healing: bool
    brake: bool
    """Whether the fabric controller stops itself at brake(n) servers in HI."""
    heal_delay_ms: int
    heal_spacing_ms: int
    notice_ms: int
    """How long a server is not heard before the fabric controller moves it to HI; 0: never."""
    create_every_s: float | str
    """Seconds between two new VMs (deploy, scale-out), give or take 30 %; 0: none."""
    heartbeat_ms: int
    """Period of every guest agent's HEARTBEAT; 0: guests are seen through their host agent alone."""
    contact_s: tuple[float, float]
    """From the start of a VM to first contact."""
    slow_starts: float
    """Share of starts that take three to eight minutes."""
    onstop_s: tuple[float, float]
    """How long OnStop of a role instance takes; most 0: VMs are shut down as if they held no code."""
    startup_s: tuple[float, float]
    """How long its start-up tasks take, in which it is BUSY; most 0: it has none."""
    spare: float | str
    """Servers without VMs at the start, the last ones."""
    single_services: int
    """Services of one instance: VMs of the first server, in a group of their own."""
    fixed_services: int
    """Services with a fixed guest OS version, the last ones."""

    @property
    def names(self) -> dict[str, float]:
        """Return what formulas may use."""
        return size_names(self.servers, self.vms)

    @property
    def brake_at(self) -> int:
        """Return how many servers in HI stop this cluster."""
        return brake(self.servers)

    @property
    def rack_count(self) -> int:
        """Return the number of racks: between one and one a server."""
        return min(self.servers, max(1, whole(self.racks, self.names)))

    @property
    def spare_count(self) -> int:
        """Return the number of servers without VMs: not all of them."""
        return min(self.servers - 1, whole(self.spare, self.names))

    @property
    def domain_count(self) -> int:
        """Return the number of update domains: between one and one a server."""
        return min(self.servers, max(1, whole(self.update_domains, self.names)))

    @property
    def create_every_ms(self) -> int:
        """Return milliseconds between two new VMs; 0: none."""
        return round(number(self.create_every_s, self.names) * 1000)


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """A region and the one it is paired with."""

    region: str
    paired_with: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where something happens: clusters by pattern, then racks, servers and VMs within each."""

    clusters: tuple[str, ...] = ("*",)
    racks: Pick = None
    servers: Pick = None
    vms: Pick = None
    """How many, or which, of each server chosen."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A new version on its way through clusters, by update domains or as a blast."""

    name: str
    clusters: tuple[str, ...]
    system: str
    versions: dict[str, str]
    component: str
    mode: str
    at_ms: int
    lead_ms: int
    """From UD_STARTED to the moment at which the VMs of all its servers start anew."""
    gap_ms: int
    """From UD_COMPLETED to the next UD_STARTED."""
    spread_ms: int
    """Over how long the servers of an update domain start their VMs; 0: all in the same millisecond."""
    reboot: bool
    down_ms: tuple[int, int]
    """With `reboot`: how long a server is away."""
    done: float | str
    """Update domains that already run the new versions when the scenario starts."""
    ready_wait_ms: int
    """How long the rollout waits for VMs that do not become ready before it goes on; 0: for ever."""
    servers: Pick = None
    """How many, or which, of the servers that `origin` leaves; None is all."""
    origin: dict[str, str] = field(default_factory=dict)
    """Component to pattern: only servers whose versions match when it begins."""
    announced: bool = True
    """False: no maintenance event tells of it, only the versions in reports."""
    by_hand: bool = False
    """Pushed by people: behind the brake too, to servers in HI and in another update, and no brake pauses it."""
    restart: str = "all"
    """Which VMs a new guest agent restarts: all, failed (those that made no contact), none."""
    repairs: bool = False
    """Servers in HI that it reaches are READY again when their VMs start anew."""
    abort_ms: int | None = None
    """When it is aborted, if it has not completed by then."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A new OS on its way through clusters, as seed 002 tells it: images are copied, then hosts, guests and agents."""

    name: str
    clusters: tuple[str, ...]
    at_ms: int
    """When the images begin to be copied."""
    copied_ms: int
    """When they are all there."""
    host_os: str
    """New version; empty: no host pass."""
    guest_os: str
    ga: str
    host_at_ms: int
    guest_at_ms: int
    agent_at_ms: int
    gap_ms: int
    """From UD_COMPLETED to the next UD_STARTED."""
    spread_ms: int
    """Over how long the servers of an update domain, or the services of a cluster, begin."""
    parallel: int
    """Update domains at once."""
    down_ms: tuple[int, int]
    """How long a server is away."""
    ready_wait_ms: int
    """How long it waits for role instances that are not ready, from the start of their server or their own."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave of planned maintenance as seed 003 tells it: announced, then done by the owners, then by schedule."""

    name: str
    scope: Scope
    remaining_of: str
    """Name of a wave whose VMs that were not updated this one takes; empty: those of the scope."""
    host_os: str
    """The version that its servers get."""
    announced_ms: int
    self_service_ms: tuple[int, int]
    scheduled_ms: tuple[int, int]
    redeploys: float
    """Share of its VMs that their owners redeploy in the self-service window."""
    lead_ms: int
    """From SCHEDULED to the reboot that it speaks of."""
    gap_ms: int
    down_ms: tuple[int, int]
    ready_wait_ms: int
    abort_after: int | None
    """Update domains after which it is aborted; None: it is not."""


@dataclass(frozen=True, slots=True)
class ComponentUpdate:
    """An update of a component of servers that run on, such as the network agent (seed 001)."""

    name: str
    scope: Scope
    system: str
    component: str
    version: str
    impact: str
    at_ms: int
    spread_ms: int
    takes_ms: tuple[int, int]
    network_ms: tuple[int, int]
    """With impact `network`: how long the network of the VMs is down within the update."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong. Which fields count depends on `kind`; streams/simulate/SCENARIOS.md has them."""

    name: str
    kind: str
    scope: Scope
    at_ms: int
    for_ms: int | None
    """None: to the end."""
    agent: str = "guest"
    effect: str = "error"
    step: str = ""
    error_code: str = ""
    message: str = ""
    dates: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    feeds: tuple[str, ...] = ()
    mode: str = "stamped"
    delay_ms: int = 0
    skew_s: tuple[float, float] = (0.0, 0.0)
    fraction: float = 1.0
    copies: int = 1
    restart: bool = True
    planned: bool = False
    down_ms: tuple[int, int] = (0, 0)
    reason: str = ""
    cause: str = ""
    workflow: str = ""
    rate: float | None = None
    """Of a bug: the share of starts (of VMs, for a network) that it strikes, of reboots those a server and hour."""
    after_ms: int = 0
    """Of a bug: how long after the change to `versions` on a server it sleeps there."""
    startup_s: tuple[float, float] = (0.0, 0.0)
    onstop_s: tuple[float, float] = (0.0, 0.0)
    initiator: str = ""
    wave: str = ""
    to: str = "updated"
    result: str = "MaintenanceCompleted"
    times: int = 1
    spacing_ms: int = 0
    per_day: float | None = None
    """Share of the scope's servers to which it happens in a day; None: once, at `at`, to all of them."""

    def until_ms(self, end_ms: int) -> int:
        """Return when it ends, no later than the scenario."""
        return end_ms if self.for_ms is None else min(end_ms, self.at_ms + self.for_ms)


@dataclass(frozen=True, slots=True)
class Repair:
    """Servers that were given up are put right, one after another."""

    name: str
    clusters: tuple[str, ...]
    at_ms: int
    for_ms: int | None
    """None: to the end."""
    per_minute: float | str
    """Servers a minute in each cluster."""
    servers: Pick
    """At most so many, or which; None is all that are given up, or will be."""
    of: tuple[str, ...]
    """Faults `corrupted`: only the servers that these hit; empty: only the others."""
    takes_ms: int
    """How long a server is OUT_FOR_REPAIR before it is READY; 0: not at all."""
    restart: str
    """Which VMs of the server are started anew: all, failed (those that made no contact), none."""
    lifts_brake: bool
    """Whether the brake is lifted when no server is given up any more."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service that several clusters run, and who depends on it."""

    name: str
    clusters: tuple[str, ...]
    priority: int
    depends_on: tuple[str, ...]
    needed_by: tuple[str, ...]
    """Clusters whose own services all depend on it."""
    guest_os: str


@dataclass(frozen=True, slots=True)
class Size:
    """A size to run a scenario in; what is None stays as the file has it."""

    clusters: int | None = None
    servers: int | None = None
    vms: int | None = None
    days: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: give it to `streams.simulate.generator`, and its truth to the judge."""

    name: str
    title: str
    start_ms: int
    duration_ms: int
    seed: int
    interval_s: int
    latency_ms: tuple[int, int]
    jitter_ms: int
    clusters: tuple[ClusterPlan, ...]
    regions: tuple[RegionPlan, ...]
    rollouts: tuple[Rollout, ...]
    upgrades: tuple[Upgrade, ...]
    waves: tuple[Wave, ...]
    component_updates: tuple[ComponentUpdate, ...]
    faults: tuple[Fault, ...]
    truth: Truth
    clocks_ms: int = 1000
    """Source time between two turns of the clocks where it is scored; see `clocks_s` in SCENARIOS.md."""
    quick: Size = Size()
    """The size in which `leapwatch score` runs it unless it is told `--full`, or another."""
    repairs: tuple[Repair, ...] = ()
    services: tuple[ServicePlan, ...] = ()
    history: tuple[Turn, ...] = ()
    """What people knew and did, and when, for the timeline that `score` prints beside it."""

    @property
    def end_ms(self) -> int:
        """Return the end, which is no longer part of it."""
        return self.start_ms + self.duration_ms

    def instances(self) -> list[tuple[str, ClusterPlan]]:
        """Return every cluster by name with its plan, in the order of the file."""
        return [(f"{plan.name}-{k + 1}", plan) for plan in self.clusters for k in range(plan.count)]

    def with_size(
        self,
        *,
        clusters: int | None = None,
        servers: int | None = None,
        vms: int | None = None,
        days: float | None = None,
        seed: int | None = None,
    ) -> Scenario:
        """Return the same scenario in another size; scopes, formulas and truth follow it.

        `clusters` are dealt to the kinds of cluster in the order of the file, one each, until none is left: two of
        the leap day are one in rollout and one without.
        """
        plans = list(self.clusters)
        for name, value, low, high in (
            ("clusters", clusters, 1, MOST_CLUSTERS),
            ("servers", servers, 1, MOST_SERVERS),
            ("vms", vms, 0, MOST_VMS),
        ):
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name}: is {value}; must be a whole number from {low} to {high}")
        if clusters is not None:
            share, rest = divmod(clusters, len(plans))
            plans = [replace(plan, count=share + (place < rest)) for place, plan in enumerate(plans)]
            plans = [plan for plan in plans if plan.count]
        if servers is not None:
            plans = [replace(plan, servers=servers) for plan in plans]
        if vms is not None:
            plans = [replace(plan, vms=vms) for plan in plans]
        duration = self.duration_ms if days is None else duration_ms(f"{days}d")
        if duration <= 0:
            raise ValueError(f"days: is {days}; must be more than 0")
        return replace(self, clusters=tuple(plans), duration_ms=duration, seed=self.seed if seed is None else seed)
