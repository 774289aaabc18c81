"""The judge: truth beside what was found. Pure: values in, rows of a table out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from schemas.outputs import Decision, Finding, FindingState, Severity
from schemas.telemetry import EVERYONE
from streams.simulate.judge_intervals import judge_intervals
from streams.simulate.quantity import utc
from streams.simulate.truth import Expected

_RANK = {Severity.INFO: 1, Severity.WARNING: 2, Severity.CRITICAL: 3}
_ENGINE = "engine"
"""The detector name under which the engine says that one of its detectors broke."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a line of truth, and what became of it."""

    ok: bool | None
    """None: told for information, judged by nobody."""
    kind: str
    """find, not, decide, count, engine or extra."""
    label: str
    cluster: str
    found: str = ""
    opened_ms: int | None = None
    seen_ms: int | None = None
    limit: str = ""
    note: str = ""


def judge(
    expected: Sequence[Expected],
    findings: Iterable[Finding],
    decisions: Iterable[Decision],
    counts: Mapping[str, int],
) -> list[Row]:
    """Return a row for each line of truth, then one for each detector that broke, and what nobody asked for."""
    histories = _histories(findings)
    made = list(decisions)
    rows: list[Row] = []
    claimed: set[str] = set()
    for line in expected:
        if line.broken:
            rows.append(Row(False, line.kind, line.label, line.cluster, note=line.broken))
        elif line.kind == "intervals":
            ok, found, note, keys = judge_intervals(line, histories)
            claimed |= keys
            limit = f"± {line.within_ms / 1000:g} s"
            rows.append(Row(ok, line.kind, line.label, line.cluster, found, limit=limit, note=note))
        elif line.kind == "find":
            rows.append(_judge_find(line, histories, claimed))
        elif line.kind == "not":
            rows.append(_judge_not(line, histories))
        elif line.kind == "decide":
            rows.append(_judge_decide(line, made))
        else:
            told = counts.get(line.label)
            rows.append(Row(told == line.least, "count", line.label, line.cluster, str(told), limit=f"{line.least:g}"))
    rows += _broken_detectors(histories)
    rows += _extras(histories, claimed)
    return rows


def exit_code(rows: Iterable[Row]) -> int:
    """Return 1 if any truth was missed or broken, else 0."""
    return int(any(row.ok is False for row in rows))


def _histories(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Return each finding's records, by its id, in the order in which they came."""
    histories: dict[str, list[Finding]] = {}
    for finding in findings:
        histories.setdefault(finding.id, []).append(finding)
    return histories


def _about(line: Expected, finding: Finding) -> bool:
    """Return whether a finding is of the detector, cluster and subject that a line speaks of.

    One about a whole lane or partition concerns every cluster in it. A line about the fleet takes any cluster.
    """
    if not line.fleet and finding.subject.cluster not in {line.cluster, None, "", EVERYONE}:
        return False
    if not any(fnmatchcase(finding.detector, pattern) for pattern in line.detectors):
        return False
    if line.opened_from_ms is not None and finding.opened_ms < line.opened_from_ms:
        return False
    for key, wanted in line.subject.items():
        value = getattr(finding.subject, key, None)
        if value is None:
            return False
        if isinstance(wanted, frozenset):
            if value not in wanted:
                return False
        elif not any(fnmatchcase(str(value), pattern) for pattern in wanted):
            return False
    return True


def _says(line: Expected, finding: Finding) -> str:
    """Return what a record of a finding lacks of what a line wants it to say; empty: nothing."""
    if line.severity and finding.severity != line.severity:
        return f"severity is {finding.severity}, not {line.severity}"
    if line.verdict and finding.verdict != line.verdict:
        return f"verdict is {finding.verdict}, not {line.verdict}"
    if line.trigger and finding.trigger != line.trigger:
        return f"trigger is {finding.trigger or 'none'}, not {line.trigger}"
    texts = (finding.title, finding.explanation, *finding.facts.values())
    for words in line.says:
        if not any(words in text for text in texts):
            return f"does not say {words!r}"
    for key, pattern in line.facts.items():
        if not fnmatchcase(finding.facts.get(key, ""), pattern):
            return f"fact {key} is {finding.facts.get(key)!r}, not {pattern!r}"
    for key, (low, high) in line.numbers.items():
        number = finding.numbers.get(key)
        if number is None or not low <= number <= high:
            return f"number {key} is {number}, not {low:g} to {high:g}"
    return ""


def _late(line: Expected, finding: Finding) -> str:
    """Return which time limit of a line a record of a finding misses; empty: none."""
    if line.opened_at_ms is not None and abs(finding.opened_ms - line.opened_at_ms) > line.within_ms:
        return f"opened {(finding.opened_ms - line.opened_at_ms) / 1000:+.3f} s from {utc(line.opened_at_ms)}"
    if line.opened_by_ms is not None and finding.opened_ms > line.opened_by_ms:
        return f"opened {(finding.opened_ms - line.opened_by_ms) / 1000:.3f} s too late"
    if line.seen_by_ms is not None and finding.at_ms > line.seen_by_ms:
        return f"said {(finding.at_ms - line.seen_by_ms) / 1000:.3f} s too late"
    if line.before_ms is not None and finding.at_ms >= line.before_ms:
        return f"said {(finding.at_ms - line.before_ms) / 1000:.3f} s after what it should precede"
    return ""


def _limit(line: Expected) -> str:
    """Return the limits of a line in words."""
    words = []
    if line.opened_at_ms is not None:
        words.append(f"opened {utc(line.opened_at_ms)} ± {line.within_ms / 1000:g} s")
    if line.opened_from_ms is not None:
        words.append(f"opened from {utc(line.opened_from_ms)} on")
    if line.opened_by_ms is not None:
        words.append(f"opened by {utc(line.opened_by_ms)}")
    if line.seen_by_ms is not None:
        words.append(f"said by {utc(line.seen_by_ms)}")
    if line.before_ms is not None:
        words.append(f"before {utc(line.before_ms)}")
    if line.throughout_ms is not None:
        words.append(f"from {utc(line.throughout_ms[0])} to {utc(line.throughout_ms[1])}")
    if (line.least, line.most) != (1, float("inf")):
        words.append(f"count {_amount(line)}")
    return ", ".join(words)


def _amount(line: Expected) -> str:
    return f"{line.least:g}" if line.least == line.most else f"{line.least:g} to {line.most:g}"


def _judge_find(line: Expected, histories: dict[str, list[Finding]], claimed: set[str]) -> Row:
    """Judge a finding that must be there. Its first record that says all that is wanted is the one that is timed."""
    saying: list[Finding] = []
    lacks = "no such finding"
    about = {key: history for key, history in histories.items() if _about(line, history[0])}
    for key, history in about.items():
        first = next((record for record in history if not _says(line, record)), None)
        if first is None:
            lacks = _says(line, history[-1])
        else:
            saying.append(first)
            claimed.add(key)
    timely = [record for record in saying if not _late(line, record)]
    best = min(timely or saying, key=lambda record: (record.at_ms, record.id), default=None)
    note = ""
    if not saying and line.least > 0:
        note = lacks
    elif len(timely) < line.least:
        late = _late(line, best) if best is not None and not timely else ""
        note = late or f"{len(timely)} in time, of {len(saying)}"
    elif len(saying) > line.most:
        note = f"{len(saying)} found"
    elif line.throughout_ms is not None:
        note = _break(line, about, *line.throughout_ms)
    return Row(
        not note,
        "find",
        line.label,
        line.cluster,
        _short(best) if best is not None else "",
        best.opened_ms if best is not None else None,
        best.at_ms if best is not None else None,
        _limit(line),
        note,
    )


def _break(line: Expected, about: dict[str, list[Finding]], from_ms: int, until_ms: int) -> str:
    """Return where in a stretch of time nothing stood that says what is wanted; empty: nowhere."""
    records = sorted((record for history in about.values() for record in history), key=lambda record: record.at_ms)
    standing: dict[str, Finding] = {}
    place = 0
    moment_ms = from_ms
    while moment_ms < until_ms:
        while place < len(records) and records[place].at_ms <= moment_ms:
            standing[records[place].id] = records[place]
            place += 1
        now = [record for record in standing.values() if record.state != FindingState.CLOSED]
        if not any(not _says(line, record) for record in now):
            return f"at {utc(moment_ms)}: {_says(line, now[-1]) if now else 'nothing stands'}"
        moment_ms = records[place].at_ms if place < len(records) else until_ms
    return ""


def _judge_not(line: Expected, histories: dict[str, list[Finding]]) -> Row:
    """Judge what must not be there: a finding counts where it first says what is forbidden."""
    false: list[Finding] = []
    for history in histories.values():
        if not _about(line, history[0]) or any(fnmatchcase(history[0].detector, name) for name in line.unless):
            continue
        first = next((record for record in history if _forbidden(line, record)), None)
        if first is None or (line.from_ms is not None and first.at_ms < line.from_ms):
            continue
        if line.until_ms is None or first.at_ms < line.until_ms:
            false.append(first)
    worst = min(false, key=lambda record: (record.at_ms, record.id), default=None)
    limit = []
    if line.from_ms is not None:
        limit.append(f"from {utc(line.from_ms)}")
    if line.until_ms is not None:
        limit.append(f"until {utc(line.until_ms)}")
    return Row(
        not false,
        "not",
        line.label,
        line.cluster,
        _short(worst) if worst is not None else "",
        worst.opened_ms if worst is not None else None,
        worst.at_ms if worst is not None else None,
        ", ".join(limit),
        f"{len(false)} false: {worst.title}" if worst is not None else "",
    )


def _forbidden(line: Expected, record: Finding) -> bool:
    if record.state == FindingState.CLOSED:
        return False
    if line.verdict and record.verdict != line.verdict:
        return False
    return not line.severity_at_least or _rank(record.severity) >= _rank(line.severity_at_least)


def _rank(severity: str) -> int:
    return _RANK.get(Severity(severity) if severity in Severity.__members__ else Severity.UNKNOWN, 0)


def _judge_decide(line: Expected, decisions: list[Decision]) -> Row:
    made: dict[str, Decision] = {}
    scope = line.scope or ("*" if line.fleet else f"cluster:{line.cluster}")
    for decision in decisions:
        if not fnmatchcase(decision.action, line.action) or not fnmatchcase(decision.scope, scope):
            continue
        if not line.target or fnmatchcase(decision.target, line.target):
            made.setdefault(decision.id, decision)
    first = min(made.values(), key=lambda decision: decision.at_ms, default=None)
    note = ""
    if not line.least <= len(made) <= line.most:
        note = f"{len(made)} made, not {_amount(line)}"
    elif first is not None and line.seen_by_ms is not None and first.at_ms > line.seen_by_ms:
        note = f"made {(first.at_ms - line.seen_by_ms) / 1000:.3f} s too late"
    found = f"{first.action} {first.state}" if first is not None else ""
    at_ms = first.at_ms if first is not None else None
    return Row(not note, "decide", line.label, line.cluster, found, None, at_ms, f"count {_amount(line)}", note)


def _broken_detectors(histories: dict[str, list[Finding]]) -> list[Row]:
    return [
        Row(False, _ENGINE, history[0].title, history[0].subject.cluster or "", _short(history[0]),
            history[0].opened_ms, history[0].at_ms, "never", history[0].explanation)
        for history in histories.values()
        if history[0].detector == _ENGINE
    ]  # fmt: skip


def _extras(histories: dict[str, list[Finding]], claimed: set[str]) -> list[Row]:
    """Return what was found at warning or above that no line of truth asked for: how many, by detector and cluster."""
    amounts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], Finding] = {}
    for key, history in histories.items():
        loud = next((record for record in history if _rank(record.severity) >= _rank(Severity.WARNING)), None)
        if loud is not None and key not in claimed and loud.detector != _ENGINE:
            where = (loud.subject.cluster or "", loud.detector)
            amounts[where] += 1
            first.setdefault(where, loud)
    return [
        Row(None, "extra", f"{amount} more of {detector}", cluster, _short(first[cluster, detector]),
            first[cluster, detector].opened_ms, first[cluster, detector].at_ms, note=first[cluster, detector].title)
        for (cluster, detector), amount in sorted(amounts.items())
    ]  # fmt: skip


def _short(finding: Finding) -> str:
    """Return a finding in a few words: detector, the narrowest subject, verdict and trigger."""
    subject = finding.subject
    narrow = subject.vm or subject.server or subject.signature or subject.feed or subject.rollout or ""
    verdict = finding.verdict if finding.verdict not in {"NONE", "UNKNOWN"} else ""
    return " ".join(word for word in (finding.detector, narrow, verdict, finding.trigger) if word)
