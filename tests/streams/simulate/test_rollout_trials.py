"""rollout_trials: drawn by a seed; what a classical test can tell."""

from __future__ import annotations

import math

import pytest

from streams.simulate.rollout_trials import KINDS, draw, fisher, truth
from streams.simulate.rollout_worlds import DAY_S, HOUR_S, Lost, Plan, Trial, Weather, World


def test_a_seed_and_a_number_give_one_trial() -> None:
    assert draw(1, 2) == draw(1, 2)
    assert draw(1, 2) != draw(2, 2)


def test_all_kinds_are_drawn_and_rates_span_the_range() -> None:
    trials = [draw(3, number) for number in range(300)]
    rates = [plan.rate for trial in trials for plan in trial.plans if plan.guilty and plan.what in {"error", "silent"}]

    assert set(KINDS) == {trial.kind for trial in trials}
    assert min(rates) < 0.003
    assert max(rates) > 0.4
    assert any(plan.sleeps_s > 13 * DAY_S for trial in trials for plan in trial.plans)
    assert all(trial.lost == Lost() for trial in trials if trial.kind != "missing")


@pytest.mark.parametrize(
    ("one", "other", "expected"), [([3, 1], [1, 3], 0.242857), ([0, 5], [5, 0], 1.0), ([5, 0], [0, 5], 1 / 252)]
)
def test_fishers_exact_test(one: list[int], other: list[int], expected: float) -> None:
    """The first is Fisher's own tea: 17 in 70."""
    assert expected == pytest.approx(fisher(one, other), abs=1e-6)


def told(rate: float, share: float = 0.5, lost: Lost | None = None, spread_h: float = 6) -> bool:
    plan = Plan("a", "ga", DAY_S, spread_h * HOUR_S, 6, False, share, True, guilty=True, rate=rate)
    world = World(Trial(9, "guilty", 80, 6, 6, 2.5, [plan], Weather(6, 0, False, 0, 0, 0, 0.1), lost or Lost()))
    return truth(world, plan).told


def test_the_data_tell_where_there_is_harm_and_a_control() -> None:
    assert told(0.3)
    assert not told(0.0001)


def test_or_where_the_hours_with_it_differ_from_those_before() -> None:
    """Changed at once, nothing is beside it: each of six stretches is struck with it, and none of four before."""
    assert told(0.3, share=1.0, spread_h=0)
    assert not told(0.001, share=1.0, spread_h=0)


def test_they_do_not_where_telemetry_is_lost() -> None:
    assert not told(0.3, lost=Lost(inventory=True))


def test_an_innocent_change_has_nothing_to_be_told() -> None:
    trial = draw(1, next(n for n in range(99) if draw(1, n).kind == "innocent"))
    world = World(trial)

    assert not truth(world, trial.plans[0]).told
    assert math.inf == truth(world, trial.plans[0]).first_harm_s
