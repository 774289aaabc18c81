"""Services that run with fewer instances than an update may take out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector
from detectors.failfast.lives import FEEDS
from detectors.failfast.words import counted, listed, minutes, utc
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.investigate.telling import tell, too_early
from detectors.lanes import FAR_MS, again_ms
from detectors.picture import Picture, VmView
from detectors.rollouts.covers import covers_of
from detectors.rollouts.instances import Roll, ServiceCount
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject

_CUT = "\x1f"
MARKS, FIVE, SERVICE, SINGLE = "marks", "five", "service", "single"
TURN_MS = 1000
"""What was told is judged once a second of source time: a cluster that starts anew at once is one look a second."""


@dataclass(frozen=True, slots=True)
class Config:
    """How few instances are too few."""

    missing: int = field(default=2, metadata={"least": 1, "most": 10_000})
    """Instances missing that no update or planned reboot explains, inclusive. Source: CATALOGUE, capacity."""
    missing_s: float = field(default=300.0, metadata={"least": 1, "most": 86_400})
    """Seconds of observed time that so many are missing. Source: CATALOGUE, capacity."""
    ready_s: float = field(default=1800.0, metadata={"least": 0, "most": 86_400})
    """Seconds after the end of an update or planned reboot in which it still explains an instance that is missing.
    Source: seed 002, "instances should reach the Ready state within 30 minutes"."""
    beside_share: float = field(default=0.1, metadata={"least": 0.0, "most": 1.0})
    """Share of the largest update domain that is out alone beside an update, from which on it is deeper than planned at
    once; of fewer, `missing` for `missing_s`. Source: our judgement: in a service of thousands an agent or two starts
    anew at any moment, and that is no second update domain."""


class Capacity(Detector[Config, Roll]):
    """Finds services with fewer READY instances than all less those of their largest update domain.

    Rule: the instances are the VMs that the inventory names for the service (those deallocated by choice, and new ones
    until they are READY for the first time, are none). One is missing while its own or its host agent says that it is
    not READY, from its new start on, after it left its server, and while its server is silent (`host_silence`) or in
    an unplanned reboot; not because nothing is known of it. It opens when READY < all less the largest update domain
    (seed 002, "sufficient excess capacity to absorb X% of the instances being unavailable, where X is 1/<number of
    upgrade domains>"); or when at least `missing` instances that no update or planned reboot explains are missing for
    more than `missing_s` of observed time.

    Severity: critical where none is left; a warning where it is deeper than planned; else info. Planned is one update
    domain at a time; that servers reboot as planned beside it, or a single server is lost, is not deeper: it wakes
    nobody. A second update domain does, a second server, and instances that are out while their server runs: any
    without an update; beside one as many as `beside_share` of the update domain and at least `missing` at once, or
    `missing` of them for `missing_s`. It closes when neither rule holds.

    Services with one instance go down with every update, as planned: they are listed in one info finding a cluster.
    Judged once a second, when every lane has passed it. Clusters whose inventory says `ga: none` have no instances.
    """

    Config = Config
    State = Roll
    memory_s = 3 * 3600
    feeds = FEEDS
    follows = ("host_silence",)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return which services have too few instances, and which have enough again."""
        state = self.state
        if isinstance(frame, DueFrame):
            return self._due(frame, picture)
        findings: list[Finding] = []
        if isinstance(frame, BatchFrame):
            if picture.news.inventory:
                findings = self._inventory(frame, picture)
            state.listen(frame, picture)
        elif isinstance(frame, FindingFrame) and frame.finding.subject.server is not None:
            server = frame.finding.subject.server
            if frame.finding.state == FindingState.OPEN:
                state.silent[server] = frame.finding.opened_ms
                state.server_lost(server, frame.finding.opened_ms, picture)
            elif frame.finding.state == FindingState.CLOSED:
                state.silent.pop(server, None)
                state.server_back(server, frame.at_ms, picture)
        self._next()
        return findings

    def _next(self) -> None:
        """Name the second in which the oldest mark stands as the time to judge it."""
        if self.state.marks:
            self.state.deadlines.set(MARKS, (self.state.marks[0][0] // TURN_MS + 1) * TURN_MS)

    def _due(self, frame: DueFrame, picture: Picture) -> list[Finding]:
        keys = self.state.deadlines.pop(frame.due_ms)
        # What is stamped at the due time itself comes after it: exactly so long is not longer.
        services = self.state.take(frame.due_ms - 1, self.config.missing)
        services.update((key.partition(_CUT)[2], None) for key in keys if key != MARKS)
        self._next()
        return [found for service in services for found in self._judge(service, frame, picture)]

    # -- judging -------------------------------------------------------------------------------------------------

    def _judge(self, service: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        key, count = f"{SERVICE}{_CUT}{service}", self.state.services.get(service)
        if count is None or not picture.state.inventory_complete:
            return self.state.openings.end(key, frame, "removed") if count is None else []
        long_ms = self._long_ms(service, count, frame.due_ms, picture)
        if not count.deep and long_ms is None:
            reason = f"{count.ready} of {counted(count.all, 'instance')} are READY"
            return self.state.openings.end(key, frame, reason)
        known = self.state.openings.get(key)
        told = known is not None and known.severity == Severity.WARNING and count.deep and count.ready > 0
        if told and too_early(self.state, key, frame):
            return []
        if known is None and not picture.guest_agents():
            return []
        said = self._said(service, count, frame.due_ms, picture)
        if key in self.state.openings.open:
            changed = known is not None and known.severity != said["severity"]
            return tell(self.state, key, frame, at_once=changed, **said)
        deep_ms = count.deep_ms if count.deep else None
        opened_ms = min(stamp for stamp in (deep_ms, long_ms, frame.due_ms) if stamp is not None)
        last = max(count.missing, key=lambda vm: (count.missing[vm] <= opened_ms, count.missing[vm], vm))
        view = picture.vms.get(last)
        return self._open(
            key,
            frame,
            Subject(cluster=picture.cluster, signature=service),
            f"{service}/{_record(view, count.missing[last])[0] if view is not None else last}",
            opened_ms=opened_ms,
            **said,
        )

    def _long_ms(self, service: str, count: ServiceCount, due_ms: int, picture: Picture) -> int | None:
        """Return since when enough instances have been missing, unexplained, for long enough; None: they have not."""
        if count.two_ms is None:
            return None
        limit_ms = round(self.config.missing_s * 1000)
        over_ms = picture.limit_passed_ms(FEEDS, count.two_ms, limit_ms, known_ms=due_ms)
        key = f"{FIVE}{_CUT}{service}"
        if over_ms >= due_ms:
            self.state.deadlines.set(key, over_ms + 1 if over_ms < FAR_MS // 2 else again_ms(count.two_ms, due_ms))
            return None
        # Asked again while it lasts: what explains an instance may be over before it is back.
        step_ms = again_ms(over_ms, due_ms) - due_ms
        self.state.deadlines.set(key, due_ms + step_ms - (due_ms - over_ms) % step_ms)
        enough = 0
        for vm in count.missing:
            enough += not self._planned(vm, due_ms, picture)
            if enough >= self.config.missing:
                return over_ms
        return None

    def _planned(self, vm: str, at_ms: int, picture: Picture) -> str:
        """Return what explains that a VM is missing: `update`, `reboot`; empty: nothing."""
        view = picture.vms.get(vm)
        if view is None:
            return ""
        covers = covers_of(picture, view, view.server, at_ms, round(self.config.ready_s * 1000))
        if any(cover.kind != "reboot" or cover.rollout for cover in covers):
            return "update"
        return "reboot" if covers else ""

    def _severity(self, count: ServiceCount, at_ms: int, picture: Picture) -> Severity:
        if not count.ready:
            return Severity.CRITICAL
        if not count.deep:
            return Severity.INFO
        updated = 0
        alone: list[str] = []
        lost: dict[str, int] = {}
        for vm in count.missing:
            planned = self._planned(vm, at_ms, picture)
            updated += planned == "update"
            if not planned and (server := self._lost(vm, at_ms, picture)):
                lost[server] = lost.get(server, 0) + 1
            elif not planned:
                alone.append(vm)
        # Planned is one update domain; beside it planned reboots, the loss of one server, and a few agents that start
        # anew, may happen.
        beside = len(lost) > 1 or self._many(count, alone, at_ms, picture) or (len(alone) > 0 and not updated)
        deeper = updated + len(alone) + sum(lost.values()) > count.largest
        return Severity.WARNING if updated > count.largest or (beside and deeper) else Severity.INFO

    def _many(self, count: ServiceCount, alone: list[str], at_ms: int, picture: Picture) -> bool:
        """Tell whether instances that are out alone are more than happens every day, by their number or how long."""
        if len(alone) < self.config.missing:
            return False
        if len(alone) >= self.config.beside_share * count.largest:
            return True
        limit_ms = round(self.config.missing_s * 1000)
        over = (picture.limit_passed_ms(FEEDS, count.missing[vm], limit_ms, known_ms=at_ms) < at_ms for vm in alone)
        return sum(over) >= self.config.missing

    def _lost(self, vm: str, at_ms: int, picture: Picture) -> str:
        """Return the server with which a VM is out: it is silent, or in an unplanned reboot or just out of one."""
        view = picture.vms.get(vm)
        server = picture.servers.get(view.server) if view is not None else None
        if server is None:
            return ""
        back_ms = at_ms - round(self.config.ready_s * 1000)
        rebooted = any(
            upkeep.what == "reboot" and upkeep.from_ms <= at_ms and (upkeep.until_ms or at_ms) >= back_ms
            for upkeep in server.upkeep
        )
        return server.server if rebooted or server.server in self.state.silent else ""

    # -- saying --------------------------------------------------------------------------------------------------

    def _said(self, service: str, count: ServiceCount, at_ms: int, picture: Picture) -> dict[str, Any]:
        severity = self._severity(count, at_ms, picture)
        least = count.all - count.largest
        some = sorted(count.missing, key=lambda vm: (count.missing[vm], vm))[:64]
        unexplained = [vm for vm in some if not self._planned(vm, at_ms, picture)]
        share = count.largest / count.all if count.all else 0.0
        since_ms = min(count.missing.values())
        head = f"service {service} of {picture.cluster}: "
        if not count.ready:
            title = f"{head}none of its {counted(count.all, 'instance')} is READY"
        elif count.deep:
            title = (
                f"{head}{count.ready} of {count.all} instances READY, fewer than the {least} that an update may leave"
            )
        else:
            title = f"{head}{counted(len(count.missing), 'instance')} of {count.all} missing for "
            title += f"{minutes(self.config.missing_s)}, and no update says why"
        text = (
            f"Missing, the first since {utc(since_ms)}: {listed(count.missing)}. "
            f"One update domain of this service is up to {counted(count.largest, 'instance')} "
            f"({share:.0%} of it, of {counted(len(count.domains), 'update domain')}): so many are planned to be out at "
            "once. "
        )
        if unexplained:
            text += f"No update or planned reboot explains {listed(unexplained)}."
        else:
            text += "All are in an update or planned reboot, or within 30 min of one."
        views = [view for vm in some if (view := picture.vms.get(vm)) is not None]
        return {
            "severity": severity,
            "title": title,
            "explanation": text,
            "evidence": tuple(_record(view, count.missing[view.vm])[1] for view in views if view.start is not None)
            or tuple(update.evidence for view in views for update in view.updates[-1:]),
            "numbers": {
                "ready": count.ready,
                "instances": count.all,
                "missing": len(count.missing),
                "largest_update_domain": count.largest,
                "update_domains": len(count.domains),
                "share_planned": round(share, 4),
            },
            "facts": {
                "service": service,
                "missing": listed(count.missing),
                "unexplained": listed(unexplained),
            },
        }

    # -- services with one instance ------------------------------------------------------------------------------

    def _inventory(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Take in the inventory; tell of the services with one instance once it is complete."""
        rows = self.state.enrol(frame, picture)
        findings: list[Finding] = []
        for key in [key for key in self.state.openings.open if key.startswith(f"{SERVICE}{_CUT}")]:
            if key.partition(_CUT)[2] not in self.state.services:
                findings += self.state.openings.end(key, frame, "removed")
        if not picture.state.inventory_complete or not picture.guest_agents():
            return findings
        single = sorted(name for name, count in self.state.services.items() if count.all == 1)
        if not single:
            return findings + self.state.openings.end(SINGLE, frame, "every service has two instances, or none")
        said: dict[str, Any] = {
            "title": f"{counted(len(single), 'service')} of {picture.cluster} with one instance: "
            "each update or reboot takes such a service out whole",
            "explanation": f"{listed(single, 24)}. As planned: two instances in two update domains are what keeps a "
            "service up (seed 002), and 99.95 % is promised for no fewer. Not alarmed about when an update comes.",
            "numbers": {"services": len(single)},
            "facts": {"services": listed(single, 64)},
        }
        if SINGLE in self.state.openings.open:
            return findings + self.state.openings.update(SINGLE, frame, **said)
        return findings + self._open(
            SINGLE,
            frame,
            Subject(cluster=picture.cluster),
            f"services with one instance/{frame.batch.at_ms[0]}",
            opened_ms=frame.at_ms,
            severity=Severity.INFO,
            evidence=(frame.evidence(rows[0] if rows else 0),),
            **said,
        )


def _record(view: VmView, since_ms: int) -> tuple[str, Evidence]:
    """Return the record that told that a VM is not READY, in its source's own terms, and where it stands."""
    for word in view.words:
        if word.at_ms == since_ms:
            return word.event_id, word.evidence
    for start in view.starts:
        if start.at_ms == since_ms:
            return start.source, start.evidence
    if view.ga_evidence is not None and view.ga_from_ms == since_ms:
        return view.ga_source, view.ga_evidence
    newest = view.starts[-1]
    return f"{view.vm}/{newest.incarnation}/{since_ms}", view.ga_evidence or newest.evidence
