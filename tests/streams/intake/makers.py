"""What the tests of the intake share: reports, events, and raw records of them."""

from __future__ import annotations

from typing import Any

from schemas.codec import encode
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, GuestEvent, HostReport, MaintenanceEvent, VmReport
from streams.intake.checks import Place, RawRecord

T0 = 1_330_473_600_000
"""29 February 2012, 00:00 UTC."""
CLUSTER = "cluster-a"

VMS = (
    VmReport("vm-1", 3, "READY", True, "GA-1", T0 - 5_000, "UP"),
    VmReport("vm-2", 1, "STARTING", False, "GA-2", T0 - 7_000, "DOWN"),
)


def place(feed: str = HOST_AGENT, lane: int = 0, lanes: int = 1) -> Place:
    """Give a lane of a feed."""
    return Place(feed, feed, "topic-1", lane, lanes)


def report(seq: int = 7, **changes: Any) -> HostReport:
    """Give a beat; with `vms` a full report."""
    fields = {"cluster": CLUSTER, "server": "server-1", "boot_id": "boot-1", "run": "run-1"} | changes
    fields.setdefault("full_seq", seq)
    return HostReport(seq=seq, sent_ms=fields.pop("sent_ms", T0), interval_s=fields.pop("interval_s", 60), **fields)


def guest(event_id: str = "event-1", **changes: Any) -> GuestEvent:
    """Give a guest agent's START."""
    fields: dict[str, Any] = {
        "cluster": CLUSTER,
        "server": "server-1",
        "vm": "vm-1",
        "incarnation": 1,
        "sent_ms": T0,
        "kind": "START",
    }
    return GuestEvent(event_id, **(fields | changes))


def maintenance(event_id: str = "event-1", **changes: Any) -> MaintenanceEvent:
    """Give a fabric controller's word on a server."""
    fields: dict[str, Any] = {
        "cluster": CLUSTER,
        "sent_ms": T0,
        "system": "fc",
        "kind": "SERVER_STATE",
        "server": "server-1",
        "state": "HI",
    }
    return MaintenanceEvent(event_id, **(fields | changes))


def raw(
    record: Any, offset: int = 0, at_ms: int = T0, key: bytes | None = CLUSTER.encode(), **changes: Any
) -> RawRecord:
    """Give the record as its topic would hold it; bytes stand as they are."""
    value = record if record is None or isinstance(record, bytes) else encode(record)
    return RawRecord(offset, at_ms, key, value, **changes)


FEED_OF = {HostReport: HOST_AGENT, GuestEvent: GUEST_AGENT, MaintenanceEvent: MAINTENANCE}
