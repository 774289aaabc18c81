"""Golden transcripts of verdicts: what was told of a rollout, in the order in which it was.

How they are written anew, tests/golden.py tells.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detectors.failfast.words import utc
from schemas.outputs import Finding
from tests.detectors.rollouts.rolling import Rolling, guilty, innocent
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
SHOWN = ("exposed", "exposed_failed", "control", "control_failed", "ratio_low", "ratio_high", "log10_e_guilty",
         "log10_e_apart", "log10_e_cleared")  # fmt: skip


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
    assert_golden(GOLDEN / f"{name}.txt", written(make().said()))
