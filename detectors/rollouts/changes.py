"""The changes of a cluster: what was changed where and when, as announced or as reports show."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.rollouts.ledger import BESIDE, age_of, pattern_of
from schemas.outputs import Evidence

CHANGES_MOST = 16
"""Changes remembered of one cluster; the oldest goes first. A month seldom has as many."""
FIRST_HITS_MOST = 4096
FAILED_BLOCKS = 64
"""Blocks of which the failures of one server are told apart: five days in which it never stops failing."""
EVIDENCE_KEPT = 8
SEEN_LATE_MS = 120_000
"""A change that nobody announced happened up to so much before the report that shows it: an agent reports in full when
it starts, within its interval."""
ANNOUNCED_MS = 12 * 3_600_000
"""A version that a report shows so soon after its server's update began is that update's."""
ORDER = ("host_os", "ga", "ha", "netplugin", "nmagent", "fc")
"""Which component names a package of several that nobody announced."""


@dataclass(slots=True)
class Onset:
    """How a change's failures of one signature began."""

    first_ms: int
    """Stamp of the first."""
    quiet_from_ms: int
    """When the signature was last seen before the change, or watching began."""
    good_ms: int = 0
    """The last that went well before the first, anywhere; 0: none is known."""
    servers: dict[str, int] = field(default_factory=dict)
    """Changed servers with the stamp of their first; at most FIRST_HITS_MOST."""
    units: dict[str, float] = field(default_factory=dict)
    """Hits of each unit."""
    failed: dict[str, dict[int, int]] = field(default_factory=dict)
    """Changed servers with their failures by block, the newest FAILED_BLOCKS; of as many servers as `servers`."""
    evidence: list[Evidence] = field(default_factory=list)
    convicted: bool = False
    """The evidence has reached what guilt needs: it holds until the contrary is shown (Ville: once is enough)."""
    alike: bool = False
    """The evidence has reached what innocence needs: it holds until half of that is gone."""
    wealth_logs: list[float] = field(default_factory=list)
    """Logs of the wealth won by betting that servers changed earlier fail earlier, by bet."""
    ranked: int = 0
    frozen: list[float] = field(default_factory=list)
    """Its mean after some numbers of bets."""


@dataclass(slots=True)
class Change:
    """One rollout, or one set of versions that appeared on servers."""

    number: int
    key: str
    """The rollout's name, or the versions."""
    rollout: str
    component: str
    version: str
    from_version: str
    source: str
    """The record that told of it first, in its source's own terms."""
    began_ms: int
    """Stamp of the first server or VM changed."""
    evidence: list[Evidence] = field(default_factory=list)
    components: dict[str, str] = field(default_factory=dict)
    servers: dict[str, list[int]] = field(default_factory=dict)
    """Server to [from, until]; until -1: still in force."""
    racks: dict[str, str] = field(default_factory=dict)
    """Their racks, where known."""
    vms: dict[str, int] = field(default_factory=dict)
    """VMs updated one by one, with the stamp."""
    last_ms: int = 0
    """Stamp of the last server or VM changed."""
    exposed_ms: dict[str, int] = field(default_factory=dict)
    """Sphere to the first stamp of what could have failed with it."""
    good_before_ms: dict[str, list[int]] = field(default_factory=dict)
    """Sphere to since when the last 8, 16, 32 ... (`onsets.GOOD_IN_A_ROW`) before that had gone well, anywhere."""
    onsets: dict[str, Onset] = field(default_factory=dict)
    """By sphere and signature."""
    bounded: bool = False
    """Its harm has been bounded: that holds until half of the evidence is gone."""
    unknown: int = 0
    """Starts with it of which nobody knows what came of them."""
    known: int = 0
    looked_ms: int = 0
    want_ms: int = 0
    """When it wants to be judged next; 0: not before something happens."""

    def in_force(self, server: str, vm: str, at_ms: int) -> int | None:
        """Return since when this change is in force for a VM there (empty: for the server), None: it is not."""
        span = self.servers.get(server)
        if span is not None and span[0] <= at_ms and (span[1] < 0 or at_ms < span[1]):
            return span[0]
        since_ms = self.vms.get(vm)
        return since_ms if since_ms is not None and since_ms <= at_ms else None

    @property
    def superseded(self) -> bool:
        """Tell whether no server has it any more."""
        return bool(self.servers) and not self.vms and all(span[1] >= 0 for span in self.servers.values())


@dataclass(slots=True)
class Told:
    """What an announcement of a rollout said."""

    component: str = ""
    from_version: str = ""
    to_version: str = ""
    source: str = ""
    evidence: Evidence | None = None


@dataclass(slots=True)
class Changes:
    """All changes that are remembered."""

    known: dict[str, Change] = field(default_factory=dict)
    """By key."""
    told: dict[str, Told] = field(default_factory=dict)
    """Rollouts announced; at most four times CHANGES_MOST."""
    numbers: int = 0

    def announce(self, rollout: str, told: Told) -> None:
        """Take what ROLLOUT_STARTED says."""
        while len(self.told) >= 4 * CHANGES_MOST:
            del self.told[next(iter(self.told))]
        self.told.setdefault(rollout, told)
        change = self.known.get(rollout)
        if change is not None and not change.version:
            change.component = change.component or told.component
            change.version, change.from_version = told.to_version, told.from_version
            change.components.setdefault(told.component, told.to_version)

    def updated(
        self, rollout: str, at_ms: int, source: str, evidence: Evidence, *, server: str = "", vm: str = ""
    ) -> Change:
        """Take the announced update of a server, or of one VM."""
        told = self.told.get(rollout, Told())
        change = self.known.get(rollout)
        if change is None:
            change = self._new(rollout, told.source or source, at_ms)
            change.rollout = rollout
            change.component, change.version = told.component, told.to_version
            change.from_version = told.from_version
            change.evidence += [told.evidence] if told.evidence is not None else []
            if told.component:
                change.components[told.component] = told.to_version
        self._reach(change, at_ms, evidence, server, vm)
        return change

    def shown(
        self, server: str, at_ms: int, versions: dict[str, tuple[str, str]], source: str, evidence: Evidence
    ) -> Change:
        """Take versions that a report shows changed: component to (from, to); return whose doing it is."""
        for change in self.known.values():
            span = change.servers.get(server) if change.rollout else None
            if span is None or not -SEEN_LATE_MS <= at_ms - span[0] <= ANNOUNCED_MS:
                continue
            if not change.version or set(change.components) & set(versions):
                self._named(change, versions)
                self._supersede(change, server, span[0])
                return change
        key = ",".join(f"{name}={to}" for name, (_, to) in sorted(versions.items()))
        change = self.known.get(key) or self._new(key, source, at_ms)
        self._named(change, versions)
        self._reach(change, at_ms - SEEN_LATE_MS, evidence, server, "")
        return change

    @staticmethod
    def _named(change: Change, versions: dict[str, tuple[str, str]]) -> None:
        for name, (_, to) in versions.items():
            change.components.setdefault(name, to)
        if not change.component:
            names = [name for name in ORDER if name in versions] or sorted(versions)
            change.component = names[0]
        if not change.version and change.component in versions:
            change.from_version, change.version = versions[change.component]

    def _new(self, key: str, source: str, at_ms: int) -> Change:
        self.numbers += 1
        change = self.known[key] = Change(self.numbers, key, "", "", "", "", source, at_ms)
        return change

    def _reach(self, change: Change, at_ms: int, evidence: Evidence, server: str, vm: str) -> None:
        if server and (server not in change.servers or change.servers[server][1] >= 0):
            change.servers[server] = [at_ms, -1]
        elif vm and vm not in change.vms:
            change.vms[vm] = at_ms
        else:
            return
        change.began_ms = min(change.began_ms, at_ms)
        change.last_ms = max(change.last_ms, at_ms)
        if len(change.evidence) < EVIDENCE_KEPT:
            change.evidence.append(evidence)
        if server:
            self._supersede(change, server, at_ms)

    def _supersede(self, change: Change, server: str, at_ms: int) -> None:
        """End, on a server, what changed a component before that is changed again."""
        for other in self.known.values():
            span = other.servers.get(server)
            if other is change or span is None or span[1] >= 0 or span[0] > at_ms:
                continue
            if set(other.components) & set(change.components):
                span[1] = at_ms

    def pattern(self, server: str, vm: str, at_ms: int, ga_version: str = "") -> tuple[str, list[Change]]:
        """Return what was in force there and then, as `pattern_of` writes it, and the changes.

        `ga_version`: of a start, which guest agent it brought, where that is known: an update may leave it as it is.
        What had begun elsewhere in the cluster and not there is BESIDE it: a control of the same hours.
        """
        ages: dict[int, int] = {}
        changes: list[Change] = []
        for change in self.known.values():
            since_ms = change.in_force(server, vm, at_ms)
            if change.component == "ga" and ga_version and change.version and ga_version != change.version:
                since_ms = None
            if since_ms is None and change.began_ms <= at_ms:
                ages[change.number] = BESIDE
            elif since_ms is not None:
                ages[change.number] = age_of(at_ms - since_ms)
                changes.append(change)
        return pattern_of(ages), changes

    def oldest_beyond_bound(self) -> Change | None:
        """Return the change to be forgotten because there are too many; None: there are not."""
        if len(self.known) <= CHANGES_MOST:
            return None
        return min(self.known.values(), key=lambda known: (known.last_ms, known.number))
