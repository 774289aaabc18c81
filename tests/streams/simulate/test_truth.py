"""Truth in plain numbers: moments, formulas and what faults hit."""

from __future__ import annotations

import pytest

from streams.simulate.ledger import Fact, Ledger
from streams.simulate.truth import Decide, Find, Moment, Not, Truth, resolve

SIZES = [("north-1", 50, 5), ("south-1", 1000, 20)]


def ledger() -> Ledger:
    facts = Ledger()
    for place, (server, vm) in enumerate([("s1", "a"), ("s1", "b"), ("s1", "c"), ("s2", "d")]):
        facts.add(Fact("start_failed", 1000 * (place + 1), "north-1", server, vm, "x/1"))
    facts.add(Fact("fault", 0, "north-1", "s1", "", "bad"))
    facts.add(Fact("reboot_planned", 5, "south-1", "s9"))
    return facts


def test_a_moment_is_the_fact_that_completes_the_vms_on_the_servers() -> None:
    moment = Moment(None, "start_failed", 3, 2, plus_ms=7)
    truth = Truth(find=(Find("", "start_failure", ("north-*",), {}, seen_by=moment, opened_from=Moment(9)),))
    (line,) = resolve(truth, SIZES, ledger())

    assert (4007, 9, "north-1", "") == (line.seen_by_ms, line.opened_from_ms, line.cluster, line.broken)


def test_a_moment_of_two_signatures_or_outside_the_window_never_comes() -> None:
    facts = ledger()

    assert facts.completed_ms("north-1", "start_failed", 3, 2, 2000) == 4000
    assert facts.completed_ms("north-1", "start_failed", 3, 2, 1999) is None
    assert facts.completed_ms("north-1", "start_failed", 4, 3, 600_000) is None


def test_a_line_whose_moment_never_came_is_broken_not_passed() -> None:
    truth = Truth(find=(Find("", "healing_cascade", ("*",), {}, before=Moment(None, "brake")),))

    assert all("brake" in line.broken for line in resolve(truth, SIZES, ledger()))


def test_a_line_about_a_fault_speaks_of_the_clusters_and_servers_that_it_hit() -> None:
    truth = Truth(
        find=(Find("", "server_hi", ("*",), {"server": ("@bad",)}),),
        never=(Not("", ("*",), ("@bad",), {}),),
    )
    lines = resolve(truth, SIZES, ledger())

    assert ["north-1", "north-1"] == [line.cluster for line in lines]
    assert {"server": frozenset({"s1"})} == lines[0].subject


def test_numbers_and_counts_follow_the_size_of_the_cluster() -> None:
    truth = Truth(
        find=(Find("", "server_hi", ("*",), {}, numbers={"servers": ("brake", "n")}, count=("brake", "n")),),
        decide=(Decide("", "stop-updates", ("south-*",)),),
        count={"reboot_planned": "injected", "reboot_unplanned": 3},
    )
    north, south, decided, planned = resolve(truth, SIZES, ledger(), ["reboot_planned"])

    assert [(11, 50), (50, 1000)] == [(line.least, line.most) for line in (north, south)]
    assert {"servers": (11, 50)} == north.numbers
    assert ("decide", "south-1", 1) == (decided.kind, decided.cluster, decided.least)
    assert ("count", 1) == (planned.kind, planned.least)


def test_ledgers_of_processes_become_one() -> None:
    one, other = ledger(), Ledger()
    other.add(Fact("hi", 9, "south-1", "s3"))
    one.merge(other)

    assert 4 == one.count("start_failed")
    assert ["s3"] == [fact.server for fact in one.facts("south-1", "hi")]


@pytest.mark.parametrize(("wanted", "seen_by_ms"), [(1, 1001), (2, 5001), ("clusters", 5001), (3, None)])
def test_a_line_about_the_fleet_is_one_whose_moment_has_come_in_so_many_clusters(
    wanted: float | str, seen_by_ms: int | None
) -> None:
    facts = ledger()
    facts.add(Fact("start_failed", 5000, "south-1", "s7", "z", "x/1"))
    moment = Moment(None, "start_failed", plus_ms=1, clusters=wanted)
    (line,) = resolve(Truth(find=(Find("", "common_cause", ("*",), {}, seen_by=moment, fleet=True),)), SIZES, facts)

    assert (True, "", seen_by_ms) == (line.fleet, line.cluster, line.seen_by_ms)
    assert (seen_by_ms is None) == bool(line.broken)


def test_a_line_about_the_fleet_looks_at_its_clusters_alone_and_at_all_that_a_fault_hit() -> None:
    facts = ledger()
    facts.add(Fact("fault", 0, "south-1", "s9", "", "bad"))
    truth = Truth(
        find=(Find("", "d", ("south-*",), {"server": ("@bad",)}, seen_by=Moment(None, "start_failed"), fleet=True),),
        never=(Not("", ("d",), ("*",), {"server": ("@bad",)}, fleet=True),),
        decide=(Decide("", "pause-create", ("*",), scope="everywhere", target="r*", fleet=True),),
    )
    found, never, decide = resolve(truth, SIZES, facts)

    assert "in 0" in found.broken
    assert {"server": frozenset({"s1", "s9"})} == never.subject
    assert ("everywhere", "r*", "", True) == (decide.scope, decide.target, decide.cluster, decide.fleet)
