"""The inputs of a detector: a batch of `telemetry`, a turn of the clocks, its own due time, another's finding."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.outputs import Decision, Evidence, Finding
from schemas.telemetry import Batch, Clocks, HostRow, Row


@dataclass(frozen=True, slots=True)
class BatchFrame:
    """One Batch as the engine takes it: repeats are gone. `at_ms` is the stamp of its record in `telemetry`."""

    partition: int
    offset: int
    at_ms: int
    batch: Batch

    def evidence(self, index: int, note: str = "") -> Evidence:
        """Return where row `index` stands, in `telemetry` and in its source."""
        batch = self.batch
        return Evidence(
            self.partition,
            self.offset,
            batch.topic,
            batch.topic_id,
            batch.lane,
            batch.offsets[index],
            batch.at_ms[index],
            note,
        )


@dataclass(frozen=True, slots=True)
class ClocksFrame:
    """One Clocks record: seen only by detectors of the whole partition; others are asked by `DueFrame`."""

    partition: int
    offset: int
    at_ms: int
    clocks: Clocks

    def evidence(self, note: str = "") -> Evidence:
        """Return where this turn of the clocks stands in `telemetry`."""
        return Evidence(self.partition, self.offset, at_ms=self.at_ms, note=note)


@dataclass(frozen=True, slots=True)
class DueFrame:
    """A detector's own time has come: every lane of its feeds has passed `due_ms`.

    `at_ms` is the stamp of the Clocks record that made it so, or `due_ms` where that is later (a Clocks of lanes that
    lag behind the detector's): what is found now is noticed then.
    """

    partition: int
    offset: int
    at_ms: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class FindingFrame:
    """A finding of a detector that this one follows, in the frame that brought it."""

    partition: int
    offset: int
    at_ms: int
    finding: Finding


@dataclass(frozen=True, slots=True)
class DecisionFrame:
    """What was decided for a cluster, as it stands: a record of `fleet`, for its picture and no detector."""

    partition: int
    offset: int
    at_ms: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class OtherFrame:
    """A record of `fleet` of a kind that this version makes nothing of: a later one writes it, and it is counted."""

    partition: int
    offset: int
    at_ms: int
    kind: str


Frame = BatchFrame | ClocksFrame | DueFrame | FindingFrame
"""What a detector may be given."""


def source_name(row: Row, cluster: str) -> str:
    """Return the name of a row in its source's own terms: its event_id, or (server, boot_id, run, seq).

    What a finding's id is made of: no offset, no clock.
    """
    event_id = getattr(row, "event_id", None) or getattr(row, "command_id", None)
    if event_id:
        return str(event_id)
    if isinstance(row, HostRow):
        return f"{row.server}/{row.boot_id}/{row.run}/{row.seq}"
    return f"{cluster}/{type(row).__name__}"
