"""What `leapwatch replay` and `leapwatch capture` do: choose the history, run it, print it. Writes nothing to Kafka."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from schemas.fleet import Incident
from schemas.history import LogRecord
from schemas.history_files import written_whole
from schemas.json_source import to_json
from schemas.outputs import DeadLetter, Finding
from schemas.rca import RcaArticle
from schemas.telemetry import EVERYONE
from streams.config.model import Config
from streams.config.thresholds import Thresholds
from streams.intake.offline import telemetry
from streams.replay.capture import read_capture, write_capture
from streams.replay.fleet import FleetReplay
from streams.replay.history import lanes_to_read, read_log, reader_of, start_of
from streams.replay.run import Answer, Range, Replay
from streams.replay.sources import read_sources

CAPTURE_BLOCK = 2_000
"""Records held in memory while a capture is written."""
LINES_NOTED = 20
"""Lines of plain files that were not taken, and are named; all are counted."""

Progress = Callable[[int, int], None]
"""Is given records read so far and in all (0: not known)."""


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


@dataclass(slots=True)
class Report:
    """What a replay found, in order of time, and what it could not know."""

    outputs: list[Answer] = field(default_factory=list)
    replay: Replay = field(default_factory=Replay)
    notes: list[str] = field(default_factory=list)
    """What the reader must know: history that was lacking, lines that could not be read."""
    what_if: bool = False

    def close(self) -> Report:
        """Put the outputs in order of time; those of one moment stay as they came."""
        self.outputs.sort(key=lambda output: output.at_ms)
        return self


async def from_kafka(
    config: Config,
    wanted: Range,
    *,
    thresholds: Thresholds | None = None,
    progress: Progress = no_progress,
    fleet: bool = False,
) -> Report:
    """Replay a range of `telemetry`, or of `fleet`, as Kafka has it, from the last snapshots before it."""
    run = Replay(wanted, thresholds, fleet=fleet)
    report = Report(replay=run, what_if=thresholds is not None)
    async with reader_of(config) as reader:
        lanes = await lanes_to_read(config, reader, wanted.cluster, fleet=fleet)
        # A what-if must see its thresholds act from the start of what is kept: snapshots hold states of others.
        since_ms = wanted.from_ms if thresholds is None else None
        starts = [await start_of(config, reader, lane, since_ms, fleet=fleet) for lane in lanes]
        total = sum(start.to_offset - start.from_offset for start in starts)
        done = 0
        for start in starts:
            if start.runner is not None:
                run.runners[start.partition] = start.runner
            lacking = start.runner is None and start.from_offset > 0
            async for record in read_log(config, reader, start, fleet=fleet):
                if lacking:
                    report.notes.append(
                        f"partition {start.partition}: no snapshot before the range; history begins at "
                        f"{utc(record.at_ms)}: what was open before is not known"
                    )
                    lacking = False
                report.outputs += run.feed(record)
                done += 1
                if done % 500 == 0:
                    progress(done, total)
                    await asyncio.sleep(0)
                if run.over(record):
                    break
        progress(done, done)
    return report.close()


def clusters_of(report: Report) -> list[str]:
    """Return the clusters that were met in what a replay of clusters' engines read, or restored."""
    runners = report.replay.runners.values()
    return sorted({name for runner in runners for name in runner.clusters if name != EVERYONE})


def from_records(
    records: Iterator[LogRecord],
    wanted: Range,
    *,
    thresholds: Thresholds | None = None,
    progress: Progress = no_progress,
    fleet: bool = False,
) -> Report:
    """Replay records of `telemetry` that stand elsewhere than in Kafka; `fleet`: tell what the fleet engine says."""
    run: Replay = FleetReplay(wanted, thresholds) if fleet else Replay(wanted, thresholds)
    report = Report(replay=run, what_if=thresholds is not None)
    for done, record in enumerate(records, 1):
        report.outputs += run.feed(record)
        if done % 500 == 0:
            progress(done, 0)
    if isinstance(run, FleetReplay):
        report.outputs += run.answers()
    progress(run.told.records, run.told.records)
    report.notes += [
        f"partition {partition}: the records begin at offset {offset}: what was open before is not known"
        for partition, offset in sorted(run.told.began.items())
        if offset > 0
    ]
    return report.close()


def from_capture(
    path: Path,
    wanted: Range,
    *,
    thresholds: Thresholds | None = None,
    progress: Progress = no_progress,
    fleet: bool = False,
) -> Report:
    """Replay a capture file; CaptureError where it is none."""
    return from_records(read_capture(path), wanted, thresholds=thresholds, progress=progress, fleet=fleet)


def from_sources(
    paths: Sequence[Path],
    wanted: Range,
    *,
    lanes: int = 1,
    thresholds: Thresholds | None = None,
    progress: Progress = no_progress,
    fleet: bool = False,
) -> Report:
    """Replay plain files of source records through intake checks, packing and engine."""
    taken = Taken()
    records = taken.records(paths, lanes)
    report = from_records(records, wanted, thresholds=thresholds, progress=progress, fleet=fleet)
    report.notes += taken.told()
    return report


@dataclass(slots=True)
class Taken:
    """Reads plain files of source records through intake checks and packing, and tells what was not taken."""

    notes: list[str] = field(default_factory=list)
    dead: Counter[str] = field(default_factory=Counter)

    def records(self, paths: Sequence[Path], lanes: int = 1) -> Iterator[LogRecord]:
        """Return the records of `telemetry` that the files come to."""
        return telemetry(read_sources(paths, self._bad_line), lanes=lanes, on_dead=self._refused)

    def _bad_line(self, path: Path, number: int, what: str) -> None:
        self._note("unreadable line", f"{path}:{number}: not taken: {what}")

    def _refused(self, letter: DeadLetter) -> None:
        self._note(letter.reason, f"{letter.topic} record {letter.offset}: {letter.reason}: {letter.detail}")

    def _note(self, reason: str, text: str) -> None:
        self.dead[reason] += 1
        if len(self.notes) < LINES_NOTED:
            self.notes.append(text)

    def told(self) -> list[str]:
        """Return what was not taken, the first by line, and how many more."""
        more = sum(self.dead.values()) - len(self.notes)
        return [*self.notes, *([f"{more} more were not taken: {dict(self.dead)}"] if more else [])]


async def capture(config: Config, path: Path, wanted: Range, *, progress: Progress = no_progress) -> int:
    """Write `telemetry` from Kafka (or its part from `from_ms` to `to_ms`, of one cluster's partition) to a file.

    Returns how many records. An incomplete file never bears the name asked for.
    """
    probe = Replay(wanted)
    about = {"prefix": config.kafka.prefix, "from_ms": wanted.from_ms, "to_ms": wanted.to_ms}
    count = 0
    with written_whole(path) as file:
        write_capture(file, [], about)
        async with reader_of(config) as reader:
            for lane in await lanes_to_read(config, reader, wanted.cluster):
                block: list[LogRecord] = []
                async for record in read_log(config, reader, await start_of(config, reader, lane, None)):
                    if wanted.from_ms is None or record.at_ms >= wanted.from_ms:
                        block.append(record)
                    if len(block) == CAPTURE_BLOCK:
                        count += write_capture(file, block)
                        block = []
                        progress(count, 0)
                    if probe.over(record):
                        break
                count += write_capture(file, block)
    return count


def utc(at_ms: int) -> str:
    """Return a moment as people write it, to the millisecond, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def lines(report: Report) -> Iterator[str]:
    """Yield the report for people: one line an output, then what was read."""
    label = "what-if " if report.what_if else ""
    for output in report.outputs:
        if isinstance(output, Finding):
            verdict = f" [{output.verdict}]" if output.verdict not in {"NONE", ""} else ""
            what = f"{output.severity:8} {output.state:7} {output.detector}{verdict}: {output.title}"
        elif isinstance(output, Incident):
            where = f"{len(output.clusters)} cluster{'s' if len(output.clusters) != 1 else ''}"
            what = f"INCIDENT {output.state:8} {output.severity}: {output.title} ({where})"
        elif isinstance(output, RcaArticle):
            what = f"ARTICLE  {output.state:11} {output.vm}: {output.cause} (revision {output.revision})"
        else:
            what = f"DECISION {output.state:8} {output.action} {output.scope}: {output.reason}"
        yield f"{label}{utc(output.at_ms)} {what}"
    told = report.replay.told
    span = f" from {utc(told.first_ms)} to {utc(told.last_ms)}" if told.first_ms and told.last_ms else ""
    yield f"{label}{told.records} records{span}: {told.findings} finding records, {told.decisions} decision records"
    for note in report.notes:
        yield f"note: {note}"


def json_lines(report: Report) -> Iterator[bytes]:
    """Yield each output as one JSON object: the very fields of the record in `findings` or `decisions`."""
    for output in report.outputs:
        line = to_json(output)
        yield line if not report.what_if else b'{"what_if":true,' + line[1:]


def write_report(report: Report, *, as_json: bool) -> None:
    """Print a report to standard output; notes of a JSON report go to standard error."""
    if not as_json:
        for text in lines(report):
            sys.stdout.write(text + "\n")
        return
    for line in json_lines(report):
        sys.stdout.buffer.write(line + b"\n")
    for note in report.notes:
        sys.stderr.write(f"note: {note}\n")
