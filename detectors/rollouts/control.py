"""What starts of VMs are compared with: those of other combinations of versions, at the same time or before."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from detectors.failfast.calendar_edges import edge_before
from detectors.picture import Picture, Start
from detectors.rollouts.combinations import Fares, outcome_of


def onset_ms(picture: Picture, servers: Iterable[str]) -> int | None:
    """Return when the first start of these servers' VMs began that fails and has not been made good; None: none has."""
    begun: list[int] = []
    for name in servers:
        server = picture.servers.get(name)
        for vm in () if server is None else server.vms:
            view = picture.vms.get(vm)
            if view is None or not outcome_of(view, 0):
                continue
            for start in reversed(view.starts):
                if start.contact_ms is not None or start.server != name:
                    break
                begun.append(start.at_ms)
    return min(begun, default=None)


def others(picture: Picture, suspects: Collection[str], began_ms: int, least: int) -> Fares | None:
    """Return how starts fared that are none of the suspects' servers': those since `began_ms`, if VMs enough had any.

    Else, where none of them failed, each VM's last start before, on whatever server: "the same VMs before the change".
    None: too few are known; or a calendar edge lies right before `began_ms`, so that only starts behind it tell the
    versions' doing from the clock's (on the leap day all versions failed from midnight on, the new were tried first).
    """
    since, before = Fares(), Fares()
    for view in picture.vms.values():
        told = False
        for start in reversed(view.starts):
            failed = _failed(start)
            if failed is None:
                continue
            if start.at_ms >= began_ms:
                if start.server not in suspects and not told:
                    since.starts, since.failed, told = since.starts + 1, since.failed + failed, True
            else:
                before.starts, before.failed = before.starts + 1, before.failed + failed
                break
    if since.starts >= least or since.failed:
        return since
    if before.starts < least or edge_before(began_ms) is not None:
        return None
    before.add(since)
    return before


def _failed(start: Start) -> bool | None:
    """Return whether a start failed; one first seen in contact did not; None: not known."""
    if start.contact_ms is not None:
        return False
    return True if start.failed_ms is not None or start.replaced else None
