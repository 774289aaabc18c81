"""Starts of VMs that fail with one error: the first sign of a fault that spreads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector, State
from detectors.failfast.lives import why_over
from detectors.failfast.words import domains_of, listed, minutes, racks_of, utc
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.lanes import FAR_MS, again_ms
from detectors.picture import Picture, Start, signature_of
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import GUEST_AGENT, HOST_AGENT, GuestEvent

SIGNATURES_MOST = 256
"""Signatures remembered of one cluster; the one that failed longest ago goes first."""
FAILURES_MOST = 4096
"""Failures remembered of one signature, the newest: four times what a cluster of 1,000 servers starts in a minute."""
SUCCESSES_MOST = 1024


@dataclass(frozen=True, slots=True)
class Config:
    """How many failures of one kind are a common fault, and when it is over."""

    vms: int = field(default=3, metadata={"least": 2, "most": 10_000})
    """VMs that fail with one signature. Source: CATALOGUE, start_failure."""
    servers: int = field(default=2, metadata={"least": 1, "most": 1000})
    """Servers on which they fail: one alone may be a broken server. Source: CATALOGUE, start_failure."""
    window_s: float = field(default=600.0, metadata={"least": 1, "most": 86_400})
    """Seconds from the first to the last of them, both included. Source: CATALOGUE, start_failure."""
    quiet_s: float = field(default=1800.0, metadata={"least": 1, "most": 86_400})
    """Observed seconds without such a failure after which it may be over. Source: longer than the 25 minutes after
    which a host agent tries a failed VM again (seed 004), so that those that failed have been tried."""


@dataclass(slots=True)
class Failure:
    """One START_FAILED."""

    at_ms: int
    vm: str
    server: str
    event_id: str
    ga_version: str
    incarnation: int
    evidence: Evidence


@dataclass(slots=True)
class Success:
    """One first contact."""

    at_ms: int
    vm: str
    server: str
    incarnation: int


@dataclass(slots=True)
class Group:
    """The failures of one signature."""

    failures: list[Failure] = field(default_factory=list)
    """In order of stamp: those newer than the watermark less the window."""
    last_before_ms: int = -1
    """The greatest stamp of those that are forgotten."""
    total: int = 0


@dataclass(slots=True)
class FailureState(State):
    """What failed lately, and what succeeded."""

    groups: dict[str, Group] = field(default_factory=dict)
    """By signature."""
    successes: list[Success] = field(default_factory=list)
    """In order of arrival, the newest SUCCESSES_MOST."""


class StartFailure(Detector[Config, FailureState]):
    """Finds an error with which starts of VMs fail on several servers: three VMs on two servers within ten minutes.

    Rule: START_FAILED with one signature (`step`, `error_code`; where there is no code, the message with its digits
    taken out) on at least `vms` VMs of at least `servers` servers, `window_s` or less between the first and the last,
    in the frame that completes them; by the stamps of the records, in whatever order they come. On the leap day this
    tells within seconds what took 75 minutes (seed 004, "Fail Fast"). It does not say what is at fault: see
    `fault_class`, and for failures that follow VMs from server to server `healing_cascade`.

    A single failure is an info finding of its VM; it ends when the VM makes contact or leaves the server. The common
    one ends when no such failure has been seen for `quiet_s` of observed time and starts succeed: as many VMs on as
    many servers as opened it have made first contact since the last failure. Missing data never ends it.
    """

    Config = Config
    State = FailureState
    memory_s = 3 * 3600
    feeds = (GUEST_AGENT, HOST_AGENT)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what failures, contacts and quiet times bring."""
        if isinstance(frame, DueFrame):
            due = self.state.deadlines.pop(frame.due_ms)
            return [found for signature in due for found in self._judge_end(signature, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.failures:
            failure = Failure(
                frame.batch.at_ms[index],
                event.vm,
                event.server,
                event.event_id,
                event.ga_version,
                event.incarnation,
                frame.evidence(index),
            )
            signature = signature_of(event)
            findings += self._single(signature, failure, event, frame, picture)
            findings += self._take(signature, failure, frame, picture)
        for vm, start in picture.news.contacts:
            self._succeeded(vm, start)
        return findings + self._singles_over(frame, picture)

    # -- one VM --------------------------------------------------------------------------------------------------

    def _single(
        self, signature: str, failure: Failure, event: GuestEvent, frame: BatchFrame, picture: Picture
    ) -> list[Finding]:
        key = _vm_key(event.vm)
        known = self.state.openings.open.get(key)
        subject = Subject(cluster=picture.cluster, server=event.server, vm=event.vm, signature=signature)
        failures, findings = 1, []
        if known is not None and known.finding.subject == subject:
            failures = int(known.finding.numbers["failures"]) + 1
            findings = self.state.openings.update(
                key, frame, numbers={"failures": failures, "last_ms": failure.at_ms}, facts=_vm_facts(event)
            )
        else:
            findings += self.state.openings.end(key, frame, "it fails otherwise, or elsewhere, now")
            said = f': "{event.message}"' if event.message else ""
            findings += self._open(
                key,
                frame,
                subject,
                event.event_id,
                opened_ms=failure.at_ms,
                severity=Severity.INFO,
                title=f"VM {event.vm} on {event.server} failed to start: {signature}",
                explanation=f"Incarnation {event.incarnation} reported START_FAILED at {utc(failure.at_ms)}{said}. One "
                "VM alone is told, not alarmed about; if others fail alike, start_failure of the cluster says so.",
                evidence=(failure.evidence,),
                numbers={"failures": failures, "last_ms": failure.at_ms},
                facts=_vm_facts(event),
            )
        return findings

    def _singles_over(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Close the findings of VMs that made contact, left their server or were removed."""
        open_now = self.state.openings.open
        if not open_now:
            return []
        news = picture.news
        touched: dict[str, None] = dict.fromkeys(event.vm for _, event in news.failures)
        for vm, _ in (*news.starts, *news.contacts, *news.ended):
            touched[vm] = None
        for vm, _ in news.ga_changes:
            touched[vm] = None
        findings: list[Finding] = []
        if news.inventory:
            touched.update((known.finding.subject.vm or "", None) for known in open_now.values())
        for vm in touched:
            known = open_now.get(_vm_key(vm))
            if known is None:
                continue
            finding = known.finding
            reason = why_over(
                picture.vms.get(vm),
                int(finding.facts["incarnation"]),
                finding.subject.server or "",
                int(finding.numbers["last_ms"]),
            )
            if finding.subject.server in news.removed_servers:
                reason = "removed"
            if reason:
                findings += self.state.openings.end(_vm_key(vm), frame, reason)
        return findings

    # -- the common fault ----------------------------------------------------------------------------------------

    def _take(self, signature: str, failure: Failure, frame: BatchFrame, picture: Picture) -> list[Finding]:
        group = self.state.groups.setdefault(signature, Group())
        at = len(group.failures)
        while at and group.failures[at - 1].at_ms > failure.at_ms:
            at -= 1
        group.failures.insert(at, failure)
        group.total += 1
        self._forget(group, picture)
        self._bound()
        if signature in self.state.openings.open:
            self._wake(signature, failure.at_ms)
            return self._tell(signature, group, frame, picture)
        completed = self._completed(group)
        if completed is None:
            return []
        return self._begin(signature, group, group.failures[completed].at_ms, failure, frame, picture)

    def _begin(
        self, signature: str, group: Group, opened_ms: int, failure: Failure, frame: Frame, picture: Picture
    ) -> list[Finding]:
        self.state.deadlines.set(signature, opened_ms + round(self.config.quiet_s * 1000))
        recent = self._recent(group)
        return self._open(
            signature,
            frame,
            Subject(cluster=picture.cluster, signature=signature),
            failure.event_id,
            opened_ms=opened_ms,
            severity=Severity.CRITICAL,
            evidence=tuple(known.evidence for known in recent),
            **self._said(signature, group, picture),
        )

    def _completed(self, group: Group) -> int | None:
        """Return the place of the first failure that completes enough VMs on enough servers within the window."""
        vms: dict[str, int] = {}
        servers: dict[str, int] = {}
        first = 0
        for place, failure in enumerate(group.failures):
            vms[failure.vm] = vms.get(failure.vm, 0) + 1
            servers[failure.server] = servers.get(failure.server, 0) + 1
            while failure.at_ms - group.failures[first].at_ms > self.config.window_s * 1000:
                for counts, name in ((vms, group.failures[first].vm), (servers, group.failures[first].server)):
                    counts[name] -= 1
                    if not counts[name]:
                        del counts[name]
                first += 1
            if len(vms) >= self.config.vms and len(servers) >= self.config.servers:
                return place
        return None

    def _recent(self, group: Group) -> list[Failure]:
        """Return the failures of the newest window."""
        oldest_ms = group.failures[-1].at_ms - self.config.window_s * 1000
        return [failure for failure in group.failures if failure.at_ms >= oldest_ms]

    def _tell(self, signature: str, group: Group, frame: Frame, picture: Picture) -> list[Finding]:
        known = self.state.openings.get(signature)
        # Said at most every 10 s: what it would say is not even counted before.
        if known is None or frame.at_ms < known.at_ms + 10_000 or not group.failures:
            return []
        return self.state.openings.update(signature, frame, **self._said(signature, group, picture))

    def _said(self, signature: str, group: Group, picture: Picture) -> dict[str, Any]:
        """Return title, explanation, numbers and facts of the common fault."""
        recent = self._recent(group)
        vms = {failure.vm for failure in recent}
        servers = sorted({failure.server for failure in recent})
        racks, domains = racks_of(picture, servers), domains_of(picture, servers)
        span_ms = max(60_000, recent[-1].at_ms - recent[0].at_ms)
        versions = listed(failure.ga_version for failure in recent if failure.ga_version)
        return {
            "title": f"{len(vms)} VMs on {len(servers)} servers of {picture.cluster} fail to start: {signature}",
            "explanation": f"Between {utc(recent[0].at_ms)} and {utc(recent[-1].at_ms)} starts on {listed(servers)} "
            f"reported START_FAILED with the same signature. The same error on several servers is seldom the servers' "
            "doing: see what fault_class says before anyone gives a server up, and stop what restarts or moves VMs "
            "(updates, healing) if it spreads.",
            "numbers": {
                "vms": len(vms),
                "servers": len(servers),
                "racks": len(racks),
                "update_domains": len(domains),
                "rate_per_min": round(len(recent) * 60_000 / span_ms, 3),
                "failures_total": group.total,
                "window_s": self.config.window_s,
            },
            "facts": {
                "signature": signature,
                "ga_versions": versions,
                "servers": listed(servers),
                "racks": listed(racks),
            },
        }

    # -- its end -------------------------------------------------------------------------------------------------

    def _wake(self, signature: str, at_ms: int) -> None:
        """Look at the end again when all lanes have passed `at_ms`, if nothing earlier is waited for."""
        if signature not in self.state.deadlines.due:
            self.state.deadlines.set(signature, at_ms)

    def _succeeded(self, vm: str, start: Start) -> None:
        if start.contact_ms is None:
            return
        successes = self.state.successes
        successes.append(Success(start.contact_ms, vm, start.server, start.incarnation))
        if len(successes) > SUCCESSES_MOST:
            successes.sort(key=lambda known: known.at_ms)
            del successes[: SUCCESSES_MOST // 2]
        for signature in self.state.groups:
            if signature in self.state.openings.open:
                self._wake(signature, start.contact_ms)

    def _judge_end(self, signature: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Close if, by the stamps up to the due time alone, it was quiet for long enough and starts succeeded."""
        group = self.state.groups.get(signature)
        if group is None or signature not in self.state.openings.open:
            return []
        due_ms = frame.due_ms
        last_ms = max((f.at_ms for f in group.failures if f.at_ms <= due_ms), default=group.last_before_ms)
        quiet_ms = picture.limit_passed_ms(self.feeds, last_ms, round(self.config.quiet_s * 1000))
        if quiet_ms > due_ms:
            self.state.deadlines.set(signature, quiet_ms if quiet_ms < FAR_MS // 2 else again_ms(last_ms, due_ms))
            return self._tell(signature, group, frame, picture)
        good = [s for s in self.state.successes if last_ms < s.at_ms <= due_ms and _began(s, picture)]
        if len({s.vm for s in good}) < self.config.vms or len({s.server for s in good}) < self.config.servers:
            later = [s.at_ms for s in self.state.successes if s.at_ms > due_ms]
            later += [f.at_ms for f in group.failures if f.at_ms > due_ms]
            if later:
                self.state.deadlines.set(signature, min(later))
            return []
        findings = self.state.openings.end(
            signature,
            frame,
            f"no such failure for {minutes(self.config.quiet_s)}, and starts succeed: {len({s.vm for s in good})} VMs",
        )
        # What failed after the due time is known already where a lane ran ahead: it may be a new fault.
        group.last_before_ms = last_ms
        group.failures = [f for f in group.failures if f.at_ms > due_ms]
        completed = self._completed(group)
        if completed is not None:
            failure = group.failures[completed]
            findings += self._begin(signature, group, failure.at_ms, failure, frame, picture)
        return findings

    # -- bounds --------------------------------------------------------------------------------------------------

    def _forget(self, group: Group, picture: Picture) -> None:
        """Forget what is older than the watermark less the window."""
        oldest_ms = picture.passed_ms((GUEST_AGENT,)) - round(self.config.window_s * 1000)
        kept = [failure for failure in group.failures if failure.at_ms >= oldest_ms][-FAILURES_MOST:]
        gone = len(group.failures) - len(kept)
        if gone:
            group.last_before_ms = max(group.last_before_ms, group.failures[gone - 1].at_ms)
            group.failures = kept

    def _bound(self) -> None:
        groups = self.state.groups
        while len(groups) > SIGNATURES_MOST:
            closed = [signature for signature in groups if signature not in self.state.openings.open] or list(groups)
            del groups[min(closed, key=lambda signature: (_last_ms(groups[signature]), signature))]


def _vm_key(vm: str) -> str:
    return f"vm\x1f{vm}"


def _vm_facts(event: GuestEvent) -> dict[str, str]:
    facts = {"incarnation": str(event.incarnation), "ga_version": event.ga_version, "message": event.message[:500]}
    return {name: value for name, value in facts.items() if value}


def _last_ms(group: Group) -> int:
    return group.failures[-1].at_ms if group.failures else group.last_before_ms


def _began(success: Success, picture: Picture) -> bool:
    """Tell whether a first contact ended a start that was seen to begin: a VM first seen running proves nothing."""
    view = picture.vms.get(success.vm)
    for start in view.starts if view is not None else ():
        if start.incarnation == success.incarnation:
            return start.contact_ms is not None and start.contact_ms > start.at_ms
    return False
