"""Healing that spreads the fault: VMs moved off servers in Human Investigate fail again where they come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector, State
from detectors.failfast.lives import CONTACT, why_over
from detectors.failfast.survey import NO_CONTACT
from detectors.failfast.words import listed, utc
from detectors.frames import BatchFrame, FindingFrame, Frame
from detectors.lanes import FAR_MS
from detectors.picture import Picture, Start, VmView
from schemas.outputs import Action, Evidence, Finding, FindingState, Severity, Subject
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, MaintenanceEvent, MaintenanceKind

LATE_MS = 60_000
"""An explanation stamped up to 60 s late still explains (DESIGN, Time): so long may a healing, or the HI state before
it, be stamped after what it explains."""
LOSSES_MOST = 4096
"""VMs remembered in the lineage of one signature, and servers remembered as given up."""
LINEAGE_SHOWN = 50
"""VMs that the finding lists; its numbers tell how many there are."""
SIGNATURES_MOST = 64
HI, READY = "HI", "READY"


@dataclass(frozen=True, slots=True)
class Config:
    """How many healed VMs that fail again are a cascade."""

    vms: int = field(default=2, metadata={"least": 1, "most": 1000})
    """Healed VMs that fail on their new server with one signature. Source: CATALOGUE, healing_cascade."""
    window_s: float = field(default=86_400.0, metadata={"least": 60, "most": 86_400})
    """Seconds from the first to the last of these failures. Source: a choice; the leap day's cascade went on until
    healing was stopped, and two such failures in one day are no chance."""


@dataclass(slots=True)
class GivenUp:
    """A stretch in which a server was in HI."""

    since_ms: int
    until_ms: int = FAR_MS


@dataclass(slots=True)
class Loss:
    """A healed VM that failed where it came to."""

    vm: str
    from_server: str
    to_server: str
    incarnation: int
    """The one that failed there first."""
    at_ms: int
    evidence: tuple[Evidence, ...]
    last_incarnation: int
    last_ms: int
    """Its newest failure there."""


@dataclass(slots=True)
class CascadeState(State):
    """Servers in HI, the VMs healed off them, and those that failed again."""

    given_up: dict[str, list[GivenUp]] = field(default_factory=dict)
    healed_from: dict[str, list[str]] = field(default_factory=dict)
    """Server to the VMs that were healed off it."""
    timed_out: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    """VM to the incarnation, server and moment of its last time-out."""
    losses: dict[str, dict[str, Loss]] = field(default_factory=dict)
    """By signature, by VM and new server."""


class HealingCascade(Detector[Config, CascadeState]):
    """Finds that service healing spreads a fault: VMs healed off HI servers fail again on their new servers.

    Rule: at least `vms` VMs that were healed off servers in Human Investigate (as the FC reports, or as `server_hi`
    found) fail on the server they came to, with one signature: the same error, or, where none was reported, a time-out
    of `guest_timeout`. In the frame of the second such failure, whichever record completes the picture: the failure,
    the healing or the HI state, should its lane be late. Hardware does not move with a VM; a fault that does will take
    one server after the other until the brake falls (seed 004: "a cascade of servers that move to HI"). Advised:
    `disable-healing`, long before that.

    The fact `lineage` lists VM, from, to and outcome. It ends when each of these VMs has made contact since, or is
    gone (deallocated, removed; one that is healed again is on its way, not gone). Missing data never ends it.
    """

    Config = Config
    State = CascadeState
    memory_s = 24 * 3600
    feeds = (GUEST_AGENT, HOST_AGENT, MAINTENANCE)
    follows = ("guest_timeout", "server_hi")

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what failures, healings and servers given up bring."""
        if isinstance(frame, FindingFrame):
            if frame.finding.detector == "server_hi":
                return self._server_hi(frame, picture)
            return self._timed_out(frame, picture)
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            findings += self._maintenance(event, frame.batch.at_ms[index], frame, picture)
        for _, failure in picture.news.failures:
            findings += self._look(failure.vm, failure.event_id, frame, picture)
        if self.state.losses:
            findings += self._over(frame, picture)
        return findings

    # -- who was given up, and who was healed --------------------------------------------------------------------

    def _maintenance(self, event: MaintenanceEvent, at_ms: int, frame: BatchFrame, picture: Picture) -> list[Finding]:
        if event.kind == MaintenanceKind.VM_HEALED and event.vm and event.from_server:
            healed = self.state.healed_from.setdefault(event.from_server, [])
            if event.vm not in healed:
                healed.append(event.vm)
            _trim(self.state.healed_from)
            return self._look(event.vm, event.event_id, frame, picture)
        if event.kind != MaintenanceKind.SERVER_STATE or event.server is None:
            return []
        if event.state == HI:
            return self._given_up(event.server, at_ms, event.event_id, frame, picture)
        if event.state == READY:
            for stretch in self.state.given_up.get(event.server, ()):
                if stretch.since_ms <= at_ms:
                    stretch.until_ms = min(stretch.until_ms, at_ms)
        return []

    def _server_hi(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        found = frame.finding
        if found.subject.server is None:
            return []
        if found.state == FindingState.CLOSED:
            # Released, or READY: what is healed off it from here on says nothing.
            ended_ms = int(found.numbers.get("ended_ms", frame.at_ms))
            for stretch in self.state.given_up.get(found.subject.server, ()):
                if stretch.since_ms <= ended_ms:
                    stretch.until_ms = min(stretch.until_ms, ended_ms)
            return []
        return self._given_up(found.subject.server, found.opened_ms, found.id, frame, picture)

    def _given_up(
        self, server: str, at_ms: int, opened_by: str, frame: BatchFrame | FindingFrame, picture: Picture
    ) -> list[Finding]:
        stretches = self.state.given_up.setdefault(server, [])
        going_on = next((known for known in stretches if known.since_ms <= at_ms < known.until_ms), None)
        if going_on is None:
            later = next((known for known in stretches if at_ms < known.since_ms and known.until_ms == FAR_MS), None)
            if later is not None:
                later.since_ms = at_ms
            else:
                stretches.append(GivenUp(at_ms))
                del stretches[:-8]
        _trim(self.state.given_up)
        return [
            found
            for vm in self.state.healed_from.get(server, ())
            for found in self._look(vm, opened_by, frame, picture)
        ]

    # -- who failed again ----------------------------------------------------------------------------------------

    def _timed_out(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        found = frame.finding
        vm, server = found.subject.vm, found.subject.server
        if vm is None or server is None or found.state != FindingState.OPEN or found.facts.get("kind") == "silent":
            return []
        view = picture.vms.get(vm)
        if view is None or not view.healed:
            return []
        self.state.timed_out[vm] = (int(found.facts["incarnation"]), server, found.opened_ms)
        _trim(self.state.timed_out)
        return self._look(vm, found.id, frame, picture)

    def _look(self, vm: str, opened_by: str, frame: BatchFrame | FindingFrame, picture: Picture) -> list[Finding]:
        """Take what a VM's healings have come to into the lineages; return the cascades that they make or move."""
        view = picture.vms.get(vm)
        if view is None or not view.healed:
            return []
        findings: list[Finding] = []
        for healed_ms, from_server, to_server, evidence in view.healed:
            if not self._was_hi(from_server, healed_ms):
                continue
            for start in view.starts:
                # The new incarnation may be told a little before the healing is.
                if start.server != to_server or start.at_ms < healed_ms - LATE_MS:
                    continue
                outcome = self._outcome(view, start)
                if outcome is None:
                    continue
                signature, failed_ms = outcome
                if self._lost(signature, view, start, failed_ms, from_server, evidence):
                    findings += self._tell(signature, opened_by, frame, picture)
        return findings

    def _was_hi(self, server: str, healed_ms: int) -> bool:
        return any(
            known.since_ms - LATE_MS <= healed_ms <= known.until_ms + LATE_MS
            for known in self.state.given_up.get(server, ())
        )

    def _outcome(self, view: VmView, start: Start) -> tuple[str, int] | None:
        """Return signature and moment of a start's failure; None where it has not failed."""
        if start.failed_ms is not None:
            return start.signature, start.failed_ms
        timed_out = self.state.timed_out.get(view.vm)
        if timed_out is not None and timed_out[:2] == (start.incarnation, start.server):
            return NO_CONTACT, timed_out[2]
        return None

    def _lost(
        self, signature: str, view: VmView, start: Start, failed_ms: int, from_server: str, healing: Evidence
    ) -> bool:
        """Take a healed VM's failure into the lineage of its signature; tell whether it is new there."""
        losses = self.state.losses.setdefault(signature, {})
        key = f"{view.vm}\x1f{start.server}"
        known = losses.get(key)
        if known is not None:
            if start.incarnation > known.last_incarnation:
                known.last_incarnation, known.last_ms = start.incarnation, failed_ms
            elif start.incarnation == known.last_incarnation:
                known.last_ms = min(known.last_ms, failed_ms)
            return False
        losses[key] = Loss(
            view.vm,
            from_server,
            start.server,
            start.incarnation,
            failed_ms,
            (healing, start.evidence),
            start.incarnation,
            failed_ms,
        )
        oldest_ms = max(loss.last_ms for loss in losses.values()) - round(self.config.window_s * 1000)
        for old in [old for old, loss in losses.items() if loss.last_ms < oldest_ms]:
            del losses[old]
        _trim(losses)
        _trim(self.state.losses, SIGNATURES_MOST)
        return True

    # -- saying --------------------------------------------------------------------------------------------------

    def _tell(
        self, signature: str, opened_by: str, frame: BatchFrame | FindingFrame, picture: Picture
    ) -> list[Finding]:
        losses = sorted(self.state.losses[signature].values(), key=lambda loss: (loss.at_ms, loss.vm))
        vms = list(dict.fromkeys(loss.vm for loss in losses))
        if len(vms) < self.config.vms:
            return []
        if signature in self.state.openings.open:
            return self.state.openings.update(signature, frame, at_once=True, **_said(signature, losses, picture))
        second = next(loss for loss in losses if loss.vm == vms[self.config.vms - 1])
        evidence = tuple(record for loss in losses for record in loss.evidence)
        findings = self._open(
            signature,
            frame,
            Subject(cluster=picture.cluster, signature=signature),
            opened_by,
            opened_ms=second.at_ms,
            severity=Severity.CRITICAL,
            evidence=evidence,
            advised=(Action.DISABLE_HEALING.value,),
            **_said(signature, losses, picture),
        )
        return findings + self._over(frame, picture)

    def _over(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Close the cascades of which each VM has made contact since, or is gone."""
        findings: list[Finding] = []
        for signature in list(self.state.openings.open):
            losses = self.state.losses.get(signature, {})
            if losses and all(_settled(picture.vms.get(loss.vm), loss) for loss in losses.values()):
                findings += self.state.openings.end(
                    signature, frame, "each of the healed VMs has made contact since, or is gone"
                )
        return findings


def _settled(view: VmView | None, loss: Loss) -> bool:
    """Tell whether a VM that failed where it came to fails no more: in contact, or gone. On its way is not gone."""
    if view is None or view.start is None:
        return True
    reason = why_over(view, loss.last_incarnation, loss.to_server, loss.last_ms)
    if reason == CONTACT:
        return True
    if any(start.incarnation > loss.last_incarnation and start.contact_ms is not None for start in view.starts):
        return True
    newest = view.start
    on_its_way = any(from_server == newest.server and at_ms >= newest.at_ms for at_ms, from_server, _, _ in view.healed)
    return newest.ended_ms is not None and not on_its_way


def _trim(known: dict[str, Any], most: int = LOSSES_MOST) -> None:
    """Forget what was learned first beyond the bound."""
    while len(known) > most:
        del known[next(iter(known))]


def _said(signature: str, losses: list[Loss], picture: Picture) -> dict[str, Any]:
    """Return title, explanation, numbers and facts of a cascade."""
    vms = {loss.vm for loss in losses}
    origins, targets = {loss.from_server for loss in losses}, {loss.to_server for loss in losses}
    what = "time out without a word" if signature == NO_CONTACT else f"fail with {signature}"
    shown = losses[:LINEAGE_SHOWN]
    lineage = "; ".join(f"{loss.vm} from {loss.from_server} to {loss.to_server}: {signature}" for loss in shown)
    if len(losses) > len(shown):
        lineage += f"; and {len(losses) - len(shown)} more"
    return {
        "title": f"healing spreads the fault in {picture.cluster}: {len(vms)} VMs healed off HI servers fail again",
        "explanation": f"VMs moved off {listed(origins)} {what} on {listed(targets)} too, first at "
        f"{utc(losses[0].at_ms)}. A broken machine stays behind when its VMs move; this did not. Each healing carries "
        "the fault to another server, which will be given up in its turn: switch service healing off in this cluster "
        "before the brake does, and look for the fault in what the VMs carry with them.",
        "numbers": {
            "vms": len(vms),
            "from_servers": len(origins),
            "to_servers": len(targets),
        },
        "facts": {"signature": signature, "lineage": lineage},
    }
