"""What unavailability remembers: of each VM how it was told last, of each server its last report, and what is open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from detectors.contract import State as BaseState
from detectors.failfast.words import utc
from detectors.frames import Frame
from detectors.picture import Picture, VmView
from detectors.views import Start
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import GaState, GuestKind, Network, VmReport

NAME = "unavailability"
AVAILABLE_AGAIN = "it is available again"
"""Why an interval closes; any other reason means that the VM is gone, or that a person closed it."""
SIGNS_KEPT = 8
"""Records cited by one interval: what began it, what went on in it, what ended it."""

NETWORK = "network down"
STOPPED = "stopped"
WAITING = "waiting for its host"
STARTING = "starting"
SILENT = "guest agent silent"
RESTARTED = "restarted"
REBOOTED = "server rebooted"
LOST = "server not heard"
MOVED = "moved to another server"
FAILED = "start failed"
TIMED_OUT = "start timed out"

SIGN_OF_GA: dict[str, str] = {
    GaState.STOPPING: STOPPED,
    GaState.WAITING_FOR_HOST: WAITING,
    GaState.STARTING: STARTING,
    GaState.SILENT: SILENT,
}
"""The states in which a VM that was available is no longer. BUSY is not among them: it runs, and can be reached."""
STOPPING_WORDS = (GuestKind.STOPPING, GuestKind.SHUTDOWN, GuestKind.STOPPED)
ENDING_WORDS = (*STOPPING_WORDS, GuestKind.RECYCLED)


@dataclass(slots=True)
class Life:
    """A VM as its host agents told it last."""

    server: str
    incarnation: int
    since_ms: int
    """Stamp of the first record of this incarnation."""
    ready: bool = False
    """It has been available since it was created."""
    ready_ms: int = 0
    """Greatest stamp of a record that showed it so."""


@dataclass(slots=True)
class Heard:
    """A server's last report."""

    at_ms: int
    interval_s: int
    boot_id: str
    run: str
    seq: int
    place: tuple[int, int, str, str, int]
    """(partition, offset, topic, topic_id, lane) of its batch."""
    source_offset: int

    def evidence(self, note: str) -> Evidence:
        """Return where the report stands."""
        partition, offset, topic, topic_id, lane = self.place
        return Evidence(partition, offset, topic, topic_id, lane, self.source_offset, self.at_ms, note)

    def source(self, server: str) -> str:
        """Return the report's name in its source's own terms."""
        return f"{server}/{self.boot_id}/{self.run}/{self.seq}"


@dataclass(slots=True)
class Interval:
    """A time in which a VM is not available, while it lasts."""

    server: str
    incarnation: int
    start_ms: int
    signs: list[str] = field(default_factory=list)
    """What was seen of it, each once, in the order of arrival."""
    by_word: bool = False
    """Its guest agent alone has told of it so far."""

    @property
    def away(self) -> bool:
        """Tell whether nothing but its server's absence, or a new boot that shows it well, speaks against the VM.

        What a guest agent or a report said of it before its server was lost holds when the server is heard as before:
        its next word of READY, or the next report that tells of it, ends that.
        """
        told = [sign for sign in self.signs if sign != LOST]
        return not told or told[-1] == REBOOTED

    def stops(self) -> None:
        """Note the guest agent's word that it stops: what was assumed so far, its server being away, is said now."""
        if self.away:
            self.by_word = self.signs == [LOST]
            self.add(STOPPED)

    def add(self, sign: str) -> None:
        """Note something seen of it."""
        if sign not in self.signs:
            self.signs.append(sign)


@dataclass(slots=True)
class State(BaseState):
    """Every VM and server heard, what is open, and the services' figures; as many as the picture has."""

    lives: dict[str, Life] = field(default_factory=dict)
    hosts: dict[str, Heard] = field(default_factory=dict)
    open: dict[str, Interval] = field(default_factory=dict)
    """By VM."""
    lost: dict[str, int] = field(default_factory=dict)
    """Servers found silent, or told to reboot, since their last report: with its stamp. Their VMs are not available."""


def available(report: VmReport, *, guests: bool) -> bool:
    """Tell whether a report shows a VM that can be reached and is READY, or, without guest agents, runs at all."""
    if report.network == Network.DOWN:
        return False
    return report.ga == GaState.READY or (report.ga == GaState.UNKNOWN and not guests)


def sign_of(report: VmReport, *, guests: bool) -> str:
    """Return what a report shows of a VM that is not available; empty where it may be (BUSY, or not known)."""
    if report.ga in SIGN_OF_GA and guests:
        return SIGN_OF_GA[report.ga]
    return NETWORK if report.network == Network.DOWN else ""


def start_of(view: VmView, incarnation: int) -> Start | None:
    """Return a VM's start of this incarnation, None where it is not known."""
    return next((start for start in view.starts if start.incarnation == incarnation), None)


def last_word(view: VmView, incarnation: int, after_ms: int, until_ms: int) -> tuple[int, Evidence] | None:
    """Return when a guest agent first said, between two times, that this incarnation ends, and where; None: not."""
    for word in view.words:
        if word.kind in ENDING_WORDS and word.incarnation == incarnation and after_ms < word.at_ms <= until_ms:
            return word.at_ms, word.evidence
    return None


def reboot_ms(picture: Picture, server: str, after_ms: int, until_ms: int) -> tuple[int, Evidence] | None:
    """Return when a reboot of a server was first told, between two times, and where; None: none was."""
    view = picture.servers.get(server)
    for upkeep in view.upkeep if view is not None else ():
        if upkeep.what == "reboot" and after_ms < upkeep.from_ms <= until_ms and upkeep.until_ms != upkeep.from_ms:
            return upkeep.from_ms, upkeep.evidence
    return None


def guests_speak(view: VmView, since_ms: int, interval_s: int) -> bool:
    """Tell whether the guest agent of a VM spoke so long after its server's last report that the server must live.

    A living host would have reported by then (1.25 of its intervals, as for a cluster that is blind). One that started
    anew since proves nothing: it is the new one that speaks.
    """
    start = view.start
    restarted = start is not None and start.at_ms > since_ms
    return not restarted and view.guest_ms > since_ms + 1250 * interval_s


def opening(
    vm: str, interval: Interval, evidence: tuple[Evidence, ...], last_up_ms: int, service: str
) -> dict[str, Any]:
    """Return what the finding of an interval says when it opens."""
    sign = ", ".join(interval.signs)
    return {
        "severity": Severity.INFO,
        "title": f"VM {vm} on {interval.server} is not available since {utc(interval.start_ms)}: {sign}",
        "explanation": "The records cited say so; root_cause tells why as soon as it can.",
        "evidence": evidence[:SIGNS_KEPT],
        "numbers": {"start_ms": interval.start_ms, "last_up_ms": min(interval.start_ms, last_up_ms)},
        "facts": {
            "server": interval.server,
            "incarnation": str(interval.incarnation),
            "signs": sign,
            **({"service": service} if service else {}),
        },
    }


def ended(finding: Finding, vm: str, interval: Interval, end_ms: int, evidence: Evidence, *, assumed: bool) -> Finding:
    """Return the finding of an interval with what is known at its end."""
    end_ms = max(end_ms, interval.start_ms)
    seconds = (end_ms - interval.start_ms) / 1000
    signs, since = ", ".join(interval.signs), utc(interval.start_ms)
    return replace(
        finding,
        title=f"VM {vm} on {interval.server} was not available for {seconds:g} s from {since}: {signs}",
        numbers={**finding.numbers, "end_ms": float(end_ms), "duration_s": seconds},
        facts={**finding.facts, "signs": signs, **({"assumed": "it may have run all along"} if assumed else {})},
        evidence=(*finding.evidence[: SIGNS_KEPT - 1], evidence),
    )


def begin(
    state: State,
    vm: str,
    life: Life,
    start_ms: int,
    sign: str,
    evidence: tuple[Evidence, ...],
    source: str,
    frame: Frame,
    picture: Picture,
) -> list[Finding]:
    """Begin an interval of a VM; one that goes on already gets the sign."""
    if vm in state.open:
        state.open[vm].add(sign)
        return []
    interval = state.open[vm] = Interval(life.server, life.incarnation, start_ms, [sign])
    heard = state.hosts.get(life.server)
    last_up_ms = max(life.ready_ms, 0 if heard is None else heard.at_ms)
    return state.openings.start(
        vm,
        frame,
        NAME,
        Subject(cluster=picture.cluster, vm=vm),
        source,
        opened_ms=min(start_ms, frame.at_ms),
        **opening(vm, interval, evidence, last_up_ms, picture.vms[vm].service),
    )


def finish(
    state: State,
    vm: str,
    at_ms: int,
    evidence: Evidence,
    frame: Frame,
    *,
    reason: str = AVAILABLE_AGAIN,
    assumed: bool = False,
) -> list[Finding]:
    """End the interval of a VM; nothing where none goes on."""
    interval = state.open.pop(vm, None)
    known = state.openings.open.get(vm)
    if interval is None or known is None:
        return []
    known.finding = ended(known.finding, vm, interval, at_ms, evidence, assumed=assumed)
    return state.openings.end(vm, frame, reason)
