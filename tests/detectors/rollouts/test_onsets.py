"""onsets: bets on ranks, and coincidences."""

from __future__ import annotations

import math
import random

import pytest

from detectors.rollouts.changes import Change, Onset
from detectors.rollouts.ledger import Ledger
from detectors.rollouts.onsets import (
    FREEZE,
    RANK_AGE_MS,
    exposed,
    hit,
    hit_beside,
    key_of,
    onset_evidence,
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


def test_what_begins_at_once_after_a_quiet_week_is_no_coincidence() -> None:
    known, ledger = change(), Ledger()
    ledger.add("start", "", 7 * 24 * HOUR_MS - 60_000, "r1", "")
    exposed(known, "start", 7 * 24 * HOUR_MS, ledger)

    assert onset_evidence(known, "start", Onset(7 * 24 * HOUR_MS + 5000, 0)) > math.log(50)


def test_where_nothing_went_well_before_it_may_have_begun_any_time() -> None:
    known = change()
    exposed(known, "start", 7 * 24 * HOUR_MS, Ledger())

    assert onset_evidence(known, "start", Onset(7 * 24 * HOUR_MS + 5000, 0)) < 0
