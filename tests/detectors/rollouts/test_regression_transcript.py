"""Golden transcripts of verdicts: what was told of a rollout, in the order in which it was.

`LEAPWATCH_GOLDEN=write pytest tests/detectors/rollouts/test_regression_transcript.py` writes them anew; review them as
a diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from detectors.failfast.words import utc
from schemas.outputs import Finding
from tests.detectors.rollouts.rolling import HOUR_S, Rolling, guilty

GOLDEN = Path(__file__).parent / "golden"
SHOWN = ("exposed", "exposed_failed", "control", "control_failed", "ratio_low", "ratio_high", "log10_e_guilty",
         "log10_e_apart", "log10_e_cleared")  # fmt: skip


def innocent() -> Rolling:
    """Return a rollout under which all starts fail, as they do without it: the leap day in small."""
    world = Rolling()
    for hour in range(1, 24, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    world.update(25, world.servers[:20])
    for hour in (25, 26):
        for n in range(20):
            world.start(hour * HOUR_S + n, world.servers[n], f"x{n}", "E_DATE")
            world.start(hour * HOUR_S + n + 0.5, world.servers[20 + n], f"y{n}", "E_DATE")
        world.beats(hour + 0.5, hour + 1)
    return world.beats(27, 28)


def written(findings: list[Finding]) -> str:
    """Return each change of verdict, with its numbers, and the last word."""
    lines: list[str] = []
    before = ""
    for place, finding in enumerate(findings):
        if finding.verdict == before and place != len(findings) - 1:
            continue
        before = finding.verdict
        numbers = " ".join(f"{name}={finding.numbers[name]:g}" for name in SHOWN if name in finding.numbers)
        lines += [f"{utc(finding.at_ms)} {finding.state} {finding.severity} {finding.verdict}", f"    {finding.title}"]
        lines += [f"    {finding.explanation}", f"    {numbers}"]
        if finding.advised:
            lines.append(f"    advised: {', '.join(finding.advised)}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("name", "make"), [("guilty-rollout", guilty), ("innocent-rollout", innocent)])
def test_a_rollout_is_told_as_it_was(name: str, make: Callable[[], Rolling]) -> None:
    file = GOLDEN / f"{name}.txt"
    found = written(make().said())
    if os.environ.get("LEAPWATCH_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")

    assert file.read_text(encoding="utf-8") == found
