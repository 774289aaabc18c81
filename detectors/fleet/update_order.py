"""Passes of an OS upgrade that come in the wrong order, or at the same time."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import EVIDENCE_KEPT, Detector
from detectors.contract import State as BaseState
from detectors.failfast.words import listed, utc
from detectors.fleet.pairs import datacenter_of, region_of
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.picture import Picture
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import MaintenanceEvent, MaintenanceKind

PASSES_MOST = 4096
"""Passes remembered, of all clusters: those of a month are two a cluster; what ended longest ago goes first."""
IMAGES_MOST = 1024
HOST, GUEST = "host-os", "guest-os"
_COMPONENTS = {"host_os": HOST, "guest_os": GUEST}
GUEST_FIRST, TWO_PASSES, NO_IMAGES = "guest-before-host", "two-passes", "images-not-copied"

_STARTS = (MaintenanceKind.ROLLOUT_STARTED, MaintenanceKind.UD_STARTED)
_ENDS = (MaintenanceKind.ROLLOUT_COMPLETED, MaintenanceKind.ROLLOUT_ABORTED)
_WORDS = {
    GUEST_FIRST: "Role instances are restarted for the guest OS while their hosts still restart them for the host OS: "
    "update domains of the two passes fall on each other.",
    TWO_PASSES: "Each pass keeps to one update domain at a time, and knows nothing of the other: together they may "
    "take out two.",
    NO_IMAGES: "Servers fetch their image while they update: the pass takes longer than it should, or fails.",
}


@dataclass(frozen=True, slots=True)
class Config:
    """How long a breach of the order is told."""

    image_memory_days: float = field(default=90.0, metadata={"least": 1, "most": 365})
    """Days in which a copy of any image shows that this fleet tells of copies at all. Source: our judgement; an OS
    upgrade comes about once a month (seed 002)."""


@dataclass(slots=True)
class Pass:
    """One pass through one cluster."""

    cluster: str
    rollout: str
    system: str
    """host-os or guest-os."""
    version: str
    datacenter: str
    started_ms: int
    event_id: str
    evidence: Evidence
    ended_ms: int | None = None

    @property
    def name(self) -> str:
        """Return what a person calls it."""
        return f"{self.system} pass {self.rollout}"

    def under_way(self, at_ms: int) -> bool:
        """Tell whether it had started and not ended at `at_ms`."""
        return self.started_ms <= at_ms and (self.ended_ms is None or self.ended_ms > at_ms)

    def same(self, other: Pass) -> bool:
        """Tell whether two are one pass of the datacenter: by name, or one image in two clusters."""
        if self.rollout == other.rollout:
            return True
        return (self.system, self.version) == (other.system, other.version) and self.cluster != other.cluster


@dataclass(slots=True)
class State(BaseState):
    """Passes, and which images were copied."""

    passes: dict[str, Pass] = field(default_factory=dict)
    """By `cluster/rollout`."""
    images: dict[str, int] = field(default_factory=dict)
    """`rollout/datacenter` to the stamp at which its copy was complete; the newest IMAGES_MOST."""
    broken: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Key of an opening to the keys of its two passes (the same one twice, where there is but one)."""


class UpdateOrder(Detector[Config, State]):
    """Finds OS upgrades whose passes through a datacenter come in the wrong order (seed 002).

    A pass is a rollout of the host OS or the guest OS (by its system or component) in the clusters of one datacenter,
    from ROLLOUT_STARTED (or its first UD_STARTED) to ROLLOUT_COMPLETED or ROLLOUT_ABORTED in each. Rules, which
    `signature` names: `guest-before-host`: a guest OS pass starts while the host OS pass of the datacenter is not
    complete. `two-passes`: any other two passes are under way in one datacenter at once. `images-not-copied`: a pass
    starts before the IMAGE_COPY_COMPLETED of its rollout and datacenter; only where this fleet tells of copies at all,
    or the copy is told later. Each is judged when the engines of all partitions have passed the start.

    Outside: services with a fixed guest OS version, whose owners update them when they like (a rollout all of whose
    groups are such services), updates of the guest agent, and waves of planned maintenance. It ends when one of the two
    passes has ended, or the pass that had no images.
    """

    Config = Config
    State = State
    scope = "fleet"
    feeds = ("engine",)
    memory_s = 86_400

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what starts and ends of passes, and copies of images, bring."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._judge(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            at_ms = frame.batch.at_ms[index]
            if event.kind == MaintenanceKind.IMAGE_COPY_COMPLETED:
                findings += self._copied(event, at_ms, frame, picture)
            elif event.kind in _STARTS:
                self._started(event, at_ms, frame.evidence(index), picture)
            elif event.kind in _ENDS:
                known = self.state.passes.get(f"{event.cluster}/{event.rollout}")
                if known is not None:
                    known.ended_ms = at_ms if known.ended_ms is None else min(known.ended_ms, at_ms)
                    findings += self._end(frame)
        return findings

    # -- what is told --------------------------------------------------------------------------------------------

    def _started(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence, picture: Picture) -> None:
        system = event.system if event.system in (HOST, GUEST) else _COMPONENTS.get(event.component or "", "")
        if not system or event.rollout is None or event.wave is not None or _fixed(event, picture):
            return
        key = f"{event.cluster}/{event.rollout}"
        known = self.state.passes.get(key)
        if known is not None:
            return
        while len(self.state.passes) >= PASSES_MOST:
            oldest = min(self.state.passes, key=lambda name: _age(self.state.passes[name]))
            del self.state.passes[oldest]
        self.state.passes[key] = Pass(
            event.cluster,
            event.rollout,
            system,
            event.to_version or "",
            event.datacenter or datacenter_of(picture.fleet, event.cluster),
            at_ms,
            event.event_id,
            evidence,
        )
        self.state.deadlines.set(key, at_ms)

    def _copied(self, event: MaintenanceEvent, at_ms: int, frame: Frame, picture: Picture) -> list[Finding]:
        datacenter = event.datacenter or datacenter_of(picture.fleet, event.cluster)
        image = f"{event.rollout or ''}/{datacenter}"
        first = image not in self.state.images
        self.state.images[image] = min(self.state.images.get(image, at_ms), at_ms)
        while len(self.state.images) > IMAGES_MOST:
            del self.state.images[next(iter(self.state.images))]
        if not first:
            return []
        early = [
            key
            for key, known in self.state.passes.items()
            if (known.rollout, known.datacenter) == (event.rollout, datacenter)
            and known.started_ms < at_ms
            and known.under_way(at_ms)
        ]
        return [found for key in early for found in self._images(key, frame, picture)]

    # -- judging -------------------------------------------------------------------------------------------------

    def _judge(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        known = self.state.passes.get(key)
        if known is None:
            return []
        findings: list[Finding] = []
        at_ms = known.started_ms
        for other_key, other in sorted(self.state.passes.items()):
            if other.datacenter == known.datacenter and not other.same(known) and other.under_way(at_ms):
                findings += self._both(key, other_key, frame, picture)
        images_ms = self.state.images.get(f"{known.rollout}/{known.datacenter}")
        if images_ms is None:
            oldest_ms = at_ms - round(self.config.image_memory_days * 86_400_000)
            if any(oldest_ms <= copied_ms for copied_ms in self.state.images.values()):
                findings += self._images(key, frame, picture)
        elif images_ms > at_ms:
            findings += self._images(key, frame, picture)
        return findings + self._end(frame)

    def _both(self, key: str, other_key: str, frame: Frame, picture: Picture) -> list[Finding]:
        """Tell of a pass that started while another of its datacenter was under way."""
        known, other = self.state.passes[key], self.state.passes[other_key]
        rule = GUEST_FIRST if (known.system, other.system) == (GUEST, HOST) else TWO_PASSES
        names = "\x1f".join(sorted((known.rollout, other.rollout)))
        title = f"two passes at once in {_where(known)} since {utc(known.started_ms)}: {known.name} and {other.name}"
        if rule == GUEST_FIRST:
            title = (
                f"guest OS updates ({known.rollout}) started in {_where(known)} at {utc(known.started_ms)} before the "
                f"host OS pass {other.rollout} was complete"
            )
        return self._tell(f"{rule}\x1f{known.datacenter}\x1f{names}", rule, title, key, other_key, frame, picture)

    def _images(self, key: str, frame: Frame, picture: Picture) -> list[Finding]:
        known = self.state.passes[key]
        title = (
            f"{known.name} started in {_where(known)} at {utc(known.started_ms)} before its images were copied there"
        )
        return self._tell(
            f"{NO_IMAGES}\x1f{known.datacenter}\x1f{known.rollout}", NO_IMAGES, title, key, key, frame, picture
        )

    def _tell(
        self, opening: str, rule: str, title: str, key: str, other_key: str, frame: Frame, picture: Picture
    ) -> list[Finding]:
        known, other = self.state.passes[key], self.state.passes[other_key]
        clusters = [
            one.cluster
            for one in self.state.passes.values()
            if one.datacenter == known.datacenter and (one.same(known) or one.same(other))
        ]
        if opening not in self.state.openings.open:
            self.state.broken[opening] = (key, other_key)
        cluster = None if known.datacenter else known.cluster
        region = region_of(picture.fleet, known.cluster) or None
        return self._open(
            opening,
            frame,
            Subject(region=region, cluster=cluster, rollout=known.rollout, signature=rule),
            known.event_id,
            opened_ms=known.started_ms,
            severity=Severity.WARNING,
            title=title,
            explanation=f"{_WORDS[rule]} Pause the one that came too early.",
            evidence=tuple(dict.fromkeys((known.evidence, other.evidence)))[:EVIDENCE_KEPT],
            numbers={"clusters": len(set(clusters))},
            facts={
                "rule": rule,
                "datacenter": known.datacenter,
                "passes": listed((known.name, other.name)),
                "clusters": listed(clusters),
            },
        )

    def _end(self, frame: Frame) -> list[Finding]:
        """Close what is over: one of the two has ended in every cluster of the datacenter that has it."""
        findings: list[Finding] = []
        for opening, keys in list(self.state.broken.items()):
            if all(self._going_on(key) for key in keys):
                continue
            del self.state.broken[opening]
            findings += self.state.openings.end(opening, frame, "one of the passes has ended")
        return findings

    def _going_on(self, key: str) -> bool:
        known = self.state.passes.get(key)
        return known is not None and any(
            one.ended_ms is None
            for one in self.state.passes.values()
            if one.datacenter == known.datacenter and one.same(known)
        )


def _age(known: Pass) -> tuple[bool, int, str]:
    """Return what orders passes by how soon they may be forgotten: those that ended first come first."""
    return (known.ended_ms is None, known.ended_ms or known.started_ms, known.rollout)


def _where(known: Pass) -> str:
    return f"datacenter {known.datacenter}" if known.datacenter else f"cluster {known.cluster}"


def _fixed(event: MaintenanceEvent, picture: Picture) -> bool:
    """Tell whether an event is of a service with a fixed guest OS version: its owner's own update."""
    service = picture.state.services.get(event.group or "")
    return event.system == "customer" or (service is not None and service.guest_os != "auto")
