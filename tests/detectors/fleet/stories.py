"""Small logs of `fleet` for tests: facts, events and findings of clusters, through the real fleet engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, FindingFrame
from schemas.fleet import ClusterFacts
from schemas.inventory import Region, Service
from schemas.outputs import Decision, Evidence, Finding, FindingState, Severity, Subject
from schemas.source import MaintenanceEvent
from schemas.telemetry import Batch, Clocks, Row, Stretch
from streams.engine.runner import LogFrame, Runner
from tests.kit import START_MS


class FleetLog:
    """A log of `fleet` in the making; times are seconds from `start_ms`."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self.start_ms = start_ms
        self.frames: list[LogFrame] = []
        self.offsets: dict[tuple[str, str], int] = {}
        self.clocked: dict[int, tuple[int, int]] = {}

    def ms(self, at_s: float) -> int:
        """Return the stamp of a second of this log."""
        return self.start_ms + round(at_s * 1000)

    def batch(self, at_s: float, cluster: str, feed: str, *rows: Row) -> FleetLog:
        """Append a batch of one cluster."""
        first = self.offsets.get((cluster, feed), 0)
        self.offsets[cluster, feed] = first + len(rows)
        offsets = tuple(range(first, first + len(rows)))
        batch = Batch(cluster, feed, feed, f"id-of-{feed}", 0, offsets, (self.ms(at_s),) * len(rows), rows)
        self.frames.append(BatchFrame(0, len(self.frames), self.ms(at_s), batch))
        return self

    def facts(self, at_s: float, cluster: str, **facts: Any) -> FleetLog:
        """Append a cluster's facts."""
        return self.batch(at_s, cluster, "facts", ClusterFacts(cluster, **facts))

    def event(self, at_s: float, cluster: str, kind: str, **fields: Any) -> FleetLog:
        """Append a maintenance event that a cluster's engine passed on."""
        event_id = fields.pop("event_id", f"e{len(self.frames)}")
        system = fields.pop("system", "fc")
        return self.batch(
            at_s, cluster, "maintenance", MaintenanceEvent(event_id, cluster, self.ms(at_s), system, kind, **fields)
        )

    def told(self, at_s: float, *rows: Region | Service) -> FleetLog:
        """Append regions and services."""
        return self.batch(at_s, "*", "inventory", *rows)

    def finding(self, at_s: float, name: str, detector: str, cluster: str, **fields: Any) -> FleetLog:
        """Append a finding of a cluster: critical, opened as it is told, unless `fields` say otherwise."""
        at_ms = self.ms(at_s)
        subject = Subject(cluster=cluster, **fields.pop("subject", {}))
        evidence = (Evidence(0, 0, "guest-agent", at_ms=fields.pop("onset_ms", at_ms)),)
        made = Finding(
            name, detector, subject, FindingState.OPEN, Severity.CRITICAL, at_ms, at_ms, f"{name} of {cluster}"
        )
        made = dataclasses.replace(made, **{"evidence": evidence, **fields})
        self.frames.append(FindingFrame(0, len(self.frames), at_ms, made))
        return self

    def closed(self, at_s: float, name: str, detector: str, cluster: str, **fields: Any) -> FleetLog:
        """Append the closing of a finding."""
        return self.finding(at_s, name, detector, cluster, state=FindingState.CLOSED, **fields)

    def decision(self, at_s: float, name: str, action: str, cluster: str, finding_id: str, **fields: Any) -> FleetLog:
        """Append a decision of a cluster's engine, proposed unless `fields` say otherwise."""
        at_ms = self.ms(at_s)
        made = Decision(name, action, f"cluster:{cluster}", "PROPOSED", "advise", f"{name} why", (finding_id,), at_ms)
        self.frames.append(DecisionFrame(0, len(self.frames), at_ms, dataclasses.replace(made, **fields)))
        return self

    @classmethod
    def of(cls, frames: Sequence[LogFrame]) -> FleetLog:
        """Return a log of these frames."""
        log = cls()
        log.frames = [*frames]
        return log

    def clocks(self, at_s: float, lanes: Sequence[int] = (0,)) -> FleetLog:
        """Append a turn of the engines' clocks."""
        for lane in lanes:
            offset, from_ms = self.clocked.get(lane, (0, self.ms(at_s)))
            stretch = Stretch("engine", "telemetry", "telemetry", lane, offset, offset, from_ms, self.ms(at_s))
            self.clocked[lane] = (offset + 1, self.ms(at_s))
            self.frames.append(ClocksFrame(0, len(self.frames), self.ms(at_s), Clocks(lane, (stretch,))))
        return self


def run(log: FleetLog, only: Sequence[str]) -> list[Finding]:
    """Return what the fleet engine finds."""
    return [found for found in Runner(0, only=only, fleet=True).feed(log.frames) if isinstance(found, Finding)]
