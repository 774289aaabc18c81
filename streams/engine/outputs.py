"""Says which record goes into which topic, under which key and with which stamp. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas.codec import encode
from schemas.fleet import Incident
from schemas.outputs import Finding, Progress, SnapshotChunk, SnapshotManifest
from schemas.rca import RcaArticle
from schemas.telemetry import Batch, Clocks, Stretch
from streams.engine.cluster import Told

FLEET_PARTITION = 0
"""`fleet` has one partition: it answers what no cluster can."""

FLEET_CLOCKS_MS = 1_000
"""Source time between two Clocks of a partition in `fleet`."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be written; `topic` has no prefix yet."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    timestamp_ms: int


def of_outputs(partition: int, outputs: Iterable[Told], *, fleet: bool = False) -> list[Outgoing]:
    """Return the records of findings and decisions; decisions, and findings of more than one VM, go to `fleet` as well.

    `fleet`: they are the fleet engine's own, which must not come back to it.
    """
    records = []
    for output in outputs:
        value = encode(output)
        if isinstance(output, Finding):
            key = output.id.encode()
            records.append(Outgoing("findings", partition, key, value, output.at_ms))
            if output.subject.vm is None and not fleet:
                records.append(Outgoing("fleet", FLEET_PARTITION, key, value, output.at_ms))
        elif isinstance(output, Batch):
            records.append(Outgoing("fleet", FLEET_PARTITION, output.cluster.encode(), value, output.at_ms[-1]))
        elif isinstance(output, Incident):
            records.append(Outgoing("incidents", FLEET_PARTITION, output.id.encode(), value, output.at_ms))
        elif isinstance(output, RcaArticle):
            records.append(Outgoing("rca", partition, output.id.encode(), value, output.at_ms))
        else:
            key = output.id.encode()
            records.append(Outgoing("decisions", partition, key, value, output.at_ms))
            if not fleet:
                records.append(Outgoing("fleet", FLEET_PARTITION, key, value, output.at_ms))
    return records


def of_progress(progress: Progress) -> Outgoing:
    """Return the record of how far the outputs have gone."""
    return Outgoing("progress", progress.partition, str(progress.partition).encode(), encode(progress), progress.at_ms)


def of_clocks(partition: int, clocks: Clocks, at_ms: int) -> Outgoing:
    """Return the engine's own Clocks for the fleet engine, whose lanes are the engine's partitions."""
    return Outgoing("fleet", FLEET_PARTITION, f"clocks:{partition}".encode(), encode(clocks), at_ms)


def of_snapshot(chunks: Iterable[SnapshotChunk], manifest: SnapshotManifest, at_ms: int) -> list[Outgoing]:
    """Return the records of a snapshot, its manifest last."""
    key = f"{manifest.partition}:{manifest.cluster}".encode()
    records: list[Any] = [*chunks, manifest]
    return [Outgoing("snapshots", manifest.partition, key, encode(record), at_ms) for record in records]


@dataclass(slots=True)
class FleetClocks:
    """Turns of the clocks that a partition's engine writes for the fleet engine: its lane there is this partition.

    A stretch begins where the one before ended. The first after a restart begins with the log: what is told twice
    changes nothing, and a hole would say that something was missed.
    """

    told_ms: int = -1
    next_offset: int = 0

    def due(self, least_ms: int) -> bool:
        """Tell whether the least watermark of the lanes has gone on by a second; it never steps back."""
        return least_ms >= max(0, self.told_ms + FLEET_CLOCKS_MS)

    def turn(self, partition: int, next_offset: int, least_ms: int) -> Clocks:
        """Return the Clocks that tell all below `next_offset`, up to `least_ms`."""
        from_ms = least_ms if self.told_ms < 0 else self.told_ms
        last = next_offset - 1
        stretch = Stretch("engine", "telemetry", "telemetry", partition, self.next_offset, last, from_ms, least_ms)
        self.told_ms, self.next_offset = least_ms, next_offset
        return Clocks(partition, (stretch,))
