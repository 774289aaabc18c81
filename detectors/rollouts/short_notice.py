"""Maintenance that its owners are told of too late."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector
from detectors.contract import State as BaseState
from detectors.failfast.words import counted, listed, utc
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.investigate.telling import tell, too_early
from detectors.picture import Picture
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import MAINTENANCE, MaintenanceEvent, MaintenanceKind

DAY_S = 86_400
TELLINGS_KEPT = 16
"""Announcements remembered of one wave; the first ones stay, for they tell who knew first."""
NOTICES_MOST = 16_384
"""Scheduled events remembered that have not begun; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Config:
    """The least notice of each kind of maintenance; exactly that much is enough."""

    wave_days: float = field(default=30.0, metadata={"least": 0, "most": 365})
    """Days from a wave's announcement to the start of its scheduled window. Source: seed 003, "at least 30 days"."""
    freeze_s: float = field(default=900.0, metadata={"least": 0, "most": 86_400})
    """Seconds from SCHEDULED to the time before which a Freeze does not begin. Source: the scheduled events'
    documentation: 15 min (CATALOGUE, short_notice)."""
    reboot_s: float = field(default=900.0, metadata={"least": 0, "most": 86_400})
    """The same for a Reboot, in seconds. Source: as above, 15 min."""
    redeploy_s: float = field(default=600.0, metadata={"least": 0, "most": 86_400})
    """The same for a Redeploy, in seconds. Source: as above, 10 min."""
    preempt_s: float = field(default=30.0, metadata={"least": 0, "most": 86_400})
    """The same for a Preempt, in seconds. Source: as above, 30 s."""
    terminate_s: float = field(default=300.0, metadata={"least": 0, "most": 86_400})
    """The same for a Terminate, in seconds. Source: as above, 5 to 15 min as its owner configured: the least."""
    transit_s: float = field(default=2.0, metadata={"least": 0, "most": 60})
    """Seconds by which a lead may fall short: what is sent just in time reaches its broker a little later. Source: our
    judgement; records of the simulation travel for less than a second."""
    hold_s: float = field(default=3600.0, metadata={"least": 1, "most": 30 * 86_400})
    """Seconds for which it is still told after the maintenance has begun (a wave's: after its window has ended).
    Source: our judgement; owners ask within the hour why they had no time."""

    def least_s(self, event_type: str) -> float | None:
        """Return the least notice of a scheduled event in seconds; None: a type that promises nothing."""
        return {
            "Freeze": self.freeze_s,
            "Reboot": self.reboot_s,
            "Redeploy": self.redeploy_s,
            "Preempt": self.preempt_s,
            "Terminate": self.terminate_s,
        }.get(event_type)


@dataclass(slots=True)
class Telling:
    """One announcement of a wave."""

    at_ms: int
    start_ms: int
    """Of the scheduled window, as it stood then."""
    named: int
    """How many VMs the wave had named before: those behind were told of it now."""
    event_id: str
    evidence: Evidence


@dataclass(slots=True)
class Notice:
    """A scheduled event that is told of."""

    event_type: str
    told_ms: int
    """Stamp of the first SCHEDULED that named a time no later than the present one."""
    not_before_ms: int
    vms: tuple[str, ...]
    event_id: str
    evidence: Evidence

    @property
    def lead_s(self) -> float:
        """Return the real notice in seconds."""
        return (self.not_before_ms - self.told_ms) / 1000


@dataclass(slots=True)
class State(BaseState):
    """What was announced, and when."""

    waves: dict[str, list[Telling]] = field(default_factory=dict)
    """By wave, as long as the picture knows it."""
    named: dict[str, int] = field(default_factory=dict)
    """How many VMs each wave has named."""
    notices: dict[str, Notice] = field(default_factory=dict)
    """By notice_id, short or not, until `hold_s` after they begin."""
    short: dict[str, dict[str, int]] = field(default_factory=dict)
    """By type: those of them that are short, with the stamp of their telling."""


class ShortNotice(Detector[Config, State]):
    """Finds maintenance that is announced too late: a wave less than 30 days ahead, an event below its type's minimum.

    Rule for a wave: its scheduled window (the impact; the self-service window comes before it) starts less than
    `wave_days` after the announcement; for VMs that a later announcement adds, after that one. A window that is moved
    is held against the first announcement that named a start no later than the new one: who was told in time of an
    earlier date knows; who is told of an earlier one is told anew. A wave whose announcement was never seen is not
    judged. Rule for a scheduled event: NotBefore lies less than its type's minimum after SCHEDULED (Freeze and Reboot
    15 min, Redeploy 10 min, Preempt 30 s, Terminate 5 min), in the frame that brings it; one finding for each type,
    which `signature` names, with the least real lead. Leads go by the broker's stamp, so `transit_s` less is enough.
    `numbers` has promised and real lead; the real lead of every announcement is also a metric, since the minimum is
    said to have turned out to be a maximum.

    A wave's finding ends when it ends or is moved far enough, or `hold_s` after its window; that of a type when the
    last short event was cancelled or has begun `hold_s` ago.
    """

    Config = Config
    State = State
    memory_s = 86_400
    feeds = (MAINTENANCE,)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what announcements, cancellations and the passing of time bring."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._due(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            at_ms, evidence = frame.batch.at_ms[index], frame.evidence(index)
            if event.kind.startswith("WAVE_") and event.wave is not None:
                findings += self._wave(event, event.wave, at_ms, evidence, frame, picture)
            elif event.kind == MaintenanceKind.SCHEDULED:
                findings += self._scheduled(event, at_ms, evidence, frame, picture)
            elif event.kind == MaintenanceKind.CANCELLED and event.notice_id is not None:
                findings += self._over(event.notice_id, frame, picture, "cancelled")
        return findings

    # -- waves ---------------------------------------------------------------------------------------------------

    def _wave(
        self, event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence, frame: Frame, picture: Picture
    ) -> list[Finding]:
        waves = picture.state.waves
        for gone in [known for known in self.state.named if known not in waves]:
            self.state.waves.pop(gone, None)
            del self.state.named[gone]
        wave = waves[name]
        named = self.state.named.get(name, 0)
        self.state.named[name] = len(wave.vms)
        tellings = self.state.waves.setdefault(name, [])
        moved = bool(tellings) and tellings[-1].start_ms != wave.scheduled_start_ms
        if moved or (event.kind == MaintenanceKind.WAVE_ANNOUNCED and wave.scheduled_start_ms > 0):
            told = Telling(at_ms, wave.scheduled_start_ms, named, event.event_id, evidence)
            if len(tellings) < TELLINGS_KEPT:
                tellings.append(told)
            else:
                tellings[-1] = told
        key = f"wave\x1f{name}"
        if wave.ended_ms:
            return self._close(key, frame, f"the wave was {wave.state.lower()}")
        return self._judge_wave(key, name, frame, picture)

    def _judge_wave(self, key: str, name: str, frame: Frame, picture: Picture) -> list[Finding]:
        wave, tellings = picture.state.waves[name], self.state.waves.get(name, [])
        start_ms = wave.scheduled_start_ms
        short: list[tuple[Telling, float, int]] = []
        for place, telling in enumerate(tellings):
            later = [known.at_ms for known in tellings[place:] if known.start_ms <= start_ms]
            until = tellings[place + 1].named if place + 1 < len(tellings) else len(wave.vms)
            lead_s = (start_ms - min(later)) / 1000
            least_s = self.config.wave_days * DAY_S - self.config.transit_s
            if (until > telling.named or place == 0) and lead_s < least_s:
                short.append((telling, lead_s, until - telling.named))
        if not short:
            return self._close(key, frame, "its window was moved: there is notice enough")
        hold_ms = round(self.config.hold_s * 1000)
        self.state.deadlines.set(f"end\x1f{name}", max(wave.scheduled_end_ms, start_ms, short[0][0].at_ms) + hold_ms)
        lead_s, vms = min(lead for _, lead, _ in short), sum(count for _, _, count in short)
        about = counted(vms, "VM") if vms else "its VMs"
        words: dict[str, Any] = {
            "title": f"maintenance wave {name} restarts {about} in {picture.cluster} from {utc(start_ms)} on, "
            f"announced {_length(lead_s)} ahead: {self.config.wave_days:g} days are promised",
            "explanation": "Owners are promised time to plan and to do the maintenance themselves before the scheduled "
            "window starts. Move the window, or tell them why it cannot be.",
            "evidence": tuple(telling.evidence for telling, _, _ in short),
            "numbers": {"promised_lead_s": self.config.wave_days * DAY_S, "real_lead_s": lead_s, "vms": vms},
            "facts": {"wave": name, "region": wave.region, "scheduled_start": utc(start_ms)},
        }
        first, subject = short[0][0], Subject(cluster=picture.cluster, rollout=name)
        return self._open(
            key, frame, subject, first.event_id, opened_ms=first.at_ms, severity=Severity.WARNING, **words
        ) or tell(self.state, key, frame, **words)

    # -- scheduled events ----------------------------------------------------------------------------------------

    def _scheduled(
        self, event: MaintenanceEvent, at_ms: int, evidence: Evidence, frame: Frame, picture: Picture
    ) -> list[Finding]:
        event_type = (event.event_type or "").capitalize()
        least_s = self.config.least_s(event_type)
        if event.not_before_ms is None or least_s is None:
            return []
        name = event.notice_id or event.event_id
        known = self.state.notices.get(name)
        told_ms = known.told_ms if known is not None and known.not_before_ms <= event.not_before_ms else at_ms
        vms = event.vms or ((event.vm,) if event.vm else ())
        findings: list[Finding] = []
        if known is not None and known.event_type != event_type:
            findings += self._over(name, frame, picture, "it is of another type now")
        self._forget(name)
        now = Notice(event_type, told_ms, event.not_before_ms, vms, event.event_id, evidence)
        self.state.notices[name] = now
        if now.lead_s < least_s - self.config.transit_s:
            self.state.short.setdefault(event_type, {})[name] = told_ms
        while len(self.state.notices) > NOTICES_MOST:
            oldest = next(iter(self.state.notices))
            self._forget(oldest)
            self.state.deadlines.drop(f"notice\x1f{oldest}")
        hold_ms = round(self.config.hold_s * 1000)
        self.state.deadlines.set(f"notice\x1f{name}", max(at_ms, event.not_before_ms) + hold_ms)
        return findings + self._judge_type(event_type, frame, picture, "moved: there is notice enough")

    def _over(self, name: str, frame: Frame, picture: Picture, reason: str) -> list[Finding]:
        """Forget a scheduled event; close the finding of its type if it was the last short one."""
        self.state.deadlines.drop(f"notice\x1f{name}")
        known = self._forget(name)
        return [] if known is None else self._judge_type(known.event_type, frame, picture, reason)

    def _forget(self, name: str) -> Notice | None:
        known = self.state.notices.pop(name, None)
        if known is not None:
            self.state.short.get(known.event_type, {}).pop(name, None)
        return known

    def _judge_type(self, event_type: str, frame: Frame, picture: Picture, reason: str) -> list[Finding]:
        key, least_s = f"type\x1f{event_type}", self.config.least_s(event_type) or 0.0
        names = self.state.short.get(event_type)
        if not names:
            return self._close(key, frame, reason)
        if too_early(self.state, key, frame):
            return []
        short = [self.state.notices[name] for name in names]
        worst = min(short, key=lambda known: (known.lead_s, known.event_id))
        vms = sorted({vm for known in short for vm in known.vms})
        words: dict[str, Any] = {
            "title": f"{counted(len(short), f'{event_type} event')} for {counted(len(vms), 'VM')} of {picture.cluster} "
            f"told {_length(worst.lead_s)} ahead: {_length(least_s)} are promised",
            "explanation": "Programs in the VMs count on the least notice of each type of scheduled event to drain or "
            "fail over. What schedules these events gives less.",
            "evidence": tuple(known.evidence for known in short[:EVIDENCE_KEPT]),
            "numbers": {
                "promised_lead_s": least_s,
                "real_lead_s": worst.lead_s,
                "events": len(short),
                "vms": len(vms),
            },
            "facts": {"event_type": event_type, "vms": listed(vms)},
        }
        subject = Subject(cluster=picture.cluster, signature=event_type)
        first = short[0]
        return self._open(
            key, frame, subject, first.event_id, opened_ms=first.told_ms, severity=Severity.WARNING, **words
        ) or tell(self.state, key, frame, **words)

    # -- the passing of time -------------------------------------------------------------------------------------

    def _due(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        what, _, name = key.partition("\x1f")
        if what == "notice":
            return self._over(name, frame, picture, "it has begun")
        if what == "end":
            return self._close(f"wave\x1f{name}", frame, "its window has ended")
        if what == "type":
            return self._judge_type(name, frame, picture, "")
        return self._judge_wave(key, name, frame, picture) if name in picture.state.waves else []

    def _close(self, key: str, frame: Frame, reason: str) -> list[Finding]:
        self.state.deadlines.drop(key)
        what, _, name = key.partition("\x1f")
        if what == "wave":
            self.state.deadlines.drop(f"end\x1f{name}")
        return self.state.openings.end(key, frame, reason)


def _length(of_s: float) -> str:
    """Return a length of time as a person says it; below nothing it is none."""
    if of_s <= 0:
        return "not at all"
    for size_s, name in ((DAY_S, "days"), (3600, "h"), (60, "min")):
        if of_s >= 2 * size_s or (of_s >= size_s and of_s % size_s == 0):
            return f"{round(of_s / size_s, 1):g} {name}"
    return f"{round(of_s, 1):g} s"
