"""VMs that planned maintenance touches when it must not, or more often than it may."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import EVIDENCE_KEPT, Detector
from detectors.contract import State as BaseState
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.investigate.telling import tell
from detectors.picture import Picture
from detectors.rollouts.breaches import (
    AGAIN,
    EXCLUDED,
    NOT_UPDATED,
    OUTSIDE,
    OVERRUN,
    OWNER_OUTSIDE,
    SECOND_REDEPLOY,
    SECOND_WAVE,
    UNANNOUNCED,
    VM_TITLES,
    Breach,
    said,
)
from detectors.rollouts.maintained import (
    ENDS,
    Restart,
    Running,
    node_updated,
    outside,
    redeployed_in_other,
    restarts,
    right_again,
    unannounced,
    used_before,
)
from detectors.rollouts.windows import Outcome, in_self_service, outcome_of, place_of, redeploys_in, wave_of_redeploy
from detectors.upkeep import Redeploy, WaveView
from detectors.views import VmView
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import HOST_AGENT, MAINTENANCE, MaintenanceEvent, MaintenanceKind

WAVES_KEPT_OF_VM = 8
"""Waves remembered in which one VM was restarted; how many VMs there are, the picture bounds."""
CLOCKS_APART_MS = 60_000
"""Brokers' clocks may differ by so much (DESIGN, Time)."""
ARRIVED_KEPT = 64
"""VMs that came to one server: more than it holds; how many servers there are, the picture bounds."""
RUNNING_MOST = 20_000
"""Updates of waves under way: as many as a cluster may have servers; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Config:
    """How exact a window's end is, and when a breach is over."""

    grace_s: float = field(default=60.0, metadata={"least": 0, "most": 3600})
    """Observed seconds behind a window's end, or a wave's, by which its updates must have ended; exactly then they
    have. Source: DESIGN, Time: brokers' clocks may differ by up to 60 s."""
    quiet_s: float = field(default=86_400.0, metadata={"least": 1, "most": 30 * 86_400})
    """Observed seconds without another breach of the kind after which it is over. Source: our judgement; a day, so that
    whoever runs the wave sees it on the next."""


@dataclass(slots=True)
class State(BaseState):
    """Who was restarted in which wave, what runs, and what is open."""

    restarted: dict[str, dict[str, int]] = field(default_factory=dict)
    """VM to wave to the stamp of its first restart in it; as long as the picture knows the wave."""
    arrived: dict[str, list[str]] = field(default_factory=dict)
    """Server to the VMs that were healed or redeployed to it; the newest ARRIVED_KEPT."""
    running: dict[str, Running] = field(default_factory=dict)
    """By the id of the event that began it, in order of arrival."""
    ends: dict[str, int] = field(default_factory=dict)
    """Wave to the end of its window, as last known."""
    moved: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Redeploys whose node is still to be judged: event_id to (VM, wave, server that it left, if the event says)."""
    breaches: dict[str, Breach] = field(default_factory=dict)
    """By the key of the opening."""


class WindowBreach(Detector[Config, State]):
    """Finds VMs that planned maintenance touches outside its windows, or more often than it may (seed 003).

    A restart for maintenance is NODE_REBOOT_STARTED, SERVER_UPDATE_STARTED, COMPONENT_UPDATE_STARTED with impact
    reboot (each of all VMs on its server then) or VM_UPDATE_STARTED, where the event names a wave (`wave`, or as its
    rollout or workflow); or a planned reboot that names no rollout, no cause and no host OS update, of VMs whose wave
    is under way. Unplanned reboots are not, nor is the monthly host OS rollout, which is no wave.

    Rules, one finding for each wave and rule, which its `signature` names:
    `outside-window`: restarted before or after the scheduled window (both ends are in it), or more than `grace_s` after
    the wave completed or was aborted. `unannounced`: restarted by a wave that names its VMs, and not this one.
    `second-wave`: restarted, and restarted or redeployed by its owner before in another wave; right if that one was
    aborted or the VM's self-service in it failed. `after-failed-self-service`: a failed redeploy takes the VM out of
    the wave. `after-self-service`: its owner's redeploy was its maintenance. `past-window-end`: an update begun in the
    window has not ended `grace_s` of observed time after it.
    And for each VM: `second-redeploy`: its owner redeployed it in this wave before (a RetryLater is no redeploy), or in
    another for which `second-wave` holds. `redeploy-outside-window`: done outside the self-service window of the wave
    that it names. `node-not-updated`: its new node runs the host OS version of the server that it left, and no update
    of it has ended since the wave was announced; where versions are not known, nothing is said.

    They end after `quiet_s` of observed time without another of the kind; an overrun when the last update has ended,
    or the window was moved; those of a VM also when it is removed. What is not known (a wave without windows, a wave
    never announced) is not judged.
    """

    Config = Config
    State = State
    memory_s = 86_400
    feeds = (MAINTENANCE, HOST_AGENT)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what restarts, redeploys, ends of windows and quiet times bring."""
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            return [found for key in keys for found in self._due(key, frame, picture)]
        if not isinstance(frame, BatchFrame):
            return []
        findings: list[Finding] = []
        for index, event in picture.news.maintenance:
            at_ms, evidence = frame.batch.at_ms[index], frame.evidence(index)
            if event.vm is not None and event.to_server is not None and event.to_server in picture.servers:
                arrived = self.state.arrived.setdefault(event.to_server, [])
                arrived[:] = [*(vm for vm in arrived if vm != event.vm), event.vm][-ARRIVED_KEPT:]
            if event.kind in ENDS:
                findings += self._ended(event, at_ms, frame, picture)
            elif event.kind == MaintenanceKind.VM_REDEPLOYED and event.vm is not None:
                findings += self._redeployed(event, event.vm, frame, picture)
            elif event.kind.startswith("WAVE_") and event.wave is not None:
                findings += self._wave(event.wave, frame, picture)
            else:
                findings += self._restarted(event, at_ms, evidence, frame, picture)
        return findings + (self._removed(frame, picture) if picture.news.inventory else [])

    def _removed(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Close what was said of VMs that are gone; updates of servers that are gone will not end."""
        findings: list[Finding] = []
        for server in picture.news.removed_servers:
            self.state.arrived.pop(server, None)
        for key, breach in list(self.state.breaches.items()):
            if breach.rule in VM_TITLES and not any(vm in picture.vms for vm in breach.vms):
                findings += self._close(key, frame, "removed")
        for key, known in list(self.state.running.items()):
            if known.what in picture.news.removed_servers:
                del self.state.running[key]
                if self.state.openings.get(f"{OVERRUN}\x1f{known.wave}") is not None:
                    findings += self._overrun(known.wave, self.state.ends.get(known.wave, 0), frame, picture)
        return findings

    # -- restarts ------------------------------------------------------------------------------------------------

    def _restarted(
        self, event: MaintenanceEvent, at_ms: int, evidence: Evidence, frame: BatchFrame, picture: Picture
    ) -> list[Finding]:
        found = restarts(event, at_ms, picture, self.state.arrived.get(event.server or "", ()))
        broken: dict[tuple[str, str], list[Restart]] = {}
        for restart in found:
            for rule in self._broken(restart, at_ms, picture):
                broken.setdefault((rule, restart.wave.wave), []).append(restart)
        for restart in found:
            waves = self.state.restarted.setdefault(restart.vm, {})
            waves.setdefault(restart.wave.wave, at_ms)
            while len(waves) > WAVES_KEPT_OF_VM:
                del waves[next(iter(waves))]
        findings: list[Finding] = []
        for wave in dict.fromkeys(restart.wave.wave for restart in found):
            self._begin(event, picture.state.waves[wave], at_ms, evidence)
            findings += self._wave(wave, frame, picture)
        for (rule, wave), those in broken.items():
            servers = [restart.server for restart in those]
            vms = [restart.vm for restart in those]
            findings += self._note(rule, wave, vms, servers, event.event_id, at_ms, evidence, frame, picture)
        return findings

    def _broken(self, restart: Restart, at_ms: int, picture: Picture) -> list[str]:
        """Return the rules that a restart breaks."""
        state, wave, view = picture.state, restart.wave, picture.vms[restart.vm]
        rules = []
        if unannounced(restart):
            rules.append(UNANNOUNCED)
        elif outside(wave, at_ms, round(self.config.grace_s * 1000)):
            rules.append(OUTSIDE)
        used = used_before(state, view, wave.wave, at_ms)
        if used is not None:
            rules.append(AGAIN if used == Outcome.COMPLETED else EXCLUDED)
        if self._before(view, wave.wave, at_ms, picture):
            rules.append(SECOND_WAVE)
        return rules

    def _before(self, view: VmView, wave: str, at_ms: int, picture: Picture) -> bool:
        """Tell whether another wave had maintained the VM, for which one more is wrong."""
        state = picture.state
        for other, then_ms in self.state.restarted.get(view.vm, {}).items():
            if other != wave and then_ms <= at_ms and not right_again(state, view, other, at_ms):
                return True
        return bool(redeployed_in_other(state, view, wave, at_ms))

    # -- self-service --------------------------------------------------------------------------------------------

    def _redeployed(self, event: MaintenanceEvent, name: str, frame: BatchFrame, picture: Picture) -> list[Finding]:
        state, view = picture.state, picture.vms.get(name)
        redeploy = _redeploy(view, event.event_id)
        wave = None if redeploy is None else wave_of_redeploy(state, name, redeploy)
        if view is None or redeploy is None or wave is None or outcome_of(redeploy) is None:
            return []
        at_ms, completed = redeploy.at_ms, outcome_of(redeploy) == Outcome.COMPLETED
        rules = []
        earlier = [known for known in redeploys_in(state, view, wave.wave, at_ms) if known.event_id != event.event_id]
        if earlier or (completed and self._before(view, wave.wave, at_ms, picture)):
            rules.append(SECOND_REDEPLOY)
        known_window = wave.self_service_start_ms > 0
        if completed and known_window and (not in_self_service(wave, at_ms) or 0 < wave.ended_ms < at_ms):
            rules.append(OWNER_OUTSIDE)
        findings: list[Finding] = []
        for rule in rules:
            servers = [redeploy.to_server] if redeploy.to_server else []
            about = (event.event_id, at_ms, redeploy.evidence)
            findings += self._note(rule, wave.wave, [name], servers, *about, frame, picture)
        if completed and redeploy.to_server:
            self.state.moved[event.event_id] = (name, wave.wave, event.from_server or "")
            self.state.deadlines.set(f"node\x1f{event.event_id}", at_ms)
        return findings

    def _judge_node(self, event_id: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Judge where a redeploy went, now that all that hosts said before it is known."""
        name, wave_name, left = self.state.moved.pop(event_id)
        view, wave = picture.vms.get(name), picture.state.waves.get(wave_name)
        redeploy = _redeploy(view, event_id)
        if view is None or wave is None or redeploy is None:
            return []
        # Its start on the new node may bear the earlier stamp of the two: the event says best where it was.
        source = picture.servers.get(left or place_of(view, redeploy.at_ms - CLOCKS_APART_MS))
        target = picture.servers.get(redeploy.to_server)
        if source is None or target is None or source is target:
            return []
        if node_updated(wave, source, target, redeploy.at_ms) is not False:
            return []
        about = (event_id, redeploy.at_ms, redeploy.evidence)
        return self._note(NOT_UPDATED, wave_name, [name], [redeploy.to_server], *about, frame, picture)

    # -- ends of windows -----------------------------------------------------------------------------------------

    def _begin(self, event: MaintenanceEvent, wave: WaveView, at_ms: int, evidence: Evidence) -> None:
        if not at_ms <= wave.scheduled_end_ms:
            return
        what = event.vm if event.kind == MaintenanceKind.VM_UPDATE_STARTED else event.server
        running = self.state.running
        running[f"{event.event_id}\x1f{wave.wave}"] = Running(wave.wave, event.kind, what or "", at_ms, evidence)
        while len(running) > RUNNING_MOST:
            del running[next(iter(running))]

    def _wave(self, name: str, frame: Frame, picture: Picture) -> list[Finding]:
        """Take note of a wave's end of window where it is new; forget waves that the picture has forgotten."""
        wave, findings = picture.state.waves.get(name), []
        if wave is not None and wave.scheduled_end_ms > 0 and self.state.ends.get(name) != wave.scheduled_end_ms:
            self.state.ends[name] = wave.scheduled_end_ms
            grace_ms = round(self.config.grace_s * 1000)
            due_ms = picture.limit_passed_ms(self.feeds, wave.scheduled_end_ms, grace_ms)
            self.state.deadlines.set(f"end\x1f{name}", due_ms)
            findings += self._close(f"{OVERRUN}\x1f{name}", frame, "its window was moved")
        gone = [known for known in self.state.ends if known not in picture.state.waves]
        for known in gone:
            del self.state.ends[known]
            self.state.deadlines.drop(f"end\x1f{known}")
            findings += self._close(f"{OVERRUN}\x1f{known}", frame, "nothing was heard of the wave for four months")
        if gone:
            self._forget(picture)
        return findings

    def _forget(self, picture: Picture) -> None:
        """Forget what was done by waves that the picture has forgotten."""
        waves = picture.state.waves
        self.state.running = {key: known for key, known in self.state.running.items() if known.wave in waves}
        for vm, known in list(self.state.restarted.items()):
            self.state.restarted[vm] = {wave: at_ms for wave, at_ms in known.items() if wave in waves}
            if not self.state.restarted[vm]:
                del self.state.restarted[vm]

    def _ended(self, event: MaintenanceEvent, at_ms: int, frame: BatchFrame, picture: Picture) -> list[Finding]:
        what = event.vm if event.kind.startswith("VM_") else event.server
        findings: list[Finding] = []
        for key, known in list(self.state.running.items()):
            if known.what != what or known.kind not in ENDS[event.kind] or known.from_ms > at_ms:
                continue
            known.until_ms = at_ms if known.until_ms is None else min(at_ms, known.until_ms)
            if known.until_ms <= self.state.ends.get(known.wave, 0):
                del self.state.running[key]
            elif f"end\x1f{known.wave}" not in self.state.deadlines.due:
                del self.state.running[key]
                findings += self._overrun(known.wave, self.state.ends.get(known.wave, 0), frame, picture)
        return findings

    def _judge_end(self, name: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Judge what runs at the end of a window, now that the time behind it was observed."""
        end_ms = self.state.ends.get(name, 0)
        due_ms = picture.limit_passed_ms(self.feeds, end_ms, round(self.config.grace_s * 1000), known_ms=frame.due_ms)
        if due_ms > frame.due_ms:
            self.state.deadlines.set(f"end\x1f{name}", due_ms)
            return []
        for key, known in list(self.state.running.items()):
            if known.wave == name and known.until_ms is not None and known.until_ms <= due_ms:
                del self.state.running[key]
        findings = self._overrun(name, end_ms, frame, picture)
        over = [key for key, known in self.state.running.items() if known.wave == name and known.until_ms is not None]
        for key in over:
            # It ended too late, and that is known already: told, and over.
            del self.state.running[key]
        return findings + (self._overrun(name, end_ms, frame, picture) if over else [])

    def _overrun(self, name: str, end_ms: int, frame: Frame, picture: Picture) -> list[Finding]:
        """Open, change or close the finding of what runs past the end of a wave's window."""
        key = f"{OVERRUN}\x1f{name}"
        over = [known for known in self.state.running.values() if known.wave == name and known.from_ms <= end_ms]
        if not over:
            return self._close(key, frame, "its updates have ended")
        first_ms = end_ms
        breach = Breach(OVERRUN, name, {}, dict.fromkeys(known.what for known in over), first_ms, frame.at_ms)
        breach.evidence = [known.evidence for known in over[:EVIDENCE_KEPT]]
        self.state.breaches[key] = breach
        words = said(breach, picture)
        subject = Subject(cluster=picture.cluster, rollout=name, signature=OVERRUN)
        return self._open(
            key, frame, subject, str(end_ms), opened_ms=end_ms, severity=Severity.WARNING, **words
        ) or tell(self.state, key, frame, **words)

    # -- telling -------------------------------------------------------------------------------------------------

    def _note(
        self,
        rule: str,
        wave: str,
        vms: list[str],
        servers: list[str],
        event_id: str,
        at_ms: int,
        evidence: Evidence,
        frame: Frame,
        picture: Picture,
    ) -> list[Finding]:
        """Open the finding of a rule, or add to it."""
        of_vm = rule in VM_TITLES
        key = f"{rule}\x1f{wave}\x1f{vms[0]}" if of_vm else f"{rule}\x1f{wave}"
        breach = self.state.breaches.get(key)
        if breach is None:
            breach = self.state.breaches[key] = Breach(rule, wave, first_ms=at_ms)
        breach.add(vms, servers, at_ms, evidence)
        self.state.deadlines.set(f"quiet\x1f{key}", breach.last_ms + round(self.config.quiet_s * 1000))
        subject = Subject(cluster=picture.cluster, vm=vms[0] if of_vm else None, rollout=wave, signature=rule)
        words = said(breach, picture)
        return self._open(key, frame, subject, event_id, opened_ms=at_ms, severity=Severity.WARNING, **words) or tell(
            self.state, key, frame, **words
        )

    def _close(self, key: str, frame: Frame, reason: str) -> list[Finding]:
        self.state.breaches.pop(key, None)
        self.state.deadlines.drop(f"quiet\x1f{key}")
        self.state.deadlines.drop(key)
        return self.state.openings.end(key, frame, reason)

    def _due(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        what, _, rest = key.partition("\x1f")
        if what == "node":
            return self._judge_node(rest, frame, picture)
        if what == "end":
            return self._judge_end(rest, frame, picture)
        if what == "quiet":
            return self._judge_quiet(rest, frame, picture)
        breach = self.state.breaches.get(key)
        return [] if breach is None else tell(self.state, key, frame, **said(breach, picture))

    def _judge_quiet(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        breach = self.state.breaches[key]
        quiet_ms = round(self.config.quiet_s * 1000)
        over_ms = picture.limit_passed_ms(self.feeds, breach.last_ms, quiet_ms, known_ms=frame.due_ms)
        if over_ms > frame.due_ms:
            self.state.deadlines.set(f"quiet\x1f{key}", over_ms)
            return []
        return self._close(key, frame, f"no other for {self.config.quiet_s / 3600:g} h")


def _redeploy(view: VmView | None, event_id: str) -> Redeploy | None:
    known = () if view is None else view.redeploys
    return next((redeploy for redeploy in known if redeploy.event_id == event_id), None)
