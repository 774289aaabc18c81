"""The judge of intervals: the times in which VMs were not available, beside the findings of those VMs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from schemas.outputs import Finding, FindingState
from streams.simulate.ledger import Interval
from streams.simulate.quantity import MINUTE_MS, utc
from streams.simulate.truth import Expected

_AFTER_MS = 5 * MINUTE_MS
"""How long after an interval a finding about it may open (catalogue: `root_cause`, when it closes, or provisional)."""


def judge_intervals(line: Expected, histories: Mapping[str, Sequence[Finding]]) -> tuple[bool, str, str, set[str]]:
    """Return whether every interval of a line has its finding, how many have, what the first lacks, and the ids."""
    by_vm: dict[str, list[str]] = defaultdict(list)
    for key, history in histories.items():
        first = history[0]
        if first.detector in line.detectors and first.subject.cluster in {line.cluster, None, ""} and first.subject.vm:
            by_vm[first.subject.vm].append(key)
    claimed: set[str] = set()
    found = 0
    lacking = ""
    for one in line.intervals:
        why = "no such finding"
        for key in by_vm[one.vm]:
            why = _lacks(line, one, histories[key])
            if not why:
                claimed.add(key)
                found += 1
                break
        else:
            lacking = lacking or f"{one.vm}, {one.cause} from {utc(one.from_ms)}: {why}"
    return not lacking, f"{found} of {len(line.intervals)}", lacking, claimed


def _lacks(line: Expected, one: Interval, history: Sequence[Finding]) -> str:
    """Return what a finding lacks to be that of an interval; empty: nothing."""
    first, last = history[0], history[-1]
    latest = one.from_ms
    if line.during:
        latest = one.until_ms + _AFTER_MS if one.until_ms is not None else first.opened_ms
    if not one.from_ms - line.within_ms <= first.opened_ms <= latest + line.within_ms:
        return f"opened {utc(first.opened_ms)}"
    for key, pattern in line.facts.items():
        if not fnmatchcase(last.facts.get(key, ""), pattern):
            return f"fact {key} is {last.facts.get(key)!r}, not {pattern!r}"
    if line.during or one.until_ms is None:
        return ""
    if last.state != FindingState.CLOSED:
        return f"does not close, as it should at {utc(one.until_ms)}"
    if abs(last.at_ms - one.until_ms) > line.within_ms:
        return f"closed {utc(last.at_ms)}, not {utc(one.until_ms)}"
    return ""
