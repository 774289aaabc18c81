"""bounds: how much harm may be, and that the limit holds at every look."""

from __future__ import annotations

import math
import random

import pytest

from detectors.rollouts.bounds import against_less, against_more, bound, upper_limit
from detectors.rollouts.changes import Change
from detectors.rollouts.ledger import BESIDE, BLOCK_MS, START, Ledger, pattern_of
from detectors.rollouts.onsets import hit

ALPHA = 0.05
NEEDED = -math.log(ALPHA)


def test_so_many_without_a_failure_exclude_half_a_percent() -> None:
    """And twice as many with one among them."""
    assert against_more(0, 668, 0.005) < NEEDED < against_more(0, 669, 0.005)
    assert against_more(1, 1409, 0.005) < NEEDED < against_more(1, 1410, 0.005)


def clopper_pearson(failed: int, exposed: int) -> float:
    """Return the rate at which so few failures or fewer have a probability of ALPHA."""
    low, high = 0.0, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        few = sum(math.comb(exposed, k) * rate**k * (1 - rate) ** (exposed - k) for k in range(failed + 1))
        low, high = (rate, high) if few > ALPHA else (low, rate)
    return low


@pytest.mark.parametrize(("failed", "exposed"), [(0, 700), (2, 1500), (20, 1000), (100, 400)])
def test_the_limit_is_above_that_of_one_look_and_not_by_much(failed: int, exposed: int) -> None:
    """Clopper and Pearson's is valid for one look."""
    once = clopper_pearson(failed, exposed)

    assert once < upper_limit(failed, exposed, ALPHA) < 2.5 * once


def test_of_nothing_known_the_limit_is_one() -> None:
    assert 1.0 == upper_limit(0, 0, ALPHA)
    assert 1.0 == upper_limit(95, 100, ALPHA)
    assert 1.0 == upper_limit(0, 1, ALPHA)


@pytest.mark.parametrize("rate", [0.005, 0.02])
def test_harm_is_ever_excluded_as_seldom_as_is_said(rate: float) -> None:
    """Looked at after every start of 2,000, in 400 histories."""
    rng = random.Random(f"bounds {rate}")
    wrong = 0
    for _ in range(400):
        failed = 0
        for exposed in range(1, 2001):
            failed += rng.random() < rate
            if exposed >= 700 and not exposed % 5 and against_more(failed, exposed, 0.005) >= NEEDED:
                wrong += 1
                break

    assert wrong <= 400 * ALPHA * 1.5


def test_failures_beyond_the_excess_speak_for_harm() -> None:
    assert against_less(5, 100, 0.005) > math.log(100)
    assert against_less(0, 100, 0.005) < 0


class Told:
    """A change, with what its starts came to."""

    def __init__(self, servers: int = 40, racks: int = 8) -> None:
        self.change = Change(1, "r", "r", "ga", "2", "1", "m", 0)
        self.ledger = Ledger()
        for n in range(servers):
            self.change.servers[f"s{n}"] = [0, -1]
            self.change.racks[f"s{n}"] = f"r{n % racks}"

    def starts(
        self, server: str, count: int, failed: int = 0, *, block: int = 0, age: int = 0, error: str = "E"
    ) -> Told:
        """Let so many starts happen with the change, on a server of it."""
        for n in range(count):
            signature = error if n < failed else ""
            at_ms = block * BLOCK_MS + n
            self.ledger.add(START, pattern_of({1: age}), at_ms, server, signature)
            if signature:
                hit(self.change, START, signature, at_ms, server, "", fresh=1, last_seen_ms=0, evidence=None)
        return self

    def beside(self, servers: int, *, block: int = 0, error: str = "E", others: dict[int, int] | None = None) -> Told:
        """Let so many servers without the change fail."""
        for n in range(servers):
            self.ledger.add(START, pattern_of({1: BESIDE, **(others or {})}), block * BLOCK_MS, f"b{n}", error)
        return self

    def most(self, **named: object) -> tuple[float, int]:
        """Return what counts, and how many failures of it."""
        known = bound(self.change, START, self.ledger, 0.005, ALPHA, **named)  # type: ignore[arg-type]
        return round(known.exposed, 6), known.failed


def test_all_that_was_exposed_counts_in_calm_hours() -> None:
    assert (100, 4) == Told().starts("s1", 50, 2).starts("s2", 50, 2).most()


@pytest.mark.parametrize(("servers", "expected"), [(1, (150, 3)), (2, (100, 2))])
def test_an_hour_in_which_two_beside_fail_does_not_count(servers: int, expected: tuple[int, int]) -> None:
    told = Told().starts("s1", 50, 1).starts("s2", 50, 1).starts("s3", 50, 1, block=1).beside(servers, block=1)

    assert expected == told.most()


def test_where_a_guilty_change_is_in_force_nothing_counts() -> None:
    told = Told().starts("s1", 50, 1)
    told.ledger.add(START, pattern_of({1: 0, 2: 0}), 0, "s2", "E")
    told.beside(2, others={2: 0})

    assert (50, 1) == told.most(guilty=[2])


def test_failures_that_are_alike_beside_it_are_no_harm() -> None:
    told = Told().starts("s1", 50, 10).starts("s2", 50, 1, error="E2").beside(5)

    assert (90, 1) == told.most(alike=["E"])


def test_what_has_no_outcome_yet_may_have_failed() -> None:
    assert (57, 8) == Told().starts("s1", 50, 1).most(waiting=7)


@pytest.mark.parametrize(("failed", "expected"), [(2, (400, 3)), (3, (390, 1))])
def test_one_server_that_stands_out_is_broken(failed: int, expected: tuple[float, int]) -> None:
    """Of forty, in one rack of two."""
    told = Told(racks=2)
    for n in range(40):
        told.starts(f"s{n}", 10, {0: failed, 1: 1}.get(n, 0))

    assert expected == told.most()


def test_three_servers_are_not() -> None:
    told = Told(racks=2)
    for n in range(40):
        told.starts(f"s{n}", 10, 5 if n < 3 else 0)

    assert (400, 15) == told.most()


@pytest.mark.parametrize(("racks", "expected"), [(8, (350, 1)), (3, (400, 26))])
def test_one_rack_of_many_is_broken(racks: int, expected: tuple[float, int]) -> None:
    """Five servers fail alike, and one elsewhere; of three racks none is told from the change's doing."""
    told = Told(racks=racks)
    for n in range(40):
        told.starts(f"s{n}", 10, 5 if told.change.racks[f"s{n}"] == "r0" and n < 40 else int(n == 1))
    exposed, failed = told.most()

    assert expected[0] == exposed
    assert (failed == 1) == (racks == 8)


@pytest.mark.parametrize(
    ("later", "changed_h", "expected"),
    [(6, 0, (960, 0)), (5, 0, (1000, 40)), (6, 34, (1000, 40)), (6, 29, (1000, 40)), (6, 23, (960, 0))],
)
def test_one_stretch_that_is_over_is_the_hours_doing(later: int, changed_h: int, expected: tuple[int, int]) -> None:
    """From 30 h to 36 h all fail; two stretches must have passed since, and nothing been changed in it or before."""
    told = Told(racks=2)
    told.change.servers["s0"][0] = changed_h * 3_600_000
    for n in range(40):
        told.starts(f"s{n}", 23, block=6).starts(f"s{n}", 1, 1, block=16).starts(f"s{n}", 1, block=12 + later + 3)

    assert expected == told.most()


def test_harm_that_begins_late_is_seen_among_the_old() -> None:
    told = Told(racks=2)
    for n in range(40):
        told.starts(f"s{n}", 100).starts(f"s{n}", 1, int(n < 4), block=200, age=4)
    known = bound(told.change, START, told.ledger, 0.005, ALPHA)

    assert known.clear_log > NEEDED
    assert known.harm_log > math.log(100)


@pytest.mark.parametrize("servers", [0, 1])
def test_a_change_of_guests_alone_or_of_one_server_has_a_bound(servers: int) -> None:
    """No server can be told to be broken there; of nothing exposed nothing is known."""
    change = Change(1, "r", "r", "guest_os", "2", "1", "m", 0, servers={f"s{n}": [0, -1] for n in range(servers)})

    assert 1.0 == bound(change, START, Ledger(), 0.005, ALPHA).high
