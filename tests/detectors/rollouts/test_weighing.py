"""weighing: who is compared with whom."""

from __future__ import annotations

import math

import pytest

from detectors.rollouts.changes import Change, Onset
from detectors.rollouts.ledger import BESIDE, BLOCK_MS, START, STRETCH_BLOCKS, Counts, Ledger, pattern_of
from detectors.rollouts.sequential import Arm
from detectors.rollouts.weighing import (
    ALIKE_BETS,
    GUILTY_BETS,
    among_failures,
    guilt,
    hourly_ratio,
    innocence,
    strata,
    stretches,
    weigh,
)


def counts(ages: dict[int, int], events: int, hits: int) -> Counts:
    return Counts(ages, events, hits, Arm(hits, events), Arm(hits, events))


def change() -> Change:
    return Change(1, "r", "r", "ga", "2", "1", "m", 0)


def test_arms_are_with_the_change_and_without_it() -> None:
    known = [counts({}, 100, 1), counts({1: BESIDE}, 50, 0), counts({1: 0}, 10, 5), counts({1: 2}, 4, 1)]

    assert Arm(6, 14) == strata(known, 1)[()][0].exposed
    assert Arm(1, 150) == strata(known, 1)[()][0].control
    assert Arm(0, 50) == strata(known, 1, beside=True)[()][0].control


@pytest.mark.parametrize(("age", "exposed"), [(0, 14), (1, 4), (3, 0)])
def test_younger_than_the_least_age_is_control(age: int, exposed: int) -> None:
    known = [counts({1: 0}, 10, 5), counts({1: 2}, 4, 1)]

    assert exposed == strata(known, 1, age=age)[()][0].exposed.units


def test_other_changes_are_compared_where_they_are_alike() -> None:
    """1 does nothing, 2 fails: with both as often as with 2 alone."""
    known = [counts({}, 500, 0), counts({1: 0}, 100, 0), counts({2: 0}, 100, 50), counts({1: 0, 2: 0}, 100, 50)]

    assert {(), (2,)} == set(strata(known, 1))
    assert guilt(strata(known, 1)) < 0
    assert guilt(strata(known, 2)) > math.log(1000)


def test_without_both_arms_nothing_is_said_of_guilt() -> None:
    assert 0 == guilt(strata([counts({1: 0}, 100, 50)], 1))
    assert 0 == guilt({})


def test_without_anything_exposed_nothing_is_said_of_innocence() -> None:
    assert 0 == innocence(strata([counts({}, 10_000, 0)], 1), 2, 0.002)


def test_a_share_of_the_failures_weighs_less() -> None:
    known = strata([counts({}, 500, 0), counts({1: 0}, 100, 10)], 1)

    assert guilt(known, 0.3) < guilt(known)


def test_stretches_of_six_hours_with_the_change_and_before() -> None:
    ledger = Ledger()
    for block in range(STRETCH_BLOCKS * 3):
        ledger.add(START, "", block * BLOCK_MS, "r1", "boot" if block == 1 else "")
    for block in range(STRETCH_BLOCKS * 3, STRETCH_BLOCKS * 5):
        ledger.add(START, pattern_of({1: 0}), block * BLOCK_MS, "r1", "boot")
        ledger.add(START, pattern_of({1: BESIDE}), block * BLOCK_MS, "r1", "boot")

    pair, *_ = stretches(change(), START, "boot", ledger)
    assert (Arm(2, 2), Arm(1, 3)) == (pair.exposed, pair.control)


def weighed(units: dict[str, float], first_ms: int = 10**9, reached: int = 0) -> float:
    """Return the guilt of a change that failed in these units, against many without; it reached so many racks."""
    ledger, known = Ledger(), change()
    known.racks = {f"s{n}": f"r{n % reached + 1}" for n in range(2 * reached)}
    for n in range(200):
        ledger.add(START, "", n * 1000, f"r{n}", "")
    for unit, hits in units.items():
        for n in range(int(hits)):
            ledger.add(START, pattern_of({1: 0}), 10**9 + n * BLOCK_MS, unit, "boot")
    known.onsets["start|boot"] = Onset(first_ms, 0, units=dict(units))
    return weigh(known, START, "boot", ledger, harm_ratio=2, harm_excess=0.002, alike_excess=0.02, prior_ms=1).guilt_log


def test_two_racks_alone_do_not_decide() -> None:
    assert weighed({"r1": 9}) < 0
    assert weighed({"r1": 9, "r2": 1}) < weighed({"r1": 5, "r2": 5})
    assert weighed({"r1": 9, "r2": 9, "r3": 1}) < weighed({"r1": 7, "r2": 6, "r3": 6})
    assert weighed({"r1": 12, "r2": 6, "r3": 6}) > weighed({"r1": 6, "r2": 6, "r3": 6})


@pytest.mark.parametrize(("reached", "decides"), [(2, True), (3, False)])
def test_two_racks_decide_only_where_no_third_was_reached(reached: int, decides: bool) -> None:
    assert decides == (weighed({"r1": 9, "r2": 9}, reached=reached) > math.log(100))
    assert weighed({"r1": 9, "r2": 9, "r3": 9}, reached=reached) > math.log(100)


def test_strata_that_tell_the_same_tell_more_together() -> None:
    """One alone has two failures in a hundred against none; three of them are six in three hundred."""
    one = [counts({3: 0}, 300, 0), counts({1: 0, 3: 0}, 100, 2)]
    three = [known for other in (3, 4, 5) for known in (counts({other: 0}, 300, 0), counts({1: 0, other: 0}, 100, 2))]

    assert guilt(strata(three, 1)) > 3 * guilt(strata(one, 1)) + math.log(2)


def sides(exposed: int, exposed_failed: int, control: int, control_failed: int, *, unit: str = "") -> Ledger:
    """Return one block; each start of a server of its own, or all of one."""
    ledger = Ledger()
    for place, (count, failed) in enumerate(((exposed, exposed_failed), (control, control_failed))):
        pattern = pattern_of({1: 0 if place == 0 else BESIDE})
        for n in range(count):
            ledger.add(START, pattern, n, unit or f"s{place}-{n}", "boot" if n < failed else "")
    return ledger


def test_failures_that_fall_on_both_sides_alike_speak_against_harm() -> None:
    alike = among_failures(1, START, "boot", sides(400, 40, 400, 40), 2.0, ALIKE_BETS)
    harmful = among_failures(1, START, "boot", sides(400, 80, 400, 40), 2.0, ALIKE_BETS)

    assert alike > math.log(20)
    assert harmful < 0


def test_failures_that_fall_on_one_side_speak_for_it() -> None:
    assert among_failures(1, START, "boot", sides(100, 10, 100, 0), 1.0, GUILTY_BETS) > math.log(100)
    assert among_failures(1, START, "boot", sides(100, 10, 100, 10), 1.0, GUILTY_BETS) < 0


def test_failures_of_one_server_are_one() -> None:
    many = among_failures(1, START, "boot", sides(100, 10, 100, 0), 1.0, GUILTY_BETS)
    one = among_failures(1, START, "boot", sides(100, 10, 100, 0, unit="s"), 1.0, GUILTY_BETS)

    assert one == pytest.approx(math.log(2), abs=0.3)
    assert many > one


def test_a_block_without_both_sides_tells_nothing() -> None:
    assert 0 == among_failures(1, START, "boot", sides(100, 50, 0, 0), 1.0, GUILTY_BETS)


def test_all_other_changes_of_the_failed_are_named_if_they_never_stood_alone() -> None:
    ledger, known = Ledger(), change()
    ledger.add(START, pattern_of({1: 0, 2: 0, 3: 0}), 1, "r1", "boot")
    ledger.add(START, pattern_of({3: 0}), 1, "r1", "")

    assert (2,) == weigh(
        known, START, "boot", ledger, harm_ratio=2, harm_excess=0.002, alike_excess=0.02, prior_ms=1
    ).tied


def test_a_calendar_edge_is_told() -> None:
    ledger, known = Ledger(), change()
    known.onsets["start|boot"] = Onset(86_400_000 + 60_000, 0, units={"r1": 1})

    assert (
        "UTC midnight"
        in weigh(known, START, "boot", ledger, harm_ratio=2, harm_excess=0.002, alike_excess=0.02, prior_ms=1).edge
    )


def test_a_disturbance_after_most_were_changed_is_no_difference_hour_by_hour() -> None:
    """Before it half are changed and none fails; under it nine tenths are, and all fail."""
    ledger = Ledger()
    for block, changed, failing in ((0, 5, ""), (1, 9, "boot")):
        for n in range(10):
            pattern = pattern_of({1: 0 if n < changed else BESIDE})
            ledger.add(START, pattern, block * BLOCK_MS, f"r{n}", failing)

    assert 1 == pytest.approx(hourly_ratio(1, START, "boot", ledger))
    assert math.inf == hourly_ratio(1, START, "disk", ledger)


def test_on_which_side_failures_fall_is_compared_where_other_changes_are_alike() -> None:
    """1 does nothing and came where 2 fails: within 2, failures fall alike with 1 and without."""
    ledger = Ledger()
    for pattern, failed in (({1: 0, 2: 0}, 10), ({1: BESIDE, 2: 0}, 10), ({1: BESIDE, 2: BESIDE}, 0)):
        for n in range(100):
            ledger.add(START, pattern_of(pattern), n, f"{pattern}-{n}", "boot" if n < failed else "")

    assert among_failures(1, START, "boot", ledger, 1.0, GUILTY_BETS) < 0
    assert among_failures(2, START, "boot", ledger, 1.0, GUILTY_BETS) > math.log(5)
