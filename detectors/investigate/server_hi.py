"""Human Investigate: a server that automation gives up on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector, State
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.investigate.telling import tell
from detectors.picture import SERVERS_MOST, Picture
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject
from schemas.source import MAINTENANCE, MaintenanceEvent, MaintenanceKind

CHAINS_KEPT = 256
"""VMs remembered of one server; a server holds about twenty."""
HI, READY = "HI", "READY"


@dataclass(frozen=True, slots=True)
class HiConfig:
    """What makes a server a case for a person."""

    in_a_row: int = field(default=3, metadata={"least": 1, "most": 100})
    """Time-outs in a row of one clean VM that put its server into HI. Source: seed 004, "three times in a row"."""


@dataclass(slots=True)
class Ward:
    """What is remembered of one server."""

    ready_ms: int = 0
    """Greatest stamp at which the FC said READY."""
    chains: dict[str, int] = field(default_factory=dict)
    """VM to its time-outs in a row, of those that have had enough of them."""
    spent: dict[str, int] = field(default_factory=dict)
    """VM to its time-outs in a row when the FC said READY or a person released: they count no more."""
    causes: list[str] = field(default_factory=list)
    """What the open finding stands on: `time-outs`, `fc` or both, in order of arrival."""
    evidence: list[Evidence] = field(default_factory=list)


@dataclass(slots=True)
class HiState(State):
    """The servers that are, or were, in HI; by name, a server at most once."""

    wards: dict[str, Ward] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why a server is in HI, as a record or a finding brings it."""

    kind: str
    """`time-outs` or `fc`."""
    opened_ms: int
    opened_by: str
    evidence: tuple[Evidence, ...]
    detail: str
    """The VM that timed out; or the FC's reason, if it gave one."""


class ServerHi(Detector[HiConfig, HiState]):
    """Finds each server that is in Human Investigate (HI), and says who put it there.

    Rule: a clean VM of the server times out `in_a_row` times in a row (as `guest_timeout` counts them; those of VMs
    that are not clean, and of agents fallen silent, never count), or the fabric controller (FC) reports the server HI,
    then in the frame that brings this. One finding a server, whichever comes first; `opened_ms` is that of the
    deciding time-out, or the stamp of the FC's record, whichever is earlier. Says nothing of what is at fault: that is
    `fault_class`, whose finding names the same server.

    Latched: it stands until the FC reports READY, later than what opened it, or a person releases it. After either,
    only what is new opens another: the FC's next HI, the third time-out of another VM, or `in_a_row` more of the same.
    Source: seed 004, the host agent's and the FC's own rule.
    """

    Config = HiConfig
    State = HiState
    memory_s = 24 * 3600
    feeds = (MAINTENANCE,)
    follows = ("guest_timeout",)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what time-outs, the FC and the inventory bring."""
        if isinstance(frame, FindingFrame):
            return self._timed_out(frame, picture)
        if isinstance(frame, DueFrame):
            return [found for server in self.state.deadlines.pop(frame.due_ms) for found in self._tell(server, frame)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            if event.kind == MaintenanceKind.SERVER_STATE and event.server is not None:
                findings += self._fc_said(frame, index, event, event.server, picture)
        for server in picture.news.removed_servers:
            findings += self._end(server, frame, "removed")
            self.state.wards.pop(server, None)
        return findings

    def dismiss(self, finding_id: str, frame: Frame, reason: str) -> list[Finding]:
        """Release a server: it is no more in HI until something new puts it there."""
        findings = super().dismiss(finding_id, frame, reason)
        for finding in findings:
            # Ended as well, so that what is new finds the place empty.
            self._end(finding.subject.server or "", frame, reason)
        return findings

    # -- what opens ----------------------------------------------------------------------------------------------

    def _timed_out(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        timeout = frame.finding
        server, vm = timeout.subject.server, timeout.subject.vm
        if server is None or vm is None or timeout.state == FindingState.CLOSED:
            return []
        if timeout.facts.get("counts_towards_hi") == "no":
            return []
        ward = self._ward(server)
        if ward is None or not self._enough(ward, vm, int(timeout.numbers.get("in_a_row", 0))):
            return []
        cause = Cause("time-outs", timeout.opened_ms, timeout.id, timeout.evidence, vm)
        return self._brought(server, ward, cause, frame, picture)

    def _enough(self, ward: Ward, vm: str, count: int) -> bool:
        """Keep how often a VM has timed out in a row; tell whether that is enough, less what was spent."""
        if count < ward.chains.get(vm, 0):
            ward.spent.pop(vm, None)
        if count < self.config.in_a_row:
            ward.chains.pop(vm, None)
            return False
        ward.chains[vm] = count
        while len(ward.chains) > CHAINS_KEPT:
            oldest = next(iter(ward.chains))
            del ward.chains[oldest]
            ward.spent.pop(oldest, None)
        return count - ward.spent.get(vm, 0) >= self.config.in_a_row

    def _fc_said(
        self, frame: BatchFrame, index: int, event: MaintenanceEvent, server: str, picture: Picture
    ) -> list[Finding]:
        at_ms = frame.batch.at_ms[index]
        ward = self._ward(server)
        if ward is None:
            return []
        if event.state == READY:
            ward.ready_ms = max(ward.ready_ms, at_ms)
            known = self.state.openings.get(server)
            return self._ready(server, frame, at_ms) if known is not None and known.opened_ms <= at_ms else []
        if event.state != HI:
            return []
        evidence = (frame.evidence(index, "the FC reports the server HI"),)
        reason = event.reason or event.cause or event.message or ""
        return self._brought(server, ward, Cause("fc", at_ms, event.event_id, evidence, reason), frame, picture)

    def _brought(self, server: str, ward: Ward, cause: Cause, frame: Frame, picture: Picture) -> list[Finding]:
        """Open the server's finding or add to it; where the FC has said READY since, it is over at once."""
        # Of one millisecond: a time-out was before READY, and of two records of the FC the later in its lane holds.
        over = cause.opened_ms < ward.ready_ms + (cause.kind == "time-outs")
        known = self.state.openings.get(server)
        if known is not None:
            if over:
                # That episode ended before the one that is open began.
                return []
            return self._add(server, ward, cause, known, frame)
        ward.causes, ward.evidence = [cause.kind], list(cause.evidence[:EVIDENCE_KEPT])
        title, explanation = self._words(server, cause)
        findings = self._open(
            server,
            frame,
            Subject(cluster=picture.cluster, server=server),
            cause.opened_by,
            opened_ms=cause.opened_ms,
            severity=Severity.WARNING,
            title=title,
            explanation=explanation,
            latched=True,
            **self._said(ward, {"vm" if cause.kind == "time-outs" else "fc_reason": cause.detail}),
        )
        return findings + (self._ready(server, frame, ward.ready_ms) if over else [])

    def _add(self, server: str, ward: Ward, cause: Cause, known: Finding, frame: Frame) -> list[Finding]:
        if cause.kind not in ward.causes:
            ward.causes.append(cause.kind)
        fresh = [record for record in cause.evidence if record not in ward.evidence]
        ward.evidence = [*ward.evidence, *fresh][:EVIDENCE_KEPT]
        if cause.opened_ms < known.opened_ms:
            # Said at once: the brake counts the server from that moment on.
            return tell(
                self.state,
                server,
                frame,
                at_once=True,
                opened_ms=cause.opened_ms,
                **self._said(ward, known.facts),
            )
        return self._tell(server, frame)

    # -- what ends, and what is said of it -----------------------------------------------------------------------

    def _ready(self, server: str, frame: Frame, at_ms: int) -> list[Finding]:
        """Close because the FC said READY at `at_ms`; the number `ended_ms` tells the followers when that was."""
        return [
            replace(closed, numbers={**closed.numbers, "ended_ms": float(at_ms)})
            for closed in self._end(server, frame, "the FC reports the server READY")
        ]

    def _end(self, server: str, frame: Frame, reason: str) -> list[Finding]:
        ward = self.state.wards.get(server)
        if ward is not None:
            ward.spent = dict(ward.chains)
            ward.causes, ward.evidence = [], []
        self.state.deadlines.drop(server)
        return self.state.openings.end(server, frame, reason)

    def _tell(self, server: str, frame: Frame) -> list[Finding]:
        known, ward = self.state.openings.get(server), self.state.wards.get(server)
        if known is None or ward is None:
            return []
        return tell(self.state, server, frame, **self._said(ward, known.facts))

    def _said(self, ward: Ward, facts: dict[str, str]) -> dict[str, Any]:
        """Return the fields that change while the finding is open."""
        limit = self.config.in_a_row
        fresh = [count for vm, count in ward.chains.items() if count - ward.spent.get(vm, 0) >= limit]
        numbers = {"vms": len(fresh), "in_a_row": max(fresh, default=0), "limit_in_a_row": limit}
        said = {**facts, "cause": " and ".join(ward.causes)}
        return {
            "numbers": numbers,
            "evidence": tuple(ward.evidence),
            "facts": {name: value for name, value in said.items() if value},
        }

    def _words(self, server: str, cause: Cause) -> tuple[str, str]:
        """Return title and explanation."""
        ask = (
            "Healing moves its VMs elsewhere unless it is disabled. Before you call it a broken machine, look at what "
            f"fault_class says of {server}: where the same fails on other servers the software is at fault, and moving "
            "the VMs spreads it. Release this finding when the server is in order, or let the FC report it READY."
        )
        if cause.kind == "fc":
            said = f" ({cause.detail})" if cause.detail else ""
            title = f"server {server} is in Human Investigate: the FC says so"
            return title, f"The fabric controller reported {server} as HI{said}. {ask}"
        times, vm = self.config.in_a_row, cause.detail
        title = f"server {server} is in Human Investigate: VM {vm} timed out {times} times in a row"
        what = (
            f"In {times} starts in a row the guest agent of VM {vm} on {server} made no contact, and no customer code "
            "had run in the VM."
        )
        return title, f"{what} {ask}"

    def _ward(self, server: str) -> Ward | None:
        """Return what is remembered of a server; None where that would be of more servers than a cluster can have."""
        wards = self.state.wards
        if server not in wards and len(wards) >= SERVERS_MOST:
            return None
        return wards.setdefault(server, Ward())
