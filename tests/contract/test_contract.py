"""The contract: what every detector is held to, found by the registry. A new one is held to it without a line here."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import typing
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.contract import UPDATE_EVERY_MS, registry
from detectors.crowds import CrowdDetector
from detectors.frames import ClocksFrame
from schemas.commands import Close, Release
from schemas.outputs import Action, Finding, FindingState, Severity
from schemas.telemetry import Batch, Gap
from streams.engine.cluster import Output, decode_saved, encode_saved
from streams.engine.runner import Runner, TelemetryFrame
from tests.contract.digest import digest, text_of
from tests.contract.story import CLUSTER, Story
from tests.contract.streams import frames, interleaved
from tests.kit import START_MS

SEEDS = (2, 4, 5, 12, 13, 101, 102, 211, 303)
"""Stories in which, together, every cluster detector has something to say (see `test_the_stories_reach_it`)."""
NAMES = sorted(name for name, kind in registry().items() if kind.scope != "fleet")
"""Those that read `telemetry`; what reads `fleet` has stories of its own to be made of these."""
FLEETING = {"hi_forecast": "lanes hours apart: a forecast of what is over by then would tell nobody anything"}
"""Detectors that need not find later what was over before it could be known; what is open at the end is the same."""
every_detector = pytest.mark.parametrize("name", NAMES)


@cache
def story(seed: int) -> Story:
    """Return a story; made once."""
    return Story(seed)


@cache
def log(seed: int) -> tuple[TelemetryFrame, ...]:
    """Return a story's log."""
    return tuple(frames(story(seed)))


@cache
def told(seed: int) -> tuple[tuple[bytes, ...], ...]:
    """Return what each frame of a log brings, as bytes."""
    runner = Runner(0)
    return tuple(tuple(map(msgspec.msgpack.encode, runner.feed([frame]))) for frame in log(seed))


def said(seed: int) -> list[Finding]:
    """Return the findings of a log, made of their bytes."""
    return [found for found in _outputs(seed) if isinstance(found, Finding)]


@cache
def _outputs(seed: int) -> tuple[Output, ...]:
    return tuple(Runner(0).feed(log(seed)))


def flat(pieces: typing.Iterable[typing.Iterable[bytes]]) -> list[bytes]:
    """Return bytes of all frames in a row."""
    return [one for piece in pieces for one in piece]


@every_detector
def test_the_stories_reach_it(name: str) -> None:
    """A contract that a detector never comes to would prove nothing."""
    assert [finding for seed in SEEDS for finding in said(seed) if finding.detector == name]


@pytest.mark.parametrize("seed", SEEDS)
def test_none_fails(seed: int) -> None:
    """A detector that raises is quarantined, and that is a finding of the engine."""
    assert [] == [finding.explanation for finding in said(seed) if finding.detector == "engine"]


@every_detector
def test_its_findings_have_a_life(name: str) -> None:
    """OPEN, then updates at most every 10 s unless its conclusion changed, then CLOSED with a reason; never again."""
    for seed in SEEDS:
        last: dict[str, Finding] = {}
        for finding in said(seed):
            if finding.detector != name:
                continue
            before = last.get(finding.id)
            what = f"seed {seed}: {finding.title}"
            if finding.state == FindingState.OPEN:
                assert before is None, what
            else:
                assert before is not None, what
                assert before.state != FindingState.CLOSED, what
            if finding.state == FindingState.UPDATED and before is not None:
                same = (before.verdict, before.severity, before.opened_ms, before.trigger) == (
                    finding.verdict,
                    finding.severity,
                    finding.opened_ms,
                    finding.trigger,
                )
                assert not same or finding.at_ms - before.at_ms >= UPDATE_EVERY_MS, what
            assert bool(finding.close_reason) == (finding.state == FindingState.CLOSED), what
            last[finding.id] = finding


@every_detector
def test_its_findings_stand_on_evidence_and_speak_to_a_stranger(name: str) -> None:
    """Records, a title of one line, an explanation; a severity, and only actions that exist; opened in the past."""
    for seed in SEEDS:
        for finding in said(seed):
            if finding.detector != name:
                continue
            assert finding.evidence, finding.title
            assert finding.title, finding.id
            assert "\n" not in finding.title
            assert finding.explanation, finding.title
            assert finding.severity in (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
            assert set(finding.advised) <= set(Action) - {Action.UNKNOWN}
            assert START_MS - 3_600_000 <= finding.opened_ms <= finding.at_ms, finding.title


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=4, deadline=None)
@given(chance=st.integers(0, 1_000_000))
def test_findings_are_the_same_however_the_log_is_fetched(seed: int, chance: int) -> None:
    """Whole, or in any pieces."""
    sizes = random.Random(chance)
    whole, runner, taken = log(seed), Runner(0), 0
    pieces: list[bytes] = []
    while taken < len(whole):
        size = sizes.choice((1, 2, 50, 400))
        pieces += map(msgspec.msgpack.encode, runner.feed(whole[taken : taken + size]))
        taken += size

    assert flat(told(seed)) == pieces


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=6, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True))
def test_findings_are_the_same_after_a_restore_in_mid_stream(seed: int, place: float) -> None:
    """Saved at any frame, restored into a new engine, and on: the same bytes."""
    whole = log(seed)
    cut = 1 + int(place * (len(whole) - 1))
    before = Runner(0)
    before.feed(whole[:cut])
    saved = {name: encode_saved(before.save(name)) for name in before.clusters}
    after = Runner(0)
    for name in sorted(saved, key=lambda known: known != "*"):
        assert [] == after.restore(name, decode_saved(saved[name]), cut)

    assert flat(told(seed)[cut:]) == [msgspec.msgpack.encode(output) for output in after.feed(whole[cut:])]
    again = {name: encode_saved(after.save(name)) for name in after.clusters}
    before.feed(whole[cut:])
    assert again == {name: encode_saved(before.save(name)) for name in before.clusters}


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=4, deadline=None)
@given(place=st.floats(0, 1))
def test_a_prefix_of_the_frames_gives_a_prefix_of_the_findings(seed: int, place: float) -> None:
    """What comes later changes nothing that was said."""
    whole = log(seed)
    cut = int(place * len(whole))

    assert flat(told(seed)[:cut]) == [msgspec.msgpack.encode(output) for output in Runner(0).feed(whole[:cut])]


def test_findings_are_the_same_under_two_hash_seeds() -> None:
    """Nothing hangs on the order of a set: two processes, two seeds, the same bytes and the same state."""
    found = {
        subprocess.run(
            [sys.executable, "-m", "tests.contract.digest", *map(str, SEEDS)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "1")
    }

    assert {digest(SEEDS)} == found


def fleeting(finding: Finding) -> bool:
    """Tell whether nobody need be told of it once it is over.

    A forecast; or how many VMs there are, where each has a finding of its own, which is told whenever it is known.
    """
    counts = issubclass(registry()[finding.detector], CrowdDetector)
    subject = finding.subject
    return finding.detector in FLEETING or (counts and subject.vm is None and subject.signature is None)


def ends(findings: typing.Iterable[Finding], name: str) -> dict[str, str]:
    """Return what a detector has found of each subject, and whether any of it is open at the end."""
    states: dict[str, dict[str, bool]] = {}
    for finding in findings:
        if finding.detector == name:
            key = f"{text_of(finding.subject)}{'?' if fleeting(finding) else ''}"
            states.setdefault(key, {})[finding.id] = finding.state != FindingState.CLOSED
    found = {subject: "open" if any(known.values()) else "closed" for subject, known in sorted(states.items())}
    return {subject: state for subject, state in found.items() if state == "open" or not subject.endswith("?")}


@cache
def _interleaved(seed: int, order: int) -> tuple[Finding, ...]:
    slack_s = (5.0, 30.0, 600.0, 1e9)[order % 4]
    outputs = Runner(0).feed(interleaved(story(seed), order, slack_s))
    return tuple(output for output in outputs if isinstance(output, Finding))


@every_detector
@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_may_interleave_in_any_order(name: str, seed: int) -> None:
    """Each lane in its own order, one behind another by up to hours: the same subjects and end states."""
    if name == "blind":
        pytest.skip("blind tells of the lanes themselves: how they interleave is what it sees")
    for order in range(4):
        assert ends(said(seed), name) == ends(_interleaved(seed, order), name), f"order {order}"


@every_detector
def test_a_person_may_close_any_of_its_findings(name: str) -> None:
    """Closed once, by name and with the reason, and never said again under that id.

    One that is latched is released: while something stands that was decided for it, a Close is refused.
    """
    for seed in SEEDS:
        # Of what opens and closes in one frame there is nothing left to close.
        over = {f.id: f.at_ms for f in said(seed) if f.state == FindingState.CLOSED}
        opened = next(
            (
                f
                for f in said(seed)
                if f.detector == name and f.state == FindingState.OPEN and over.get(f.id) != f.at_ms
            ),
            None,
        )
        if opened is None:
            continue
        place = next(n for n, piece in enumerate(told(seed)) if any(opened.id.encode() in one for one in piece))
        ask, word = (Release, "released") if opened.latched else (Close, "closed")
        command = ask("k1", CLUSTER, opened.id, "ada", "known")
        cluster = opened.subject.cluster or "*"
        at_ms = log(seed)[place].at_ms
        batch = Batch(cluster, "operator", "operator", "id", 0, (0,), (at_ms,), (command,))
        frame = dataclasses.replace(log(seed)[0], offset=place, at_ms=at_ms, batch=batch)  # type: ignore[arg-type]
        whole = [*log(seed)[: place + 1], frame, *log(seed)[place + 1 :]]
        found = Runner(0, only=_heard_by(name)).feed(whole)
        records = [f for f in found if isinstance(f, Finding) and f.id == opened.id]
        if [FindingState.OPEN, FindingState.CLOSED] == [f.state for f in records] and records[-1].at_ms < at_ms:
            continue

        assert FindingState.CLOSED == records[-1].state, opened.title
        assert 1 == sum(f.state == FindingState.CLOSED for f in records), opened.title
        assert f"{word} by ada: known" == records[-1].close_reason


@pytest.mark.parametrize("gap", [True, False])
@pytest.mark.parametrize("part", [0.3, 0.6])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_log_whose_time_jumps_by_years_costs_some_looks(seed: int, part: float, gap: bool) -> None:
    """All that is due in between is asked within one turn of the clocks, while nobody else gets the processor."""
    runner, jump_ms = Runner(0), 14 * 366 * 86_400_000
    whole = log(seed)[: int(part * len(log(seed)))]
    runner.feed(whole)
    turns = [frame for frame in whole if isinstance(frame, ClocksFrame)]
    newest = {stretch.feed: stretch for turn in turns for stretch in turn.clocks.stretches}
    stretches = tuple(
        dataclasses.replace(
            known,
            from_offset=known.to_offset + 1,
            to_offset=known.to_offset + 2,
            from_ms=known.to_ms,
            to_ms=known.to_ms + jump_ms,
            gaps=(Gap(known.to_ms, known.to_ms + jump_ms),) if gap else (),
        )
        for known in newest.values()
    )
    clocks = dataclasses.replace(turns[-1].clocks, stretches=stretches)
    before = runner.counts.asked
    runner.feed([ClocksFrame(0, whole[-1].offset + 1, turns[-1].at_ms + jump_ms, clocks)])

    # A look a minute would be seven million for each of them.
    assert runner.counts.asked - before < 50_000


def _heard_by(name: str) -> list[str]:
    """Return a detector with all that it hears of others: alone with them it finds what it finds among all."""
    return [name, *(above for followed in registry()[name].follows for above in _heard_by(followed))]


@every_detector
def test_its_state_has_a_bound(name: str) -> None:
    """Twice as long a story of the same servers does not leave twice the state."""
    sizes = [_sizes(hours)[name] for hours in (12, 24)]

    # What one finding a server or VM holds comes and goes; what grew with every record would be hundreds of kB.
    assert sizes[1] <= 1.5 * sizes[0] + 32_000


@cache
def _sizes(hours: int) -> dict[str, int]:
    """Return the bytes of each detector's state after so many hours."""
    runner = Runner(0)
    runner.feed(frames(Story(3, hours=hours, troubles=2 * hours)))
    sizes: dict[str, int] = {}
    for cluster in runner.clusters.values():
        for name, detector in cluster.detectors.items():
            sizes[name] = max(sizes.get(name, 0), len(msgspec.msgpack.encode(detector.state)))
    return sizes
