"""A scenario as plain lines of source records: what `leapwatch replay --source` reads, and any other program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from schemas.history import SourceRecord
from schemas.history_files import written_whole
from schemas.history_lines import source_to_line
from streams.simulate.arrivals import Lateness, arrivals
from streams.simulate.generator import pulse_outages, records
from streams.simulate.scenario import Scenario


def sources(scenario: Scenario) -> Iterator[SourceRecord]:
    """Return what a scenario sends, in the order of its stamps.

    Pulses stand in it only where the scenario withholds some: else the replay makes them, each second. A lane that is
    read late is a matter of reading, and not in the lines.
    """
    outages = pulse_outages(scenario)
    sent = records(scenario)
    return arrivals(sent, 1, Lateness(1, (), outages)) if outages else sent


def write(scenario: Scenario, to: Path | IO[bytes]) -> int:
    """Write a scenario to a file, or to what is open; return how many lines.

    A file bears its name only when it is whole.
    """
    with written_whole(to) if isinstance(to, Path) else nullcontext(to) as out:
        count = 0
        for record in sources(scenario):
            count += 1
            out.write(source_to_line(record) + b"\n")
        out.flush()
    return count
