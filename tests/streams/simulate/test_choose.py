"""Which clusters, servers and VMs a scope means."""

from dataclasses import dataclass
from random import Random

import pytest

from streams.simulate.choose import clusters_named, pick
from streams.simulate.scenario import Pick

SIZES = {"n": 10.0, "brake": 3.0}


@dataclass(frozen=True)
class Thing:
    """What has a name."""

    name: str


THINGS = [Thing(f"s{number}") for number in range(10)]


@pytest.mark.parametrize(
    ("what", "amount"),
    [(None, 10), (0, 0), (1, 1), (10, 10), (11, 10), ("brake + 1", 4), ("0%", 0), ("1%", 1), ("20%", 2), ("21%", 3)],
)
def test_a_number_a_formula_or_a_share_means_so_many_and_a_share_is_rounded_up(what: Pick, amount: int) -> None:
    chosen = pick(THINGS, what, SIZES, Random(1))

    assert amount == len(set(chosen))
    assert chosen == sorted(chosen, key=THINGS.index)


def test_patterns_mean_the_things_they_match_whatever_the_dice() -> None:
    assert [THINGS[1], THINGS[7]] == pick(THINGS, ("s7", "s[01]*1", "s1"), SIZES, Random(2))


def test_the_same_dice_choose_the_same_things() -> None:
    assert pick(THINGS, 4, SIZES, Random(3)) == pick(THINGS, 4, SIZES, Random(3))
    assert len({tuple(pick(THINGS, 4, SIZES, Random(seed))) for seed in range(9)}) > 1


def test_clusters_keep_their_order_and_a_pattern_more_names_none_twice() -> None:
    names = ["north-1", "south-1", "north-2"]

    assert ["north-1", "north-2"] == clusters_named(["north-2", "north-*"], names)
    assert [] == clusters_named(["north"], names)
