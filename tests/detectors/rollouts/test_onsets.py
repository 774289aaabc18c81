"""onsets: bets on ranks, and coincidences."""

from __future__ import annotations

import math
import random

import pytest

from detectors.rollouts.changes import FAILED_BLOCKS, FIRST_HITS_MOST, Change, Onset
from detectors.rollouts.ledger import BLOCK_MS, Ledger
from detectors.rollouts.onsets import (
    FREEZE,
    RANK_AGE_MS,
    edge_at,
    exposed,
    hit,
    hit_beside,
    key_of,
    onset_share,
    rank_evidence,
)

HOUR_MS = 3_600_000
KEY = key_of("start", "boot")


def change(servers: int = 20, step_ms: int = HOUR_MS) -> Change:
    """Return a change that reached a server an hour."""
    known = Change(1, "r", "r", "ga", "2", "1", "m", 0)
    known.servers = {f"s{n}": [n * step_ms, -1] for n in range(servers)}
    return known


def fail(known: Change, server: str, at_ms: int, fresh: int = 1) -> None:
    hit(known, "start", "boot", at_ms, server, server, fresh=fresh, last_seen_ms=0, evidence=None)


def test_servers_that_fail_in_the_order_in_which_they_were_changed_tell_of_it() -> None:
    """Each ten hours after its change."""
    known = change()
    for n in range(8):
        fail(known, f"s{n}", (n + 10) * HOUR_MS)

    assert rank_evidence(known.onsets[KEY]) > math.log(5)


def test_servers_that_fail_in_any_order_do_not() -> None:
    """Of 300 changes at random, no more than a tenth reach ten, at any time."""
    rng, most = random.Random(3), []
    for _ in range(300):
        known, best = change(), -9.0
        for n, server in enumerate(rng.sample(sorted(known.servers), 20)):
            fail(known, server, (40 + n) * HOUR_MS)
            best = max(best, rank_evidence(known.onsets[KEY]))
        most.append(best)

    assert sum(value >= math.log(10) for value in most) <= 30


def test_failures_beside_lose_the_bet() -> None:
    known = change()
    for n in range(3):
        fail(known, f"s{n}", (n + 10) * HOUR_MS)
    before = rank_evidence(known.onsets[KEY])
    hit_beside(known, "start", "boot")

    assert rank_evidence(known.onsets[KEY]) < before


@pytest.mark.parametrize(("age_ms", "ranked"), [(RANK_AGE_MS - 1, 0), (RANK_AGE_MS, 1)])
def test_failures_of_the_first_hour_are_not_ranked(age_ms: int, ranked: int) -> None:
    known = change()
    fail(known, "s0", age_ms)

    assert ranked == known.onsets[KEY].ranked


def test_a_server_and_a_unit_are_ranked_once() -> None:
    known = change()
    fail(known, "s0", 9 * HOUR_MS)
    fail(known, "s0", 10 * HOUR_MS)
    fail(known, "s1", 10 * HOUR_MS, fresh=0)

    assert 1 == known.onsets[KEY].ranked


def test_wealth_is_kept_as_it_stood() -> None:
    known = change(servers=200, step_ms=60_000)
    for n in range(40):
        fail(known, f"s{n}", 100 * HOUR_MS + n)

    assert len(FREEZE) == len(known.onsets[KEY].frozen)


def quiet(count: int, step_ms: int = 60_000) -> tuple[Change, int]:
    """Return a change after so many starts that went well, one in a step, and the stamp at which it begins."""
    known, ledger, at_ms = change(), Ledger(), 7 * 24 * HOUR_MS
    for n in range(count, 0, -1):
        ledger.add("start", "", at_ms - n * step_ms, "s1", "")
    exposed(known, "start", at_ms, ledger)
    return known, at_ms


def share(known: Change, onset: Onset, rate: float = 0.1, seen: int = 0, prior_ms: int = HOUR_MS) -> float:
    return onset_share(known, "start", onset, rate, seen, 0, prior_ms)


def test_what_begins_at_once_after_a_quiet_week_is_no_coincidence() -> None:
    """30 in a row are needed at one in ten: the last 32 went well, in 32 min."""
    known, at_ms = quiet(32)

    assert share(known, Onset(at_ms + 60_000, 0)) == pytest.approx(33 / (7 * 24 * 60 + 1 + 60))


def test_too_few_that_went_well_before_tell_nothing() -> None:
    known, at_ms = quiet(31)

    assert 1.0 == share(known, Onset(at_ms + 60_000, 0))
    assert share(known, Onset(at_ms + 60_000, 0), rate=0.2) < 0.01


def test_a_signature_seen_before_is_as_frequent_as_it_was() -> None:
    known, at_ms = quiet(32)
    never, once = (share(known, Onset(at_ms, 0), seen=seen, prior_ms=0) for seen in (0, 1))

    assert once == pytest.approx(2 * never)
    assert 1.0 == share(known, Onset(at_ms, at_ms - 60_000), seen=1)


def test_failures_long_after_the_change_may_be_by_chance() -> None:
    known, at_ms = quiet(32)

    assert share(known, Onset(at_ms + 24 * HOUR_MS, 0)) > 0.1


@pytest.mark.parametrize(("good_min", "edge"), [(-5, True), (5, False)])
def test_an_edge_since_the_last_that_went_well_may_be_the_cause(good_min: int, edge: bool) -> None:
    """The first failure is 40 min after midnight."""
    midnight_ms = 20 * 24 * HOUR_MS

    assert edge == bool(edge_at(Onset(midnight_ms + 40 * 60_000, 0, midnight_ms + good_min * 60_000)))


def test_ten_minutes_after_an_edge_may_be_its_doing_in_any_case() -> None:
    midnight_ms = 20 * 24 * HOUR_MS

    assert edge_at(Onset(midnight_ms + 600_000, 0, midnight_ms + 1))
    assert not edge_at(Onset(midnight_ms + 600_001, 0, midnight_ms + 1))


def test_failures_of_a_server_are_kept_by_block_and_bounded() -> None:
    known = change()
    for block in range(FAILED_BLOCKS + 1):
        fail(known, "s1", block * BLOCK_MS)
        fail(known, "s1", block * BLOCK_MS + 1)
    for n in range(FIRST_HITS_MOST):
        fail(known, f"t{n}", 0)
    onset = known.onsets[KEY]

    assert (FAILED_BLOCKS, 2, 1) == (len(onset.failed["s1"]), onset.failed["s1"][1], min(onset.failed["s1"]))
    assert FIRST_HITS_MOST == len(onset.failed)
