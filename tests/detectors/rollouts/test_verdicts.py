"""verdicts: what weights amount to."""

from __future__ import annotations

import dataclasses

import pytest

from detectors.lanes import Lanes
from detectors.picture import Picture
from detectors.rollouts.bounds import Bound
from detectors.rollouts.changes import Change, Onset
from detectors.rollouts.ledger import ANY, SERVER, START
from detectors.rollouts.sequential import Arm, Pair
from detectors.rollouts.verdicts import SUSPECT_LOG, advice, explanation, facts, judge, named, numbers
from detectors.rollouts.weighing import Weight
from schemas.outputs import Verdict

LEVELS = (4.6, 1.6, 3.0, 1.5, 3)
GUILTY = Weight(
    START, "boot:E", 4.6, 1.6, -3.0, Pair(Arm(48, 128), Arm(32, 128)), (100, 30), (100, 20), True, servers=3, units=3
)


def change() -> Change:
    known = Change(1, "r", "r", "ga", "2", "1", "m", 0)
    known.onsets = {"start|boot:E": Onset(0, 0)}
    return known


def verdict(
    weight: Weight,
    *others: Weight,
    doubts: tuple[str, ...] = (),
    known: Change | None = None,
    bounds: dict[str, tuple[Bound, Bound]] | None = None,
) -> str:
    return judge(known or change(), [weight, *others], list(doubts), LEVELS, bounds or {}).verdict


def bounded(start: float, server: float, harm: float = 0.0) -> dict[str, tuple[Bound, Bound]]:
    logs = {START: start, SERVER: server}
    return {
        sphere: (Bound(0.005, 1000, 0, log, 0.004, harm), Bound(0.005, 1000, 0, log, 0.004, harm))
        for sphere, log in logs.items()
    }


def whole(sphere: str, innocence_log: float) -> Weight:
    return Weight(sphere, ANY, 0, 0, innocence_log, Pair(Arm(0, 9), Arm(0, 9)), (9, 0), (9, 0), True)


def test_all_limits_reached_are_guilt() -> None:
    assert Verdict.GUILTY == verdict(GUILTY)


@pytest.mark.parametrize(
    "less",
    [
        {"guilt_log": 4.59},
        {"apart_log": 1.59},
        {"servers": 2},
        {"pair": Pair(Arm(47.9, 128), Arm(32, 128))},
        {"innocence_log": 3.0},
        {"hourly_ratio": 1.49},
    ],
)
def test_one_limit_missed_is_none(less: dict[str, float]) -> None:
    assert Verdict.GUILTY != verdict(dataclasses.replace(GUILTY, **less))  # type: ignore[arg-type]


def test_guilt_holds_until_the_contrary_is_shown() -> None:
    known = change()

    assert Verdict.GUILTY == verdict(GUILTY, known=known)
    assert Verdict.GUILTY == verdict(dataclasses.replace(GUILTY, guilt_log=1.0), known=known)
    assert Verdict.CLEARED == verdict(dataclasses.replace(GUILTY, guilt_log=1.0, innocence_log=3.0), known=known)
    assert Verdict.INCONCLUSIVE == verdict(dataclasses.replace(GUILTY, guilt_log=2.0), known=known)


ALIKE = dataclasses.replace(GUILTY, guilt_log=0.0, apart_log=0.0, innocence_log=3.0)


@pytest.mark.parametrize(("innocence", "expected"), [(3.0, Verdict.CLEARED), (2.99, Verdict.INCONCLUSIVE)])
def test_failures_as_frequent_without_clear(innocence: float, expected: str) -> None:
    assert expected == verdict(dataclasses.replace(ALIKE, innocence_log=innocence))


@pytest.mark.parametrize(("servers", "expected"), [(3, Verdict.CLEARED), (2, Verdict.INCONCLUSIVE)])
def test_but_not_those_of_one_or_two_servers(servers: int, expected: str) -> None:
    assert expected == verdict(dataclasses.replace(ALIKE, servers=servers))


@pytest.mark.parametrize(("second", "expected"), [(1.51, Verdict.CLEARED), (1.49, Verdict.INCONCLUSIVE)])
def test_once_as_frequent_holds_until_half_of_that_is_gone(second: float, expected: str) -> None:
    known = change()
    known.began_ms = 0

    assert Verdict.CLEARED == verdict(ALIKE, known=known)
    assert expected == verdict(dataclasses.replace(ALIKE, innocence_log=second), known=known)


@pytest.mark.parametrize(("innocence", "expected"), [(1.5, Verdict.CLEARED), (1.49, Verdict.INCONCLUSIVE)])
def test_all_starts_together_must_not_hide_more(innocence: float, expected: str) -> None:
    assert expected == verdict(ALIKE, whole(START, innocence))


@pytest.mark.parametrize(("start", "server"), [(3.0, 3.0), (2.99, 3.0), (3.0, 2.99)])
def test_harm_that_is_bounded_in_starts_and_server_hours_clears(start: float, server: float) -> None:
    known = change()
    known.onsets = {}
    expected = Verdict.CLEARED if min(start, server) >= 3.0 else Verdict.INCONCLUSIVE

    assert expected == verdict(whole(START, 0), whole(SERVER, 0), known=known, bounds=bounded(start, server))


@pytest.mark.parametrize(("second", "expected"), [(1.51, Verdict.CLEARED), (1.49, Verdict.INCONCLUSIVE)])
def test_once_bounded_holds_until_half_of_that_is_gone(second: float, expected: str) -> None:
    known = change()
    known.onsets = {}

    assert Verdict.CLEARED == verdict(whole(START, 0), known=known, bounds=bounded(3, 3))
    assert expected == verdict(whole(START, 0), known=known, bounds=bounded(3, second))


def test_a_sphere_of_which_nothing_is_known_is_not_bounded() -> None:
    known = change()
    known.onsets = {}

    assert Verdict.INCONCLUSIVE == verdict(whole(START, 0), known=known, bounds={START: bounded(3, 3)[START]})


def test_a_bound_is_told_in_the_title_and_the_numbers() -> None:
    known = change()
    known.onsets = {}
    case = judge(known, [whole(START, 0)], [], LEVELS, bounded(3, 3))

    assert "no more than 0.5 % of its starts and 0.5 % of its server-hours can be failing for it" == case.why
    assert 0.004 == numbers(known, case, Picture("c1", Lanes()), 0, 0.05)["excess_most"]


@pytest.mark.parametrize(
    ("guilt_log", "harm_log", "expected"),
    [
        (SUSPECT_LOG, 0.0, Verdict.INCONCLUSIVE),
        (SUSPECT_LOG - 0.01, 0.0, Verdict.CLEARED),
        (0.0, SUSPECT_LOG, Verdict.INCONCLUSIVE),
        (0.0, SUSPECT_LOG - 0.01, Verdict.CLEARED),
    ],
)
def test_a_suspect_is_not_cleared(guilt_log: float, harm_log: float, expected: str) -> None:
    suspect = dataclasses.replace(GUILTY, guilt_log=guilt_log, apart_log=0.0)

    assert expected == verdict(suspect, whole(START, 3.0), whole(SERVER, 3.0), bounds=bounded(3, 3, harm_log))


def test_doubts_clear_nothing_and_acquit_nobody() -> None:
    assert Verdict.INCONCLUSIVE == verdict(ALIKE, doubts=("unheard",))
    assert Verdict.GUILTY == verdict(GUILTY, doubts=("unheard",))


def test_nothing_known_is_inconclusive() -> None:
    case = judge(change(), [], [], LEVELS, {})

    assert Verdict.INCONCLUSIVE == case.verdict
    assert "Nothing that could fail" in explanation(change(), case, {})
    assert () == advice(case)


def test_a_tied_change_is_named_to_the_reader() -> None:
    other = Change(2, "b", "b", "ha", "3", "1", "m", 0)
    case = judge(change(), [dataclasses.replace(GUILTY, guilt_log=0.0, tied=(2,))], [], LEVELS, {})

    assert "rollout b (ha 3) came with it" in explanation(change(), case, {2: other})
    assert "rollout b (ha 3)" == facts(change(), case, {2: other})["confounders"]


def test_what_nobody_announced_is_called_so() -> None:
    assert "the unannounced change to ha 2" == named(Change(1, "ha=2", "", "ha", "2", "1", "m", 0))
