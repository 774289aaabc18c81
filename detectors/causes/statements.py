"""What a finding of root_cause says: title, explanation, evidence, numbers and facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from detectors.causes.candidates import Case, Clue, Conclusion
from detectors.failfast.words import utc
from schemas.outputs import Evidence, Severity
from schemas.rca import ArticleState, Cause

RUNNERS_UP = 4
CLUES_CITED = 6
DETAILS = ("workflow", "cause")
"""Facts of a reboot that belong to its cause: told with it, and a change of them is a new revision."""


def text_of(conclusion: Conclusion, awaits: str) -> str:
    """Return what a conclusion says, in a form that differs whenever it says something else."""
    best = conclusion.best
    details = [best.facts.get(name, "") for name in (*DETAILS, "deallocated_vm", "confirmed_by")]
    return "|".join((best.cause, str(best.planned), best.why, *details, awaits))


def statement(
    interval_id: str,
    case: Case,
    conclusion: Conclusion,
    state: str,
    revision: int,
    awaits: str,
    evidence: tuple[Evidence, ...],
) -> dict[str, Any]:
    """Return the fields of the finding."""
    best = conclusion.best
    details = [best.facts[name] for name in DETAILS if best.facts.get(name)]
    name = best.cause + (f" ({', '.join(details)})" if details else "")
    seconds = (case.until_ms - case.start_ms) / 1000
    lasted = "is not available" if case.end_ms is None else f"was not available for {seconds:g} s"
    head = "" if state != ArticleState.PROVISIONAL else "provisionally, "
    others = [other for other in conclusion.others if other.cause != best.cause][:RUNNERS_UP]
    ranks = "; ".join(f"{other.cause} {other.score:.2f}: {other.why}" for other in others)
    numbers = {"score": best.score, "start_ms": float(case.start_ms), "duration_s": seconds}
    numbers |= {f"score_{other.cause}": other.score for other in others}
    if case.end_ms is not None:
        numbers["end_ms"] = float(case.end_ms)
    facts = {
        "interval": interval_id,
        "cause": str(best.cause),
        "state": str(state),
        "revision": str(revision),
        "planned": "yes" if best.planned else "no",
        "server": case.server,
        "signs": ", ".join(case.signs),
        "why": best.why,
        **({"awaits": awaits} if awaits else {}),
        **({"runners_up": ranks} if ranks else {}),
        **{f"detail_{key}": value for key, value in best.facts.items() if value},
    }
    return {
        "severity": Severity.INFO,
        "title": f"VM {case.vm} on {case.server} {lasted} since {utc(case.start_ms)}: {head}{name}",
        "explanation": _explanation(conclusion, state, awaits, ranks),
        "evidence": (*evidence, *(_cited(clue) for clue in best.clues[:CLUES_CITED])),
        "numbers": numbers,
        "facts": facts,
    }


def _explanation(conclusion: Conclusion, state: str, awaits: str, ranks: str) -> str:
    best = conclusion.best
    said = [f"{best.why[:1].upper()}{best.why[1:]}."]
    if best.cause != Cause.UNKNOWN:
        said.append("Planned." if best.planned else "Unplanned.")
    if awaits:
        said.append(f"Provisional: it awaits {awaits}.")
    elif state == ArticleState.PROVISIONAL:
        said.append("Provisional: the interval goes on, or what may explain it may still come.")
    if ranks:
        said.append(f"Also weighed: {ranks}.")
    return " ".join(said)


def _cited(clue: Clue) -> Evidence:
    named = " ".join(part for part in (clue.kind, clue.what, *(v for v in clue.facts.values() if v)) if part)
    return replace(clue.evidence, note=clue.evidence.note or named)
