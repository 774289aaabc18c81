"""What an engine tells Prometheus: what it was fed and wrote, what is open, how far it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from detectors.investigate.hi_threshold import HiThreshold
from schemas.outputs import Decision, DecisionState, Finding, FindingState, Progress
from streams.engine.anew import ENGINE
from streams.engine.runner import Counts, Runner
from streams.operate import metrics


class Told:
    """What has been told of one partition; counting begins where its runner stands: a silent re-run is no news."""

    def __init__(self, role: str, counts: Counts) -> None:
        self.role = role
        self._before = _copy(counts)

    def counts(self, now: Counts) -> None:
        """Tell what was fed since the last time."""
        before, self._before = self._before, _copy(now)
        kinds = {
            "clocks": now.clocks - before.clocks,
            "finding": now.findings - before.findings,
            "decision": now.decisions - before.decisions,
            "other": now.others - before.others,
        }
        kinds["batch"] = now.frames - before.frames - sum(kinds.values())
        for kind, count in kinds.items():
            metrics.FRAMES.labels(self.role, kind).inc(count)
        metrics.ROWS.labels(self.role).inc(now.rows - before.rows)
        metrics.REPEATS.labels(self.role).inc(now.repeats - before.repeats)
        metrics.CONFIGS_REFUSED.labels(self.role).inc(now.refused_configs - before.refused_configs)
        for (cluster, planned), count in now.reboots.items():
            more = count - before.reboots.get((cluster, planned), 0)
            metrics.REBOOTS.labels(cluster, "true" if planned else "false").inc(more)
        fresh = min(now.leads_seen - before.leads_seen, len(now.leads))
        for told_as, lead_s in list(now.leads)[len(now.leads) - fresh :]:
            metrics.lead(told_as, lead_s)

    def outputs(self, written: Iterable[Any]) -> None:
        """Tell what was committed."""
        for output in written:
            if isinstance(output, Finding):
                metrics.FINDINGS.labels(output.detector, output.state, output.severity).inc()
                if output.state == FindingState.OPEN:
                    metrics.told(output.severity, output.at_ms)
                    if output.detector == ENGINE:
                        metrics.DETECTOR_ERRORS.labels(output.facts.get("detector", "")).inc()
            elif isinstance(output, Decision):
                metrics.DECISIONS.labels(output.action, output.state).inc()
            elif isinstance(output, Progress):
                metrics.passed(self.role, "flushed", output.at_ms)


def gauge(role: str, runners: Iterable[Runner]) -> None:
    """Tell what is open, what stands until a person releases it, and how near clusters are to their brakes.

    All is set anew: what belonged to a partition that somebody else owns now is gone.
    """
    owned = list(runners)
    clusters = [cluster for runner in owned for cluster in runner.clusters.values()]
    detectors = [(cluster, detector) for cluster in clusters for detector in cluster.detectors.values()]
    findings = [finding for _, detector in detectors for finding in detector.state.openings]
    metrics.FINDINGS_OPEN.clear()
    for (name, severity), count in Counter((finding.detector, finding.severity) for finding in findings).items():
        metrics.FINDINGS_OPEN.labels(name, severity).set(count)
    metrics.INCIDENTS_OPEN.clear()
    going_on = [
        incident.severity
        for cluster in clusters
        for incident in cluster.picture.fleet.incidents.known.values()
        if not incident.resolved_ms
    ]
    for severity, count in Counter(going_on).items():
        metrics.INCIDENTS_OPEN.labels(severity).set(count)
    standing = [
        decision.action
        for cluster in clusters
        for decision in cluster.policy.decisions.values()
        if decision.state != DecisionState.RELEASED
    ]
    metrics.LATCHES_OPEN.clear()
    for action, count in Counter(standing).items():
        metrics.LATCHES_OPEN.labels(action).set(count)
    metrics.HUMAN_INVESTIGATE.clear()
    metrics.HI_THRESHOLD_RATIO.clear()
    for cluster, detector in detectors:
        if isinstance(detector, HiThreshold) and (known := detector.standing(cluster.picture)) is not None:
            out, brake = known
            metrics.HUMAN_INVESTIGATE.labels(cluster.name).set(out)
            metrics.HI_THRESHOLD_RATIO.labels(cluster.name).set(out / brake)
    marks = [lane.watermark_ms for runner in owned for lane in runner.lanes.lanes.values()]
    if marks:
        metrics.WATERMARK.labels(role).set(min(marks) / 1000)


def _copy(counts: Counts) -> Counts:
    return replace(counts, reboots=dict(counts.reboots))
