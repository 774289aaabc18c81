"""Servers and VMs as the simulation holds them."""

from __future__ import annotations

from schemas.source import GaState, HostState, Network, VmReport


class Vm:
    """A VM. Its incarnation grows at each start, and so tells whether something that was planned still concerns it."""

    __slots__ = (
        "alive", "blasted", "clean", "contact", "events", "ga", "ga_version", "group", "guest_os", "healed", "home",
        "incarnation", "last_at", "name", "network", "off", "row", "service", "since_ms", "timeouts",
    )  # fmt: skip

    def __init__(self, name: str, home: Host, group: str, service: str, guest_os: str) -> None:
        self.name = name
        self.home = home
        self.group = group
        self.service = service
        self.guest_os = guest_os
        self.incarnation = 0
        self.ga: str = GaState.UNKNOWN
        self.ga_version = ""
        self.clean = False
        self.since_ms = 0
        self.network: str = Network.UP
        self.timeouts = 0
        """Time-outs in a row, of clean incarnations on this server."""
        self.contact = False
        self.alive = False
        """Its guest agent runs, and would send heartbeats."""
        self.off = False
        """Shut down: it waits for its host, and nothing of it can be reached."""
        self.healed = False
        """It came to this server by healing, and has neither made contact nor failed here."""
        self.blasted = ""
        """The fault by which a change of versions took its network."""
        self.events = 0
        self.last_at = 0
        self.row: VmReport | None = None

    def report(self) -> VmReport:
        """Return how the host agent sees it; made anew only after a change."""
        if self.row is None:
            home = self.home
            down = self.off or self.network == Network.DOWN or home.network_down > 0 or self.name in home.vms_down
            self.row = VmReport(
                self.name,
                self.incarnation,
                self.ga,
                self.clean,
                self.ga_version,
                self.since_ms + home.skew_ms,
                Network.DOWN if down else Network.UP,
            )
        return self.row


class Host:
    """A server and its host agent."""

    __slots__ = (
        "boot_id",
        "boots",
        "changed_ms",
        "due",
        "full_ms",
        "full_seq",
        "given_up",
        "in_repair",
        "index",
        "last_at",
        "muted",
        "name",
        "network_down",
        "phase_ms",
        "rack",
        "rows",
        "run",
        "runs",
        "seq",
        "skew_ms",
        "state",
        "up",
        "update_domain",
        "updating",
        "versions",
        "vms",
        "vms_down",
    )  # fmt: skip

    def __init__(self, name: str, index: int, rack: str, update_domain: int, versions: dict[str, str]) -> None:
        self.name = name
        self.index = index
        self.rack = rack
        self.update_domain = update_domain
        self.versions = versions
        """Also `ga`: the version that a VM which starts here gets."""
        self.changed_ms: dict[str, int] = {}
        """When each component was last changed; those that never were are missing."""
        self.vms: dict[str, Vm] = {}
        self.boots = 0
        self.runs = 0
        self.boot_id = f"{name}-boot-0"
        self.run = f"{name}-run-0"
        self.seq = 0
        self.full_seq = 0
        self.full_ms = -(10**15)
        self.state: str = HostState.READY
        self.rows: tuple[VmReport, ...] | None = None
        self.due = False
        """A full report is planned."""
        self.phase_ms = 0
        self.last_at = 0
        self.up = True
        self.muted = 0
        """So many faults keep its agent from speaking."""
        self.given_up = False
        """The fabric controller has moved it to HI."""
        self.in_repair = False
        self.updating = False
        self.network_down = 0
        self.vms_down: set[str] = set()
        self.skew_ms = 0

    @property
    def speaks(self) -> bool:
        """Return whether its agent reports."""
        return self.up and not self.muted

    def host_versions(self) -> dict[str, str]:
        """Return the versions that its reports name."""
        return {component: version for component, version in self.versions.items() if component != "ga"}

    def report(self) -> tuple[VmReport, ...]:
        """Return its VMs as a full report names them."""
        if self.rows is None:
            self.rows = tuple([vm.report() for vm in self.vms.values()])
        return self.rows
