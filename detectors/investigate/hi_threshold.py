"""The brake: so many servers of a cluster are out that its updates and its healing must stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector, State
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.investigate.brake import FEWEST_SERVERS, LEAST_SERVERS, ROOT_FACTOR, SERVERS_SHARE, brake
from detectors.investigate.outages import Outage, Outages
from detectors.investigate.telling import tell, too_early
from detectors.lanes import FAR_MS, Interval
from detectors.picture import Picture
from schemas.outputs import Action, Finding, Severity, Subject
from schemas.source import MAINTENANCE

BRAKE = "brake"
"""The key of the one finding a cluster can have."""
NAMED = 5
"""Servers named in the text; the numbers tell how many there are."""


@dataclass(frozen=True, slots=True)
class BrakeConfig:
    """The brake's numbers: max(least_servers, ceil(servers_share x n), ceil(root_factor x sqrt(n))) of n servers.

    `hi_forecast` has the same fields: change both.
    """

    least_servers: int = field(default=LEAST_SERVERS, metadata={"least": 1, "most": 20_000})
    """Servers out below which no cluster stops. Source: CATALOGUE, hi_threshold."""
    servers_share: float = field(default=SERVERS_SHARE, metadata={"least": 0, "most": 1})
    """Share of a large cluster's servers (0 to 1). Source: a public record of 23,739 node failures over nine years."""
    root_factor: float = field(default=ROOT_FACTOR, metadata={"least": 0, "most": 100})
    """Times the square root of the servers, for small clusters, which scatter more. Source: the same record."""
    fewest_servers: int = field(default=FEWEST_SERVERS, metadata={"least": 1, "most": 20_000})
    """A cluster of fewer servers has no brake. Source: CATALOGUE, hi_threshold."""


@dataclass(slots=True)
class BrakeState(State):
    """The servers that are out, and whether fractions of the cluster mean anything yet."""

    outages: Outages = field(default_factory=Outages)
    complete: bool = False
    """The inventory was complete at the last frame."""


class HiThreshold(Detector[BrakeConfig, BrakeState]):
    """Finds that so many of a cluster's servers are in HI or under repair that automation must stop: the brake.

    Rule: servers in HI (a `server_hi` finding that nobody released) or under repair (OUT_FOR_REPAIR, by the FC or the
    inventory) at one moment >= brake(n) = max(least_servers, ceil(servers_share n), ceil(root_factor sqrt(n))), where
    n is the cluster's servers in the inventory (1,000: 50). Only servers in the inventory count, each once. A cluster
    of fewer than `fewest_servers`, or whose inventory is not complete yet, has no brake: of an unknown whole no share
    can be told. `opened_ms` is the moment at which the count was reached by what was out then, not when that was
    noticed. Advises `stop-updates` and `disable-healing`, for that cluster.

    Latched: it stands, whatever comes back, until a person releases it; then it opens again when the rule holds
    without the findings and repairs that were counted at the release (a new finding of the same server counts).
    Source: seed 004 for the brake, a public record of 23,739 node failures over nine years for its size: there
    systems of 1,024 nodes never had more than 1.3 % down at once, and none of 128 nodes or more above 7.8 %.
    """

    Config = BrakeConfig
    State = BrakeState
    memory_s = 24 * 3600
    feeds = (MAINTENANCE,)
    follows = ("server_hi",)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what servers going out and coming back bring."""
        outages = self.state.outages
        if isinstance(frame, FindingFrame):
            added = outages.take_finding(frame.finding)
            return self._judge(frame, picture, [] if added is None else [added])
        if isinstance(frame, DueFrame):
            self.state.deadlines.pop(frame.due_ms)
            return self._tell(frame, picture)
        if not isinstance(frame, BatchFrame) or not (picture.news.maintenance or picture.news.inventory):
            return []
        windows: list[Interval | None] = [*outages.take_batch(frame, picture)]
        return self._judge(frame, picture, [*windows, None] if picture.news.inventory else windows)

    def dismiss(self, finding_id: str, frame: Frame, reason: str) -> list[Finding]:
        """Release the brake: what is out now counts no more."""
        findings = super().dismiss(finding_id, frame, reason)
        if findings:
            self.state.outages.release()
            self.state.openings.end(BRAKE, frame, reason)
            self.state.deadlines.drop(BRAKE)
        return findings

    def standing(self, picture: Picture) -> tuple[int, int] | None:
        """Return how many servers are out and at how many the brake falls; None where that is not known, or never."""
        servers = picture.counted_servers()
        if not picture.state.inventory_complete or servers < self.config.fewest_servers:
            return None
        return len(self.state.outages.servers(picture)), self._least(servers)

    def _least(self, servers: int) -> int:
        config = self.config
        return brake(servers, config.least_servers, config.servers_share, config.root_factor)

    def _judge(
        self, frame: BatchFrame | FindingFrame, picture: Picture, windows: Sequence[Interval | None]
    ) -> list[Finding]:
        """Open where the count was reached within one of the windows; tell what changed where it is open."""
        outages = self.state.outages
        if picture.state.inventory_complete and not self.state.complete:
            # What went out before the cluster was known is judged as if it had been known.
            self.state.complete = True
            windows = [(0, FAR_MS)]
        if not self.state.complete or not windows:
            return self._tell(frame, picture)
        if len(outages.current) + len(outages.ended) < self.config.least_servers:
            return self._tell(frame, picture)
        servers = picture.counted_servers()
        if servers < self.config.fewest_servers:
            return self._tell(frame, picture)
        least = self._least(servers)
        moments = [moment for window in windows if (moment := outages.crossing_ms(picture, least, window)) is not None]
        if not moments:
            return self._tell(frame, picture)
        known = self.state.openings.get(BRAKE)
        if known is None:
            return self._start(frame, picture, min(moments), servers, least)
        if min(moments) < known.opened_ms:
            return self._tell(frame, picture, opened_ms=min(moments), at_once=True)
        return self._tell(frame, picture)

    def _start(
        self, frame: BatchFrame | FindingFrame, picture: Picture, crossed_ms: int, servers: int, least: int
    ) -> list[Finding]:
        crossing = self.state.outages.begun_last(picture, crossed_ms)
        return self._open(
            BRAKE,
            frame,
            Subject(cluster=picture.cluster),
            crossing.source,
            opened_ms=crossed_ms,
            severity=Severity.CRITICAL,
            title=f"cluster {picture.cluster} has reached its brake: {least} of {servers} servers out at once",
            explanation=(
                f"With {crossing.server} as many servers of {picture.cluster} are in Human Investigate or under repair "
                f"as may ever be ({least} of {servers}). So many machines do not break by themselves: suspect what was "
                "changed last, or a date. Stop all updates of the cluster and its healing, which carries a software "
                "fault to the servers that are left; see fault_class and healing_cascade for what is at fault. "
                "What runs is not touched. Release the brake when the cause is known and mended."
            ),
            advised=(Action.STOP_UPDATES, Action.DISABLE_HEALING),
            latched=True,
            **self._said(picture, {"server": crossing.server}),
        )

    def _tell(self, frame: Frame, picture: Picture, *, at_once: bool = False, **changes: Any) -> list[Finding]:
        known = self.state.openings.get(BRAKE)
        if known is None or (not at_once and too_early(self.state, BRAKE, frame)):
            return []
        said = self._said(picture, known.facts)
        # The records that opened it stay first.
        said["evidence"] = (*known.evidence, *(record for record in said["evidence"] if record not in known.evidence))
        return tell(self.state, BRAKE, frame, at_once=at_once, **said, **changes)

    def _said(self, picture: Picture, facts: dict[str, str]) -> dict[str, Any]:
        """Return the fields that change while the finding is open."""
        out = self.state.outages.servers(picture)
        servers = picture.counted_servers()
        repair = sum(1 for outage in out.values() if outage.repair)
        return {
            "numbers": {
                "servers": len(out),
                "in_hi": len(out) - repair,
                "under_repair": repair,
                "brake": self._least(servers),
                "servers_counted": servers,
                "out_share": round(len(out) / servers, 6) if servers else 0.0,
            },
            "facts": {**facts, "servers": _named(out)},
            "evidence": _evidence(out),
        }


def _named(out: dict[str, Outage]) -> str:
    names = list(out)
    return ", ".join(names[-NAMED:]) + (f" and {len(names) - NAMED} before them" if len(names) > NAMED else "")


def _evidence(out: dict[str, Outage]) -> tuple[Any, ...]:
    """Return the records of those that went out last: the ones that tipped it."""
    return tuple(outage.evidence for outage in reversed(out.values()) if outage.evidence is not None)[:EVIDENCE_KEPT]
