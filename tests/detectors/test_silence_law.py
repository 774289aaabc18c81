"""The laws of time: no verdict of absence is false, none is missed, and none depends on how the log was read."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from detectors.lanes import merge_intervals, overlap_ms
from schemas.outputs import Finding
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.runner import Runner
from tests.detectors.worlds import START_MS, Down, Plan, Reading, World, make_world

WORLDS = int(os.environ.get("LEAPWATCH_SILENCE_WORLDS", "16"))
"""How many histories each test draws; some thousands for a deep run."""
SCHEDULES = 3
SLACK_MS = 45_000
"""By what an opening may differ from the truth: brokers' clocks, retries, a missed beat."""

LAW = settings(
    max_examples=WORLDS,
    deadline=None,
    derandomize=True,
    # A smaller seed is no simpler world: there is nothing to shrink.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEEDS = st.integers(min_value=0, max_value=2**32)


def ends(findings: list[Finding]) -> dict[str, Finding]:
    """Return the last record of each finding."""
    return {finding.id: finding for finding in findings if finding.detector in ("host_silence", "cluster_dark")}


def outcome(world: World, seed: int) -> dict[str, Finding]:
    """Return what comes of a world read in one way."""
    frames = Reading(world, seed).read()
    outputs = Runner(0, only=["blind", "host_silence", "cluster_dark"]).feed(frames)
    findings = [output for output in outputs if isinstance(output, Finding)]

    assert [] == [finding for finding in findings if finding.detector == "engine"]
    return ends(findings)


def told(found: dict[str, Finding]) -> list[tuple[str, str | None, str, int]]:
    """Return what no schedule may change: detector, subject, end state and opened_ms."""
    return sorted((f.detector, f.subject.server, f.state, f.opened_ms) for f in found.values())


def false_findings(world: World, found: dict[str, Finding]) -> list[Finding]:
    """Return the silences of servers that were not silent."""
    slack_ms = SLACK_MS + world.stepped_ms + world.interval_s * 1000
    wrong = []
    for finding in found.values():
        at_ms = finding.opened_ms - START_MS
        if finding.detector == "cluster_dark":
            really = any(start < at_ms < end + slack_ms for start, end in world.dark)
        else:
            really = any(
                down.server == finding.subject.server
                and not down.announced
                and down.from_ms + world.limit_ms - slack_ms < at_ms < down.until_ms + slack_ms
                for down in world.downs
            )
        if not really:
            wrong.append(finding)
    return wrong


def missed(world: World, found: dict[str, Finding]) -> list[Down]:
    """Return the silences long enough, in time that could be observed, of which no finding tells."""
    unseen = merge_intervals((start - 15_000, end + 15_000) for start, end in world.unseen)
    need_ms = world.limit_ms + world.interval_s * 1000 + SLACK_MS + world.stepped_ms
    missing = []
    for down in world.downs:
        observed_ms = down.until_ms - down.from_ms - overlap_ms(unseen, down.from_ms, down.until_ms)
        if down.announced or observed_ms < need_ms or down.from_ms < 61_000:
            continue
        if not any(
            finding.subject.server == down.server
            and down.from_ms < finding.opened_ms - START_MS < down.until_ms + SLACK_MS + world.stepped_ms
            for finding in found.values()
        ):
            missing.append(down)
    return missing


@LAW
@given(SEEDS, SEEDS)
def test_silences_are_true_and_whole_and_the_same_however_the_log_is_read(world_seed: int, seed: int) -> None:
    """Servers die, reboot by announcement, brokers are away: none false, none missed, none differing."""
    world = make_world(world_seed, Plan())
    found = [outcome(world, seed + number) for number in range(SCHEDULES)]
    note(f"world {world}")

    assert [] == false_findings(world, found[0])
    assert [] == missed(world, found[0])
    assert told(found[0]) == told(found[1]) == told(found[2])
    assert set(found[0]) == set(found[1]) == set(found[2])


@LAW
@given(SEEDS, SEEDS)
def test_a_cluster_without_power_is_dark_once_and_none_of_its_servers_is_silent(world_seed: int, seed: int) -> None:
    """All hosts and guests stop at once: cluster_dark where the time was observed, and no host_silence beside it."""
    world = make_world(world_seed, Plan(whole="power"))
    found = [outcome(world, seed + number) for number in range(SCHEDULES)]
    start, end = world.dark[0]
    unseen = merge_intervals((from_ms - 15_000, to_ms + 15_000) for from_ms, to_ms in world.unseen)
    seen_ms = end - start - overlap_ms(unseen, start, end)

    assert [] == false_findings(world, found[0])
    assert told(found[0]) == told(found[1]) == told(found[2])
    if seen_ms > world.limit_ms + SLACK_MS + world.interval_s * 1000:
        assert ["cluster_dark"] == [finding.detector for finding in found[0].values()]


@settings(LAW, max_examples=max(4, WORLDS // 4))
@given(SEEDS, SEEDS, st.sampled_from(("", "power", "collector")))
def test_an_engine_restored_in_mid_stream_says_the_same(world_seed: int, seed: int, whole: str) -> None:
    frames = Reading(make_world(world_seed, Plan(whole=whole)), seed).read()
    place = seed % len(frames)
    only = ["blind", "host_silence", "cluster_dark"]
    first, second = Runner(0, only=only), Runner(0, only=only)
    before = first.feed(frames[:place])
    saved = {name: encode_saved(first.save(name)) for name in first.clusters}
    for name, data in saved.items():
        second.restore(name, decode_saved(data), place)

    assert Runner(0, only=only).feed(frames) == before + second.feed(frames[place:])


@LAW
@given(SEEDS, SEEDS)
def test_reports_lost_on_the_way_make_nobody_silent(world_seed: int, seed: int) -> None:
    """A cluster's host reports are lost while its guests speak: not one silence, in no order of reading."""
    world = make_world(world_seed, Plan(whole="collector"))
    found = [outcome(world, seed + number) for number in range(SCHEDULES)]

    assert [[], [], []] == [told(known) for known in found]


@LAW
@given(SEEDS, SEEDS)
def test_clocks_that_step_make_nobody_silent(world_seed: int, seed: int) -> None:
    """Brokers' clocks step by up to 20 s: none false, none missed; the moment may differ by the steps, no more."""
    world = make_world(world_seed, Plan(steps=True))
    found = [outcome(world, seed + number) for number in range(SCHEDULES)]

    assert [] == [finding for known in found for finding in false_findings(world, known)]
    assert [] == missed(world, found[0])
    for known in found[1:]:
        first, second = told(found[0]), told(known)
        assert [line[:3] for line in first] == [line[:3] for line in second]
        assert all(abs(a[3] - b[3]) <= world.stepped_ms for a, b in zip(first, second, strict=True))
