"""Stories of hosts for tests: who beats when, in one line a server; and transcripts that a person can read.

every 60s
s1  x x x _ _ _ _ x
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from schemas.outputs import Finding
from tests import golden
from tests.kit import Log, short

GOLDEN = Path(__file__).parent / "golden"

ONE_SECOND = 1.0


def beats(strips: dict[str, str], *, every_s: int = 60, until_s: float = 0.0, log: Log | None = None) -> Log:
    """Return a log in which each server beats where its strip has an `x`, the clocks turning every 5 s."""
    log = log or Log().inventory(sorted(strips))
    marks = {name: strip.split() for name, strip in strips.items()}
    length = max(len(strip) for strip in marks.values())
    for place in range(length):
        for number, name in enumerate(strips):
            if place < len(marks[name]) and marks[name][place] == "x":
                log.host(place * every_s + number * 0.01, name, interval_s=every_s)
        for at_s in range(place * every_s + 5, (place + 1) * every_s, 5):
            log.clocks(at_s)
    for at_s in range(length * every_s, round(until_s) + 1, 5):
        log.clocks(at_s)
    return log


def transcript(findings: Iterable[Finding]) -> str:
    """Return findings as a text that a person can read."""
    lines = []
    for finding, line in zip(findings, short(findings), strict=False):
        lines.append(
            f"{line} noticed {(finding.at_ms - Log().start_ms) / 1000:g}s {finding.severity} {finding.verdict}"
        )
        lines.append(f"    {finding.close_reason or finding.title}")
    return "\n".join(lines) + "\n"


def assert_golden(name: str, findings: list[Finding]) -> None:
    """Compare a story's transcript with the one kept under `golden/`."""
    golden.assert_golden(GOLDEN / f"{name}.txt", transcript(findings))
