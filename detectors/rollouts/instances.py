"""The instances of each service: who is in service, who is READY, told in order of stamp whatever lanes bring when."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from detectors.contract import State
from detectors.frames import BatchFrame
from detectors.picture import Picture, VmView
from schemas.inventory import Removed, Vm
from schemas.source import GaState, GuestKind, MaintenanceKind

MARKS_MOST = 1_000_000
"""Marks kept until every lane has passed them: a cluster of 20,000 VMs that all start anew leaves some 60,000."""
UP, DOWN, OFF, FRESH = 3, 2, 1, 0
"""READY; not READY; deallocated by choice: no instance until it starts again; created: none until it is first READY.
Of one stamp the greatest counts."""
_DOWN_WORDS = (
    GuestKind.START,
    GuestKind.START_FAILED,
    GuestKind.BUSY,
    GuestKind.STOPPING,
    GuestKind.STOPPED,
    GuestKind.RECYCLED,
    GuestKind.SHUTDOWN,
)
_ON_PURPOSE = ("deploy", "scale-out")
"""Reasons of a VM_CREATED that adds an instance; others put one back."""


@dataclass(slots=True)
class Instance:
    """A VM of a service, as told up to the marks that were taken."""

    service: str
    domain: int
    incarnation: int = -1
    state: int = UP
    """Nothing told of it says that it is out: what is unknown opens nothing."""


@dataclass(slots=True)
class ServiceCount:
    """The instances of one service."""

    all: int = 0
    """In service: all but OFF and FRESH."""
    domains: dict[int, int] = field(default_factory=dict)
    """Of them, by update domain."""
    missing: dict[str, int] = field(default_factory=dict)
    """VMs in service that are not READY, with the stamp since when."""
    deep_ms: int | None = None
    """Since when more are missing than its largest update domain has; None: they are not."""
    two_ms: int | None = None
    """Since when two or more are missing; None: they are not."""

    @property
    def largest(self) -> int:
        """Return how many instances its largest update domain has: what one step of an update takes out."""
        return max(self.domains.values(), default=0)

    @property
    def ready(self) -> int:
        """Return how many are READY, as far as anything is known."""
        return self.all - len(self.missing)

    @property
    def deep(self) -> bool:
        """Tell whether READY < all less those of the largest update domain."""
        return len(self.missing) > self.largest

    def note(self, at_ms: int, least: int) -> None:
        """Take the time of what has begun or ended with the marks of `at_ms`; `least`: missing ones that count."""
        self.deep_ms = (self.deep_ms if self.deep_ms is not None else at_ms) if self.deep else None
        many = len(self.missing) >= least
        self.two_ms = (self.two_ms if self.two_ms is not None else at_ms) if many else None


Mark = tuple[int, int, str, int]
"""(at_ms, UP, DOWN, OFF or FRESH, vm, incarnation); the incarnation -1 stands for the present one."""


@dataclass(slots=True)
class Roll(State):
    """Every instance, every service, and what was told and not taken yet."""

    instances: dict[str, Instance] = field(default_factory=dict)
    services: dict[str, ServiceCount] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    """A heap."""
    silent: dict[str, int] = field(default_factory=dict)
    """Servers that are silent, as `host_silence` says, with the stamp since when."""

    def mark(self, at_ms: int, state: int, vm: str, incarnation: int) -> None:
        """Note what was told of a VM of a service."""
        if vm in self.instances and len(self.marks) < MARKS_MOST:
            heapq.heappush(self.marks, (at_ms, state, vm, incarnation))

    def take(self, until_ms: int, least: int) -> dict[str, None]:
        """Apply what is stamped up to `until_ms`, in order of stamp; return the services that it touched."""
        touched: dict[str, None] = {}
        now: dict[str, None] = {}
        while self.marks and self.marks[0][0] <= until_ms:
            at_ms, state, vm, incarnation = heapq.heappop(self.marks)
            service = self._apply(at_ms, state, vm, incarnation)
            if service is not None:
                now[service] = None
            if now and (not self.marks or self.marks[0][0] != at_ms):
                for name in now:
                    self.services[name].note(at_ms, least)
                touched.update(now)
                now = {}
        return touched

    def _apply(self, at_ms: int, state: int, vm: str, incarnation: int) -> str | None:
        known = self.instances.get(vm)
        if known is None or (0 <= incarnation < known.incarnation):
            return None
        newer, untold = incarnation > known.incarnation, known.incarnation < 0
        known.incarnation = max(known.incarnation, incarnation)
        if state == known.state or (state == DOWN and (known.state == FRESH or (known.state == OFF and not newer))):
            return None
        if state == FRESH and known.state == UP and not untold:
            # It has run already: its creation is told late.
            return None
        self._count(vm, known, -1, at_ms)
        known.state = state
        self._count(vm, known, 1, at_ms)
        return known.service

    def _count(self, vm: str, known: Instance, by: int, at_ms: int) -> None:
        """Add an instance to its service's counts, or take it out."""
        if known.state in (OFF, FRESH):
            return
        count = self.services.setdefault(known.service, ServiceCount())
        count.all += by
        count.domains[known.domain] = count.domains.get(known.domain, 0) + by
        if not count.domains[known.domain]:
            del count.domains[known.domain]
        if known.state == DOWN and by > 0:
            count.missing[vm] = at_ms
        else:
            count.missing.pop(vm, None)

    # -- what frames tell ----------------------------------------------------------------------------------------

    def listen(self, frame: BatchFrame, picture: Picture) -> None:
        """Note all that a frame tells of starts, of readiness and of leaving."""
        news = picture.news
        for vm, start in news.starts:
            starts = picture.vms[vm].starts if vm in picture.vms else []
            # First sight of a VM is no start of it; nor is that of an older incarnation, but then the next one is.
            place = next((n for n, known in enumerate(starts) if known is start), 0)
            again = start if place else next(iter(starts[1:]), None)
            if again is not None:
                self.mark(again.at_ms, DOWN, vm, again.incarnation)
        for _, vm, start in news.turns:
            at_ms, ga = start.turns[-1]
            if ga != GaState.UNKNOWN:
                self.mark(at_ms, UP if ga == GaState.READY else DOWN, vm, start.incarnation)
        for vm, start in news.ended:
            if start.ended_ms is not None:
                self.mark(start.ended_ms, DOWN, vm, start.incarnation)
        for index, event in news.guests:
            if event.kind == GuestKind.READY:
                self.mark(frame.batch.at_ms[index], UP, event.vm, event.incarnation)
            elif event.kind in _DOWN_WORDS:
                self.mark(frame.batch.at_ms[index], DOWN, event.vm, event.incarnation)
        self._announced(frame, picture)

    def _announced(self, frame: BatchFrame, picture: Picture) -> None:
        """Note what maintenance systems tell of instances."""
        for index, told in picture.news.maintenance:
            at_ms = frame.batch.at_ms[index]
            if told.kind == MaintenanceKind.VM_DEALLOCATED and told.vm is not None:
                self.mark(at_ms, OFF, told.vm, -1)
            elif told.kind == MaintenanceKind.VM_CREATED and told.vm is not None and told.reason in _ON_PURPOSE:
                self.mark(at_ms, FRESH, told.vm, -1)
            elif told.kind == MaintenanceKind.NODE_REBOOT_STARTED and told.server and told.planned is False:
                self.server_lost(told.server, at_ms, picture)
            elif told.kind == MaintenanceKind.NODE_REBOOT_COMPLETED and told.server:
                self.server_back(told.server, at_ms, picture)

    def server_lost(self, server: str, at_ms: int, picture: Picture) -> None:
        """Note that what ran on a server when it was heard last is out."""
        view = picture.servers.get(server)
        for vm in view.vms if view is not None else ():
            self.mark(at_ms, DOWN, vm, -1)

    def server_back(self, server: str, at_ms: int, picture: Picture) -> None:
        """Note that what ran through on a server that is heard again was there all the time."""
        view = picture.servers.get(server)
        for vm, incarnation in view.vms.items() if view is not None else ():
            known = picture.vms.get(vm)
            start = known.start if known is not None else None
            if start is not None and start.incarnation == incarnation and start.ended_ms is None:
                before = [ga for turned_ms, ga in start.turns if turned_ms < at_ms]
                if before and before[-1] == GaState.READY:
                    self.mark(at_ms, UP, vm, incarnation)

    # -- the inventory -------------------------------------------------------------------------------------------

    def enrol(self, frame: BatchFrame, picture: Picture) -> list[int]:
        """Take in what the inventory names of VMs; return the rows that named any."""
        rows: list[int] = []
        for index, row in enumerate(frame.batch.rows):
            if isinstance(row, Vm) and row.service and row.vm in picture.vms:
                rows.append(index)
                self._enrol(row, picture.vms[row.vm], frame.batch.at_ms[index])
            elif (isinstance(row, Removed) and row.kind == "vm" and row.id in self.instances) or (
                isinstance(row, Vm) and row.vm in self.instances
            ):
                rows.append(index)
                name = row.id if isinstance(row, Removed) else row.vm
                self._count(name, self.instances.pop(name), -1, 0)
        for name in [name for name, count in self.services.items() if not count.all and not count.missing]:
            if not any(known.service == name for known in self.instances.values()):
                del self.services[name]
        return rows

    def _enrol(self, row: Vm, view: VmView, at_ms: int) -> None:
        known = self.instances.get(row.vm)
        if known is not None:
            if (known.service, known.domain) != (row.service, row.update_domain):
                since_ms = self.services[known.service].missing.get(row.vm, at_ms) if known.state == DOWN else at_ms
                self._count(row.vm, known, -1, since_ms)
                known.service, known.domain = row.service, row.update_domain
                self._count(row.vm, known, 1, since_ms)
            return
        known = self.instances[row.vm] = Instance(row.service, row.update_domain)
        self._count(row.vm, known, 1, at_ms)
        start = view.start
        if start is not None and start.turns and start.turns[-1][1] not in (GaState.READY, GaState.UNKNOWN):
            # It was heard before the inventory named it.
            self.mark(start.turns[-1][0], DOWN, row.vm, start.incarnation)
