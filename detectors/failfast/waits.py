"""A guest agent that is waited for: as the wait is judged, and in words."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.failfast.words import minutes, utc
from detectors.picture import ServerView, Start, VmView
from schemas.outputs import Evidence


@dataclass(slots=True)
class Silence:
    """A guest agent that its host agent calls SILENT."""

    vm: str
    incarnation: int
    server: str
    since_ms: int
    source: str
    evidence: Evidence | None
    until_ms: int | None = None
    """When its host agent called it something else."""
    word_ms: int | None = None
    """The least stamp after `since_ms` of an event that the guest itself sent, of those read since."""


@dataclass(slots=True)
class Chain:
    """The time-outs in a row of one VM on one server."""

    server: str
    incarnation: int
    """The last that timed out."""
    counted: int = 0
    """Those in a row that count towards HI: clean ones."""
    any: int = 0
    touched: int = -1
    """The newest incarnation that was judged to be in contact."""


@dataclass(slots=True)
class Case:
    """One wait as it is judged."""

    view: VmView
    start: Start
    since_ms: int
    contact_ms: int | None
    end_ms: int | None
    handed_on: bool
    """It ended by the VM's next start."""
    silence: Silence | None = None


def in_contact_since(chain: Chain, case: Case) -> bool:
    """Tell whether the VM was in contact between the last time-out of a chain and the start of this case."""
    last, this = chain.incarnation, case.start.incarnation
    if last <= chain.touched < this:
        return True
    return any(last <= start.incarnation < this and start.contact_ms is not None for start in case.view.starts)


def title(case: Case, in_a_row: int, timeout_s: float) -> str:
    """Return the time-out in one line."""
    vm, server, limit = case.view.vm, case.start.server, minutes(timeout_s)
    if case.silence is not None:
        return f"VM {vm} on {server}: its guest agent has been silent for {limit}"
    row = f", {in_a_row} times in a row" if in_a_row > 1 else ""
    return f"VM {vm} on {server}: no contact of its guest agent within {limit} of its start{row}"


def explanation(case: Case, opened_ms: int, timeout_s: float) -> str:
    """Return what a stranger should know of a time-out."""
    start, limit = case.start, minutes(timeout_s)
    if case.silence is not None:
        return (
            f"Since {utc(case.since_ms)} its host agent has called the guest agent SILENT; the limit of {limit} of "
            f"observed time was reached at {utc(opened_ms)}. Cause open: customer code runs in this VM, so it says "
            "nothing about the server and never counts towards Human Investigate."
        )
    text = (
        f"Incarnation {start.incarnation} started at {utc(start.at_ms)}; the limit of {limit} of observed time was "
        f"reached at {utc(opened_ms)}, and the server was heard all that time. "
    )
    if start.signature:
        text += f"The start itself reported {start.signature}. "
    if start.clean:
        return text + (
            "The VM is clean: no customer code has run in it, so the fault lies with the guest agent, what it "
            "depends on, or the server. Look whether other servers have the same before suspecting this one."
        )
    return text + (
        "Cause open: the VM is not clean, customer code may keep the agent from starting, so it never counts "
        "towards Human Investigate."
    )


def facts_of(case: Case) -> dict[str, str]:
    """Return the facts of a time-out; those that `server_hi` must not count say so."""
    start = case.start
    facts = {
        "kind": "silent" if case.silence is not None else "no first contact",
        "incarnation": str(start.incarnation),
        "clean": "yes" if start.clean else "no",
        "since_ms": str(case.since_ms),
    }
    if start.ga_version:
        facts["ga_version"] = start.ga_version
    if start.signature:
        facts["signature"] = start.signature
    if case.silence is not None or not start.clean:
        facts["counts_towards_hi"] = "no"
    return facts


def evidence_of(case: Case, server: ServerView) -> tuple[Evidence, ...]:
    """Return the record that the waiting counts from, and the last one of the server."""
    first = case.start.evidence if case.silence is None else case.silence.evidence
    found = [first] if first is not None else []
    if server.heard_evidence is not None:
        found.append(server.heard_evidence)
    return tuple(found)
