"""One change that reaches clusters all over the fleet at once, and that nobody announced to go domain by domain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector
from detectors.contract import State as BaseState
from detectors.failfast.words import counted, listed, utc
from detectors.fleet.pairs import pair_of, region_of
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.picture import Picture
from schemas.fleet import ClusterFacts
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import MaintenanceEvent, MaintenanceKind

CHANGES_MOST = 1024
"""Changes (component and version) remembered; that which reached its last cluster longest ago goes first."""
ROLLOUTS_MOST = 4096
UD = "ud"


@dataclass(frozen=True, slots=True)
class Config:
    """How far one change must reach, and how fast."""

    window_s: float = field(default=3600.0, metadata={"least": 1, "most": 30 * 86_400})
    """Seconds from the first to the last of the clusters that it reaches, both included; and observed seconds without
    another after which it is over. Source: CATALOGUE, simultaneous_change."""
    clusters: int = field(default=3, metadata={"least": 2, "most": 10_000})
    """Clusters that it reaches. Source: CATALOGUE, simultaneous_change."""
    regions: int = field(default=3, metadata={"least": 2, "most": 1000})
    """Regions that it reaches, paired or not; both regions of a pair are enough. Source: CATALOGUE,
    simultaneous_change: more than two."""
    known_share: float = field(default=0.9, metadata={"least": 0.0, "most": 1.0})
    """Share of a cluster's servers (for the guest agent: VMs) whose version was known before, so that another one is a
    change and not first sight. Source: our judgement; a cluster that is heard for the first time tells its versions
    bit by bit."""


@dataclass(slots=True)
class Reach:
    """A change has come to a cluster."""

    at_ms: int
    how: str
    """`rollout NAME` or `versions`."""
    source: str
    """The event's id, or the cluster: what an id is made of."""
    evidence: Evidence


@dataclass(slots=True)
class State(BaseState):
    """What has come where, and what was announced."""

    reached: dict[str, dict[str, Reach]] = field(default_factory=dict)
    """`component=version` to cluster to its first sight there; those of the last window."""
    announced: dict[str, str] = field(default_factory=dict)
    """`cluster/rollout` to the change that it makes there by update domains; the newest ROLLOUTS_MOST."""
    started: dict[str, str] = field(default_factory=dict)
    """`cluster/rollout` to its change, whatever its mode; the newest ROLLOUTS_MOST."""
    versions: dict[str, dict[str, int]] = field(default_factory=dict)
    """Cluster to the counts of its last facts that were whole."""


class SimultaneousChange(Detector[Config, State]):
    """Finds what a fleet-wide unattended update looks like: one change in several clusters or regions within an hour.

    Rule: a change is a component and the version that it comes to. It reaches a cluster with ROLLOUT_STARTED, or when
    a version shows in the cluster's facts that was not there before while at least `known_share` of its servers had
    told theirs. Where it comes to a cluster by a rollout with `mode` ud, or one that tells of update domains, it does
    not count there; nor do new host OS versions of a cluster in a wave of planned maintenance. It opens in the frame
    that brings the `clusters`-th cluster, the second region of a pair, or the `regions`-th region within `window_s`, by
    the stamps, in whatever order partitions bring them. It says nothing of harm: a blast that repairs is one as well
    (seed 004, 13:40). It ends when the change has reached no other cluster for `window_s`.
    """

    Config = Config
    State = State
    scope = "fleet"
    feeds = ("engine",)
    memory_s = 6 * 3600

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what rollouts, facts and quiet times bring."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._judge_end(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            findings += self._event(event, frame.batch.at_ms[index], frame.evidence(index), frame, picture)
        for index, row in enumerate(frame.batch.rows):
            if isinstance(row, ClusterFacts):
                findings += self._facts(row, frame.batch.at_ms[index], frame.evidence(index), frame, picture)
        return findings

    # -- what comes ----------------------------------------------------------------------------------------------

    def _event(
        self, event: MaintenanceEvent, at_ms: int, evidence: Evidence, frame: Frame, picture: Picture
    ) -> list[Finding]:
        if event.rollout is None or event.wave is not None:
            return []
        key = f"{event.cluster}/{event.rollout}"
        if event.kind == MaintenanceKind.UD_STARTED and key in self.state.started:
            return self._by_domains(key, self.state.started[key], event.cluster, frame, picture)
        if event.kind != MaintenanceKind.ROLLOUT_STARTED or not event.component or not event.to_version:
            return []
        change = f"{event.component}={event.to_version}"
        self.state.started[key] = change
        _bound(self.state.started, ROLLOUTS_MOST)
        if (event.mode or "").lower() == UD:
            return self._by_domains(key, change, event.cluster, frame, picture)
        reach = Reach(at_ms, f"rollout {event.rollout}", event.event_id, evidence)
        return self._reached(change, event.cluster, reach, frame, picture)

    def _by_domains(self, key: str, change: str, cluster: str, frame: Frame, picture: Picture) -> list[Finding]:
        """Take note that a change goes through a cluster by update domains: what it reached there does not count."""
        self.state.announced[key] = change
        _bound(self.state.announced, ROLLOUTS_MOST)
        known = self.state.reached.get(change, {})
        if known.pop(cluster, None) is None or self._widest(change, picture):
            return []
        return self.state.openings.end(change, frame, "it goes by update domains after all")

    def _facts(
        self, facts: ClusterFacts, at_ms: int, evidence: Evidence, frame: Frame, picture: Picture
    ) -> list[Finding]:
        before = self.state.versions.get(facts.cluster)
        if not facts.servers:
            return []
        findings: list[Finding] = []
        for change in facts.versions if before is not None else ():
            component = change.partition("=")[0]
            if change in (before or {}) or not self._whole(component, before or {}, facts):
                continue
            reach = Reach(at_ms, "versions", facts.cluster, evidence)
            findings += self._reached(change, facts.cluster, reach, frame, picture)
        self.state.versions[facts.cluster] = dict(facts.versions)
        # Its region may be new: what reached it before is judged again.
        for change, known in self.state.reached.items():
            if facts.cluster in known:
                findings += self._tell(change, frame, picture)
        return findings

    def _whole(self, component: str, before: dict[str, int], facts: ClusterFacts) -> bool:
        """Tell whether most of a cluster had told its version of a component before."""
        told = sum(count for change, count in before.items() if change.partition("=")[0] == component)
        return told > 0 and told >= self.config.known_share * (facts.vms if component == "ga" else facts.servers)

    def _announced(self, change: str, cluster: str, at_ms: int, picture: Picture) -> bool:
        """Tell whether a change goes through a cluster by update domains, or with a wave that ended a window ago."""
        known = picture.fleet.clusters.get(cluster)
        since_ms = at_ms - self.config.window_s * 1000
        waves = known.waves.values() if known is not None and change.startswith("host_os=") else ()
        if any(wave.started_ms and (not wave.ended_ms or wave.ended_ms >= since_ms) for wave in waves):
            return True
        prefix = f"{cluster}/"
        return any(made == change and key.startswith(prefix) for key, made in self.state.announced.items())

    def _reached(self, change: str, cluster: str, reach: Reach, frame: Frame, picture: Picture) -> list[Finding]:
        if self._announced(change, cluster, reach.at_ms, picture):
            return []
        known = self.state.reached.setdefault(change, {})
        first = known.get(cluster)
        if first is not None and first.at_ms <= reach.at_ms:
            return []
        known[cluster] = reach
        newest_ms = max(one.at_ms for one in known.values())
        if change not in self.state.openings.open:
            oldest_ms = min(newest_ms, picture.passed_ms(self.feeds)) - round(self.config.window_s * 1000)
            for name in [name for name, one in known.items() if one.at_ms < oldest_ms]:
                del known[name]
        while len(self.state.reached) > CHANGES_MOST:
            quiet = [name for name in self.state.reached if name not in self.state.openings.open and name != change]
            del self.state.reached[min(quiet or [next(iter(self.state.reached))], key=self._last_ms)]
        return self._tell(change, frame, picture)

    def _last_ms(self, change: str) -> int:
        return max((one.at_ms for one in self.state.reached[change].values()), default=0)

    # -- telling -------------------------------------------------------------------------------------------------

    def _widest(self, change: str, picture: Picture) -> list[str]:
        """Return the clusters of the first window that is wide enough, in order of their stamps; none: empty."""
        order = sorted(self.state.reached.get(change, {}).items(), key=lambda item: (item[1].at_ms, item[0]))
        first = 0
        for last in range(len(order)):
            while order[last][1].at_ms - order[first][1].at_ms > self.config.window_s * 1000:
                first += 1
            clusters = [name for name, _ in order[first : last + 1]]
            regions = {region for name in clusters if (region := region_of(picture.fleet, name))}
            paired = any(pair_of(picture, region) in regions - {region} for region in sorted(regions))
            if len(clusters) >= self.config.clusters or len(regions) >= self.config.regions or paired:
                return clusters
        return []

    def _tell(self, change: str, frame: Frame, picture: Picture) -> list[Finding]:
        clusters = self._widest(change, picture)
        if not clusters:
            return []
        known = self.state.reached[change]
        component, _, version = change.partition("=")
        regions = sorted({region for name in known if (region := region_of(picture.fleet, name))})
        first_ms = min(known[name].at_ms for name in clusters)
        opened_ms = max(known[name].at_ms for name in clusters)
        self.state.deadlines.set(change, self._last_ms(change) + round(self.config.window_s * 1000))
        where = f"{counted(len(known), 'cluster')} in {counted(len(regions), 'region')}"
        words: dict[str, Any] = {
            "title": f"{component} {version} reaches {where} at once, from {utc(first_ms)} on, and not by update "
            "domains",
            "explanation": "A change that comes everywhere within an hour leaves nothing untouched to compare with or "
            "to fail over to. Nobody announced it as a rollout by update domains: find out who sends it, and stop it "
            "if nobody knows it.",
            "evidence": tuple(known[name].evidence for name in sorted(known, key=lambda n: (known[n].at_ms, n)))[
                :EVIDENCE_KEPT
            ],
            "numbers": {"clusters": len(known), "regions": len(regions), "within_s": (opened_ms - first_ms) / 1000},
            "facts": {
                "clusters": listed(known),
                "regions": listed(regions),
                "seen_by": listed(one.how for one in known.values()),
            },
        }
        last = max(clusters, key=lambda name: (known[name].at_ms, name))
        return self._open(
            change,
            frame,
            Subject(component=component, version=version),
            known[last].source,
            opened_ms=opened_ms,
            severity=Severity.CRITICAL,
            **words,
        ) or self.state.openings.update(change, frame, **words)

    def _judge_end(self, change: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        window_ms = round(self.config.window_s * 1000)
        over_ms = picture.limit_passed_ms(self.feeds, self._last_ms(change), window_ms)
        if over_ms > frame.due_ms:
            self.state.deadlines.set(change, over_ms)
            return []
        self.state.reached.pop(change)
        return self.state.openings.end(change, frame, f"no other cluster for {window_ms // 60_000} min")


def _bound(known: dict[str, str], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]
