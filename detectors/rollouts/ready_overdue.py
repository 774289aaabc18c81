"""VMs that are not READY in time after their update, and update domains that do not wait for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.crowds import CrowdDetector
from detectors.failfast.lives import FEEDS
from detectors.failfast.words import counted, listed, minutes, utc
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.picture import Picture, VmView
from detectors.rollouts.covers import Cover, cover_of
from detectors.rollouts.lifeline import seen_to_start
from detectors.rollouts.vm_waits import Wait, WaitState, first
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import MaintenanceEvent, MaintenanceKind

_CUT = "\x1f"
TURNS_MOST = 1024
"""Starts of update domains remembered until every lane has passed them; the oldest go."""
LEFT = "it no longer runs"


@dataclass(frozen=True, slots=True)
class Config:
    """How long a VM's start-up may take after an update."""

    limit_s: float = field(default=1800.0, metadata={"least": 1, "most": 86_400})
    """Seconds of observed time from the first start within an update to READY; exactly so long is in time. Source:
    seed 002, "instances should reach the Ready state within 30 minutes of starting the Startup tasks"; CATALOGUE."""
    slack_s: float = field(default=600.0, metadata={"least": 0, "most": 86_400})
    """Seconds after the end of an update or reboot within which a start still belongs to it. Source: our judgement: a
    host that is up "will start each of the Guest OSes" (seed 002), one after the other."""


@dataclass(slots=True)
class DomainStart:
    """An UD_STARTED."""

    at_ms: int
    rollout: str
    group: str
    update_domain: int
    event_id: str
    evidence: Evidence


@dataclass(slots=True)
class ReadyState(WaitState):
    """Starts not READY yet, by VM too; starts of update domains not judged yet; who is out of those that opened."""

    by_vm: dict[str, list[str]] = field(default_factory=dict)
    """VM to the keys of its waits, in order of incarnation."""
    by_group: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Group to its VMs with waits: a cluster has thousands of groups, each with update domains of its own."""
    group_of: dict[str, str] = field(default_factory=dict)
    """VM with waits to the group under which it stands there."""
    domains: dict[str, DomainStart] = field(default_factory=dict)
    out: dict[str, dict[str, int]] = field(default_factory=dict)
    """Key of the open finding of a rollout's domains to the VMs that are still out, each with the stamp of the last
    UD_STARTED that did not wait for it."""
    judged: dict[str, tuple[int, int]] = field(default_factory=dict)
    """VM to incarnation and stamp of its newest start that was judged: who recycles soon has more starts than the
    picture keeps (`views.STARTS_KEPT`). Forgotten with the VM."""


class ReadyOverdue(CrowdDetector[Config, ReadyState]):
    """Finds VMs not READY 30 minutes after their update's start-up began, and update domains that start meanwhile.

    Rule for a VM: it has not been READY, by its own word or its host agent's, within `limit_s` of observed time from
    the first start of a new incarnation within an update or reimage of it, or a planned reboot or update of its server
    (or `slack_s` after its end). Starts that follow within the same update are part of the same start-up: who recycles
    is not READY. Time stands while a feed has a gap and while the server is not heard. `opened_ms` is the moment of
    the limit. It ends with READY, or when the VM leaves.

    Rule for update domains: UD_STARTED of a rollout, of one group or of the servers, while VMs that the same rollout
    restarted in another domain are not READY: several instances are out at once, which update domains exist to
    prevent (seed 002, "you may have multiple role instances taken out of service at the same time"). One finding for
    each rollout and group, which tells of the newest domain. It ends when all these are READY or gone.

    Each VM is an info finding, and one warning a rollout counts them; what an update takes in its time is none.
    """

    Config = Config
    State = ReadyState
    state_version = 2
    memory_s = 3 * 3600
    feeds = FEEDS
    crowd_advice = (
        "Neither they nor their host agents have said READY. The update goes on with its next domain all the same, and "
        "then several instances are out at once: hold it. Most often a start-up task or OnStart fails when it runs a "
        "second time, or finds its changes gone with the reimaged disk (seed 002): their owners should look there "
        "first. Where they fail with one signature, start_failure tells."
    )

    def crowd_words(self, many: bool) -> str:
        """Return what is said of one, or of many."""
        are, their = ("are", "their") if many else ("is", "its")
        return f"{are} not READY {minutes(self.config.limit_s)} after {their} start-up began"

    def judge(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return who is late, which domain did not wait, and what is over."""
        if isinstance(frame, DueFrame):
            findings: list[Finding] = []
            for key in self.state.deadlines.pop(frame.due_ms):
                if key in self.state.domains:
                    findings += self._domain(key, frame, picture)
                else:
                    findings += self._late(key, frame, picture)
            return findings
        return self._batch(frame, picture) if isinstance(frame, BatchFrame) else []

    @property
    def _limit_ms(self) -> int:
        return round(self.config.limit_s * 1000)

    # -- what is waited for --------------------------------------------------------------------------------------

    def _batch(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        news, state = picture.news, self.state
        for vm, start in news.starts:
            key = f"{vm}{_CUT}{start.incarnation}"
            wait = Wait(vm, start.incarnation, start.server, start.at_ms, start.source, start.evidence)
            state.wait(key, wait, start.at_ms + self._limit_ms)
            if key in state.waits and key not in (keys := state.by_vm.setdefault(vm, [])):
                keys.append(key)
                group = state.group_of.setdefault(vm, picture.vms[vm].group)
                state.by_group.setdefault(group, {})[vm] = True
        for index, event in news.maintenance:
            if event.kind == MaintenanceKind.UD_STARTED and event.update_domain is not None and event.rollout:
                self._domain_started(frame, index, event)
        state.unpark(news)
        if news.inventory:
            self._forget(picture)
        if not state.openings.open:
            return []
        touched = dict.fromkeys(
            [vm for _, vm, _ in news.turns] + [vm for vm, _ in news.ended] + [event.vm for _, event in news.guests]
        )
        findings = [found for vm in touched for found in self._close(vm, frame, picture)]
        if news.inventory:
            for vm in [known for known in state.vms_open() if known not in state.out]:
                if vm not in picture.vms:
                    findings += state.openings.end(vm, frame, "removed")
        return findings + self._domains_over(touched, frame, picture)

    def _domain_started(self, frame: BatchFrame, index: int, event: MaintenanceEvent) -> None:
        state, key = self.state, f"domain{_CUT}{event.event_id}"
        while len(state.domains) >= TURNS_MOST:
            oldest = min(state.domains, key=lambda known: (state.domains[known].at_ms, known))
            del state.domains[oldest]
            state.deadlines.drop(oldest)
        at_ms = frame.batch.at_ms[index]
        state.domains[key] = DomainStart(
            at_ms,
            event.rollout or "",
            event.group or "",
            event.update_domain or 0,
            event.event_id,
            frame.evidence(index, "the next update domain starts"),
        )
        state.deadlines.set(key, at_ms)

    def _forget(self, picture: Picture) -> None:
        for vm in [vm for vm in self.state.by_vm if vm not in picture.vms]:
            for key in list(self.state.by_vm.get(vm, ())):
                self._drop(key)
        for vm in [vm for vm in self.state.judged if vm not in picture.vms]:
            del self.state.judged[vm]

    def _drop(self, key: str) -> None:
        self.state.drop(key)
        vm = key.partition(_CUT)[0]
        keys = self.state.by_vm.get(vm)
        if keys is not None and key in keys:
            keys.remove(key)
            if not keys:
                del self.state.by_vm[vm]
                group = self.state.group_of.pop(vm)
                del self.state.by_group[group][vm]
                if not self.state.by_group[group]:
                    del self.state.by_group[group]

    def _judged(self, key: str, wait: Wait) -> None:
        """Wait no more, and remember the start."""
        self._drop(key)
        if wait.incarnation > self.state.judged.get(wait.vm, (-1, 0))[0]:
            self.state.judged[wait.vm] = (wait.incarnation, wait.since_ms)

    # -- judging -------------------------------------------------------------------------------------------------

    def _cover(self, view: VmView, wait: Wait, picture: Picture) -> Cover | None:
        return cover_of(picture, view, wait.server, wait.since_ms, round(self.config.slack_s * 1000))

    def _late(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        wait = self.state.waits.get(key)
        if wait is None:
            return []
        view = picture.vms.get(wait.vm)
        if view is None:
            self._drop(key)
            return []
        end_ms = _over_ms(view, wait.incarnation, wait.since_ms)
        cover = self._cover(view, wait, picture)
        soon = end_ms is not None and end_ms <= wait.since_ms + self._limit_ms
        if soon or cover is None or not seen_to_start(view, wait.incarnation) or not self._begins(view, wait, cover):
            self._judged(key, wait)
            return []
        limit_ms = self.state.limit_at(key, _where(view, wait), self._limit_ms, frame.due_ms, picture)
        if limit_ms is None:
            return []
        self._judged(key, wait)
        if end_ms is not None and end_ms <= limit_ms:
            return []
        findings = self.state.openings.end(wait.vm, frame, "it was updated again")
        findings += self._open(
            wait.vm,
            frame,
            Subject(cluster=picture.cluster, server=wait.server, vm=wait.vm, rollout=cover.rollout or None),
            wait.source,
            opened_ms=limit_ms,
            severity=Severity.INFO,
            title=f"VM {wait.vm} on {wait.server} is not READY {minutes(self.config.limit_s)} after its start-up "
            f"began, in {cover.what}",
            explanation=f"Incarnation {wait.incarnation} started at {utc(wait.since_ms)} within {cover.what}; neither "
            "it nor its host agent has said READY since. See also recycling and waiting_for_host of this VM.",
            evidence=(wait.evidence, cover.evidence),
            numbers={"limit_s": self.config.limit_s, "since_ms": wait.since_ms, "starts": _starts(view, wait)},
            facts={
                "incarnation": str(wait.incarnation),
                "began_with": cover.kind,
                "update": cover.what,
                "service": view.service,
                "group": view.group,
                "update_domain": str(view.update_domain),
            },
        )
        return findings + self._close(wait.vm, frame, picture)

    def _begins(self, view: VmView, wait: Wait, cover: Cover) -> bool:
        """Tell whether this is the first start within its cover: it is from there that the time runs.

        Whoever was READY in time and starts again later within it has no second start-up in the same update.
        """
        earlier = [start.at_ms for start in view.starts if start.incarnation < wait.incarnation]
        waits = [self.state.waits[key] for key in self.state.by_vm.get(wait.vm, ()) if key in self.state.waits]
        earlier += [known.since_ms for known in waits if known.incarnation < wait.incarnation]
        incarnation, judged_ms = self.state.judged.get(wait.vm, (wait.incarnation, 0))
        if incarnation < wait.incarnation:
            earlier.append(judged_ms)
        known = self.state.openings.open.get(wait.vm)
        if known is not None and int(known.finding.facts["incarnation"]) < wait.incarnation:
            earlier.append(int(known.finding.numbers["since_ms"]))
        return not any(at_ms >= cover.from_ms for at_ms in earlier)

    def _close(self, vm: str, frame: Frame, picture: Picture) -> list[Finding]:
        known, view = self.state.openings.open.get(vm), picture.vms.get(vm)
        if known is None or view is None:
            return []
        finding = known.finding
        end_ms = _over_ms(view, int(finding.facts["incarnation"]), int(finding.numbers["since_ms"]))
        if end_ms is None:
            return []
        newest = view.start
        gone = newest is not None and newest.ready_ms is None and newest.ended_ms is not None
        return self.state.openings.end(vm, frame, LEFT if gone else "it is READY")

    # -- update domains ------------------------------------------------------------------------------------------

    def _domain(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        domain, state = self.state.domains.pop(key), self.state
        out: dict[str, Wait] = {}
        vms = state.by_group.get(domain.group, {}) if domain.group else state.by_vm
        for vm in vms:
            keys = state.by_vm.get(vm, ())
            view = picture.vms.get(vm)
            waits = [state.waits[one] for one in keys if one in state.waits]
            if view is not None and (wait := self._held_up(domain, view, waits, picture)) is not None:
                out[vm] = wait
        for vm, known in state.openings.open.items():
            view, finding = picture.vms.get(vm), known.finding
            if view is not None and finding.subject.vm == vm and vm not in out:
                wait = Wait(
                    vm,
                    int(finding.facts["incarnation"]),
                    finding.subject.server or "",
                    int(finding.numbers["since_ms"]),
                    "",
                    finding.evidence[0],
                )
                if self._held_up(domain, view, [wait], picture) is not None:
                    out[vm] = wait
        if not out:
            return []
        opening = _CUT.join(("domain", domain.rollout, domain.group))
        known_out = state.out.setdefault(opening, {})
        known_out.update(dict.fromkeys(sorted(out), domain.at_ms))
        said = _domain_said(domain, out, picture)
        if opening in state.openings.open:
            findings = state.openings.update(opening, frame, at_once=True, **said)
        else:
            signature = f"{domain.group}/{domain.update_domain}"
            subject = Subject(cluster=picture.cluster, rollout=domain.rollout, signature=signature)
            findings = self._open(
                opening, frame, subject, domain.event_id, opened_ms=domain.at_ms, severity=Severity.WARNING, **said
            )
        return findings + self._domains_over(dict.fromkeys(out), frame, picture)

    def _held_up(self, domain: DomainStart, view: VmView, waits: list[Wait], picture: Picture) -> Wait | None:
        """Return the start-up by the same rollout, in another domain, in which this VM stood at UD_STARTED."""
        if domain.group and view.group != domain.group:
            return None
        for wait in sorted(waits, key=lambda known: known.incarnation):
            server = picture.servers.get(wait.server)
            inventory = server.inventory if server is not None else None
            if domain.group:
                update_domain = view.update_domain if view.known else None
            else:
                update_domain = inventory.update_domain if inventory is not None else None
            if wait.since_ms >= domain.at_ms or update_domain in (None, domain.update_domain):
                continue
            end_ms = _over_ms(view, wait.incarnation, wait.since_ms)
            if end_ms is not None and end_ms <= domain.at_ms:
                continue
            cover = self._cover(view, wait, picture)
            if cover is not None and cover.rollout == domain.rollout:
                return wait
        return None

    def _domains_over(self, touched: dict[str, None], frame: Frame, picture: Picture) -> list[Finding]:
        """Close what an update domain ran ahead of, when none of its VMs is out any more."""
        findings: list[Finding] = []
        for key, vms in list(self.state.out.items()):
            if not any(vm in touched or vm not in picture.vms for vm in vms):
                continue
            left = {
                vm: at_ms
                for vm, at_ms in vms.items()
                if vm in picture.vms and _over_ms(picture.vms[vm], 0, at_ms) is None
            }
            self.state.out[key] = left
            if not left:
                del self.state.out[key]
                findings += self.state.openings.end(key, frame, "all of these VMs are READY, or gone")
        return findings


def _over_ms(view: VmView, incarnation: int, after_ms: int) -> int | None:
    """Return when a start-up was over: READY in this incarnation or a later one, or gone without a next start."""
    ready = first(
        *(
            start.ready_ms
            for start in view.starts
            if start.incarnation >= incarnation and start.ready_ms is not None and start.ready_ms >= after_ms
        )
    )
    newest = view.start
    gone = newest.ended_ms if newest is not None and newest.incarnation >= incarnation else None
    return first(ready, gone if gone is not None and gone >= after_ms else None)


def _where(view: VmView, wait: Wait) -> str:
    """Return the server on which the VM starts now: it may have been moved meanwhile."""
    newest = view.start
    return newest.server if newest is not None and newest.incarnation >= wait.incarnation else wait.server


def _starts(view: VmView, wait: Wait) -> int:
    return sum(1 for start in view.starts if start.incarnation >= wait.incarnation)


def _domain_said(domain: DomainStart, out: Mapping[str, Wait], picture: Picture) -> dict[str, Any]:
    """Return title, explanation, evidence, numbers and facts of a domain that did not wait for these VMs."""
    of = f" of {domain.group}" if domain.group else ""
    return {
        "title": f"update domain {domain.update_domain}{of} of rollout {domain.rollout} starts before "
        f"{counted(len(out), 'VM')} of an earlier one {'is' if len(out) == 1 else 'are'} READY: several instances "
        "out at once",
        "explanation": f"UD_STARTED came at {utc(domain.at_ms)}. Not READY since their restart by the same "
        f"rollout: {listed(out)}. Services with instances in both domains run with fewer than planned; hold the "
        "rollout until these are READY, or find out what keeps them.",
        "evidence": (domain.evidence, *(out[vm].evidence for vm in sorted(out))),
        "numbers": {
            "vms": len(out),
            "update_domain": domain.update_domain,
            "longest_s": (domain.at_ms - min(wait.since_ms for wait in out.values())) / 1000,
        },
        "facts": {"vms": listed(out), "services": listed(picture.vms[vm].service for vm in out)},
    }
