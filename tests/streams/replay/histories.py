"""Small histories for the tests of replay."""

from __future__ import annotations

from functools import cache

from schemas.history import LogRecord, SourceRecord
from streams.intake.offline import telemetry
from streams.simulate.generator import records
from streams.simulate.load import load


@cache
def sources() -> tuple[SourceRecord, ...]:
    """Return the leap day of two clusters of sixteen servers up to half past twelve at night."""
    scenario = load("leap-day-dawn").with_size(clusters=2, servers=16, vms=3)
    until_ms = scenario.start_ms + 60 * 60_000
    return tuple(record for record in records(scenario) if record.at_ms < until_ms)


@cache
def history(lanes: int = 2) -> tuple[LogRecord, ...]:
    """Return the telemetry of `sources`."""
    return tuple(telemetry(sources(), lanes=lanes))
