"""Each interval in which a VM could not be reached, or did not run: from when, to when, and which record says so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from detectors.causes.intervals import (
    FAILED,
    LOST,
    MOVED,
    NETWORK,
    REBOOTED,
    RESTARTED,
    STOPPED,
    STOPPING_WORDS,
    TIMED_OUT,
    Heard,
    Life,
    State,
    available,
    begin,
    finish,
    guests_speak,
    last_word,
    reboot_ms,
    sign_of,
    start_of,
)
from detectors.contract import Detector
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame, source_name
from detectors.lanes import again_ms
from detectors.picture import Picture
from schemas.columns import unpack_vms
from schemas.inventory import Removed
from schemas.outputs import Evidence, Finding, FindingState
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, GuestEvent, GuestKind, MaintenanceKind, VmReport
from schemas.telemetry import HostRow

FEEDS = (HOST_AGENT, GUEST_AGENT, MAINTENANCE)
"""All that could speak of a VM, or of its server."""
_CUT = "\x1f"


@dataclass(frozen=True, slots=True)
class Config:
    """When a server that is not heard makes its VMs count as not available."""

    intervals: float = field(default=3.0, metadata={"least": 1, "most": 100})
    """So many of a server's own report intervals, observed, without a report. Source: CATALOGUE, host_silence."""
    at_least_s: float = field(default=90.0, metadata={"least": 1, "most": 3600})
    """Seconds that it lasts at least. Source: CATALOGUE, host_silence."""


class Unavailability(Detector[Config, State]):
    """Finds each interval in which a VM was not reachable or not running, with its start and its end.

    Rule: a VM that has been READY is not available from the record that shows it otherwise: network DOWN; guest agent
    STOPPING, WAITING_FOR_HOST, STARTING or SILENT as its host agent says; its own word that it stops or shuts down; a
    new incarnation (it was restarted or moved: the interval began with the last report before, or with the word or the
    announced reboot after that); a healing; a reboot of its server that was told (NODE_REBOOT_STARTED), where the
    server is not heard after it; and a server that is silent for `intervals` of its own, at least `at_least_s`, in
    observed time (then from its last report on), unless its guest agent speaks. One never yet READY is not available
    from the beginning of its start, once that start has failed (START_FAILED, or `guest_timeout` says so).

    It ends with the report that shows it READY, and its network not DOWN. A server that is heard as before ends only
    what its own absence began: what the guest agent or a report said holds. BUSY alone begins no interval, and ends
    none. `start_ms`, `end_ms` and `duration_s` stand among the numbers; `last_up_ms` is the last report before. A VM
    whose server was silent and that never restarted may have run all along: its closing says so (`assumed`). A VM that
    is deallocated is gone and not unavailable. All are info: who is to be woken is for host_silence, network_loss,
    start_failure and capacity to say; why it was so, `root_cause`.
    """

    Config = Config
    State = State
    memory_s = 3 * 3600
    feeds = FEEDS
    follows = ("guest_timeout",)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what began and what ended."""
        if isinstance(frame, BatchFrame):
            return self._batch(frame, picture)
        if isinstance(frame, DueFrame):
            return [found for key in self.state.deadlines.pop(frame.due_ms) for found in self._due(key, frame, picture)]
        if isinstance(frame, FindingFrame):
            return self._timed_out(frame, picture)
        return []

    # -- what is heard -------------------------------------------------------------------------------------------

    def _batch(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        news = picture.news
        found: list[Finding] = []
        if news.heard:
            guests, told = picture.guest_agents() if news.told else True, dict.fromkeys(news.told)
            for index, row in enumerate(frame.batch.rows):
                if isinstance(row, HostRow) and row.server in picture.servers:
                    found += self._report(row, index, frame, picture, told=index in told, guests=guests)
        for index, event in news.guests:
            found += self._word(event, index, frame, picture)
        if self.state.open and self.state.lost:
            found += self._spoke(frame, picture)
        for index, maintenance in news.maintenance:
            at_ms, kind = frame.batch.at_ms[index], maintenance.kind
            if kind == MaintenanceKind.NODE_REBOOT_STARTED and maintenance.server is not None:
                self.state.deadlines.set(f"reboot{_CUT}{maintenance.server}", at_ms)
            elif kind == MaintenanceKind.VM_DEALLOCATED and maintenance.vm is not None:
                found += self._deallocated(maintenance.vm, at_ms, frame.evidence(index, "deallocated"), frame)
            elif kind == MaintenanceKind.VM_HEALED and maintenance.vm is not None:
                life = self.state.lives.get(maintenance.vm)
                if life is not None and life.ready and life.server == maintenance.from_server:
                    note = frame.evidence(index, f"healed to {maintenance.to_server}")
                    source = maintenance.event_id
                    found += begin(self.state, maintenance.vm, life, at_ms, MOVED, (note,), source, frame, picture)
        if news.inventory:
            found += self._inventory(frame, picture)
        return found

    def _limit_ms(self, interval_s: int) -> int:
        return round(max(self.config.intervals * interval_s, self.config.at_least_s) * 1000)

    def _report(
        self, row: HostRow, index: int, frame: BatchFrame, picture: Picture, *, told: bool, guests: bool
    ) -> list[Finding]:
        hosts, batch, at_ms = self.state.hosts, frame.batch, frame.batch.at_ms[index]
        before = hosts.get(row.server)
        if before is not None and at_ms < before.at_ms:
            return []
        place = (frame.partition, frame.offset, batch.topic, batch.topic_id, batch.lane)
        now = Heard(at_ms, row.interval_s, row.boot_id, row.run, row.seq, place, batch.offsets[index])
        found: list[Finding] = []
        if told:
            for report in unpack_vms(row.vms_block or b""):
                if report.vm in picture.vms:
                    found += self._vm(report, row, before, index, frame, picture, guests)
        if before is not None and before.boot_id != row.boot_id:
            # What the first report of a boot says of VMs that ran before may be what was last known of them.
            self.state.lost[row.server] = at_ms
        elif row.server in self.state.lost and picture.servers[row.server].unsure_since_ms is None:
            del self.state.lost[row.server]
            found += self._ran_on(
                row.server, at_ms, frame.evidence(index, "its server reports as before"), frame, picture
            )
        hosts[row.server] = now
        if row.server not in self.state.deadlines.due:
            self.state.deadlines.set(row.server, at_ms + self._limit_ms(row.interval_s))
        return found

    def _vm(
        self,
        report: VmReport,
        row: HostRow,
        before: Heard | None,
        index: int,
        frame: BatchFrame,
        picture: Picture,
        guests: bool,
    ) -> list[Finding]:
        """Take one VM of a report that says something new."""
        at_ms, vm, state = frame.batch.at_ms[index], report.vm, self.state
        up, sign = available(report, guests=guests), sign_of(report, guests=guests)
        life = state.lives.get(vm)
        if life is None:
            # One that cannot be reached, and whose guest agent is well, has been there before we came.
            life = state.lives[vm] = Life(
                row.server, report.incarnation, at_ms, up or sign == NETWORK, at_ms if up else 0
            )
        if report.incarnation < life.incarnation or (at_ms < life.ready_ms and not up):
            return []
        source = source_name(row, picture.cluster)
        found: list[Finding] = []
        if report.incarnation > life.incarnation or row.server != life.server:
            found += self._restarted(report, row, before, life, index, frame, picture)
            life.server, life.incarnation, life.since_ms = row.server, report.incarnation, at_ms
        elif up and life.ready and before is not None and before.boot_id != row.boot_id:
            return self._rebooted(report, row, before, life, index, frame, picture)
        interval = state.open.get(vm)
        if up:
            life.ready, life.ready_ms = True, max(at_ms, life.ready_ms)
            found += finish(self.state, vm, at_ms, frame.evidence(index, "available again"), frame)
        elif sign and interval is not None:
            interval.by_word = False
            interval.add(sign)
        elif sign and life.ready:
            note = frame.evidence(index, f"{sign} (guest agent {report.ga}, network {report.network})")
            found += begin(self.state, vm, life, at_ms, sign, (note,), source, frame, picture)
        return found

    def _rebooted(
        self,
        report: VmReport,
        row: HostRow,
        before: Heard,
        life: Life,
        index: int,
        frame: BatchFrame,
        picture: Picture,
    ) -> list[Finding]:
        """Take the first report of a boot that shows a VM as it was: it was away with its server until the next one."""
        note = frame.evidence(index, f"boot {row.boot_id} of {row.server}")
        said = reboot_ms(picture, row.server, before.at_ms, frame.batch.at_ms[index])
        start_ms = before.at_ms if said is None else said[0]
        told = () if said is None else (replace(said[1], note="NODE_REBOOT_STARTED"),)
        evidence = (before.evidence(f"last report of {row.server} before"), *told, note)
        source = source_name(row, picture.cluster)
        return begin(self.state, report.vm, life, start_ms, REBOOTED, evidence, source, frame, picture)

    def _restarted(
        self,
        report: VmReport,
        row: HostRow,
        before: Heard | None,
        life: Life,
        index: int,
        frame: BatchFrame,
        picture: Picture,
    ) -> list[Finding]:
        """Take a new incarnation, or one on another server: what was before has ended without a word, or with one."""
        vm, at_ms, view = report.vm, frame.batch.at_ms[index], picture.vms[report.vm]
        moved = row.server != life.server
        old = self.state.hosts.get(life.server) if moved else before
        rebooted = not moved and before is not None and before.boot_id != row.boot_id
        sign = MOVED if moved else REBOOTED if rebooted else RESTARTED
        interval = self.state.open.get(vm)
        if interval is not None:
            interval.by_word = False
            interval.add(sign)
            return []
        note = frame.evidence(index, f"incarnation {report.incarnation} on {row.server}, boot {row.boot_id}")
        source = source_name(row, picture.cluster)
        if not life.ready:
            return []
        quiet = old is None or at_ms - old.at_ms <= self._limit_ms(old.interval_s)
        start_ms = at_ms if old is None or (moved and quiet) else old.at_ms
        evidence = (note,) if old is None else (old.evidence(f"last report of {life.server} before"), note)
        word = last_word(view, life.incarnation, life.ready_ms, at_ms)
        said = word or reboot_ms(picture, life.server, start_ms, at_ms)
        if said is not None:
            start_ms, evidence = said[0], (*evidence, replace(said[1], note="told then"))
        return begin(self.state, vm, life, start_ms, sign, evidence, source, frame, picture)

    def _word(self, event: GuestEvent, index: int, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Take what a guest agent says of its VM."""
        at_ms, vm = frame.batch.at_ms[index], event.vm
        view = picture.vms.get(vm)
        if view is None:
            return []
        life = self.state.lives.get(vm)
        interval = self.state.open.get(vm)
        if event.kind == GuestKind.START_FAILED:
            if life is None:
                life = self.state.lives[vm] = Life(event.server, event.incarnation, at_ms)
            if event.incarnation < life.incarnation or life.ready_ms > at_ms:
                return []
            start = start_of(view, event.incarnation)
            if interval is not None:
                interval.add(FAILED)
                return []
            note = frame.evidence(index, f"START_FAILED {event.step} {event.error_code}".rstrip())
            evidence = (note,) if start is None else (replace(start.evidence, note="its start"), note)
            since_ms = at_ms if start is None else min(start.at_ms, at_ms)
            return begin(self.state, vm, life, since_ms, FAILED, evidence, event.event_id, frame, picture)
        if life is None or life.incarnation != event.incarnation:
            return []
        if event.kind in STOPPING_WORDS and life.ready and at_ms > life.ready_ms:
            if interval is not None:
                interval.stops()
                return []
            note = frame.evidence(index, f"{event.kind} {event.initiator} {event.reason}".rstrip())
            found = begin(self.state, vm, life, at_ms, STOPPED, (note,), event.event_id, frame, picture)
            self.state.open[vm].by_word = True
            return found
        if event.kind == GuestKind.READY and interval is not None and interval.by_word and at_ms > interval.start_ms:
            life.ready_ms = max(life.ready_ms, at_ms)
            return finish(self.state, vm, at_ms, frame.evidence(index, "READY, in the same incarnation"), frame)
        return []

    def _spoke(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Close what was assumed of VMs of silent servers whose guest agents speak after all."""
        found: list[Finding] = []
        for index, row in enumerate(frame.batch.rows):
            interval = self.state.open.get(row.vm) if isinstance(row, GuestEvent) else None
            if interval is None or not isinstance(row, GuestEvent) or interval.signs != [LOST]:
                continue
            heard, view = self.state.hosts.get(interval.server), picture.vms[row.vm]
            if heard is not None and guests_speak(view, heard.at_ms, heard.interval_s):
                note = frame.evidence(index, "its guest agent speaks")
                found += finish(self.state, row.vm, frame.batch.at_ms[index], note, frame, assumed=True)
        return found

    def _timed_out(self, frame: FindingFrame, picture: Picture) -> list[Finding]:
        """Take a start that made no contact in time."""
        finding, vm = frame.finding, frame.finding.subject.vm or ""
        life = self.state.lives.get(vm)
        if finding.state != FindingState.OPEN or life is None or finding.facts.get("kind") == "silent":
            return []
        incarnation = int(finding.facts["incarnation"])
        interval = self.state.open.get(vm)
        if interval is not None:
            interval.add(TIMED_OUT)
            return []
        if life.incarnation < incarnation or life.ready or vm not in picture.vms:
            return []
        start = start_of(picture.vms[vm], incarnation)
        since_ms = life.since_ms if start is None else start.at_ms
        return begin(self.state, vm, life, since_ms, TIMED_OUT, finding.evidence[:2], finding.id, frame, picture)

    # -- what is not heard ---------------------------------------------------------------------------------------

    def _due(self, key: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        if key.startswith("reboot"):
            return self._reboot(key.partition(_CUT)[2], frame, picture)
        heard = self.state.hosts.get(key)
        if heard is None or key in self.state.lost:
            return []
        limit_ms = self._limit_ms(heard.interval_s)
        passed_ms = heard.at_ms + limit_ms
        if passed_ms <= frame.due_ms:
            passed_ms = picture.limit_passed_ms(self.feeds, heard.at_ms, limit_ms, known_ms=frame.due_ms)
        if passed_ms > frame.due_ms:
            look_ms = max(frame.due_ms + limit_ms, again_ms(heard.at_ms, frame.due_ms))
            self.state.deadlines.set(key, max(frame.due_ms + 1, min(passed_ms, look_ms)))
            return []
        note = f"last report of {key}; not heard for {limit_ms / 1000:g} s of observed time"
        return self._lost(key, heard, heard.at_ms, (heard.evidence(note),), frame, picture)

    def _reboot(self, server: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Take a reboot that was told, once everything up to then is known: unless the server is heard after it."""
        heard = self.state.hosts.get(server)
        said = None if heard is None else reboot_ms(picture, server, heard.at_ms - 1, frame.due_ms)
        if heard is None or server in self.state.lost or said is None:
            return []
        start_ms, evidence = said
        notes = (heard.evidence(f"last report of {server}"), replace(evidence, note="NODE_REBOOT_STARTED"))
        return self._lost(server, heard, start_ms, notes, frame, picture)

    def _lost(
        self, server: str, heard: Heard, start_ms: int, evidence: tuple[Evidence, ...], frame: Frame, picture: Picture
    ) -> list[Finding]:
        """Begin intervals of the VMs of a server that is down, or not heard."""
        self.state.lost[server] = heard.at_ms
        found: list[Finding] = []
        for vm in picture.servers[server].vms if server in picture.servers else ():
            life, view = self.state.lives.get(vm), picture.vms.get(vm)
            if life is None or view is None or life.server != server or not life.ready:
                continue
            if vm in self.state.open:
                self.state.open[vm].add(LOST)
            elif not guests_speak(view, heard.at_ms, heard.interval_s):
                found += begin(self.state, vm, life, start_ms, LOST, evidence, heard.source(server), frame, picture)
        return found

    def _ran_on(self, server: str, at_ms: int, evidence: Evidence, frame: Frame, picture: Picture) -> list[Finding]:
        """Close what was assumed of VMs whose server is heard again and says that they are as before."""
        found: list[Finding] = []
        for vm, incarnation in picture.servers[server].vms.items():
            interval = self.state.open.get(vm)
            if interval is not None and interval.incarnation == incarnation and interval.away:
                found += finish(self.state, vm, at_ms, evidence, frame, assumed=interval.signs == [LOST])
        return found

    # -- what is gone --------------------------------------------------------------------------------------------

    def _deallocated(self, vm: str, at_ms: int, evidence: Evidence, frame: Frame) -> list[Finding]:
        life = self.state.lives.get(vm)
        if life is None or life.since_ms > at_ms:
            return []
        life.ready = False
        return finish(self.state, vm, at_ms, evidence, frame, reason="it was deallocated")

    def _inventory(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        if not any(isinstance(row, Removed) for row in frame.batch.rows):
            return []
        found: list[Finding] = []
        state, removed = self.state, picture.news.removed_servers
        for server in removed:
            state.hosts.pop(server, None)
            state.lost.pop(server, None)
            state.deadlines.drop(server)
        for vm in [vm for vm, life in state.lives.items() if vm not in picture.vms or life.server in removed]:
            evidence = Evidence(frame.partition, frame.offset, at_ms=frame.at_ms, note="removed from the inventory")
            found += finish(self.state, vm, frame.at_ms, evidence, frame, reason="removed")
            del state.lives[vm]
        return found
