"""What `leapwatch rca` tells: the interval of a VM at a moment, its article, its timeline and its evidence.

The history around the moment is run through the engine again: same code, same records, same answers as then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.json_source import to_json
from schemas.outputs import Finding, FindingState
from schemas.rca import RcaArticle
from streams.engine.articles import articles_of, cited, html_of, moment
from streams.replay.command import Report

BEFORE_MS = 3_600_000
"""How long before the moment the telling begins; what began before then is known from the state, and from its end."""
AFTER_MS = 25 * 3_600_000
"""How much history behind the moment is read: a cause that awaits an operator stands open for a day."""
INTERVALS = "unavailability"
CAUSES = "root_cause"


class NoInterval(Exception):  # noqa: N818 - reads as what it is where it is raised
    """The VM was available then, as far as the history tells; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Account:
    """One interval, as it stands at the end of the history that was read."""

    interval: Finding
    statements: tuple[Finding, ...]
    """What was said of its cause, in order; empty: nothing yet."""
    article: RcaArticle | None


def account_of(report: Report, vm: str, at_ms: int) -> Account:
    """Return the account of the interval that holds this moment; NoInterval where none does."""
    said = [output for output in report.outputs if isinstance(output, Finding) and output.subject.vm == vm]
    said += _open_now(report, vm)
    intervals = {known.id: known for known in said if known.detector == INTERVALS}
    inside = [known for known in intervals.values() if _start(known) <= at_ms <= _end(known)]
    if not inside:
        raise NoInterval(_nothing(report, vm, at_ms, list(intervals.values())))
    interval = max(inside, key=_start)
    statements = [known for known in said if known.detector == CAUSES and known.facts["interval"] == interval.id]
    articles = [made for known in statements for made in articles_of(known)]
    return Account(interval, tuple(statements), articles[-1] if articles else None)


def _open_now(report: Report, vm: str) -> list[Finding]:
    """Return what is open of a VM at the end, if the records read did not bring it: it began before them."""
    known = {(output.id, output.at_ms) for output in report.outputs if isinstance(output, Finding)}
    found = []
    for runner in report.replay.runners.values():
        for cluster in runner.clusters.values():
            for name in (INTERVALS, CAUSES):
                detector = cluster.detectors.get(name)
                openings = detector.state.openings if detector is not None else ()
                found += [one for one in openings if one.subject.vm == vm and (one.id, one.at_ms) not in known]
    return [replace(one, state=FindingState.UPDATED) for one in found]


def _start(interval: Finding) -> float:
    return interval.numbers["start_ms"]


def _end(interval: Finding) -> float:
    return interval.numbers.get("end_ms", float("inf"))


def _nothing(report: Report, vm: str, at_ms: int, intervals: list[Finding]) -> str:
    told = report.replay.told
    clusters = [cluster for runner in report.replay.runners.values() for cluster in runner.clusters.values()]
    if not any(vm in cluster.picture.vms for cluster in clusters):
        return f"no VM {vm} in the history that was read ({told.records} records); is the name, or --cluster, right?"
    near = sorted(intervals, key=lambda known: abs(_start(known) - at_ms))[:3]
    listed = "; ".join(f"{moment(int(_start(known)))} ({known.facts['signs']})" for known in near)
    others = f"; intervals nearest to it began at {listed}" if near else "; no interval of it is known"
    return f"VM {vm} was available at {moment(at_ms)} UTC, as far as {told.records} records tell{others}"


def lines(account: Account) -> Iterator[str]:
    """Yield the article, the timeline and the evidence for people."""
    interval = account.interval
    if account.article is None:
        yield f"# {interval.title}"
        yield ""
        yield "No cause is told yet: provisionally it is after five minutes, finally a minute after the end."
    else:
        yield account.article.markdown.rstrip()
    yield ""
    yield "## Timeline (UTC)"
    yield ""
    yield from (f"* {moment(at_ms)} {what}" for at_ms, what in timeline(account))
    newest = account.statements[-1] if account.statements else None
    if newest is not None and newest.facts.get("runners_up"):
        yield ""
        yield "## Runners-up"
        yield ""
        yield from (f"* {other}" for other in newest.facts["runners_up"].split("; "))
    yield ""
    yield "## Evidence"
    yield ""
    yield from (f"* {cited(known)}" for known in (newest or interval).evidence)


def timeline(account: Account) -> list[tuple[int, str]]:
    """Return what happened and what was said, in order: (stamp, what)."""
    newest = account.statements[-1] if account.statements else account.interval
    events = {(known.at_ms, known.note or "record") for known in newest.evidence}
    events.add((int(_start(account.interval)), "the interval begins"))
    if "end_ms" in account.interval.numbers:
        events.add((int(account.interval.numbers["end_ms"]), "the interval ends"))
    for said in account.statements:
        facts = said.facts
        events.add((said.at_ms, f"said: {facts['cause']}, {facts['state'].lower()}, revision {facts['revision']}"))
    return sorted(events)


def as_json(account: Account) -> bytes:
    """Return the account as one JSON object: article, interval, statements, and the article as HTML."""
    article = b"null" if account.article is None else to_json(account.article)
    statements = b",".join(to_json(known) for known in account.statements)
    return b'{"article":%b,"interval":%b,"statements":[%b]}' % (article, to_json(account.interval), statements)


def page(account: Account) -> str:
    """Return the article as HTML; NoInterval where no cause is told yet."""
    if account.article is None:
        raise NoInterval(f"{account.interval.title}; no cause is told yet, and so there is no article")
    return html_of(account.article)
