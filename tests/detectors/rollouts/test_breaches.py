"""How a breach is said, and how much of it is kept."""

from __future__ import annotations

import pytest

from detectors.contract import EVIDENCE_KEPT
from detectors.rollouts.breaches import (
    OUTSIDE,
    SECOND_REDEPLOY,
    VM_TITLES,
    VM_WORDS,
    VMS_MOST,
    WAVE_TITLES,
    WAVE_WORDS,
    Breach,
    said,
)
from schemas.outputs import Evidence
from tests.detectors.pictured import pictured
from tests.detectors.rollouts.waved import cluster, waved
from tests.kit import START_MS


@pytest.mark.parametrize("rule", [*WAVE_TITLES, *VM_TITLES])
def test_every_rule_has_words(rule: str) -> None:
    breach = Breach(rule, "w1", first_ms=START_MS)
    breach.add(["v1"], ["s1"], START_MS, Evidence(0, 0))
    words = said(breach, pictured(waved()))

    assert "w1" in words["title"]
    assert "2012-02-29 00:00:00Z" in words["title"]
    assert words["explanation"].startswith((WAVE_WORDS | VM_WORDS)[rule])
    assert {"rule", "wave", "vms", "servers", "self_service", "scheduled"} == set(words["facts"])


def test_of_a_wave_that_nobody_knows_no_windows_are_told() -> None:
    words = said(Breach(SECOND_REDEPLOY, "w9", {"v1": 1}, first_ms=START_MS), pictured(cluster()))

    assert {"rule", "wave", "vms"} == set(words["facts"])


def test_names_and_evidence_have_a_bound() -> None:
    breach = Breach(OUTSIDE, "w1")
    breach.add([f"v{n}" for n in range(VMS_MOST)], ["s1"], 5, Evidence(0, 0))
    for n in range(EVIDENCE_KEPT):
        breach.add(["more"], ["s2"], n, Evidence(0, n))

    assert (VMS_MOST, 2, EVIDENCE_KEPT, 15) == (
        len(breach.vms),
        len(breach.servers),
        len(breach.evidence),
        breach.last_ms,
    )
