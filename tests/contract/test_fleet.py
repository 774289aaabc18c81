"""The contract for the detectors of the fleet: what those of clusters are held to, over random logs of `fleet`."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.contract import registry
from schemas.outputs import Finding, FindingState
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.runner import LogFrame, Runner
from tests.contract.digest import text_of
from tests.contract.fleet_story import FleetStory

SEEDS = tuple(range(1, 9))
NAMES = sorted(name for name, kind in registry().items() if kind.scope == "fleet")
EVENTFUL = {"recovery_progress"}
"""They tell each step of a course: what is told of it hangs on the order in which steps come; that it ends does not."""


@cache
def log(seed: int, order: int | None = None) -> tuple[LogFrame, ...]:
    """Return a story's log; made once."""
    return tuple(FleetStory(seed).frames(order))


@cache
def found(seed: int, order: int | None = None) -> tuple[Finding, ...]:
    """Return the findings of a log."""
    return tuple(each for each in Runner(0, fleet=True).feed(log(seed, order)) if isinstance(each, Finding))


@pytest.mark.parametrize("name", NAMES)
def test_the_stories_reach_it_and_each_of_its_findings_has_one_life(name: str) -> None:
    """It opens somewhere, and closes somewhere, stands on evidence and says what it is; none of them broke."""
    states = set()
    for seed in SEEDS:
        last: dict[str, str] = {}
        for finding in (each for each in found(seed) if each.detector == name):
            states.add(finding.state)
            assert (finding.state == FindingState.OPEN) == (last.get(finding.id) in (None, FindingState.CLOSED))
            assert finding.evidence, finding.title
            assert finding.title, finding.id
            assert finding.explanation, finding.title
            assert finding.opened_ms <= finding.at_ms, finding.title
            last[finding.id] = finding.state
        assert [] == [each.title for each in found(seed) if each.detector == "engine"]
    assert {FindingState.OPEN, FindingState.CLOSED} <= states


@settings(max_examples=10, deadline=None)
@given(seed=st.sampled_from(SEEDS), place=st.floats(0, 1, exclude_max=True))
def test_restored_in_mid_stream_it_goes_on_with_the_same_bytes(seed: int, place: float) -> None:
    whole = log(seed)
    cut = 1 + int(place * (len(whole) - 1))
    before, after = Runner(0, fleet=True), Runner(0, fleet=True)
    first = before.tell(whole[:cut])
    after.restore("*", decode_saved(encode_saved(before.save("*"))), cut)
    rest = after.tell(whole[cut:])

    assert list(map(msgspec.msgpack.encode, Runner(0, fleet=True).tell(whole))) == list(
        map(msgspec.msgpack.encode, [*first, *rest])
    )


def ends(findings: tuple[Finding, ...], name: str) -> dict[str, bool]:
    """Return of each subject whether anything is open at the end."""
    last = {each.id: each for each in findings if each.detector == name}
    subjects = {text_of(each.subject) for each in last.values()}
    return {
        subject: any(each.state != FindingState.CLOSED for each in last.values() if text_of(each.subject) == subject)
        for subject in sorted(subjects)
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EVENTFUL])
@pytest.mark.parametrize("seed", SEEDS)
def test_engines_may_be_behind_each_other(name: str, seed: int) -> None:
    """Up to an hour, each in its own order: the same subjects and end states."""
    for order in range(3):
        assert ends(found(seed), name) == ends(found(seed, order), name), order
