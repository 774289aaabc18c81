"""Reading what is true of a scenario."""

from typing import Any

import pytest

from streams.simulate.load_truth import load_truth
from streams.simulate.reading import Table
from streams.simulate.truth import Moment, Truth
from tests.streams.simulate.worlds import START_MS, scenario

PLANS = scenario("count = 2").clusters


def loaded(raw: dict[str, Any]) -> tuple[Truth, list[str]]:
    errors: list[str] = []
    return load_truth(Table(raw, "truth", errors), START_MS, PLANS, {"bad"}), errors


def test_a_line_says_who_finds_what_where_by_when() -> None:
    seen_by = {"moment": "start_failed", "vms": 3, "servers": "brake", "plus": "1s"}
    truth, errors = loaded({"find": [{"detector": "d", "clusters": "north-2", "server": "@bad", "seen_by": seen_by}]})
    (find,) = truth.find

    assert [] == errors
    assert ("d", ("north-2",), {"server": ("@bad",)}) == (find.detector, find.clusters, find.subject)
    assert Moment(None, "start_failed", 3, "brake", 600_000, 1000) == find.seen_by


def test_a_time_counts_from_the_start_of_the_scenario() -> None:
    truth, _ = loaded({"not": [{"detectors": "*", "from": "10m", "until": "2012-03-01T00:20:00Z"}]})
    (never,) = truth.never

    assert [START_MS + 600_000, START_MS + 1_200_000] == [
        moment.at_ms if moment is not None else None for moment in (never.from_at, never.until)
    ]


@pytest.mark.parametrize(("count", "limits"), [(3, (3, 3)), ("brake", ("brake", "brake")), ([1, "n"], (1, "n"))])
def test_a_count_is_a_number_or_the_least_and_the_most(count: object, limits: tuple[object, object]) -> None:
    truth, errors = loaded({"find": [{"detector": "d", "count": count}]})

    assert [] == errors
    assert limits == truth.find[0].count


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"find": [{}]}, "truth.find[0].detector: is missing"),
        ({"find": [{"detector": "d", "clusters": "south-*"}]}, "truth.find[0].clusters: no cluster is named"),
        ({"find": [{"detector": "d", "vm": "@good"}]}, "truth.find[0].vm: '@good' names no fault; there are bad"),
        ({"find": [{"detector": "d", "seen_by": {"vms": 1}}]}, "truth.find[0].seen_by: moment: is missing"),
        ({"find": [{"detector": "d", "count": [1]}]}, "truth.find[0].count: is [1]; must be"),
        ({"find": [{"detector": "d", "count": "sheep"}]}, "truth.find[0].count: formula uses 'sheep'"),
        ({"find": [{"detector": "d", "severity": "LOUD"}]}, "truth.find[0].severity: is 'LOUD'; must be one of"),
        ({"not": [{}]}, "truth.not[0].detectors: is missing; name detectors, or severity_at_least"),
        ({"decide": [{"action": "a", "count": [3, 1]}]}, "truth.decide[0].count: is [3, 1]; the least comes first"),
        ({"decide": [{"action": "a", "count": [1]}]}, "truth.decide[0].count: is [1]; must be a number, or"),
        ({"decide": [{"action": "a", "count": 1001}]}, "truth.decide[0].count: is 1001; must be"),
        ({"decide": [{"action": "a", "scope": "world"}]}, "truth.decide[0].scope: is 'world'; must be everywhere"),
        (
            {"decide": [{"action": "a", "scope": "region:x", "fleet": False}]},
            "truth.decide[0].fleet: is false; 'region:x' is wider than a cluster",
        ),
        ({"find": [{"detector": "d", "fleet": 1}]}, "truth.find[0].fleet: is 1; must be true or false"),
        ({"count": {"reboot_planned": True}}, "truth.count: reboot_planned is True; must be"),
        ({"count": {"sheep": 1}}, "truth.count: 'sheep' is no count"),
        ({"finds": []}, "truth.finds: unknown key; did you mean 'find'?"),
    ],
)
def test_each_error_names_its_place_and_what_is_wrong(raw: dict[str, Any], error: str) -> None:
    _, errors = loaded(raw)

    assert 1 == len(errors), errors
    assert errors[0].startswith(error)


@pytest.mark.parametrize(
    ("scope", "fleet"), [("everywhere", True), ("region:n*", True), ("cluster:north-1", False), ("", False)]
)
def test_what_is_decided_more_widely_than_for_a_cluster_is_the_fleets(scope: str, fleet: bool) -> None:
    truth, errors = loaded({"decide": [{"action": "a", **({"scope": scope} if scope else {})}]})

    assert [] == errors
    assert (scope, fleet) == (truth.decide[0].scope, truth.decide[0].fleet)


def test_a_moment_counts_from_a_time_on_of_one_thing_in_so_many_clusters() -> None:
    moment = {"moment": "blasted", "from": "10m", "of": "mix", "clusters": 2}
    truth, errors = loaded({"find": [{"detector": "d", "says": ["a", "b"], "fleet": True, "seen_by": moment}]})
    (find,) = truth.find

    assert [] == errors
    assert Moment(None, "blasted", from_ms=START_MS + 600_000, of="mix", clusters=2) == find.seen_by
    assert (True, ("a", "b")) == (find.fleet, find.says)


@pytest.mark.parametrize(("count", "limits"), [(0, (0, 0)), (2, (2, 2)), ([1, 3], (1, 3))])
def test_decisions_are_counted_by_the_least_and_the_most(count: object, limits: tuple[int, int]) -> None:
    truth, errors = loaded({"decide": [{"action": "a", "count": count}]})

    assert [] == errors
    assert limits == truth.decide[0].count
