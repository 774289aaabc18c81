"""Says which record goes into which topic, under which key and with which stamp. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas.codec import encode
from schemas.outputs import Decision, Finding, Progress, SnapshotChunk, SnapshotManifest
from schemas.telemetry import Clocks
from streams.engine.cluster import Output

FLEET_PARTITION = 0
"""`fleet` has one partition: it answers what no cluster can."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be written; `topic` has no prefix yet."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    timestamp_ms: int


def of_outputs(partition: int, outputs: Iterable[Output]) -> list[Outgoing]:
    """Return the records of findings and decisions; findings of more than one VM go to `fleet` as well."""
    records = []
    for output in outputs:
        value = encode(output)
        key = output.id.encode()
        if isinstance(output, Finding):
            records.append(Outgoing("findings", partition, key, value, output.at_ms))
            if output.subject.vm is None:
                records.append(Outgoing("fleet", FLEET_PARTITION, key, value, output.at_ms))
        elif isinstance(output, Decision):
            records.append(Outgoing("decisions", partition, key, value, output.at_ms))
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
