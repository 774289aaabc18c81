"""Planned maintenance under way in both regions of a pair: nothing is left to fail over to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector
from detectors.contract import State as BaseState
from detectors.failfast.words import listed, utc
from detectors.fleet.pairs import pair_of, region_of
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.picture import Picture
from detectors.upkeep import WaveView
from schemas.outputs import Finding, Severity, Subject
from schemas.source import MaintenanceKind

_ENDS = (MaintenanceKind.WAVE_ABORTED, MaintenanceKind.WAVE_COMPLETED)


@dataclass(frozen=True, slots=True)
class Config:
    """When two waves are at the same time."""

    overlap_s: float = field(default=0.0, metadata={"least": 0, "most": 86_400})
    """Seconds for which both are under way before it is told. Source: seed 003, "Azure will not update any Virtual
    Machines in South Central US at the same time": no overlap is right."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A wave that has started in one cluster."""

    cluster: str
    wave: WaveView


@dataclass(slots=True)
class State(BaseState):
    """What is open and due; waves are in the fleet's picture."""


class PairedRegions(Detector[Config, State]):
    """Finds waves of planned maintenance under way in both regions of a pair at the same time (seed 003).

    Rule: a wave is under way in a region from the first WAVE_STARTED of a cluster there to the last WAVE_COMPLETED or
    WAVE_ABORTED; two regions that the inventory pairs have one each for more than `overlap_s`, one wave in both among
    them. Judged when the engines of all partitions have passed the later start, so that an end that comes late from
    another partition is known. The region told is the one that started later: its wave is to wait. Regions that are
    not paired may go at once. It ends when one of the two has none under way any more.
    """

    Config = Config
    State = State
    scope = "fleet"
    feeds = ("engine",)
    memory_s = 86_400

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what starts and ends of waves bring."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._judge(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            region = event.region or region_of(picture.fleet, event.cluster)
            pair = _key(region, pair_of(picture, region)) if region else ""
            if not pair:
                continue
            if event.kind == MaintenanceKind.WAVE_STARTED:
                after_ms = frame.batch.at_ms[index] + round(self.config.overlap_s * 1000)
                # Each start is judged for itself: when engines lag, several wait at once.
                self.state.deadlines.set(f"{pair}\x1f{after_ms}", after_ms)
            elif event.kind in _ENDS:
                findings += self._end(pair, frame, picture)
        return findings

    def _judge(self, pair: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        one, other, *_ = pair.split("\x1f")
        pair = _key(one, other)
        first, second = (_under_way(picture, region, frame.due_ms) for region in (one, other))
        if not first or not second:
            return []
        begun = {region: min(u.wave.started_ms for u in those) for region, those in ((one, first), (other, second))}
        late, early = (one, other) if begun[one] > begun[other] else (other, one)
        since_ms = begun[late]
        both = [*first, *second]
        words: dict[str, Any] = {
            "title": f"maintenance is under way in both {one} and {other}, which are paired, since {utc(since_ms)}",
            "explanation": f"Whoever fails over from {early} to {late} meets restarts there as well. Only one region "
            f"of a pair is updated at a time: let the wave in {late} wait.",
            "evidence": tuple(known.wave.evidence for known in both),
            "numbers": {"clusters": len({known.cluster for known in both})},
            "facts": {
                "pair": f"{one}, {other}",
                "waves": listed(known.wave.wave for known in both),
                "clusters": listed(known.cluster for known in both),
            },
        }
        opened_by = min(known.wave.event_id for known in (first if late == one else second))
        return [
            *self._open(
                pair,
                frame,
                Subject(region=late),
                opened_by,
                opened_ms=since_ms,
                severity=Severity.CRITICAL,
                **words,
            ),
            *self._end(pair, frame, picture),
        ]

    def _end(self, pair: str, frame: Frame, picture: Picture) -> list[Finding]:
        """Close the finding of a pair where one of its regions has no wave under way any more."""
        if all(_under_way(picture, region, None) for region in pair.split("\x1f")):
            return []
        return self.state.openings.end(pair, frame, "only one of the two regions has a wave under way")


def _key(region: str, other: str) -> str:
    return "\x1f".join(sorted((region, other))) if other and other != region else ""


def _under_way(picture: Picture, region: str, at_ms: int | None) -> list[UnderWay]:
    """Return the waves under way in a region at `at_ms` (None: by all that is known), in order of cluster and wave."""
    found = []
    for name, cluster in sorted(picture.fleet.clusters.items()):
        for _, wave in sorted(cluster.waves.items()):
            started = wave.started_ms > 0 and (at_ms is None or wave.started_ms <= at_ms)
            ended = wave.ended_ms > 0 and (at_ms is None or wave.ended_ms <= at_ms)
            if started and not ended and (wave.region or cluster.region) == region:
                found.append(UnderWay(name, wave))
    return found
