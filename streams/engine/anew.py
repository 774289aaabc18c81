"""New code over an old log: what a detector of another version starts from, and what is told otherwise now. Pure.

A detector whose `state_version` changed, or that no snapshot knows yet, is fed silently the last part of the log by a
runner beside (`beside`), up to where the snapshots stand; `transplant` puts its state into the running engine. Findings
that were open keep their ids; what is latched, and what opened before the part that was fed, stays open: nobody but a
person, and no missing data, closes it. When the silent run has reached progress, `difference` tells what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from detectors.contract import AnyDetector, OpenFinding, Openings, State, registry
from detectors.picture import ClusterState, ServerView, VmView
from schemas.outputs import Decision, DecisionState, Finding, FindingState
from schemas.telemetry import EVERYONE
from streams.engine.cluster import Cluster, Output, SavedCluster, scopes_of
from streams.engine.policy import decide
from streams.engine.runner import Runner

ENGINE = "engine"
"""The detector's name in findings that the engine makes itself: of detectors that failed."""
NOT_FOUND = "newer code does not find this in the same records"
RUNS_AGAIN = "the detector runs again, with newer code"


def started_anew(saved: SavedCluster, cluster: str, *, fleet: bool = False) -> list[str]:
    """Return the detectors whose state this snapshot does not hold, or holds in another version."""
    scopes = scopes_of(cluster, fleet=fleet)
    return [
        name
        for name, kind in registry().items()
        if kind.scope in scopes and saved.detectors.get(name, (None,))[0] != kind.state_version
    ]


def with_followers(names: Iterable[str]) -> list[str]:
    """Return these detectors and all that follow them: what those were given came from other code, or never came."""
    found = set(names)
    while more := {name for name, kind in registry().items() if found & set(kind.follows)} - found:
        found |= more
    return sorted(found)


def old_openings(saved: SavedCluster) -> dict[str, Openings]:
    """Return what was open by detector, read from states of any version: their common base never changes."""
    found = {}
    for name, (_, data) in saved.detectors.items():
        try:
            found[name] = msgspec.msgpack.decode(data, type=State).openings
        except msgspec.MsgspecError:
            found[name] = Openings()
    return found


def memory_ms(names: Iterable[str]) -> int:
    """Return how much of the log these detectors must be fed, in milliseconds."""
    return max((registry()[name].memory_s for name in names), default=0) * 1000


def beside(runner: Runner, names: Iterable[str], from_ms: int) -> Runner:
    """Return a runner of these detectors alone, and of those they follow, that knows only what was true at `from_ms`.

    Of the picture that is the inventory and the changes before then. The inventory is taken as it is now: it is
    written whole only once a day, and without it every fraction would be INCONCLUSIVE.
    """
    wanted: list[str] = []
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.append(name)
            todo += registry()[name].follows
    made = Runner(
        runner.partition,
        runner.clusters_thresholds(),
        code_digest=runner.code_digest,
        only=[name for name in registry() if name in wanted],
        pinned=runner.pinned,
        fleet=runner.fleet,
    )
    for name, cluster in runner.clusters.items():
        known = SavedCluster(
            _known_before(cluster.picture.state, from_ms),
            type(cluster.policy)(),
            {},
            {},
            {},
            cluster.thresholds.text,
            made.lanes if name == EVERYONE else None,
            cluster.configured,
        )
        made.restore(name, known, 0)
    return made


def _known_before(state: ClusterState, from_ms: int) -> ClusterState:
    servers = {
        name: ServerView(name, view.inventory, changes=[change for change in view.changes if change.at_ms < from_ms])
        for name, view in state.servers.items()
        if view.inventory is not None
    }
    vms = {
        name: VmView(name, "", group=view.group, update_domain=view.update_domain, service=view.service)
        for name, view in state.vms.items()
        if view.group or view.service
    }
    rollouts = {
        name: replace(view, servers={server: at_ms for server, at_ms in view.servers.items() if at_ms < from_ms})
        for name, view in state.rollouts.items()
        if view.started_ms < from_ms
    }
    return ClusterState(
        state.cluster,
        servers,
        vms,
        dict(state.services),
        dict(state.regions),
        state.inventory_complete,
        rollouts=rollouts,
    )


def transplant(
    giver_of_all: Runner, cluster: Cluster, names: Iterable[str], old: dict[str, Openings], from_ms: int
) -> None:
    """Move the states of these detectors into a running cluster, and whether they failed.

    The runner beside gives them away: it may go on for other clusters.
    """
    giver = giver_of_all.clusters.get(cluster.name)
    for name in names:
        detector = cluster.detectors.get(name)
        if detector is None:
            continue
        cluster.broken.pop(name, None)
        given = giver.detectors.pop(name, None) if giver is not None else None
        if giver is not None and name in giver.broken:
            cluster.broken[name] = giver.broken[name]
        if given is not None:
            detector.state = given.state
        _reconcile(detector, old.get(name, Openings()), from_ms)


def _reconcile(detector: AnyDetector, old: Openings, from_ms: int) -> None:
    """Let what is open go on under the ids that it had; keep what newer code has no right to close."""
    openings: Openings = detector.state.openings
    by_subject = {known.finding.subject: key for key, known in openings.open.items()}
    for key, was in old.open.items():
        same = key if key in openings.open else by_subject.get(was.finding.subject)
        if same is not None:
            found = openings.open[same].finding
            going_on = replace(found, id=was.finding.id, opened_ms=was.finding.opened_ms, evidence=was.finding.evidence)
            openings.open[same] = OpenFinding(going_on, was.dismissed)
        elif was.finding.latched or was.finding.opened_ms < from_ms:
            openings.open[key] = was


@dataclass(slots=True)
class Published:
    """What the outputs of a partition say as they stand."""

    findings: dict[str, Finding] = field(default_factory=dict)
    """Those open, by id, as last published."""
    decisions: dict[str, Decision] = field(default_factory=dict)

    def take(self, output: Output) -> None:
        """Note the next record of `findings` or `decisions`."""
        if isinstance(output, Decision):
            self.decisions[output.id] = output
        elif not isinstance(output, Finding):
            return
        elif output.state == FindingState.CLOSED:
            self.findings.pop(output.id, None)
        else:
            self.findings[output.id] = output


def difference(
    runner: Runner, published: Published, quarantines: Iterable[Finding], *, from_ms: int, at_ms: int
) -> list[Output]:
    """Return what the engine, after a silent run, sees otherwise than what was published; it holds for `at_ms`.

    `quarantines`: findings of detectors that failed in the silent run. `from_ms`: since when history was known;
    what opened before it stays open.
    """
    outputs: list[Output] = []
    open_now: set[str] = set()
    for cluster in runner.clusters.values():
        for detector in cluster.detectors.values():
            for finding in detector.state.openings:
                open_now.add(finding.id)
                outputs += _told_anew(finding, published.findings.get(finding.id), cluster, at_ms)
        outputs += _decisions(cluster, published)
    for finding in quarantines:
        open_now.add(finding.id)
        if finding.id not in published.findings and _still_broken(runner, finding):
            outputs.append(finding)
    for finding in published.findings.values():
        if finding.id in open_now or _of_fleet(finding) != runner.fleet:
            continue
        if finding.detector == ENGINE:
            if not _still_broken(runner, finding):
                outputs.append(_closed(finding, at_ms, RUNS_AGAIN, runner.code_digest))
        elif finding.latched or finding.opened_ms < from_ms:
            _adopt(runner, finding)
        else:
            outputs.append(_closed(finding, at_ms, NOT_FOUND, runner.code_digest))
    return outputs


def _told_anew(finding: Finding, before: Finding | None, cluster: Cluster, at_ms: int) -> list[Output]:
    """Return an opening where nothing was published, an update where what it concludes is another; else nothing."""
    stamped = replace(finding, at_ms=at_ms, config_digest=cluster.thresholds.digest, code_digest=cluster.code_digest)
    if before is None:
        opened = replace(stamped, state=FindingState.OPEN)
        # What is decided now is published with every other decision that nobody has heard of.
        decide(opened, cluster.policy, cluster.thresholds.policy)
        return [opened]
    if _conclusion(finding) != _conclusion(before):
        return [replace(stamped, state=FindingState.UPDATED)]
    return []


def _conclusion(finding: Finding) -> tuple[object, ...]:
    return finding.severity, finding.verdict, finding.trigger, finding.advised, finding.latched


def _decisions(cluster: Cluster, published: Published) -> list[Output]:
    """Return decisions that were never published; what older code decided stays decided until a person releases it."""
    for decision in published.decisions.values():
        # The fleet engine decides what is wider than a cluster, and each cluster what is its own.
        own = (
            not decision.scope.startswith("cluster:") if cluster.fleet else decision.scope == f"cluster:{cluster.name}"
        )
        if own and decision.state != DecisionState.RELEASED:
            cluster.policy.decisions.setdefault(decision.id, decision)
    return [decision for decision in cluster.policy.decisions.values() if decision.id not in published.decisions]


def _of_fleet(finding: Finding) -> bool:
    """Tell whether the fleet engine found this: it writes into a partition of `findings` that an engine writes too."""
    kind = registry().get(finding.facts.get("detector", "") if finding.detector == ENGINE else finding.detector)
    return kind is not None and kind.scope == "fleet"


def _still_broken(runner: Runner, finding: Finding) -> bool:
    cluster = runner.clusters.get(finding.subject.cluster or EVERYONE)
    return cluster is not None and finding.facts.get("detector") in cluster.broken


def _adopt(runner: Runner, finding: Finding) -> None:
    """Keep a published finding open in the state of its detector, where a person's Close or Release finds it."""
    for name in (finding.subject.cluster or EVERYONE, EVERYONE):
        cluster = runner.clusters.get(name)
        detector = cluster.detectors.get(finding.detector) if cluster is not None else None
        if detector is not None:
            detector.state.openings.open[f"published:{finding.id}"] = OpenFinding(finding)
            return


def _closed(finding: Finding, at_ms: int, reason: str, code_digest: str) -> Finding:
    return replace(finding, state=FindingState.CLOSED, at_ms=at_ms, close_reason=reason, code_digest=code_digest)
