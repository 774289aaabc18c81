"""The demo's board: what the findings so far say of each cluster, and what was found when. Pure, but for rich."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.outputs import Decision, DecisionState, Finding, FindingState, Severity
from streams.simulate.quantity import utc

NEWEST_KEPT = 9
LEAP_DAY_MS = 1_330_473_600_000
"""2012-02-29T00:00:00Z, when the bug was set off."""
HISTORY = {
    "start_failure": "2 h 38 min until developers knew the bug",
    "start_stall": "2 h 38 min until developers knew the bug",
    "fault_class": "2 h 38 min; the host agents had blamed the hardware",
    "hi_forecast": "nobody foresaw it",
    "server_hi": "75 min",
    "hi_threshold": "75 min, and the first that anybody heard of it",
    "healing_cascade": "told only in the analysis, days later",
}
"""What the same took on the day itself (seed 004)."""
_STYLE = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
_MANY = ("guest_timeout", "server_hi", "fault_class")
"""Detectors that speak of each VM or server: counted on the board, told by the others."""


@dataclass(slots=True)
class Standing:
    """What is known of one cluster."""

    servers: int
    brake: int
    investigated: set[str] = field(default_factory=set)
    time_outs: set[str] = field(default_factory=set)
    forecast: str = ""
    verdict: str = ""
    braked: str = ""
    open: dict[str, Finding] = field(default_factory=dict)


@dataclass(slots=True)
class Board:
    """All that the demo shows."""

    title: str
    clusters: dict[str, Standing]
    at_ms: int = 0
    """How far the source has been played."""
    judged_ms: int = 0
    """Stamp of the newest output of the engine."""
    newest: deque[Finding | Decision] = field(default_factory=lambda: deque(maxlen=NEWEST_KEPT))
    first: dict[tuple[str, str], Finding] = field(default_factory=dict)
    """The first opening by each detector in each cluster."""
    decisions: dict[str, Decision] = field(default_factory=dict)
    findings: int = 0
    first_finding_s: float | None = None
    """Seconds from the command to the first finding on the screen."""

    @classmethod
    def of(cls, title: str, sizes: Mapping[str, tuple[int, int]]) -> Board:
        """Return an empty board for clusters of (servers, brake)."""
        return cls(title, {name: Standing(servers, brake) for name, (servers, brake) in sizes.items()})

    def take(self, output: Finding | Decision) -> None:
        """Note one record of `findings` or `decisions`."""
        self.judged_ms = max(self.judged_ms, output.at_ms)
        if isinstance(output, Decision):
            self.decisions[output.id] = output
            self.newest.append(output)
            standing = self.clusters.get(output.scope.removeprefix("cluster:"))
            if standing is not None and output.state != DecisionState.RELEASED:
                standing.braked = utc(output.at_ms)[11:19]
            return
        self.findings += 1
        standing = self.clusters.get(output.subject.cluster or "")
        if standing is not None:
            _stand(standing, output)
        if output.state != FindingState.OPEN:
            return
        self.first.setdefault((output.detector, output.subject.cluster or "*"), output)
        if output.detector not in _MANY and output.severity != Severity.INFO:
            self.newest.append(output)

    def render(self) -> Group:
        """Return the board as rich shows it."""
        table = Table(expand=True, title=f"{self.title}: {utc(self.at_ms)[:19] if self.at_ms else 'starting'} UTC")
        for name, justify in (("cluster", "left"), ("time-outs", "right"), ("in HI", "right"), ("brake at", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for name in ("forecast", "fault", "brake"):
            table.add_column(name)
        for name, standing in self.clusters.items():
            count = len(standing.investigated)
            style = "bold red" if standing.braked else "yellow" if standing.forecast or standing.verdict else ""
            table.add_row(
                name,
                str(len(standing.time_outs) or ""),
                f"{count} of {standing.servers}" if count else "",
                str(standing.brake),
                f"brake at {standing.forecast}" if standing.forecast and not standing.braked else "",
                standing.verdict,
                f"since {standing.braked}" if standing.braked else "",
                style=style,
            )
        return Group(table, Panel(self._newest(), title="newest findings and decisions", height=NEWEST_KEPT + 2))

    def _newest(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        for output in reversed(self.newest):
            if isinstance(output, Decision):
                line = f"{utc(output.at_ms)[11:19]}  DECISION {output.state} {output.action} {output.scope}\n"
                text.append(line, style="bold magenta")
            else:
                line = f"{utc(output.at_ms)[11:19]}  {output.detector}: {output.title}\n"
                text.append(line, style=_STYLE.get(Severity(output.severity), ""))
        return text

    def summary(self) -> Table:
        """Return what was found when: the first of each detector, beside what it took in history on the leap day."""
        leap = any(LEAP_DAY_MS <= finding.at_ms < LEAP_DAY_MS + 86_400_000 for finding in self.first.values())
        table = Table(title="What was found, when", expand=True)
        for name in ("detector", "first in", "at (UTC)", *(("after the trigger", "on the day itself") if leap else ())):
            table.add_column(name)
        table.add_column("finding", ratio=1)
        firsts: dict[str, Finding] = {}
        for finding in self.first.values():
            if finding.severity != Severity.INFO or finding.detector in HISTORY:
                known = firsts.setdefault(finding.detector, finding)
                firsts[finding.detector] = min(known, finding, key=lambda each: each.at_ms)
        for finding in sorted(firsts.values(), key=lambda each: each.at_ms):
            history = (after_trigger(finding.at_ms), HISTORY.get(finding.detector, "")) if leap else ()
            table.add_row(
                finding.detector, finding.subject.cluster or "", utc(finding.at_ms)[11:19], *history, finding.title
            )
        for decision in sorted(self.decisions.values(), key=lambda each: (each.at_ms, each.scope, each.action)):
            history = (after_trigger(decision.at_ms), "75 min" if decision.at_ms else "") if leap else ()
            what = f"{decision.action}: {decision.reason}"
            table.add_row(decision.state, decision.scope, utc(decision.at_ms)[11:19], *history, what, style="magenta")
        return table


def after_trigger(at_ms: int) -> str:
    """Return how long after midnight of the leap day a moment is, for people."""
    seconds = (at_ms - LEAP_DAY_MS) / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _stand(standing: Standing, finding: Finding) -> None:
    opening = finding.state != FindingState.CLOSED
    if finding.detector == "server_hi" and finding.subject.server:
        (standing.investigated.add if opening else standing.investigated.discard)(finding.subject.server)
    elif finding.detector == "guest_timeout" and finding.subject.vm:
        (standing.time_outs.add if opening else standing.time_outs.discard)(finding.subject.vm)
    elif finding.detector == "hi_forecast":
        standing.forecast = finding.facts.get("crosses_at", "") if opening else ""
    elif finding.detector == "fault_class" and opening and finding.verdict != "INCONCLUSIVE":
        standing.verdict = finding.verdict + (f" ({finding.trigger})" if finding.trigger else "")
