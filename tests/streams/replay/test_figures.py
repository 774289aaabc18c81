"""figures: how long what is made of instances was up, against a slow oracle that looks at every millisecond."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.replay.figures import Figures, Instance, Kept, Sight, Stretch, figures

PERIOD = (5, 30)
SIGHTS = [sight for sight in Sight if sight is not Sight.UP]


def intervals(most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Give up to so many intervals of some milliseconds, in any order, also empty and overlapping ones."""
    pairs = st.tuples(st.integers(0, 40), st.integers(0, 12))
    return st.lists(pairs.map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=most)


@st.composite
def instances(draw: st.DrawFn) -> list[Instance]:
    """Give some instances with lives, stretches and places."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        stretches = [
            Stretch(start, end, draw(st.sampled_from(SIGHTS)), draw(st.sampled_from(["", "A", "B"])))
            for start, end in draw(intervals(4))
        ]
        made.append(Instance(f"v{number}", tuple(draw(intervals(2))), tuple(stretches), draw(st.integers(0, 1))))
    return made


def sight_of(instance: Instance, at_ms: int) -> Sight:
    """Return what is known of an instance at a millisecond."""
    told = {each.sight for each in instance.stretches if each.from_ms <= at_ms < each.until_ms}
    return next((sight for sight in Sight if sight in told), Sight.UP)


def whole_of(sights: list[Sight]) -> Sight:
    """Return what is known of all of them together."""
    for sight in (Sight.UP, Sight.UNSEEN, Sight.OWN, Sight.UNPLANNED):
        if sight in sights:
            return sight
    return Sight.PLANNED


def slow(made: list[Instance]) -> Figures:
    """Return the figures, a millisecond at a time."""
    found = Figures()
    for at_ms in range(*PERIOD):
        here = [one for one in made if any(start <= at_ms < end for start, end in one.lives)]
        if not here:
            continue
        sights = [sight_of(one, at_ms) for one in here]
        found.instances = max(found.instances, len(here))
        for sight in sights:
            found.instance_ms[sight] += 1
        whole = whole_of(sights)
        found.whole_ms[whole] += 1
        if len(here) < 2:
            found.unpromised["one instance"] += 1
        elif len({one.update_domain for one in here}) < 2:
            found.unpromised["one update domain"] += 1
        else:
            found.promised_ms += 1
            found.against_ms += whole in (Sight.UNPLANNED, Sight.PLANNED)
            found.unsure_ms += whole is Sight.UNSEEN
    return found


@given(instances())
def test_it_equals_what_every_millisecond_says(made: list[Instance]) -> None:
    fast, wanted = figures(made, PERIOD), slow(made)
    outages, fast.outages = fast.outages, []

    assert wanted == fast
    lasted: Counter[Sight] = Counter()
    for outage in outages:
        lasted[outage.sight] += outage.until_ms - outage.from_ms
    assert lasted == Counter({sight: ms for sight, ms in wanted.whole_ms.items() if sight is not Sight.UP and ms})


@given(instances())
def test_outages_are_disjoint_in_order_and_as_long_as_they_can_be(made: list[Instance]) -> None:
    outages = figures(made, PERIOD).outages

    assert all(PERIOD[0] <= outage.from_ms < outage.until_ms <= PERIOD[1] for outage in outages)
    for before, after in pairwise(outages):
        assert before.until_ms <= after.from_ms
        assert before.until_ms < after.from_ms or (before.sight, before.promised) != (after.sight, after.promised)


@given(instances(), st.randoms(use_true_random=False))
def test_the_order_of_instances_and_of_what_is_told_does_not_matter(made: list[Instance], random: Random) -> None:
    before = figures(made, PERIOD)
    random.shuffle(made)
    turned = [Instance(one.vm, one.lives[::-1], one.stretches[::-1], one.update_domain) for one in reversed(made)]

    assert before == figures(made, PERIOD) == figures(turned, PERIOD)


def pair(*outs: tuple[int, int, Sight], second: tuple[tuple[int, int, Sight], ...] = ()) -> Figures:
    """Return the figures of two instances in two domains over 100,000 ms."""
    lives = ((0, 100_000),)
    told = (tuple(Stretch(*out) for out in outs), tuple(Stretch(*out) for out in second))
    return figures([Instance("a", lives, told[0], 0), Instance("b", lives, told[1], 1)], (0, 100_000))


def test_one_of_two_is_enough() -> None:
    found = pair((0, 60_000, Sight.UNPLANNED), second=((60_000, 100_000, Sight.UNPLANNED),))

    assert (Kept.KEPT, Fraction(1, 2)) == (found.kept(), found.instances_up())
    assert (Fraction(1), Fraction(1)) == found.whole_up()
    assert [] == found.outages


@pytest.mark.parametrize(("lasted", "kept"), [(50, Kept.KEPT), (51, Kept.BREACHED)])
def test_exactly_the_promised_share_is_kept(lasted: int, kept: Kept) -> None:
    """99.95 % of 100 s: 50 ms may be lost."""
    found = pair((0, lasted, Sight.UNPLANNED), second=((0, lasted, Sight.PLANNED),))

    assert (kept, lasted) == (found.kept(), found.against_ms)


@pytest.mark.parametrize(("lasted", "kept"), [(50, Kept.KEPT), (51, Kept.INCONCLUSIVE)])
def test_what_was_not_seen_is_neither_up_nor_down(lasted: int, kept: Kept) -> None:
    found = pair((0, lasted, Sight.UNSEEN), second=((0, lasted, Sight.UNPLANNED),))

    assert (kept, 0, lasted) == (found.kept(), found.against_ms, found.unsure_ms)
    assert (1 - Fraction(lasted, 100_000), Fraction(1)) == found.whole_up()


def test_what_its_owner_does_breaks_no_promise() -> None:
    found = pair((0, 60_000, Sight.OWN), second=((0, 60_000, Sight.UNPLANNED),))

    assert (Kept.KEPT, 60_000) == (found.kept(), found.whole_ms[Sight.OWN])


@pytest.mark.parametrize(
    ("domains", "why"), [([0], "one instance"), ([3, 3], "one update domain"), ([0, 1], ""), ([0, 0, 1], "")]
)
def test_nothing_is_promised_for_less_than_two_in_two_domains(domains: list[int], why: str) -> None:
    made = [Instance(f"v{n}", ((0, 10),), (), domain) for n, domain in enumerate(domains)]
    found = figures(made, (0, 10))

    assert ({why: 10} if why else {}) == dict(found.unpromised)
    assert (Kept.NO_PROMISE if why else Kept.KEPT) == found.kept()


def test_without_an_instance_there_are_no_figures() -> None:
    found = figures([], (0, 10))

    assert (None, None, Kept.NO_PROMISE) == (found.instances_up(), found.whole_up(), found.kept())


def test_two_outages_that_meet_are_one_with_the_causes_of_both() -> None:
    one = Instance("a", ((0, 10),), (Stretch(1, 3, Sight.PLANNED, "A"), Stretch(3, 5, Sight.PLANNED, "B")))
    (outage,) = figures([one], (0, 10)).outages

    assert (1, 5, ("A", "B")) == (outage.from_ms, outage.until_ms, outage.causes)
