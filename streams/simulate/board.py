"""The demo's board: what the findings so far say of each cluster, and what was found when. Pure, but for rich."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.fleet import Incident, IncidentState
from schemas.outputs import Decision, DecisionState, Finding, FindingState, Severity, Verdict
from streams.simulate.quantity import utc

NEWEST_KEPT = 9
INCIDENTS_SHOWN = 8
ACTIONS_SHOWN = 4
LEAP_DAY_MS = 1_330_473_600_000
"""2012-02-29T00:00:00Z, when the bug was set off."""
HISTORY = {
    "start_failure": "2 h 38 min until developers knew the bug",
    "start_stall": "2 h 38 min until developers knew the bug",
    "fault_class": "2 h 38 min; the host agents had blamed the hardware",
    "hi_forecast": "nobody foresaw it",
    "server_hi": "75 min",
    "hi_threshold": "75 min, and the first that anybody heard of it",
    "common_cause": "2 h 55 min until management was disabled everywhere",
    "healing_cascade": "told only in the analysis, days later",
    "decision": "75 min, cluster by cluster; everywhere by hand, after 2 h 55 min",
}
"""What the same took on the day itself (seed 004)."""
_STYLE = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
CONCLUDED = (Verdict.SOFTWARE, Verdict.HARDWARE)
_MANY = ("guest_timeout", "server_hi")
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
    trigger_ms: int = 0
    """When the first fault begins."""
    at_ms: int = 0
    """How far the source has been played."""
    judged_ms: int = 0
    """How far it has been judged."""
    newest: deque[Finding | Decision] = field(default_factory=lambda: deque(maxlen=NEWEST_KEPT))
    first: dict[tuple[str, str], Finding] = field(default_factory=dict)
    """The first warning of each detector in each cluster, and the first conclusion of fault_class."""
    decisions: dict[str, Decision] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    """As they stand, by id."""
    findings: int = 0
    told: int = 0
    """How many findings and decisions came into `newest`."""
    first_finding_s: float | None = None
    """Seconds from the command to the first finding on the screen that is a warning or worse, and no blindness."""

    @classmethod
    def of(cls, title: str, sizes: Mapping[str, tuple[int, int]]) -> Board:
        """Return an empty board for clusters of (servers, brake)."""
        return cls(title, {name: Standing(servers, brake) for name, (servers, brake) in sizes.items()})

    def take(self, output: Finding | Decision | Incident, after_s: float = 0.0) -> None:
        """Note one record of `findings`, `decisions` or `incidents`, `after_s` seconds after the command."""
        if isinstance(output, Incident):
            self.incidents[output.id] = output
            return
        if isinstance(output, Decision):
            self.decisions[output.id] = output
            self._tell(output)
            standing = self.clusters.get(output.scope.removeprefix("cluster:"))
            if standing is not None and output.state != DecisionState.RELEASED:
                standing.braked = utc(output.at_ms)[11:19]
            return
        self.findings += 1
        standing = self.clusters.get(output.subject.cluster or "")
        if standing is not None:
            _stand(standing, output)
        if output.detector == "fault_class":
            # It opens with what is known at once; what counts is when it came to a conclusion.
            if output.state != FindingState.CLOSED and output.verdict in CONCLUDED:
                self.first.setdefault((output.detector, output.subject.cluster or "*"), output)
            return
        if output.state != FindingState.OPEN or output.severity == Severity.INFO:
            return
        self.first.setdefault((output.detector, output.subject.cluster or "*"), output)
        if self.first_finding_s is None and output.detector != "blind":
            self.first_finding_s = after_s
        if output.detector not in _MANY:
            self._tell(output)

    def _tell(self, output: Finding | Decision) -> None:
        self.newest.append(output)
        self.told += 1

    def render(self) -> Group:
        """Return the board as rich shows it."""
        caption = "the workers are starting"
        if self.at_ms:
            judged = f", judged to {utc(self.judged_ms)[11:19]}" if self.judged_ms else ""
            caption = f"{utc(self.at_ms)[:19].replace('T', ' ')} UTC{judged}"
        table = Table(expand=True, title=self.title, caption=caption)
        for name, justify in (("cluster", "left"), ("time-outs", "right"), ("in HI", "right"), ("brake at", "right")):
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for name in ("forecast", "fault", "brake"):
            table.add_column(name)
        for name, standing in self.clusters.items():
            count = len(standing.investigated)
            style = "bold red" if standing.braked else "yellow" if standing.forecast or standing.verdict else ""
            table.add_row(
                name,
                str(len(standing.time_outs) or ""),
                f"{count} of {standing.servers}",
                str(standing.brake),
                standing.forecast if not standing.braked else "",
                standing.verdict,
                f"since {standing.braked}" if standing.braked else "",
                style=style,
            )
        return Group(table, Panel(self._newest(), title="newest findings and decisions", height=NEWEST_KEPT + 2))

    def _newest(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        for output in reversed(self.newest):
            text.append(f"{utc(output.at_ms)[11:19]}  {line_of(output)}\n", style=style_of(output))
        return text

    def summary(self) -> Table:
        """Return what was found when: the first of each detector, beside what it took in history on the leap day."""
        leap = self.trigger_ms == LEAP_DAY_MS
        table = Table(title="What was found, when", expand=True, show_lines=True)
        table.add_column("UTC", no_wrap=True)
        table.add_column("after the trigger" if leap else "after the fault", justify="right", max_width=11)
        table.add_column("finding", ratio=3)
        if leap:
            table.add_column("on the day itself", ratio=1)
        for at_ms, what, history, style in sorted([*self._first_findings(), *self._first_decisions()]):
            after = after_trigger(at_ms - self.trigger_ms)
            table.add_row(utc(at_ms)[11:19], after, what, *((history,) if leap else ()), style=style)
        return table

    def _first_findings(self) -> list[tuple[int, str, str, str]]:
        """Return (at_ms, what, history, style) of the first finding of each detector."""
        firsts: dict[str, Finding] = {}
        for finding in self.first.values():
            known = firsts.setdefault(finding.detector, finding)
            firsts[finding.detector] = min(known, finding, key=lambda each: each.at_ms)
        return [(finding.at_ms, line_of(finding), HISTORY.get(finding.detector, ""), "") for finding in firsts.values()]

    def _first_decisions(self) -> list[tuple[int, str, str, str]]:
        """Return likewise the first decision of each action, with how many more clusters it came to."""
        actions: dict[str, list[Decision]] = {}
        for decision in sorted(self.decisions.values(), key=lambda each: (each.at_ms, each.scope)):
            actions.setdefault(decision.action, []).append(decision)
        rows = []
        for first, *more in actions.values():
            also = f", then {len(more)} more" if more else ""
            rows.append((first.at_ms, f"{line_of(first)}{also}: {first.reason}", HISTORY["decision"], "magenta"))
        return rows

    def incidents_table(self) -> Table:
        """Return the incidents that go on, loudest first: what somebody who comes now would read."""
        table = Table(title="What one would tell: `leapwatch incidents list`", expand=True, show_lines=True)
        table.add_column("since", no_wrap=True)
        table.add_column("clusters", justify="right", no_wrap=True)
        table.add_column("incident", ratio=3)
        table.add_column("what is done or advised", ratio=2)
        loud = list(_STYLE)
        known = [each for each in self.incidents.values() if each.state != IncidentState.RESOLVED]
        known.sort(key=lambda each: (loud.index(Severity(each.severity)), each.opened_ms))
        for incident in known[:INCIDENTS_SHOWN]:
            actions = "\n".join(incident.actions[:ACTIONS_SHOWN])
            since = utc(incident.opened_ms)[11:19]
            table.add_row(
                since, str(len(incident.clusters)), incident.title, actions, style=_STYLE[Severity(incident.severity)]
            )
        if len(known) > INCIDENTS_SHOWN:
            table.caption = f"and {len(known) - INCIDENTS_SHOWN} more"
        return table

    def last_words(self) -> str:
        """Return what to say when all is over."""
        if self.first_finding_s is None:
            return f"{self.findings} records of findings, none of them a warning. Nothing is left running."
        first = f"the first warning stood on the screen {self.first_finding_s:.1f} s after the command"
        return f"{self.findings} records of findings; {first}. Nothing is left running."


class Lines:
    """The board where there is no terminal: each new warning and decision once, as a line."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console = console
        self.board = board
        self._told = 0

    def __enter__(self) -> Lines:
        self.console.print(self.board.title, highlight=False, markup=False)
        return self

    def __exit__(self, *error: object) -> None:
        self.update(None)

    def update(self, _renderable: object, *, refresh: bool = True) -> None:
        """Print what is new."""
        new = self.board.told - self._told
        for output in list(self.board.newest)[-new:] if new else ():
            line = f"{utc(output.at_ms)[11:19]}  {line_of(output)}"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._told = self.board.told


def line_of(output: Finding | Decision) -> str:
    """Return one line about a finding or a decision."""
    if isinstance(output, Finding):
        return f"{output.detector}: {output.title}"
    return f"DECISION {output.action} {output.scope.removeprefix('cluster:')} ({output.state.lower()})"


def style_of(output: Finding | Decision) -> str:
    """Return rich's style for it."""
    return "bold magenta" if isinstance(output, Decision) else _STYLE.get(Severity(output.severity), "")


def after_trigger(passed_ms: int) -> str:
    """Return how long after the trigger something was, for people."""
    seconds = passed_ms / 1000
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
    elif finding.detector == "fault_class" and opening and finding.verdict in CONCLUDED:
        standing.verdict = finding.verdict + (f" ({finding.trigger})" if finding.trigger else "")
