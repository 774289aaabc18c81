"""Which clean VMs fail to start, how often in a row so far, and when each would time out next if it goes on so.

A small map: only VMs that are failing are in it, by their server, so that its cost follows what fails and not the size
of the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.picture import VMS_MOST, Picture, Start
from schemas.outputs import Evidence, Finding
from schemas.source import GuestEvent

CHAINS_KEPT = 256
"""Failing VMs kept of one server; a server holds about twenty, and one of them is enough to put it into HI."""
NEAR_MS = 5_000
"""A start that is replaced this near its limit has timed out: the host agent acts at it (CATALOGUE, guest_timeout)."""


@dataclass(slots=True)
class Chain:
    """A VM that fails to start on one server."""

    vm: str
    server: str
    in_a_row: int
    """Time-outs in a row so far."""
    next_ms: int
    """When the start that is under way times out."""
    failing_ms: int
    """Since when it is known to fail: its first time-out, or a START_FAILED before it."""
    source: str
    """What said so first: the id of a `guest_timeout` finding, or an event_id."""
    clean: bool
    """No customer code has run in it; until a host report says so it is not counted."""
    evidence: Evidence | None = None
    stalled: bool = False
    """Its time-out is overdue and nobody has said why: when it comes cannot be told."""

    def out_ms(self, limit_ms: int, in_a_row: int) -> int:
        """Return when it puts its server into HI: by its `in_a_row`-th time-out, one every `limit_ms`."""
        return self.next_ms + (max(self.in_a_row, in_a_row) - 1 - self.in_a_row) * limit_ms


@dataclass(slots=True)
class Chains:
    """The failing VMs of one cluster, by server, then by name."""

    servers: dict[str, dict[str, Chain]] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    """VM to the server under which it is kept."""

    def get(self, vm: str) -> Chain | None:
        """Return the chain of a VM, None where it does not fail."""
        home = self.homes.get(vm)
        return None if home is None else self.servers[home][vm]

    def of(self, server: str) -> list[Chain]:
        """Return the failing VMs of a server."""
        return list(self.servers.get(server, {}).values())

    def drop(self, vm: str) -> None:
        """Forget a VM that fails no longer."""
        home = self.homes.pop(vm, None)
        if home is not None:
            del self.servers[home][vm]
            if not self.servers[home]:
                del self.servers[home]

    def drop_server(self, server: str) -> None:
        """Forget all VMs of a server."""
        for vm in list(self.servers.get(server, ())):
            self.drop(vm)

    def timed_out(self, timeout: Finding, picture: Picture, limit_ms: int) -> Chain | None:
        """Take a time-out that counts towards HI; return the chain as it stands, None where it cannot be kept."""
        vm, server = timeout.subject.vm or "", timeout.subject.server or ""
        count, at_ms = int(timeout.numbers.get("in_a_row", 1)), timeout.opened_ms
        start = _start(picture, vm)
        if start is not None and (start.contact_ms is not None or start.server != server or _left(start)):
            # Judged late: it is over.
            self.drop(vm)
            return None
        chain = self.get(vm)
        if chain is None or chain.server != server:
            self.drop(vm)
            cited = timeout.evidence[0] if timeout.evidence else None
            chain = self._add(Chain(vm, server, count, at_ms + limit_ms, at_ms, timeout.id, clean=True, evidence=cited))
            if chain is None:
                return None
        # What the chain expected: its next time-out, or the one before it where a start has told of that already.
        expected_ms = chain.next_ms if chain.in_a_row < count else chain.next_ms - limit_ms
        since_ms = _agreed(expected_ms, at_ms)
        if start is not None and start.at_ms > at_ms + NEAR_MS:
            # Restarted well after its limit: the next counts from there.
            since_ms = start.at_ms
        chain.in_a_row, chain.next_ms, chain.clean, chain.stalled = count, since_ms + limit_ms, True, False
        return chain

    def failed(
        self, event: GuestEvent, at_ms: int, evidence: Evidence, picture: Picture, limit_ms: int
    ) -> Chain | None:
        """Take a START_FAILED; return the chain if the VM is failing by it and was not before."""
        start = _start(picture, event.vm)
        if start is None or start.incarnation != event.incarnation:
            return None
        if start.contact_ms is not None or _left(start):
            return None
        chain = self.get(event.vm)
        if chain is not None and chain.server == start.server:
            return None
        self.drop(event.vm)
        next_ms, source = start.at_ms + limit_ms, event.event_id
        return self._add(Chain(event.vm, start.server, 0, next_ms, at_ms, source, clean=start.clean, evidence=evidence))

    def started(self, vm: str, start: Start, limit_ms: int) -> None:
        """Take a new start: it goes on as the last one did, or elsewhere, or nothing is known of it yet."""
        chain = self.get(vm)
        if chain is None or start.at_ms < chain.next_ms - limit_ms - NEAR_MS:
            return
        if start.server != chain.server:
            self.drop(vm)
            return
        if abs(start.at_ms - chain.next_ms) <= NEAR_MS:
            # Replaced at its limit: that is a time-out, which guest_timeout is about to tell.
            chain.in_a_row += 1
        elif chain.in_a_row == 0:
            # Started anew before its limit: whether this start fails too is not known yet.
            self.drop(vm)
            return
        chain.next_ms = _agreed(chain.next_ms, start.at_ms) + limit_ms
        chain.stalled = False

    def made_contact(self, vm: str, start: Start, picture: Picture) -> None:
        """Take a first contact: the VM fails no longer, if it is the newest start that made it."""
        if start is _start(picture, vm):
            self.drop(vm)

    def ended(self, vm: str, start: Start, picture: Picture) -> None:
        """Take the end of the newest start: healed away or deallocated, the VM fails no longer where it was."""
        if _left(start) and start is _start(picture, vm):
            self.drop(vm)

    def confirm(self, server: str, picture: Picture) -> bool:
        """Tell whether VMs of a server are now known to be clean that were not."""
        confirmed = False
        for chain in self.of(server):
            start = _start(picture, chain.vm)
            if not chain.clean and start is not None and start.clean:
                chain.clean = confirmed = True
        return confirmed

    def _add(self, chain: Chain) -> Chain | None:
        if len(self.servers.get(chain.server, ())) >= CHAINS_KEPT or len(self.homes) >= VMS_MOST:
            return None
        self.servers.setdefault(chain.server, {})[chain.vm] = chain
        self.homes[chain.vm] = chain.server
        return chain


def _start(picture: Picture, vm: str) -> Start | None:
    view = picture.vms.get(vm)
    return None if view is None else view.start


def _agreed(expected_ms: int, told_ms: int) -> int:
    """Return the moment of a time-out of which two stamps tell: of near ones the earlier, for delays only add.

    The host agent acts at the limit and restarts the VM at once, but its reports may take their time; a forecast that
    added up their delays would be late by them.
    """
    return min(expected_ms, told_ms) if abs(told_ms - expected_ms) <= NEAR_MS else told_ms


def _left(start: Start) -> bool:
    """Tell whether a start ended by something else than the next one: healed away, deallocated, named no more."""
    return start.ended_ms is not None and not start.replaced
