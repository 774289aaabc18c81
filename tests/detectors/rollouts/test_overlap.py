"""Tests of what is under way at once."""

from __future__ import annotations

from detectors.rollouts.overlap import Scope, Unit, together
from schemas.outputs import Evidence

LONGEST = 1000


def unit(name: str, domain: int, from_ms: int, until_ms: int | None = None, rollout: str = "r") -> Unit:
    return Unit(name, domain, rollout, from_ms, f"e-{name}", Evidence(0, from_ms), until_ms)


def scope(*units: Unit) -> Scope:
    made = Scope()
    for one in units:
        made.begin(one)
    return made


def test_what_is_under_way_at_a_time() -> None:
    made = scope(unit("vm a", 0, 10, 20), unit("vm b", 1, 15), unit("vm c", 1, 30))

    assert [["vm a"], ["vm a", "vm b"], ["vm b"], ["vm b", "vm c"], []] == [
        [one.name for one in made.active(at_ms, LONGEST)] for at_ms in (10, 19, 20, 1015, 1031)
    ]


def test_the_first_of_another_domain_makes_them_several() -> None:
    first, second, third = unit("vm a", 0, 10), unit("vm b", 0, 11), unit("vm c", 1, 12)

    assert (12, third) == together([first, second, third])
    assert together([first, second]) is None
    assert together([]) is None


def test_a_start_that_is_told_twice_counts_from_the_first() -> None:
    made = scope(unit("vm a", 0, 10), unit("vm a", 0, 5))

    assert [5] == [one.from_ms for one in made.units.values()]


def test_one_that_starts_again_is_under_way_again() -> None:
    made = scope(unit("vm a", 0, 10))
    made.end("vm a", "r", 20)
    made.begin(unit("vm a", 0, 30))

    assert [30] == [one.from_ms for one in made.active(40, LONGEST)]


def test_the_least_end_counts_and_none_before_the_start() -> None:
    made = scope(unit("vm a", 0, 10))
    made.end("vm a", "r", 9)
    assert [None] == [one.until_ms for one in made.units.values()]

    for at_ms in (30, 20, 25):
        made.end("vm a", "r", at_ms)
    made.end("vm b", "r", 20)
    assert [20] == [one.until_ms for one in made.units.values()]


def test_a_domain_that_is_complete_ends_all_in_it_told_before_or_after() -> None:
    made = scope(unit("vm a", 0, 10), unit("vm b", 1, 10), unit("vm c", 0, 10, rollout="other"))
    made.complete(0, "r", 20)
    made.begin(unit("vm d", 0, 15))
    made.begin(unit("vm e", 0, 21))
    made.begin(unit("domain 0", 0, 19))

    assert {"vm a": 20, "vm b": None, "vm c": None, "vm d": 20, "vm e": None, "domain 0": None} == {
        one.name: one.until_ms for one in made.units.values()
    }


def test_a_rollout_that_stops_ends_its_own() -> None:
    made = scope(unit("vm a", 0, 10), unit("vm b", 1, 10, rollout="other"))

    assert made.stop("r", 20)
    assert not made.stop("r", 30)
    assert [20, None] == [one.until_ms for one in made.units.values()]


def test_what_ended_is_forgotten_when_all_have_passed_it() -> None:
    made = scope(unit("vm a", 0, 10, 20), unit("vm b", 1, 10))
    made.complete(5, "r", 1)
    assert made.several()

    made.forget(20, LONGEST)
    assert 2 == len(made.units)
    made.forget(21, LONGEST)
    assert ["vm b"] == [one.name for one in made.units.values()]
    assert not made.several()

    made.forget(1011, LONGEST)
    assert Scope() == made


def test_the_next_time_at_which_something_changes() -> None:
    made = scope(unit("vm a", 0, 10, 20), unit("vm b", 1, 15))

    assert [10, 15, 20, 1016, None] == [made.next_ms(after_ms, LONGEST) for after_ms in (0, 10, 15, 20, 1016)]
