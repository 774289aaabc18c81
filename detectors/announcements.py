"""Folds what maintenance systems and the inventory say into what is remembered of a cluster."""

from __future__ import annotations

from bisect import insort

from detectors.announced import VM_UPDATE_KINDS, WAVE_KINDS, fold_rollout, fold_wave
from detectors.frames import BatchFrame
from detectors.upkeep import (
    DEALLOCATED_KEPT,
    Deallocation,
    Redeploy,
    Upkeep,
    VmUpdate,
)
from detectors.views import (
    EVENTS_SEEN_MOST,
    EVENTS_SEEN_MS,
    INTERVALS_KEPT,
    SERVERS_MOST,
    STARTS_KEPT,
    VMS_MOST,
    ClusterState,
    News,
    ServerView,
    Start,
    VmView,
)
from schemas.inventory import InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.outputs import Evidence
from schemas.source import MaintenanceEvent, MaintenanceKind

_UPKEEP_STARTS: dict[str, str] = {
    MaintenanceKind.NODE_REBOOT_STARTED: "reboot",
    MaintenanceKind.SERVER_UPDATE_STARTED: "update",
    MaintenanceKind.COMPONENT_UPDATE_STARTED: "component",
}
_UPKEEP_ENDS: dict[str, str] = {
    MaintenanceKind.NODE_REBOOT_COMPLETED: "reboot",
    MaintenanceKind.SERVER_UPDATE_COMPLETED: "update",
    MaintenanceKind.SERVER_UPDATE_FAILED: "update",
    MaintenanceKind.COMPONENT_UPDATE_COMPLETED: "component",
}


class Announcements:
    """The folds of maintenance events and of the inventory, and what they share with those of the reports."""

    def __init__(self, state: ClusterState) -> None:
        self.state = state
        self.news = News()

    def _server(self, name: str) -> ServerView | None:
        server = self.state.servers.get(name)
        if server is None:
            if len(self.state.servers) >= SERVERS_MOST:
                self.state.dropped += 1
                return None
            server = self.state.servers[name] = ServerView(name)
            self.state.unknown_servers += 1
        return server

    def _vm(self, name: str, server: str) -> VmView | None:
        vm = self.state.vms.get(name)
        if vm is None:
            if len(self.state.vms) >= VMS_MOST:
                self.state.dropped += 1
                return None
            vm = self.state.vms[name] = VmView(name, server)
        return vm

    def _end(self, vm: VmView, start: Start, at_ms: int, *, replaced: bool) -> None:
        if start.ended_ms is None:
            self.news.ended.append((vm.vm, start))
        if start.ended_ms is None or at_ms < start.ended_ms:
            start.ended_ms = at_ms
        start.replaced = start.replaced or replaced

    def _double(self, event_id: str, at_ms: int) -> bool:
        """Tell whether this event was seen before, in the last 24 h."""
        seen = self.state.events_seen
        if event_id in seen:
            return True
        seen[event_id] = at_ms
        while len(seen) > EVENTS_SEEN_MOST or seen[next(iter(seen))] < at_ms - EVENTS_SEEN_MS:
            del seen[next(iter(seen))]
        return False

    def _maintenance(self, frame: BatchFrame, index: int, at_ms: int, event: MaintenanceEvent) -> None:
        if self._double(event.event_id, at_ms):
            return
        self.news.maintenance.append((index, event))
        kind = event.kind
        evidence = frame.evidence(index)
        if event.server is not None and kind in _UPKEEP_STARTS:
            self._upkeep_started(event, at_ms, evidence)
        elif event.server is not None and kind in _UPKEEP_ENDS:
            self._upkeep_ended(event, at_ms, evidence)
        elif kind == MaintenanceKind.SERVER_STATE and event.server is not None:
            server = self._server(event.server)
            if server is not None and at_ms >= server.fc_state_ms:
                server.fc_state, server.fc_state_ms = event.state or "", at_ms
                server.fc_evidence, server.fc_source = evidence, event.event_id
        elif kind == MaintenanceKind.VM_HEALED and event.vm is not None:
            self._healed(event, at_ms, evidence)
        elif kind == MaintenanceKind.VM_DEALLOCATED and event.vm is not None:
            self._deallocated(event, event.vm, at_ms, evidence)
        elif kind == MaintenanceKind.VM_REDEPLOYED and event.vm is not None:
            self._redeployed(event, event.vm, at_ms, evidence)
        elif kind in VM_UPDATE_KINDS and event.vm is not None:
            self._vm_update(event, event.vm, at_ms, evidence)
        elif kind in (MaintenanceKind.MANAGEMENT_DISABLED, MaintenanceKind.MANAGEMENT_RESTORED):
            disabled = kind == MaintenanceKind.MANAGEMENT_DISABLED
            self.state.management_disabled_ms = at_ms if disabled else None
        if event.rollout is not None:
            fold_rollout(self.state.rollouts, event, event.rollout, at_ms, evidence)
        if event.wave is not None and kind in WAVE_KINDS:
            fold_wave(self.state.waves, event, event.wave, at_ms, evidence)

    def _healed(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
        vm = self._vm(event.vm or "", event.from_server or "")
        if vm is None:
            return
        vm.healed.append((at_ms, event.from_server or "", event.to_server or "", evidence))
        vm.healed.sort(key=lambda healing: healing[0])
        del vm.healed[:-STARTS_KEPT]
        for start in vm.starts:
            if start.server == event.from_server and start.at_ms <= at_ms:
                self._end(vm, start, at_ms, replaced=False)

    def _upkeep_started(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
        server = self._server(event.server or "")
        if server is None:
            return
        what = _UPKEEP_STARTS[event.kind]
        planned = event.planned if event.planned is not None else what != "reboot"
        server.upkeep.append(
            Upkeep(
                what,
                at_ms,
                None,
                planned,
                evidence,
                event.rollout or "",
                event.reason or event.cause or "",
                event.impact or "",
                system=event.system,
                workflow=event.workflow or "",
                cause=event.cause or "",
                event_id=event.event_id,
                wave=event.wave or "",
            )
        )
        server.upkeep.sort(key=lambda upkeep: upkeep.from_ms)
        del server.upkeep[:-INTERVALS_KEPT]

    def _upkeep_ended(self, event: MaintenanceEvent, at_ms: int, evidence: Evidence) -> None:
        server = self._server(event.server or "")
        if server is None:
            return
        what = _UPKEEP_ENDS[event.kind]
        for upkeep in reversed(server.upkeep):
            if upkeep.what == what and upkeep.from_ms <= at_ms:
                upkeep.until_ms = at_ms if upkeep.until_ms is None else min(at_ms, upkeep.until_ms)
                upkeep.failed = upkeep.failed or event.kind == MaintenanceKind.SERVER_UPDATE_FAILED
                upkeep.workflow = upkeep.workflow or event.workflow or ""
                upkeep.cause = upkeep.cause or event.cause or ""
                return
        # Its start was never seen: what ended now explains nothing before it, but is remembered as having been.
        server.upkeep.append(Upkeep(what, at_ms, at_ms, bool(event.planned), evidence, event.rollout or ""))
        server.upkeep.sort(key=lambda upkeep: upkeep.from_ms)
        del server.upkeep[:-INTERVALS_KEPT]

    def _deallocated(self, event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence) -> None:
        vm = self.state.vms.get(name)
        if vm is not None and vm.start is not None and vm.start.at_ms <= at_ms:
            self._end(vm, vm.start, at_ms, replaced=False)
        where = event.server or (vm.server if vm is not None else "")
        server = self._server(where) if where else None
        if server is not None:
            known = Deallocation(at_ms, name, event.event_id, evidence)
            insort(server.deallocations, known, key=lambda one: one.at_ms)
            del server.deallocations[:-DEALLOCATED_KEPT]

    def _redeployed(self, event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence) -> None:
        vm = self._vm(name, event.to_server or "")
        if vm is None:
            return
        known = Redeploy(
            at_ms,
            event.to_server or "",
            event.result_code or "",
            event.message or "",
            event.event_id,
            evidence,
            event.wave or "",
        )
        insort(vm.redeploys, known, key=lambda one: one.at_ms)
        del vm.redeploys[:-STARTS_KEPT]

    def _vm_update(self, event: MaintenanceEvent, name: str, at_ms: int, evidence: Evidence) -> None:
        vm = self._vm(name, event.server or "")
        if vm is None:
            return
        if event.kind == MaintenanceKind.VM_UPDATE_STARTED:
            known = VmUpdate(event.rollout or "", event.system, at_ms, evidence, event.event_id, wave=event.wave or "")
            insort(vm.updates, known, key=lambda one: one.from_ms)
            del vm.updates[:-STARTS_KEPT]
            return
        for update in reversed(vm.updates):
            if update.rollout == (event.rollout or "") and update.from_ms <= at_ms:
                update.until_ms = at_ms if update.until_ms is None else min(at_ms, update.until_ms)
                if event.kind == MaintenanceKind.VM_UPDATE_FAILED:
                    update.failed, update.error_code = True, event.error_code or ""
                return

    def _inventory(self, row: Server | Vm | Service | Subscription | Region | InventoryComplete | Removed) -> None:
        self.news.inventory = True
        state = self.state
        if isinstance(row, Server):
            server = state.servers.get(row.server)
            if server is None:
                server = self._server(row.server)
                state.unknown_servers -= 1 if server is not None else 0
            elif server.inventory is None:
                state.unknown_servers -= 1
            if server is not None:
                server.inventory = row
        elif isinstance(row, Vm):
            vm = self._vm(row.vm, row.server)
            if vm is not None:
                vm.group, vm.update_domain, vm.service = row.group, row.update_domain, row.service
                vm.subscription, vm.known = row.subscription, True
        elif isinstance(row, Service):
            state.services[row.service] = row
        elif isinstance(row, Region):
            state.regions[row.region] = row
        elif isinstance(row, InventoryComplete):
            state.inventory_complete = True
        elif isinstance(row, Removed):
            self._removed(row)

    def _removed(self, row: Removed) -> None:
        if row.kind == "server" and self.state.servers.pop(row.id, None) is not None:
            self.news.removed_servers.append(row.id)
        elif row.kind == "vm":
            self.state.vms.pop(row.id, None)
        elif row.kind == "service":
            self.state.services.pop(row.id, None)
        elif row.kind == "region":
            self.state.regions.pop(row.id, None)
