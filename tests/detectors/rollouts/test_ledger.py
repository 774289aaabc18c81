"""ledger: units, hits and shares as they are counted."""

from __future__ import annotations

import pytest

from detectors.rollouts.ledger import (
    ANY,
    BESIDE,
    BLOCK_MS,
    BLOCKS_KEPT,
    PATTERNS_MOST,
    SIGNATURES_MOST,
    START,
    Ledger,
    age_of,
    parsed,
    pattern_of,
)
from detectors.rollouts.sequential import Arm

HOUR_MS = 3_600_000


def test_failures_of_one_unit_in_a_block_are_one_hit() -> None:
    """Ten starts of a server, four of which fail: one hit among two and a half, so that the rate stays 40 %."""
    ledger = Ledger()
    fresh = [ledger.add(START, "", n, "r1", "boot" if n < 4 else "") for n in range(10)]

    (counts,) = ledger.counts(START, "boot")
    assert [1, 0, 0, 0, 0, 0, 0, 0, 0, 0] == fresh
    assert Arm(1, 2.5) == counts.per_event
    assert counts.per_unit.hits == pytest.approx(0.4)
    assert (10, 4) == (counts.events, counts.failures)


@pytest.mark.parametrize(("second_ms", "hits"), [(BLOCK_MS - 1, 1), (BLOCK_MS, 2)])
def test_a_block_ends_after_two_hours(second_ms: int, hits: int) -> None:
    ledger = Ledger()
    for at_ms in (0, second_ms):
        ledger.add(START, "", at_ms, "r1", "boot")

    assert hits == ledger.counts(START, "boot")[0].per_event.hits


def test_two_units_are_two_hits_and_any_counts_both_signatures() -> None:
    ledger = Ledger()
    ledger.add(START, "", 1, "r1", "boot")
    ledger.add(START, "", 2, "r2", "disk")

    assert 1 == ledger.counts(START, "boot")[0].per_event.hits
    assert 2 == ledger.counts(START, ANY)[0].per_event.hits


def test_a_server_that_was_heard_may_fail_later_without_being_counted_twice() -> None:
    ledger = Ledger()
    ledger.add("server", "", 1, "s1", "")
    ledger.fail("server", "", 2, "s1", "server:HI")
    ledger.fail("server", "", 3, "s2", "server:HI")

    (counts,) = ledger.counts("server", "server:HI")
    assert (2, 2) == (counts.events, counts.failures)


def test_the_same_hours_are_those_in_which_the_signature_was_seen_since() -> None:
    """Two blocks with the change beside; in the second one the signature is seen."""
    ledger = Ledger()
    beside = pattern_of({1: BESIDE})
    ledger.add(START, "", 1, "r1", "boot")
    ledger.add(START, beside, BLOCK_MS, "r1", "")
    ledger.add(START, beside, 2 * BLOCK_MS, "r1", "")
    ledger.add(START, pattern_of({1: 0}), 2 * BLOCK_MS, "r2", "boot")

    counts = {tuple(known.ages.items()): known.events for known in ledger.counts_where(START, "boot", 1)}
    assert {((1, BESIDE),): 1, ((1, 0),): 1} == counts


def test_totals_are_the_sums_of_the_blocks_kept() -> None:
    ledger = Ledger()
    ledger.add(START, "", 0, "r1", "boot")
    ledger.add(START, "", (BLOCKS_KEPT + 1) * BLOCK_MS, "r1", "boot")

    (counts,) = ledger.counts(START, "boot")
    assert (1, 1) == (counts.events, counts.failures)
    assert 1 == len(list(ledger.blocks(START)))


def test_what_comes_later_than_a_day_is_a_unit_of_its_own() -> None:
    ledger = Ledger()
    ledger.add(START, "", 20 * BLOCK_MS, "r1", "")
    for _ in range(2):
        ledger.add(START, "", 0, "r1", "boot")

    assert 2 == ledger.counts(START, "boot")[0].per_event.hits


def test_patterns_and_signatures_have_a_bound() -> None:
    ledger = Ledger()
    for n in range(PATTERNS_MOST + 5):
        ledger.add(START, pattern_of({n: 0}), n * BLOCK_MS, "r1", f"e{n}")

    assert PATTERNS_MOST == len(ledger.cells) == len(ledger.totals)
    assert SIGNATURES_MOST == len(ledger.signatures)


@pytest.mark.parametrize(("passed_ms", "age"), [(0, 0), (HOUR_MS - 1, 0), (HOUR_MS, 1), (24 * HOUR_MS, 3), (10**12, 5)])
def test_ages_begin_at_their_limits(passed_ms: int, age: int) -> None:
    assert age == age_of(passed_ms)


def test_a_pattern_is_read_as_it_was_written() -> None:
    assert {3: BESIDE, 12: 2} == parsed(pattern_of({12: 2, 3: BESIDE}))


def test_only_hours_in_which_both_ages_are_seen_compare_them() -> None:
    """In the first block all are young, in the second some are old, in the third all are."""
    ledger = Ledger()
    for block, ages in ((0, (0,)), (1, (0, 2)), (2, (2,))):
        for age in ages:
            ledger.add(START, pattern_of({1: age}), block * BLOCK_MS, "r1", "boot")

    assert [2, 2] == [known.events for known in ledger.counts_where(START, "boot", 1)]
    assert [1, 1] == [known.events for known in ledger.counts_where(START, "boot", 1, age=1)]
    assert [0, 0] == [known.events for known in ledger.counts_where(START, "boot", 1, age=0)]
