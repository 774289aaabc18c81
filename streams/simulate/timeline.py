"""The turns of a history beside what was found: when people knew, when Leapwatch said it, what it would stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table as Printed

from schemas.outputs import Decision, Finding, FindingState, Severity
from streams.simulate import reading as read
from streams.simulate.quantity import Clock, utc
from streams.simulate.reading import Table

LOUD = (Severity.WARNING, Severity.CRITICAL)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a history, as its document tells it."""

    at_ms: int
    """When people knew or did it."""
    what: str
    from_ms: int
    """Since when a finding can be of this turn: what set it off."""
    until_ms: int
    detectors: tuple[str, ...] = ()
    """Whose findings tell of it, in order of preference; none: it is told for the reader."""
    actions: tuple[str, ...] = ()
    """Decisions that would have stopped it."""


@dataclass(frozen=True, slots=True)
class Told:
    """A turn, and what was said of it."""

    turn: Turn
    finding: Finding | None = None
    decisions: tuple[Decision, ...] = ()
    """The first of each action."""


def load_turn(table: Table, clock: Clock, end_ms: int) -> Turn:
    """Return one `[[history]]`."""
    at_ms = table.take("at", clock.moment, clock.start_ms)
    turn = Turn(
        at_ms,
        table.take("what", read.text, ""),
        table.take("from", clock.moment, at_ms),
        table.take("until", clock.moment, end_ms),
        table.take("detectors", read.texts, ()),
        table.take("actions", read.texts, ()),
    )
    if "at" not in table or not turn.what:
        table.error("at", "is missing, or `what` is: a turn is a time and what happened")
    table.close()
    return turn


def tell(turns: Sequence[Turn], findings: Iterable[Finding], decisions: Iterable[Decision]) -> list[Told]:
    """Return what was said first of each turn: a finding at warning or above, and the first decision of each action."""
    said = sorted(
        (known for known in findings if known.state != FindingState.CLOSED and known.severity in LOUD),
        key=lambda known: known.at_ms,
    )
    made = sorted(decisions, key=lambda known: known.at_ms)
    told = []
    for turn in turns:
        mine = [known for known in said if turn.from_ms <= known.at_ms <= turn.until_ms]
        first = next(
            (known for detector in turn.detectors for known in mine if known.detector == detector),
            None,
        )
        stops: dict[str, Decision] = {}
        for decision in made:
            if decision.action in turn.actions and turn.from_ms <= decision.at_ms <= turn.until_ms:
                stops.setdefault(decision.action, decision)
        told.append(Told(turn, first, tuple(stops.values())))
    return told


def printed(told: Sequence[Told], title: str) -> Printed:
    """Return the timeline as a table; `after` is how long after what set the turn off it was said."""
    table = Printed(title=f"{title}: history, and what was said", title_justify="left", expand=False)
    for column in ("history (UTC)", "what happened", "said (UTC)", "after", "by", "would have stopped"):
        table.add_column(column, overflow="fold")
    for line in told:
        finding = line.finding
        table.add_row(
            utc(line.turn.at_ms)[5:16],
            line.turn.what,
            "" if finding is None else utc(finding.at_ms)[5:],
            "" if finding is None else span(finding.at_ms - line.turn.from_ms),
            "" if finding is None else f"{finding.detector}: {finding.title}",
            "; ".join(
                f"{each.action} {each.scope} ({each.state}, {utc(each.at_ms)[11:19]})" for each in line.decisions
            ),
        )
    return table


def span(length_ms: int) -> str:
    """Return a length of time as people say it: 12 s, 3 min, 2.5 h."""
    seconds = length_ms / 1000
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
