"""The VMs of a cluster that report well and cannot be reached: who, where, since when."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from detectors.picture import CONTACT_GA, Picture, ServerView, VmView
from schemas.outputs import Evidence
from schemas.source import Network


@dataclass(slots=True)
class Loss:
    """One VM without network whose guest agent is READY or BUSY, by a host agent that reports."""

    vm: str
    server: str
    at_ms: int
    """Since when both hold: no network, and the guest agent in contact."""
    source: str
    """The report that showed it, in its source's own terms."""
    evidence: Evidence


@dataclass(slots=True)
class Losses:
    """All losses of a cluster that last; bounded by the VMs that the picture keeps."""

    by_vm: dict[str, Loss] = field(default_factory=dict)
    by_server: dict[str, dict[str, int]] = field(default_factory=dict)
    """Server to VM to `at_ms`."""
    order: list[tuple[int, str]] = field(default_factory=list)
    """(at_ms, vm) in order."""
    pending: dict[str, dict[str, int]] = field(default_factory=dict)
    """Server to its VMs without network that are to be looked at when it reports again, and for what incarnation."""

    def see(self, picture: Picture, name: str) -> Loss | None:
        """Look at a VM again; return its loss if it is a new one."""
        view = picture.vms.get(name)
        known = self.by_vm.get(name)
        if known is not None and _over(known, view):
            self.drop(name)
            known = None
        if known is not None or view is None:
            return None
        return self._begin(picture, view)

    def drop(self, name: str) -> None:
        """Forget the loss of a VM: it is over, or the VM is gone."""
        loss = self.by_vm.pop(name, None)
        if loss is None:
            return
        there = self.by_server[loss.server]
        del there[name]
        if not there:
            del self.by_server[loss.server]
        del self.order[bisect_left(self.order, (loss.at_ms, name))]

    def due(self, server: str) -> list[str]:
        """Return the VMs that waited for this server's next report; they are forgotten."""
        return list(self.pending.pop(server, ()))

    def since(self, at_ms: int) -> list[Loss]:
        """Return the losses that began at or after `at_ms`, in order."""
        return [self.by_vm[name] for _, name in self.order[bisect_left(self.order, (at_ms, "")) :]]

    def _begin(self, picture: Picture, view: VmView) -> Loss | None:
        start = view.start
        if start is None or start.ended_ms is not None or view.network != Network.DOWN or view.ga not in CONTACT_GA:
            return None
        server = picture.servers.get(view.server)
        if server is None:
            return None
        if server.vms.get(view.vm) != start.incarnation:
            self.pending.setdefault(view.server, {})[view.vm] = start.incarnation
            return None
        loss = Loss(
            view.vm,
            view.server,
            max(view.network_from_ms, view.ga_from_ms),
            server.heard_source,
            _evidence(server, view),
        )
        self.by_vm[view.vm] = loss
        self.by_server.setdefault(view.server, {})[view.vm] = loss.at_ms
        insort(self.order, (loss.at_ms, view.vm))
        return loss


def _evidence(server: ServerView, view: VmView) -> Evidence:
    """Return the report that showed the loss: the newest of its server, in whose frame it is seen."""
    found = server.heard_evidence or view.ga_evidence
    return found if found is not None else Evidence(-1, -1)


def _over(loss: Loss, view: VmView | None) -> bool:
    """Tell whether a loss is over: the network is up again, or the VM is gone from its server. A restart ends none."""
    if view is None or view.network == Network.UP or view.server != loss.server:
        return True
    start = view.start
    return start is not None and start.ended_ms is not None
