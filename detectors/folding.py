"""Folds what host agents and guest agents say into what is remembered of a cluster.

Every fold is a least, a greatest or a union by stamp, so that lanes may interleave in any order that keeps each lane's
own. Every map has a bound.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import replace

from detectors.announcements import Announcements
from detectors.frames import BatchFrame, source_name
from detectors.lanes import Interval, add_interval
from detectors.upkeep import CHANGES_KEPT, CHANGES_MEMORY_MS, Change
from detectors.views import (
    BLIND_AFTER_INTERVALS,
    CONTACT_GA,
    CONTACT_KINDS,
    INTERVALS_KEPT,
    MISSING_KEPT,
    SPOKEN_BUCKET_MS,
    SPOKEN_KEPT_MS,
    STARTS_KEPT,
    TURNS_KEPT,
    WORDS_KEPT,
    News,
    Quiet,
    ServerView,
    Start,
    VmView,
    Word,
    signature_of,
)
from schemas.columns import unpack_vms
from schemas.inventory import InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.outputs import Evidence
from schemas.source import GaState, GuestEvent, GuestKind, MaintenanceEvent, VmReport
from schemas.telemetry import HostRow


class Folding(Announcements):
    """The folds of reports; `fold` takes a whole batch, whatever is in it."""

    def fold(self, frame: BatchFrame) -> News:
        """Take a batch of this cluster (or of `*`) into the picture; return what is new in it."""
        self.news = News()
        batch = frame.batch
        feed = batch.feed.partition("@")[0]
        if feed != batch.feed and batch.at_ms:
            self.state.sources[batch.feed] = max(self.state.sources.get(batch.feed, 0), *batch.at_ms)
        for index, row in enumerate(batch.rows):
            at_ms = batch.at_ms[index]
            if isinstance(row, HostRow):
                self._host(frame, index, at_ms, row)
            elif isinstance(row, GuestEvent):
                self._guest(frame, index, at_ms, row)
            elif isinstance(row, MaintenanceEvent):
                self._maintenance(frame, index, at_ms, row)
            elif isinstance(row, (Server, Vm, Service, Subscription, Region, InventoryComplete, Removed)):
                self._inventory(row)
        return self.news

    def _guest_spoke(self, at_ms: int) -> None:
        state = self.state
        bucket = at_ms // SPOKEN_BUCKET_MS
        if state.guest_spoke.get(bucket, 0) < at_ms:
            state.guest_spoke[bucket] = at_ms
            if len(state.guest_spoke) > SPOKEN_KEPT_MS // SPOKEN_BUCKET_MS:
                del state.guest_spoke[min(state.guest_spoke)]
        state.guest_ms = max(state.guest_ms, at_ms)

    def _host_feed_heard(self, at_ms: int, row: HostRow) -> None:
        """Take the stamp of a host report of the cluster: it ends a stretch without any."""
        state = self.state
        since_ms, longest_s = state.host_report_ms, state.longest_interval_s
        if at_ms > since_ms:
            if since_ms and at_ms - since_ms > BLIND_AFTER_INTERVALS * longest_s * 1000:
                quiet = Quiet(since_ms, at_ms, longest_s, source=self._last_report_source())
                state.quiets = [*state.quiets, quiet][-INTERVALS_KEPT:]
            state.host_report_ms, state.host_report_server = at_ms, row.server
        elif state.quiets and at_ms > state.quiets[0].from_ms:
            self._split_quiet(at_ms, source_name(row, self.state.cluster))
        state.longest_interval_s = max(longest_s, row.interval_s)

    def _split_quiet(self, at_ms: int, source: str) -> None:
        """Take a report that came late, by another lane, out of a stretch that was thought to hold none."""
        for place, quiet in enumerate(self.state.quiets):
            if quiet.from_ms < at_ms < quiet.until_ms:
                parts = [replace(quiet, until_ms=at_ms), replace(quiet, from_ms=at_ms, source=source)]
                self.state.quiets[place : place + 1] = [
                    part for part in parts if part.until_ms - part.from_ms > part.least_ms
                ]
                return

    def _last_report_source(self) -> str:
        server = self.state.servers.get(self.state.host_report_server)
        return server.heard_source if server is not None else ""

    def _host(self, frame: BatchFrame, index: int, at_ms: int, row: HostRow) -> None:
        server = self._server(row.server)
        if server is None or self._told_before(server, row):
            return
        self._host_feed_heard(at_ms, row)
        self.news.heard.append(row.server)
        server.first_heard_ms = min(server.first_heard_ms or at_ms, at_ms)
        newest = at_ms >= server.heard_ms
        if newest:
            if server.heard_ms and at_ms - server.heard_ms > server.silent_after_ms:
                server.silences = add_interval(server.silences, (server.heard_ms, at_ms))[-INTERVALS_KEPT:]
                self.news.back.append(row.server)
            self._seq(server, row)
            if row.seq > server.seq or row.run != server.run or row.boot_id != server.boot_id:
                server.seq = row.seq
            server.boot_id, server.run = row.boot_id, row.run
            server.heard_ms = at_ms
            server.heard_evidence = frame.evidence(index)
            server.heard_source = f"{row.server}/{row.boot_id}/{row.run}/{row.seq}"
            server.interval_s = row.interval_s
            server.state = row.state
        else:
            if (row.run, row.boot_id) == (server.run, server.boot_id):
                self._seq(server, row)
            server.silences = _split(server.silences, at_ms, server.silent_after_ms)
        if row.versions:
            self._versions(frame, index, row, server)
        if row.vms_block is not None:
            self._full(frame, index, at_ms, row, server, newest)
        elif server.full != (row.boot_id, row.run, row.full_seq):
            if server.unsure_since_ms is None:
                server.unsure_since_ms = at_ms
        elif server.unsure_since_ms is not None:
            self._sure(server, at_ms)

    @staticmethod
    def _told_before(server: ServerView, row: HostRow) -> bool:
        """Tell whether this is a sender's own double: sent again, late perhaps, it is no sign of life."""
        same_run = (row.run, row.boot_id) == (server.run, server.boot_id)
        return same_run and row.seq <= server.seq and row.seq not in server.missing

    def _seq(self, server: ServerView, row: HostRow) -> None:
        """Count the seqs never seen; one that comes after all is taken out again."""
        if row.run != server.run or row.boot_id != server.boot_id:
            server.lost, server.missing = 0, []
        elif row.seq > server.seq + 1:
            server.lost += row.seq - server.seq - 1
            newest = range(max(server.seq + 1, row.seq - MISSING_KEPT), row.seq)
            server.missing = [*server.missing, *newest][-MISSING_KEPT:]
            self.news.lost.append(server.server)
        elif row.seq in server.missing:
            server.missing.remove(row.seq)
            server.lost -= 1
            self.news.lost.append(server.server)

    def _sure(self, server: ServerView, at_ms: int) -> None:
        if server.unsure_since_ms is not None:
            server.unsure = add_interval(server.unsure, (server.unsure_since_ms, at_ms))[-INTERVALS_KEPT:]
            server.unsure_since_ms = None

    def _versions(self, frame: BatchFrame, index: int, row: HostRow, server: ServerView) -> None:
        at_ms = frame.batch.at_ms[index]
        for component, version in (row.versions or {}).items():
            before = server.versions.get(component)
            if before == version:
                continue
            server.versions[component] = version
            self.news.versions = True
            if before is not None:
                source = source_name(row, self.state.cluster)
                change = Change(at_ms, component, before, version, frame.evidence(index), source)
                server.changes.append(change)
                self.news.changes.append((server.server, change))
                oldest = at_ms - CHANGES_MEMORY_MS
                server.changes = [known for known in server.changes if known.at_ms >= oldest][-CHANGES_KEPT:]

    def _full(self, frame: BatchFrame, index: int, at_ms: int, row: HostRow, server: ServerView, newest: bool) -> None:
        server.first_full_ms = min(server.first_full_ms or at_ms, at_ms)
        if not newest:
            return
        server.full = (row.boot_id, row.run, row.seq)
        self._sure(server, at_ms)
        block = row.vms_block or b""
        if block == server.vms_block:
            return
        self.news.told.append(index)
        server.vms_block = block
        before = server.vms
        server.vms = {}
        for report in unpack_vms(block):
            server.vms[report.vm] = report.incarnation
            self._vm_report(frame, index, at_ms, row, report)
        for name, incarnation in before.items():
            if name not in server.vms:
                self._gone(name, row.server, incarnation, at_ms)

    def _vm_report(self, frame: BatchFrame, index: int, at_ms: int, row: HostRow, report: VmReport) -> None:
        vm = self._vm(report.vm, row.server)
        if vm is None:
            return
        start = self._started(
            vm, report.incarnation, row.server, at_ms, source_name(row, self.state.cluster), frame.evidence(index)
        )
        if start is None:
            return
        # Of an older incarnation too: the guest's own lane may have told of the next one already.
        start.clean = report.clean
        start.ga_version = report.ga_version or start.ga_version
        if not start.turns or start.turns[-1][1] != report.ga:
            self._turn(index, at_ms, vm, start, report.ga)
        if report.ga in CONTACT_GA:
            self._contact(vm, start, at_ms)
        if start is not vm.start:
            return
        vm.server = row.server
        vm.clean = report.clean
        vm.ga_version = report.ga_version or vm.ga_version
        if report.ga != vm.ga:
            self.news.ga_changes.append((vm.vm, vm.ga))
            vm.ga, vm.ga_from_ms = report.ga, at_ms
            vm.ga_evidence, vm.ga_source = frame.evidence(index), source_name(row, self.state.cluster)
        if report.network != vm.network:
            self.news.network_changes.append((vm.vm, vm.network))
            vm.network, vm.network_from_ms = report.network, at_ms

    def _turn(self, index: int, at_ms: int, vm: VmView, start: Start, ga: str) -> None:
        """Note that its host agent calls a guest agent something else now."""
        start.turns.append((at_ms, ga))
        del start.turns[:-TURNS_KEPT]
        self.news.turns.append((index, vm.vm, start))
        if ga == GaState.READY:
            start.ready_ms = min(at_ms, at_ms if start.ready_ms is None else start.ready_ms)

    def _started(
        self, vm: VmView, incarnation: int, server: str, at_ms: int, source: str, evidence: Evidence
    ) -> Start | None:
        """Return the VM's start of this incarnation, moved to the least stamp; None: older than what is kept."""
        for start in reversed(vm.starts):
            if start.incarnation == incarnation:
                if at_ms < start.at_ms:
                    start.at_ms, start.source, start.evidence = at_ms, source, evidence
                    self._end_before(vm, start)
                return start
        if vm.starts and incarnation < vm.starts[0].incarnation:
            return None
        start = Start(incarnation, server, at_ms, source, evidence)
        at = len(vm.starts)
        while at and vm.starts[at - 1].incarnation > incarnation:
            at -= 1
        vm.starts.insert(at, start)
        self._end_before(vm, start)
        if at + 1 < len(vm.starts):
            later = vm.starts[at + 1]
            self._end(vm, start, later.at_ms, replaced=True)
        else:
            vm.server = server
        del vm.starts[:-STARTS_KEPT]
        self.news.starts.append((vm.vm, start))
        return start

    def _end_before(self, vm: VmView, start: Start) -> None:
        for earlier in vm.starts:
            if earlier.incarnation < start.incarnation:
                self._end(vm, earlier, start.at_ms, replaced=True)

    def _gone(self, name: str, server: str, incarnation: int, at_ms: int) -> None:
        """End an incarnation that its server no longer names."""
        vm = self.state.vms.get(name)
        if vm is None:
            return
        for start in vm.starts:
            if start.incarnation == incarnation and start.server == server:
                self._end(vm, start, at_ms, replaced=False)

    def _contact(self, vm: VmView, start: Start, at_ms: int) -> None:
        if start.contact_ms is None:
            self.news.contacts.append((vm.vm, start))
        if start.contact_ms is None or at_ms < start.contact_ms:
            start.contact_ms = at_ms

    def _guest(self, frame: BatchFrame, index: int, at_ms: int, event: GuestEvent) -> None:
        self._guest_spoke(at_ms)
        if event.kind != GuestKind.HEARTBEAT and self._double(event.event_id, at_ms):
            return
        vm = self._vm(event.vm, event.server)
        if vm is None:
            return
        vm.guest_ms = max(vm.guest_ms, at_ms)
        if event.kind != GuestKind.HEARTBEAT:
            self.news.guests.append((index, event))
            self._word(vm, at_ms, event, frame.evidence(index))
        start = self._started(
            vm, event.incarnation, event.server, at_ms, source_name(event, self.state.cluster), frame.evidence(index)
        )
        if event.kind == GuestKind.START_FAILED:
            self.news.failures.append((index, event))
            if start is not None and (start.failed_ms is None or at_ms < start.failed_ms):
                start.failed_ms, start.signature = at_ms, signature_of(event)
        if start is None:
            return
        start.ga_version = event.ga_version or start.ga_version
        if start is vm.start:
            vm.ga_version = event.ga_version or vm.ga_version
        if event.kind == GuestKind.READY:
            start.ready_ms = min(at_ms, at_ms if start.ready_ms is None else start.ready_ms)
        if event.kind in CONTACT_KINDS:
            self._contact(vm, start, at_ms)

    @staticmethod
    def _word(vm: VmView, at_ms: int, event: GuestEvent, evidence: Evidence) -> None:
        word = Word(at_ms, event.kind, event.incarnation, event.event_id, evidence, event.reason, event.initiator)
        if event.kind == GuestKind.START_FAILED:
            word.signature = signature_of(event)
        insort(vm.words, word, key=lambda known: known.at_ms)
        del vm.words[:-WORDS_KEPT]


def _split(silences: list[Interval], at_ms: int, silent_after_ms: int) -> list[Interval]:
    """Return the silences given that a report stamped `at_ms` came late by another lane."""
    split: list[Interval] = []
    for start, end in silences:
        if start < at_ms < end:
            split.extend(part for part in ((start, at_ms), (at_ms, end)) if part[1] - part[0] > silent_after_ms)
        else:
            split.append((start, end))
    return split
