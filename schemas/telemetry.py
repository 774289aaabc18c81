"""What the intake writes to `telemetry`, and the only thing that the engine reads: batches and clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.commands import (
    Acknowledge,
    Close,
    ConfigChanged,
    Confirm,
    Release,
    SelfServiceRequest,
    Silence,
    StartEvent,
)
from schemas.fleet import ClusterFacts
from schemas.inventory import InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.source import GuestEvent, HostState, MaintenanceEvent

EVERYONE = "*"
"""The cluster name of a batch that concerns the whole partition."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """A HostReport as it stands in a Batch: the same, with its VMs packed into one comparable block.

    `vms_block` is what `schemas.columns.pack_vms` made: equal bytes mean equal VMs, so that an unchanged full report
    costs one comparison. None: as before, see `full_seq`.
    """

    server: str
    boot_id: str
    run: str
    seq: int
    full_seq: int
    sent_ms: int
    interval_s: int
    state: str = HostState.READY
    versions: dict[str, str] | None = None
    vms_block: bytes | None = None


Row = (
    HostRow
    | GuestEvent
    | MaintenanceEvent
    | Server
    | Vm
    | Service
    | Subscription
    | Region
    | InventoryComplete
    | Removed
    | Release
    | Acknowledge
    | Close
    | Confirm
    | Silence
    | ConfigChanged
    | StartEvent
    | SelfServiceRequest
    | ClusterFacts
)
"""What one row of a Batch can hold; ClusterFacts only in `fleet`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Reports of one cluster (or of `*`) from one lane within one second of source time."""

    cluster: str
    feed: str
    """host-agent, guest-agent, maintenance, inventory, operator or requests; for an unkeyed topic `feed@topic`; in
    `fleet` also facts."""
    topic: str
    topic_id: str
    lane: int
    offsets: tuple[int, ...]
    """The source offset of each row."""
    at_ms: tuple[int, ...]
    """The source broker's stamp of each row."""
    rows: tuple[Row, ...]


def rows_of(batch: Batch, indices: Sequence[int]) -> Batch:
    """Return the batch with these of its rows alone, each with its offset and stamp."""
    return replace(
        batch,
        offsets=tuple([batch.offsets[index] for index in indices]),
        at_ms=tuple([batch.at_ms[index] for index in indices]),
        rows=tuple([batch.rows[index] for index in indices]),
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """Two neighbours of a lane further apart than its longest pulse: so long nobody could write, or nobody watched."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """What an intake has read of one lane since its last Clocks; both ends are included.

    `from_offset` is where it began to read (the position, not the first record found), so that offsets without records
    (transaction markers) are no hole. A gap between two stretches is for the reader of Clocks to see.
    """

    feed: str
    topic: str
    topic_id: str
    lane: int
    from_offset: int
    to_offset: int
    from_ms: int
    to_ms: int
    gaps: tuple[Gap, ...] = ()
    unread: int = 0
    """Records of the lane that stood behind `to_offset` when this was written."""
    gap_ms: int = 10_000
    """How far apart two neighbours may be before the time between counts for nobody (a pulsed lane: 10 s)."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """A turn of the clocks: only this moves the watermarks of lanes, and so whatever was forwarded before is known."""

    partition: int
    stretches: tuple[Stretch, ...]
