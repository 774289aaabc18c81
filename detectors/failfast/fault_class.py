"""Software or hardware: what a failure's spread says about its cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector, State
from detectors.failfast.calendar_edges import edge_before
from detectors.failfast.lives import FEEDS
from detectors.failfast.survey import NO_CONTACT, Attempt, Survey, survey
from detectors.failfast.words import counted, listed, utc
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.picture import Picture
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject, Verdict

TARGETS_MOST = 20_000
"""Findings judged at once: as many as a cluster may have servers."""


@dataclass(frozen=True, slots=True)
class Config:
    """What counts as spread, and how often one looks."""

    servers: int = field(default=3, metadata={"least": 2, "most": 1000})
    """Servers with one signature that speak for software. Source: CATALOGUE, fault_class."""
    racks: int = field(default=2, metadata={"least": 1, "most": 1000})
    """Racks that these must stand in. Source: CATALOGUE, fault_class."""
    no_contact_s: float = field(default=1495.0, metadata={"least": 1, "most": 86_400})
    """Seconds without contact after which a start has failed: the 25 minutes of `guest_timeout`, less its 5 seconds.
    For a `start_stall` its own age a stands instead. Source: seed 004."""
    lookback_s: float = field(default=10_800.0, metadata={"least": 60, "most": 86_400})
    """Seconds of history that are asked: two rounds of three time-outs (75 minutes each), and a half.
    Source: seed 004."""
    recheck_s: float = field(default=15.0, metadata={"least": 1, "most": 3600})
    """Seconds after new starts, contacts or failures until the verdicts are looked at again. Source: a choice; a
    verdict that moves is told within the minute."""
    settled_s: float = field(default=60.0, metadata={"least": 1, "most": 3600})
    """The same while no verdict is INCONCLUSIVE. Source: a choice; a look asks every recent start of the cluster."""
    retell_s: float = field(default=300.0, metadata={"least": 10, "most": 86_400})
    """Seconds between two updates of a verdict that has not moved: only its numbers have. Source: a choice; with a
    cluster's worth of findings to judge, each told every 10 s, nobody could read them."""


@dataclass(slots=True)
class Target:
    """A finding that is judged."""

    id: str
    detector: str
    subject: Subject
    opened_ms: int
    no_contact_ms: int
    """0: as configured."""
    since_ms: int
    """From when on starts are asked; 0: as configured."""
    onset_ms: int = 0
    """The start of the first failing incarnation; 0: not known."""
    evidence: tuple[Evidence, ...] = ()
    """What the finding itself stands on: cited while no failed start is known."""


@dataclass(slots=True)
class ClassState(State):
    """The findings that are judged, by id."""

    targets: dict[str, Target] = field(default_factory=dict)


@dataclass(slots=True)
class Ruling:
    """What the evidence says of one failure."""

    verdict: str
    reasons: list[str]
    failed: list[Attempt]
    succeeded_elsewhere: int = 0
    followed: int = 0
    ga: list[str] = field(default_factory=list)
    """Versions of the guest agent among the failed; `ha` of the host agent."""
    ha: list[str] = field(default_factory=list)
    vms: int = 0
    servers: int = 0
    racks: int = 0

    def __post_init__(self) -> None:
        """Count once what every finding judged by this ruling tells."""
        self.ga = sorted({attempt.ga_version for attempt in self.failed if attempt.ga_version})
        self.ha = sorted({attempt.ha_version for attempt in self.failed if attempt.ha_version})
        self.vms = len({attempt.vm for attempt in self.failed})
        self.servers = len({attempt.server for attempt in self.failed})
        self.racks = len({attempt.rack for attempt in self.failed if attempt.rack})


class FaultClass(Detector[Config, ClassState]):
    """Says whether software or hardware is at fault, and why: of each `server_hi`, `start_failure` and `start_stall`.

    One finding for each (of `start_failure` those of the cluster: one VM alone proves nothing), with the same subject;
    the fact `about` is its id. It looks at the starts of the last `lookback_s` that failed with the finding's
    signature (no contact is the signature of a time-out), and at those that succeeded.

    SOFTWARE: the signature is seen on at least `servers` servers of `racks` racks; or the failure followed a VM
    through a healing to another server; or starts fail wherever they are tried (on two servers of two racks and more,
    and none has succeeded since the first failure). HARDWARE: it is confined to one server, or one rack, whose VMs
    start well elsewhere, while starts elsewhere succeed. INCONCLUSIVE: anything else, and whatever is missing. On the
    leap day the host agents took every silent guest for broken hardware, and so the bug emptied whole clusters
    (seed 004, "Fault Isolation").

    `trigger` is `clock` where the onset (the start of the first failing incarnation) lies within 10 minutes after a
    calendar edge (UTC midnight, so also 29 February, 31 December, the end of a month, a leap second; the end of
    31-bit time in 2038) and the failing starts run at least two versions of the guest agent or of the host agent: a
    new version alone cannot have brought it.

    The verdict moves with the evidence; it closes with the finding that it is about.
    """

    Config = Config
    State = ClassState
    memory_s = 3 * 3600
    feeds = FEEDS
    follows = ("server_hi", "start_failure", "start_stall")

    def __init__(self, config: Any, state: Any = None) -> None:
        super().__init__(config, state)
        # Not state: the surveys of the present frame, in which the picture does not change, and what they rule.
        self._surveys: dict[tuple[int, int], Survey] = {}
        self._rulings: dict[tuple[int, int, str], Ruling] = {}
        self._surveyed = (-1, -1)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what a new finding, or new evidence, makes of the verdicts."""
        if isinstance(frame, FindingFrame):
            return self._target(frame, picture)
        if isinstance(frame, DueFrame):
            due = self.state.deadlines.pop(frame.due_ms)
            targets = self.state.targets.values() if due else ()
            return [found for target in targets for found in self._rule(target, frame, picture)]
        if isinstance(frame, BatchFrame) and self.state.targets:
            news = picture.news
            moved = news.starts or news.contacts or news.failures or news.ended
            if moved and _AGAIN not in self.state.deadlines.due:
                self.state.deadlines.set(_AGAIN, frame.at_ms + self._recheck_ms())
        return []

    def _recheck_ms(self) -> int:
        """Return how long to wait before the verdicts are looked at again: longer once all of them stand."""
        openings = self.state.openings
        open_question = any(finding.verdict == Verdict.INCONCLUSIVE for finding in openings)
        return round((self.config.recheck_s if open_question else self.config.settled_s) * 1000)

    def _target(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        about = frame.finding
        targets = self.state.targets
        if about.state == FindingState.CLOSED:
            targets.pop(about.id, None)
            return self.state.openings.end(about.id, frame, f"{about.detector} closed: {about.close_reason}")
        if about.detector == "start_failure" and about.subject.vm is not None:
            return []
        if about.id not in targets and len(targets) >= TARGETS_MOST:
            return []
        known = about.id in targets
        onset_ms = targets[about.id].onset_ms if known else 0
        stall = about.detector == "start_stall"
        target = targets[about.id] = Target(
            about.id,
            about.detector,
            about.subject,
            about.opened_ms,
            round(about.numbers.get("age_s", 0) * 1000) if stall else 0,
            round(about.numbers.get("onset_ms", 0)) if stall else 0,
            onset_ms,
            about.evidence[:2],
        )
        # An update of a finding brings no evidence that the recheck would not see.
        return [] if known else self._rule(target, frame, picture)

    # -- the verdict ---------------------------------------------------------------------------------------------

    def _survey(self, target: Target, frame: Frame, picture: Picture) -> Survey:
        """Return the survey that a target is judged by; made once a frame for all that ask for the same."""
        place = (frame.offset, getattr(frame, "due_ms", -1))
        if self._surveyed != place:
            self._surveys, self._rulings, self._surveyed = {}, {}, place
        no_contact_ms = target.no_contact_ms or round(self.config.no_contact_s * 1000)
        since_ms = target.since_ms or frame.at_ms - round(self.config.lookback_s * 1000)
        key = (since_ms, no_contact_ms)
        if key not in self._surveys:
            self._surveys[key] = survey(picture, since_ms, no_contact_ms)
        return self._surveys[key]

    def _rule(self, target: Target, frame: Frame, picture: Picture) -> list[Finding]:
        seen = self._survey(target, frame, picture)
        signature = _signature(target, seen)
        ruling = self._ruling(target, signature, seen)
        known = self.state.openings.get(target.id)
        if not ruling.failed and known is not None and known.verdict != Verdict.INCONCLUSIVE:
            # No start has failed of late: that takes nothing back.
            return []
        if ruling.failed and (not target.onset_ms or ruling.failed[0].at_ms < target.onset_ms):
            target.onset_ms = ruling.failed[0].at_ms
        said = self._said(target, signature, ruling)
        if target.id not in self.state.openings.open:
            return self._open(
                target.id,
                frame,
                target.subject,
                target.id,
                opened_ms=target.opened_ms,
                severity=Severity.INFO,
                **said,
            )
        moved = known is not None and (known.verdict, known.trigger) != (said["verdict"], said["trigger"])
        # What is missing for a verdict is told as it changes; of a verdict that stands only the numbers change.
        open_question = known is not None and ruling.verdict == Verdict.INCONCLUSIVE
        retell_ms = self.config.retell_s * 1000
        if known is not None and not moved and not open_question and frame.at_ms < known.at_ms + retell_ms:
            return []
        return self.state.openings.update(target.id, frame, at_once=moved, **said)

    def _ruling(self, target: Target, signature: str, seen: Survey) -> Ruling:
        """Return what the survey rules of a signature: one ruling for all findings that it is the same of."""
        key = (seen.since_ms, target.no_contact_ms, signature)
        ruling = self._rulings.get(key)
        if ruling is None or not ruling.failed:
            ruling = self._rulings[key] = self._judge(target, signature, seen)
        return ruling

    def _judge(self, target: Target, signature: str, seen: Survey) -> Ruling:
        failed = seen.failed(signature)
        if not failed:
            what = "start of its VMs" if target.detector == "server_hi" else "start with its signature"
            return Ruling(Verdict.INCONCLUSIVE, [f"no failed {what} is known"], [])
        servers = sorted({attempt.server for attempt in failed})
        racks = sorted({attempt.rack for attempt in failed if attempt.rack})
        succeeded = seen.succeeded(failed[0].at_ms)
        followed = _followed(failed, seen)
        hardware = _confined(failed, servers, racks, succeeded)
        elsewhere = sum(1 for attempt in succeeded if attempt.server not in servers)
        if hardware:
            return Ruling(Verdict.HARDWARE, hardware, failed, elsewhere, len(followed))
        software: list[str] = []
        if len(servers) >= self.config.servers and len(racks) >= self.config.racks:
            software.append(f"one signature on {counted(len(servers), 'server')} of {counted(len(racks), 'rack')}")
        if followed:
            moved = listed(f"{vm} from {from_server} to {to_server}" for vm, from_server, to_server in followed)
            software.append(f"the failure followed {moved} through healing")
        if len(servers) > 1 and len(racks) > 1 and not succeeded:
            software.append("starts fail wherever they are tried: none has succeeded since the first failure")
        if software:
            return Ruling(Verdict.SOFTWARE, software, failed, elsewhere, len(followed))
        return Ruling(Verdict.INCONCLUSIVE, self._missing(servers, racks, elsewhere), failed, elsewhere)

    def _missing(self, servers: list[str], racks: list[str], elsewhere: int) -> list[str]:
        """Return what would have to be known for a verdict."""
        seen = f"seen on {counted(len(servers), 'server')} of {counted(len(racks), 'known rack')}"
        reasons = [
            f"{seen}, not on {self.config.servers} of {self.config.racks}",
            "it has followed no VM through healing",
        ]
        if len(servers) > 1 and len(racks) != 1:
            reasons.append("and it is not confined to one server or rack")
        elif not elsewhere:
            reasons.append("and no start elsewhere has succeeded since to compare with")
        else:
            reasons.append("and none of its VMs has started well elsewhere yet")
        return reasons

    # -- saying --------------------------------------------------------------------------------------------------

    def _said(self, target: Target, signature: str, ruling: Ruling) -> dict[str, Any]:
        failed = ruling.failed
        edge = edge_before(target.onset_ms) if target.onset_ms else None
        clock = edge is not None and (len(ruling.ga) > 1 or len(ruling.ha) > 1)
        facts = {
            "about": target.id,
            "about_detector": target.detector,
            "reasons": "; ".join(ruling.reasons),
            "signature": signature,
            "ga_versions": listed(ruling.ga),
            "ha_versions": listed(ruling.ha),
            "onset": utc(target.onset_ms) if target.onset_ms else "",
            "edge": f"{edge[1]}, {utc(edge[0])}" if clock and edge is not None else "",
        }
        return {
            "evidence": tuple(attempt.evidence for attempt in failed[:EVIDENCE_KEPT]) or target.evidence,
            "verdict": ruling.verdict,
            "trigger": "clock" if clock else "",
            "title": _title(target, ruling, clock),
            "explanation": self._explanation(target, ruling, facts, clock),
            "numbers": {
                "vms": ruling.vms,
                "servers": ruling.servers,
                "racks": ruling.racks,
                "failed": len(failed),
                "succeeded_elsewhere": ruling.succeeded_elsewhere,
                "followed": ruling.followed,
                "onset_ms": target.onset_ms,
            },
            "facts": {name: value for name, value in facts.items() if value},
        }

    def _explanation(self, target: Target, ruling: Ruling, facts: dict[str, str], clock: bool) -> str:
        text = f"Reasons: {facts['reasons']}."
        if facts["onset"]:
            text += f" The first start that failed so ({facts['signature']}) began at {facts['onset']}."
        if clock:
            versions = " and ".join(
                f"{name} {facts[key]}" for name, key in (("GA", "ga_versions"), ("HA", "ha_versions")) if facts[key]
            )
            text += (
                f" That is right after {facts['edge']}, and it fails in several versions ({versions}): the clock set "
                "it off, and no rollout alone brought it."
            )
        advice = {
            Verdict.SOFTWARE: " Giving servers up or moving their VMs will not help, and spreads it: stop healing and "
            "updates, and find what the failing starts have in common.",
            Verdict.HARDWARE: " Its VMs do well elsewhere: let it be healed off and repaired.",
            Verdict.INCONCLUSIVE: " Treat it as neither: what is missing for a verdict stands above.",
        }
        return text + advice[Verdict(ruling.verdict)]


_AGAIN = "again"


def _title(target: Target, ruling: Ruling, clock: bool) -> str:
    name = target.subject.server or target.subject.cluster or ""
    what = {
        "server_hi": f"server {name} in Human Investigate",
        "start_failure": f"failing starts in {name}",
        "start_stall": f"stalled starts in {name}",
    }[target.detector]
    if ruling.verdict == Verdict.INCONCLUSIVE:
        return f"{what}: cause not clear yet"
    cause = "software" if ruling.verdict == Verdict.SOFTWARE else "hardware"
    return f"{what}: {cause} is at fault{', set off by the clock' if clock else ''}"


def _signature(target: Target, seen: Survey) -> str:
    """Return the signature that a target is about; of a server the one most of its starts failed with."""
    if target.subject.signature is not None:
        return target.subject.signature
    if target.subject.server is None:
        return _commonest(attempt for attempt in seen.attempts)
    return _commonest(seen.by_server.get(target.subject.server, ()))


def _commonest(attempts: Iterable[Attempt]) -> str:
    counts = Counter(attempt.signature for attempt in attempts if attempt.signature)
    return min(counts, key=lambda signature: (-counts[signature], signature), default=NO_CONTACT)


def _followed(failed: list[Attempt], seen: Survey) -> list[tuple[str, str, str]]:
    """Return the healings that a failure followed a VM through."""
    at = {(attempt.vm, attempt.server) for attempt in failed}
    return [healing for healing in seen.healed if (healing[0], healing[1]) in at and (healing[0], healing[2]) in at]


def _confined(failed: list[Attempt], servers: list[str], racks: list[str], succeeded: list[Attempt]) -> list[str]:
    """Return the reasons why the fault is that of one server or one rack; none where it is not."""
    if len(servers) == 1:
        place, outside = f"server {servers[0]}", [known for known in succeeded if known.server != servers[0]]
    elif len(racks) == 1 and all(attempt.rack for attempt in failed):
        place, outside = f"rack {racks[0]}", [known for known in succeeded if known.rack != racks[0]]
    else:
        return []
    first = {attempt.vm: attempt.at_ms for attempt in reversed(failed)}
    well = [known for known in outside if known.at_ms > first.get(known.vm, known.at_ms)]
    if not well:
        return []
    return [
        f"confined to {place}",
        f"{listed(known.vm for known in well)} failed there and started well elsewhere",
        f"{counted(len(outside), 'start')} elsewhere succeeded since",
    ]
