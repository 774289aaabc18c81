"""What the fleet engine makes of a history of `telemetry`: clusters' engines first, then its own over their words."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.frames import BatchFrame
from schemas.history import LogRecord
from schemas.outputs import Decision, Finding
from schemas.telemetry import Batch
from streams.engine.fleet_log import FleetLog, merged
from streams.engine.frames import frame_of
from streams.intake.wider import for_fleet
from streams.replay.run import Answer, Replay


@dataclass(slots=True)
class FleetReplay(Replay):
    """A replay that tells nothing of clusters' engines: what they wrote to `fleet` is kept until all has been read."""

    logs: dict[int, FleetLog] = field(default_factory=dict)

    def feed(self, record: LogRecord) -> list[Answer]:
        """Take a record of `telemetry`; the answers come at the end (`answers`)."""
        self.note(record)
        runner = self.runner_of(record.partition)
        log = self.logs.setdefault(record.partition, FleetLog(record.partition))
        frame = frame_of(record)
        if isinstance(frame, BatchFrame) and (wider := for_fleet(frame.batch)) is not None:
            log.take([wider])
        log.take(runner.tell([frame]))
        log.turn(runner, record.offset + 1)
        return []

    def answers(self) -> list[Answer]:
        """Return what the fleet engine says of the range."""
        runner = self.new_runner(0, fleet=True)
        answers = [output for output in runner.tell(merged(self.logs.values())) if not isinstance(output, Batch)]
        wanted = [output for output in answers if self.wanted.wants(output)]
        self.told.findings = sum(1 for output in wanted if isinstance(output, Finding))
        self.told.decisions = sum(1 for output in wanted if isinstance(output, Decision))
        return wanted
