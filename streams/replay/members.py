"""What availability figures stand on: which VMs there were, when each was out and why, and when nobody watched. Pure.

    known = Members()
    known.take_row(lane, at_ms, row)          # inventory, and events of VMs where there are any
    known.take_finding(lane, finding)         # unavailability, root_cause, blind, host_silence; others are passed over
    known.watched(lane, since_ms, until_ms)   # what of the host agents' feed was read
    known.instances(period)

Findings say when a VM was out. Where they say nothing it was up, if somebody watched: before a lane was read, beyond
where it has been read to, in its gaps and holes, while a cluster's host reports were lost on the way, and as long as a
server of the inventory was never heard, nobody knows. A VM whose server was silent and that never restarted may have
run all along; that is not known either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from detectors.failfast.words import utc
from detectors.lanes import FAR_MS, Interval
from schemas.inventory import Removed, Vm
from schemas.outputs import Finding, FindingState
from schemas.rca import ArticleState, Cause
from schemas.source import HOST_AGENT, MaintenanceEvent, MaintenanceKind
from streams.engine.anew import NOT_FOUND
from streams.replay.figures import Instance, Sight, Stretch

INTERVALS, CAUSES, BLIND, SILENCE = "unavailability", "root_cause", "blind", "host_silence"
WANTED = (INTERVALS, CAUSES, BLIND, SILENCE)
OWN_CAUSES = (Cause.GUEST_INITIATED, Cause.SELF_SERVICE_REDEPLOY)
"""What a VM's owner does himself. Source: seed 002 (event 1074 by a process of theirs), seed 003 (self-service)."""
GONE = ("it was deallocated", "removed")
"""Why an interval of a VM that is no more has closed."""
NOT_TOLD = "no cause told"
NOTED = 8
"""Stretches that were not seen, and are named in the notes; all are counted."""


@dataclass(slots=True)
class Member:
    """A VM as the inventory has it."""

    vm: str
    lane: int
    cluster: str
    server: str = ""
    service: str = ""
    group: str = ""
    subscription: str = ""
    update_domain: int = 0
    lives: list[Interval] = field(default_factory=list)
    """From the record that named it to the one that removed it; FAR_MS: it is there still."""

    def begin(self, at_ms: int) -> None:
        """Let it live from here on, if it does not."""
        if not self.lives or self.lives[-1][1] != FAR_MS:
            self.lives.append((at_ms, FAR_MS))

    def end(self, at_ms: int) -> None:
        """Let it be gone from here on."""
        if self.lives and self.lives[-1][1] == FAR_MS:
            self.lives[-1] = (self.lives[-1][0], max(at_ms, self.lives[-1][0]))


@dataclass(slots=True)
class Members:
    """All that has been read of a fleet."""

    members: dict[str, Member] = field(default_factory=dict)
    intervals: dict[str, tuple[int, Finding]] = field(default_factory=dict)
    """By id, with the lane that it stands in: as last told."""
    causes: dict[str, Finding] = field(default_factory=dict)
    """By the interval's id: the newest statement."""
    blind: dict[str, tuple[int, Finding]] = field(default_factory=dict)
    unheard: dict[tuple[str, str], Interval] = field(default_factory=dict)
    """(cluster, server) never heard, and until when."""
    lanes: dict[int, Interval] = field(default_factory=dict)
    """What was read of the host agents' feed."""

    # -- taking --------------------------------------------------------------------------------------------------

    def take_row(self, lane: int, at_ms: int, row: Any) -> None:
        """Take a row of the inventory, or an event of a VM; all others say nothing of who there is."""
        if isinstance(row, Vm):
            self._placed(lane, at_ms, row)
        elif isinstance(row, Removed):
            self.removed(row.kind, row.id, at_ms)
        elif isinstance(row, MaintenanceEvent) and row.vm in self.members:
            if row.kind == MaintenanceKind.VM_DEALLOCATED:
                self.members[row.vm].end(at_ms)
            elif row.kind == MaintenanceKind.VM_CREATED:
                self.members[row.vm].begin(at_ms)

    def _placed(self, lane: int, at_ms: int, row: Vm) -> None:
        known = self.members.get(row.vm)
        if known is None:
            known = self.members[row.vm] = Member(row.vm, lane, row.cluster)
        known.lane, known.cluster, known.server = lane, row.cluster, row.server
        known.service, known.group, known.subscription = row.service, row.group, row.subscription
        known.update_domain = row.update_domain
        known.begin(at_ms)

    def removed(self, kind: str, name: str, at_ms: int) -> None:
        """Take a tombstone of the inventory: a server takes the VMs that it names there with it."""
        if kind == "vm" and name in self.members:
            self.members[name].end(at_ms)
        elif kind == "server":
            for member in self.members.values():
                if member.server == name:
                    member.end(at_ms)

    def take_finding(self, lane: int, finding: Finding) -> None:
        """Take a finding, in the order of its lane."""
        if finding.detector == INTERVALS:
            self.intervals[finding.id] = (lane, finding)
        elif finding.detector == CAUSES:
            self.causes[finding.facts["interval"]] = finding
        elif finding.detector == BLIND and (finding.subject.feed or "").partition("@")[0] == HOST_AGENT:
            self.blind[finding.id] = (lane, finding)
        elif finding.detector == SILENCE and "never_heard" in finding.numbers:
            self._unheard(finding)

    def _unheard(self, finding: Finding) -> None:
        cluster, closed = finding.subject.cluster or "", finding.state == FindingState.CLOSED
        named = set() if closed else set(finding.facts["servers"].split(", "))
        for key in [key for key in self.unheard if key[0] == cluster and key[1] not in named]:
            self.unheard[key] = (0, min(self.unheard[key][1], finding.at_ms))
        for server in named - {"..."}:
            self.unheard[cluster, server] = (0, FAR_MS)

    def watched(self, lane: int, since_ms: int, until_ms: int) -> None:
        """Take what of the host agents' feed was read, of one lane."""
        self.lanes[lane] = (since_ms, max(since_ms, until_ms))

    # -- telling -------------------------------------------------------------------------------------------------

    def settle(self) -> list[str]:
        """Make one of what was read; return what the reader must know of it."""
        lost, by_hand = self._living(), 0
        for _, known in self.intervals.values():
            by_hand += known.state == FindingState.CLOSED and "end_ms" not in known.numbers and not _void(known)
        notes = []
        if lost:
            notes.append(f"{lost} VMs that were out are not in the inventory: nothing but their outages is counted")
        if by_hand:
            notes.append(f"{by_hand} outages were closed by hand: they count up to then, and as not seen from there on")
        hidden = [key for key, known in self.unheard.items() if known[1] == FAR_MS]
        if hidden:
            notes.append(f"{len(hidden)} servers of the inventory were never heard: their VMs are not seen")
        return notes

    def _living(self) -> int:
        """Let VMs live when they were out, whatever the inventory says; return how many it does not know."""
        named = set(self.members)
        for lane, finding in self.intervals.values():
            name, start_ms, end_ms = finding.subject.vm or "", int(finding.numbers["start_ms"]), _end(finding)
            if name not in self.members:
                cluster, service = finding.subject.cluster or "", finding.facts.get("service", "")
                self.members[name] = Member(name, lane, cluster, finding.facts["server"], service)
            member = self.members[name]
            lives = member.lives
            if name in named and start_ms < lives[0][0]:
                # What is kept of the inventory may be younger than the VM.
                lives[0] = (start_ms, lives[0][1])
            elif not any(start <= start_ms < end for start, end in lives):
                lives.append((start_ms, end_ms))
            if finding.close_reason in GONE and lives[-1][0] <= start_ms:
                member.end(end_ms)
        return len(self.members) - len(named)

    def unseen(self, member: Member, period: Interval) -> Iterator[Stretch]:
        """Yield the times in which nobody could see a VM."""
        since_ms, until_ms = self.lanes.get(member.lane, (period[1], period[1]))
        yield Stretch(period[0], since_ms, Sight.UNSEEN)
        yield Stretch(until_ms, period[1], Sight.UNSEEN)
        if (member.cluster, member.server) in self.unheard:
            yield Stretch(*self.unheard[member.cluster, member.server], Sight.UNSEEN)

    def hidden(self, period: Interval) -> dict[tuple[int, str], list[tuple[Stretch, str]]]:
        """Return the times in which a lane (lane, ""), or a cluster's host reports (lane, cluster), were not seen."""
        found: dict[tuple[int, str], list[tuple[Stretch, str]]] = defaultdict(list)
        for lane, finding in self.blind.values():
            stretch = _blind(finding)
            if stretch is not None and stretch.from_ms < period[1] and stretch.until_ms > period[0]:
                found[lane, finding.subject.cluster or ""].append((stretch, finding.title))
        return found

    def instances(self, period: Interval) -> Iterator[tuple[Member, Instance]]:
        """Yield each VM that there was in a period, and what is known of it."""
        hidden = self.hidden(period)
        out: dict[str, list[Stretch]] = defaultdict(list)
        for lane, finding in self.intervals.values():
            out[finding.subject.vm or ""] += self._out(lane, finding)
        for member in self.members.values():
            if not any(start < period[1] and end > period[0] for start, end in member.lives):
                continue
            shared = (*hidden.get((member.lane, ""), ()), *hidden.get((member.lane, member.cluster), ()))
            stretches = (*out[member.vm], *self.unseen(member, period), *(stretch for stretch, _ in shared))
            yield member, Instance(member.vm, tuple(member.lives), stretches, member.update_domain)

    def _out(self, lane: int, finding: Finding) -> Iterator[Stretch]:
        if _void(finding):
            return
        read_ms = self.lanes.get(lane, (0, 0))[1]
        start_ms, end_ms = int(finding.numbers["start_ms"]), min(_end(finding), read_ms)
        sight, cause = self.why(finding)
        yield Stretch(start_ms, end_ms, sight, cause)
        if finding.state == FindingState.CLOSED and "end_ms" not in finding.numbers:
            yield Stretch(end_ms, FAR_MS, Sight.UNSEEN)

    def why(self, finding: Finding) -> tuple[Sight, str]:
        """Return what kind of outage an interval is, and its cause."""
        said = self.causes.get(finding.id)
        if "assumed" in finding.facts:
            return Sight.UNSEEN, "its server was not heard"
        if said is None:
            return Sight.UNPLANNED, NOT_TOLD
        cause = said.facts["cause"]
        told = f"{cause} (provisional)" if said.facts["state"] == ArticleState.PROVISIONAL else cause
        if cause in OWN_CAUSES:
            return Sight.OWN, told
        return (Sight.PLANNED if said.facts["planned"] == "yes" else Sight.UNPLANNED), told

    def notes(self, period: Interval) -> list[str]:
        """Return what was not seen within a period, in words."""
        here = {"", *(member.cluster for member in self.members.values())}
        told = [
            (max(stretch.from_ms, period[0]), min(stretch.until_ms, period[1]), title)
            for (_, cluster), stretches in self.hidden(period).items()
            for stretch, title in (stretches if cluster in here else ())
        ]
        late = min((until_ms for _, until_ms in self.lanes.values()), default=period[1])
        early = max((since_ms for since_ms, _ in self.lanes.values()), default=period[0])
        if not self.lanes:
            return ["nothing was read of the host agents' feed: nothing is known"]
        if early > period[0]:
            told.append((period[0], min(early, period[1]), "what is kept of history begins later"))
        if late < period[1]:
            told.append((max(late, period[0]), period[1], "this is not read yet"))
        told.sort()
        lines = [f"not seen: {utc(start)} to {utc(end)}: {title}" for start, end, title in told[:NOTED]]
        return [*lines, *([f"not seen: {len(told) - NOTED} more such times"] if len(told) > NOTED else [])]


def _end(finding: Finding) -> int:
    """Return when an interval ended; FAR_MS while it goes on."""
    end_ms = finding.numbers.get("end_ms")
    if end_ms is not None:
        return int(end_ms)
    return finding.at_ms if finding.state == FindingState.CLOSED else FAR_MS


def _void(finding: Finding) -> bool:
    """Tell whether an interval was taken back."""
    return finding.close_reason == NOT_FOUND


def _blind(finding: Finding) -> Stretch | None:
    """Return the time that nobody saw: a gap or a hole, a lane never read, reports lost; None: it only came late."""
    numbers, over = finding.numbers, finding.state == FindingState.CLOSED
    if "gap_s" in numbers:
        return Stretch(finding.opened_ms, finding.opened_ms + round(numbers["gap_s"] * 1000), Sight.UNSEEN)
    until_ms = finding.at_ms if over else FAR_MS
    if finding.subject.cluster is not None:
        if "since_s" not in numbers:
            return None
        return Stretch(finding.opened_ms - round(numbers["since_s"] * 1000), until_ms, Sight.UNSEEN)
    return None if numbers else Stretch(0, until_ms, Sight.UNSEEN)
