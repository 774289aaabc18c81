"""VMs that wait for their host, and wait on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.crowds import CrowdDetector
from detectors.failfast.lives import FEEDS, next_start_ms
from detectors.failfast.words import minutes, utc
from detectors.frames import BatchFrame, DueFrame, Frame, source_name
from detectors.picture import Picture, Start, VmView
from detectors.rollouts.vm_waits import Wait, WaitState, first, still
from schemas.outputs import Finding, Severity, Subject, Verdict
from schemas.source import GaState, GuestKind, Network

_CUT = "\x1f"


@dataclass(frozen=True, slots=True)
class Config:
    """How long a VM may wait for its host."""

    limit_s: float = field(default=1800.0, metadata={"least": 1, "most": 86_400})
    """Seconds of observed time in WAITING_FOR_HOST with no change; exactly so long is not too long. Source: seed 002,
    "a 'Waiting for Host' message in the portal that does not change after at least 30 minutes"; CATALOGUE."""


class WaitingForHost(CrowdDetector[Config, WaitState]):
    """Finds each VM that its host agent has called WAITING_FOR_HOST for more than 30 minutes, with no change of state.

    Rule: the same WAITING_FOR_HOST of one incarnation for longer than `limit_s` of observed time: no other state in
    its host agent's reports, no word of its guest agent, no new start. Time stands while a feed has a gap and while the
    server is not heard; the server must have spoken again at the limit. `opened_ms` is the moment of the limit.

    What it says: the platform now and then fails to start a host or guest OS after an update; then the VM cannot be
    reached. Where the VM's network is UP it can be reached, "then the problem is almost always due to a failure in the
    startup code" (seed 002): verdict SOFTWARE, fact `at_fault` "start-up code". With the network DOWN or unknown it is
    the host, and a person must recover the VM. The finding follows the network while it is open, and ends with the
    next change of state, or when the VM starts anew or leaves. Each VM is an info finding, and one
    warning counts them.
    """

    Config = Config
    State = WaitState
    state_version = 2
    memory_s = 2 * 3600
    feeds = FEEDS
    crowd_advice = (
        "Their host agents call them WAITING_FOR_HOST, and nothing has changed since. Where their network is not up, "
        "the platform did not bring host or guest OS back: an operator must recover them. Where it is up, their owners "
        "should look at their start-up code."
    )

    def crowd_words(self, many: bool) -> str:
        """Return what is said of one, or of many."""
        has, its = ("have", "their") if many else ("has", "its")
        return f"{has} waited for {its} host for more than {minutes(self.config.limit_s)}"

    def judge(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what has waited too long, and what waits no more."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._judge(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        news, state = picture.news, self.state
        for index, vm, start in news.turns:
            at_ms, ga = start.turns[-1]
            if ga == GaState.WAITING_FOR_HOST:
                source = source_name(frame.batch.rows[index], picture.cluster)
                wait = Wait(vm, start.incarnation, start.server, at_ms, source, frame.evidence(index))
                state.wait(f"{vm}{_CUT}{start.incarnation}{_CUT}{at_ms}", wait, at_ms + self._limit_ms)
        state.unpark(news)
        if not state.vms_open():
            return []
        touched = dict.fromkeys(
            [vm for _, vm, _ in news.turns]
            + [vm for vm, _ in (*news.starts, *news.ended)]
            + [event.vm for _, event in news.guests]
        )
        findings = [found for vm in touched for found in self._close(vm, frame, picture)]
        for vm, _ in news.network_changes:
            findings += self._network(vm, frame, picture)
        if news.inventory:
            gone = [vm for vm in state.vms_open() if vm not in picture.vms]
            gone += [vm for vm in state.vms_open() if self._server(vm) in news.removed_servers]
            for vm in dict.fromkeys(gone):
                findings += state.openings.end(vm, frame, "removed")
        return findings

    @property
    def _limit_ms(self) -> int:
        return round(self.config.limit_s * 1000)

    def _server(self, vm: str) -> str:
        return self.state.openings.open[vm].finding.subject.server or ""

    def _judge(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        wait = self.state.waits.get(key)
        if wait is None:
            return []
        view, start = picture.vms.get(wait.vm), still(picture, wait)
        if view is None or start is None:
            self.state.drop(key)
            return []
        end_ms = _end_ms(view, start, wait.since_ms)
        if end_ms is not None and end_ms <= wait.since_ms + self._limit_ms:
            self.state.drop(key)
            return []
        limit_ms = self.state.limit_at(key, wait.server, self._limit_ms, frame.due_ms, picture)
        if limit_ms is None:
            return []
        self.state.drop(key)
        if end_ms is not None and end_ms <= limit_ms:
            return []
        server = picture.servers[wait.server]
        findings = self.state.openings.end(wait.vm, frame, "it waits anew")
        findings += self._open(
            wait.vm,
            frame,
            Subject(cluster=picture.cluster, server=wait.server, vm=wait.vm),
            wait.source,
            opened_ms=limit_ms,
            severity=Severity.INFO,
            evidence=(wait.evidence, *([server.heard_evidence] if server.heard_evidence is not None else [])),
            numbers={"limit_s": self.config.limit_s, "since_ms": wait.since_ms},
            **self._said(wait.vm, wait.server, wait.since_ms, wait.incarnation, view.network),
        )
        return findings + self._close(wait.vm, frame, picture)

    def _said(self, vm: str, server: str, since_ms: int, incarnation: int, network: str) -> dict[str, Any]:
        """Return verdict, title, explanation and facts by the VM's network."""
        reached = network == Network.UP
        title = f"VM {vm} on {server} has waited for its host for more than {minutes(self.config.limit_s)}"
        text = f"Its host agent has called it WAITING_FOR_HOST since {utc(since_ms)}, and nothing has changed since. "
        if reached:
            title += ", though its network is up: look at its start-up code"
            text += (
                "Its network is UP, so it can be reached: then it is almost always its own start-up code (a start-up "
                "task, OnStart or Run) that fails, not the host. Its owner should look there first."
            )
        else:
            text += (
                f"Its network is {network}: the platform did not bring host or guest OS back, which it seldom fails to "
                "do after an update. Its owner can do little; an operator must recover the VM on this server."
            )
        return {
            "verdict": Verdict.SOFTWARE if reached else Verdict.NONE,
            "title": title,
            "explanation": text,
            "facts": {
                "at_fault": "start-up code" if reached else "host",
                "network": network,
                "incarnation": str(incarnation),
            },
        }

    def _network(self, vm: str, frame: Frame, picture: Picture) -> list[Finding]:
        known, view = self.state.openings.get(vm), picture.vms.get(vm)
        if known is None or view is None:
            return []
        said = self._said(
            vm,
            known.subject.server or "",
            int(known.numbers["since_ms"]),
            int(known.facts["incarnation"]),
            view.network,
        )
        return self.state.openings.update(vm, frame, at_once=said["verdict"] != known.verdict, **said)

    def _close(self, vm: str, frame: Frame, picture: Picture) -> list[Finding]:
        known = self.state.openings.open.get(vm)
        if known is None:
            return []
        incarnation = int(known.finding.facts["incarnation"])
        since_ms = int(known.finding.numbers["since_ms"])
        wait = Wait(vm, incarnation, "", since_ms, "", known.finding.evidence[0])
        view, start = picture.vms.get(vm), still(picture, wait)
        if view is not None and start is not None and _end_ms(view, start, since_ms) is None:
            return []
        return self.state.openings.end(vm, frame, "its state changed")


def _end_ms(view: VmView, start: Start, since_ms: int) -> int | None:
    """Return when the wait that began at `since_ms` ended: another state, a word of its guest, a start, its leaving."""
    other = first(*(at_ms for at_ms, ga in start.turns if at_ms > since_ms and ga != GaState.WAITING_FOR_HOST))
    word = first(
        *(
            word.at_ms
            for word in view.words
            if word.incarnation == start.incarnation and word.at_ms > since_ms and word.kind in _STATES
        )
    )
    following = next_start_ms(view, start.incarnation)
    return first(other, word, following, start.ended_ms)


_STATES = (
    GuestKind.START,
    GuestKind.START_FAILED,
    GuestKind.READY,
    GuestKind.BUSY,
    GuestKind.STOPPING,
    GuestKind.STOPPED,
    GuestKind.RECYCLED,
)
"""Words of a guest agent that tell of a change of state: a heartbeat tells of none."""
