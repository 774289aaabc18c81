"""Transcripts: the records of a log and what each brought; how a record and a finding read is the test's."""

from __future__ import annotations

from collections.abc import Callable, Collection

from detectors.failfast.words import utc
from detectors.frames import BatchFrame
from schemas.outputs import Finding
from schemas.telemetry import Row
from streams.engine.runner import Runner, TelemetryFrame
from tests.kit import Log

RowWords = Callable[[Row], str]
"""A row in a line; empty: it is left out."""


def transcript(
    title: str, log: Log, only: Collection[str], record: RowWords, told: Callable[[Finding], list[str]]
) -> str:
    """Return the records and what each brought to these detectors; frames that bring nothing new are left out."""
    runner = Runner(0, only=only)
    lines = [title, ""]
    for frame in log.frames:
        findings = [output for output in runner.feed([frame]) if isinstance(output, Finding)]
        said = _records(frame, record)
        if findings and not said:
            said = [f"{utc(frame.at_ms)} {'a beat' if isinstance(frame, BatchFrame) else 'the clocks'}"]
        lines += said + [line for finding in findings for line in told(finding)]
    return "\n".join(lines) + "\n"


def _records(frame: TelemetryFrame, record: RowWords) -> list[str]:
    if not isinstance(frame, BatchFrame):
        return []
    rows = zip(frame.batch.at_ms, frame.batch.rows, strict=True)
    return [f"{utc(at_ms)} {line}" for at_ms, row in rows if (line := record(row))]
