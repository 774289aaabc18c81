"""sequential: its error rate under continuous looking, and its parts against slow ones."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rollouts.sequential import (
    AT_ONE,
    AT_ZERO,
    GRID,
    Arm,
    Pair,
    evidence_of_more,
    evidence_of_no_harm,
    log_mean,
    ratio_interval,
)


def pair(hits: float, units: float, control_hits: float, control_units: float) -> Pair:
    return Pair(Arm(hits, units), Arm(control_hits, control_units))


def likelihood(hits: float, units: float, rate: float) -> float:
    return float(rate**hits * (1 - rate) ** (units - hits))


def slow_evidence(known: Pair, allowed: list[tuple[float, float]]) -> float:
    """Return the evidence by adding up the mixture and trying pairs of rates one by one."""
    weight = (1 - AT_ZERO - AT_ONE) / len(GRID)
    rates = [(0.0, AT_ZERO), (0.999, AT_ONE), *((rate, weight) for rate in GRID)]
    mixed = 1.0
    for arm in (known.exposed, known.control):
        mixed *= sum(share * likelihood(arm.hits, arm.units, rate) for rate, share in rates)
    best = max(
        likelihood(known.exposed.hits, known.exposed.units, p1)
        * likelihood(known.control.hits, known.control.units, p0)
        for p1, p0 in allowed
    )
    return math.log(mixed / best)


RATES = [step / 400 for step in range(401)]
small = st.integers(0, 12)


@settings(max_examples=40, deadline=None)
@given(small, small, small, small, st.sampled_from((1.0, 1.5, 2.0)))
def test_evidence_of_more_is_what_trying_all_rates_finds(
    hits: int, misses: int, control_hits: int, control_misses: int, ratio: float
) -> None:
    known = pair(hits, hits + misses, control_hits, control_hits + control_misses)
    allowed = [(min(1.0, p1), p0) for p0 in RATES for p1 in {p * ratio for p in RATES if p <= p0}]

    assert slow_evidence(known, allowed) == pytest.approx(evidence_of_more(known, ratio), abs=0.02)


@settings(max_examples=40, deadline=None)
@given(small, small, small, small)
def test_evidence_of_no_harm_is_what_trying_all_rates_finds(
    hits: int, misses: int, control_hits: int, control_misses: int
) -> None:
    known = pair(hits, hits + misses, control_hits, control_hits + control_misses)
    allowed = [(p1, p0) for p0 in RATES for p1 in RATES if p1 >= 2 * p0 and p1 >= p0 + 0.1]

    assert slow_evidence(known, allowed) == pytest.approx(evidence_of_no_harm(known, 2, 0.1), abs=0.02)


def crossings(seed: int, runs: int, rate: float, limit: float, units: int, together: int) -> int:
    """Return in how many runs the evidence ever reached the limit, looking after every unit of either arm.

    `together`: so many VMs fail or live together; a unit's value is the share of two such groups.
    """
    rng = random.Random(seed)
    crossed = 0
    for _ in range(runs):
        arms = [Arm(), Arm()]
        for _ in range(units):
            place = 0 if rng.random() < 0.6 else 1
            value = sum(rng.random() < rate for _ in range(together)) / together
            arms[place] += Arm(value, 1)
            if evidence_of_more(Pair(arms[0], arms[1])) >= limit:
                crossed += 1
                break
    return crossed


@pytest.mark.parametrize(("rate", "together"), [(0.02, 1), (0.3, 1), (0.3, 3)])
def test_looking_all_the_time_finds_guilt_where_none_is_no_oftener_than_alpha(rate: float, together: int) -> None:
    """Of 120 runs with 100 looks each, at alpha 5 %: 6 at most are expected; 16 would be one chance in thousands."""
    assert crossings(11, 120, rate, math.log(20), 100, together) < 16


def test_innocence_is_not_found_in_harm_however_often_one_looks() -> None:
    rng, crossed = random.Random(5), 0
    for _ in range(100):
        arms = [Arm(), Arm()]
        for _ in range(100):
            place = 0 if rng.random() < 0.5 else 1
            arms[place] += Arm(float(rng.random() < (0.2, 0.1)[place]), 1)
            if evidence_of_no_harm(Pair(arms[0], arms[1]), 2, 0.1) >= math.log(20):
                crossed += 1
                break

    assert crossed < 14


def test_guilt_is_found() -> None:
    assert evidence_of_more(pair(40, 20_000, 0, 20_000)) > math.log(1000)
    assert evidence_of_more(pair(10, 20, 0, 20)) > math.log(20)


def test_as_frequent_without_is_innocent() -> None:
    assert evidence_of_no_harm(pair(100, 100, 20, 20), 2, 0.002) > math.log(20)


@pytest.mark.parametrize(("starts", "found"), [(1500, False), (3000, True)])
def test_no_failure_in_enough_starts_is_innocent_without_any_control(starts: int, found: bool) -> None:
    assert found == (evidence_of_no_harm(pair(0, starts, 0, 0), 2, 0.002) >= math.log(20))


def test_no_data_says_nothing() -> None:
    nothing = pair(0, 0, 0, 0)

    assert 0 == pytest.approx(evidence_of_more(nothing))
    assert 0 == pytest.approx(evidence_of_no_harm(nothing, 2, 0.002))
    assert (0.0, math.inf) == ratio_interval(nothing, 0.05)


def test_the_interval_of_the_ratio_holds_it_and_tightens() -> None:
    wide, narrow = ratio_interval(pair(10, 100, 5, 100), 0.05), ratio_interval(pair(1000, 10_000, 500, 10_000), 0.05)

    assert wide[0] < narrow[0] < 2 < narrow[1] < wide[1]


def test_guilt_and_the_interval_agree() -> None:
    """What is rejected at a level has its ratio above 1 at that level, and the other way round."""
    for hits in range(21):
        known = pair(hits, 100, 2, 100)

        assert (evidence_of_more(known) > math.log(20)) == (ratio_interval(known, 0.05)[0] > 1)


def test_the_mean_of_evidence_is_of_evidence_not_of_logs() -> None:
    assert math.log(50.5) == pytest.approx(log_mean([(0.5, math.log(100)), (0.5, 0.0)]))


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_rates_at_the_ends_are_told(rate: float) -> None:
    known = pair(rate * 50, 50, 25, 50)

    assert math.isfinite(evidence_of_more(known))
    assert math.isfinite(evidence_of_no_harm(known, 2, 0.002))
