"""Detectors that speak of single VMs, and of how many there are: an info finding for each, one warning for all.

What goes wrong with one VM goes wrong with hundreds when an update is bad. Whoever is on call wants one line then,
which counts; the owners of the VMs, and whoever asks for a cause, want the VM's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from detectors.contract import UPDATE_EVERY_MS, Deadlines, Detector
from detectors.contract import State as BaseState
from detectors.failfast.words import counted, listed
from detectors.frames import DueFrame, Frame
from detectors.picture import Picture
from schemas.outputs import Finding, FindingState, Severity, Subject

CROWD = "crowd\x1f"
"""How the keys of warnings begin among the openings, then the rollout; all others are VMs, or the detector's own."""


@dataclass(slots=True)
class CrowdState(BaseState):
    """The base of the state of such a detector."""

    crowds: Deadlines = field(default_factory=Deadlines)
    """When each warning is to be told next, by its key."""
    members: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Key of a warning to the VMs of which a finding is open; bounded as those are."""
    member_of: dict[str, str] = field(default_factory=dict)

    def vms_open(self) -> list[str]:
        """Return the keys of what is open that are no warnings of crowds."""
        return [key for key in self.openings.open if not key.startswith(CROWD)]


C = TypeVar("C")
S = TypeVar("S", bound=CrowdState)


class CrowdDetector(Detector[C, S]):
    """A detector whose findings of single VMs are info, with one warning for all of a rollout (or of none).

    The warning opens ten seconds after the first of its VMs, so that those that come together are told together; it
    is updated as their number changes, at most every ten seconds, and ends with the last of them.
    """

    crowd_advice: ClassVar[str]
    """What the warning's explanation says after the names."""

    def judge(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what this frame brings of single VMs, and whatever else the detector says."""
        raise NotImplementedError

    def crowd_words(self, many: bool) -> str:
        """Return what the VMs do, in the singular or in the plural, to stand behind their name or number."""
        raise NotImplementedError

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what this frame brings of single VMs, and what is said of all of them."""
        found = self.judge(frame, picture)
        at_ms = frame.due_ms if isinstance(frame, DueFrame) else frame.at_ms
        keys = [self._count(one) for one in found if one.subject.vm is not None and one.state != FindingState.UPDATED]
        for key in dict.fromkeys(keys):
            found += self._over_or_soon(key, frame, at_ms)
        if isinstance(frame, DueFrame):
            for key in self.state.crowds.pop(frame.due_ms):
                found += self._tell(key, frame, picture)
        return found

    def next_due_ms(self) -> int | None:
        """Return the next time at which it wants a DueFrame."""
        known = [due for due in (self.state.deadlines.next_ms(), self.state.crowds.next_ms()) if due is not None]
        return min(known, default=None)

    def dismiss(self, finding_id: str, frame: Frame, reason: str) -> list[Finding]:
        """Close a finding because a person says so; a VM that is closed so is counted no more."""
        found = super().dismiss(finding_id, frame, reason)
        for key in [self._count(one) for one in found if one.subject.vm is not None]:
            found += self._over_or_soon(key, frame, frame.at_ms)
        return found

    def _count(self, single: Finding) -> str:
        """Count a VM's finding that opened or closed; return the key of its warning."""
        vm, state = single.subject.vm or "", self.state
        if single.state == FindingState.CLOSED:
            key = state.member_of.pop(vm, "")
            state.members.get(key, {}).pop(vm, None)
        else:
            key = state.member_of[vm] = CROWD + (single.subject.rollout or single.facts.get("rollout", ""))
            state.members.setdefault(key, {})[vm] = True
        return key

    def _over_or_soon(self, key: str, frame: Frame, at_ms: int) -> list[Finding]:
        """Close a warning of which no VM is left; else tell of it ten seconds on."""
        state = self.state
        if not state.members.get(key):
            state.members.pop(key, None)
            state.crowds.drop(key)
            return state.openings.end(key, frame, "it is over for all of these VMs")
        if key not in state.crowds.due:
            state.crowds.set(key, at_ms + UPDATE_EVERY_MS)
        return []

    def _tell(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        known_vms = self.state.openings.open
        singles = [known_vms[vm].finding for vm in self.state.members[key]]
        singles.sort(key=lambda one: (one.opened_ms, one.subject.vm or ""))
        said = self._crowd_said(singles, key.removeprefix(CROWD))
        known = self.state.openings.open.get(key)
        if known is not None:
            told = self.state.openings.update(key, frame, **said)
            if not told and not known.dismissed and known.finding.title != said["title"]:
                self.state.crowds.set(key, frame.due_ms + UPDATE_EVERY_MS)
            return told
        first = singles[0]
        subject = Subject(cluster=picture.cluster, rollout=key.removeprefix(CROWD) or None)
        return self._open(
            key, frame, subject, f"crowd/{first.id}", opened_ms=first.opened_ms, severity=Severity.WARNING, **said
        )

    def _crowd_said(self, singles: Sequence[Finding], rollout: str) -> dict[str, Any]:
        vms = [one.subject.vm or "" for one in singles]
        servers = dict.fromkeys(one.subject.server or "" for one in singles)
        many = len(vms) > 1
        who = f"{len(vms)} VMs on {counted(len(servers), 'server')}" if many else f"VM {vms[0]}"
        where = f"in rollout {rollout} " if rollout else ""
        return {
            "title": f"{where}{who} {self.crowd_words(many)}",
            "explanation": f"{listed(vms)}. {self.crowd_advice} Each has a finding of its own.",
            "evidence": tuple(evidence for one in singles for evidence in one.evidence[:1]),
            "numbers": {"vms": len(vms), "servers": len(servers)},
            "facts": {"vms": listed(vms), "servers": listed(servers)},
        }
