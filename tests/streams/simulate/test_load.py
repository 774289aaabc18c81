"""Scenario files: those that come with the simulator, and every way to get one wrong."""

from __future__ import annotations

import pytest

from streams.simulate.load import load, loads, names
from streams.simulate.reading import ScenarioError

GOOD = """
name = "small"
start = 2012-02-29T00:00:00Z
duration = "1h"

[[cluster]]
name = "north"
servers = 10
vms = 2
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        loads(text, "file")
    return list(caught.value.errors)


@pytest.mark.parametrize("name", names())
def test_every_scenario_of_ours_can_be_read_and_is_named_as_its_file(name: str) -> None:
    scenario = load(name)

    assert name == scenario.name
    assert scenario.truth.find or scenario.truth.never
    assert scenario.title


def test_the_scenarios_of_the_issue_are_there() -> None:
    wanted = {
        "healthy-week", "leap-day", "leap-day-silent", "bad-server", "bad-rack", "cascade", "collector-outage",
        "power-loss", "lag", "clock-skew", "duplicates", "leap-day-dawn", "blast", "version-mix", "regression",
        "innocent-rollout",
    }  # fmt: skip

    assert wanted <= set(names())


def test_a_file_with_the_least_is_enough() -> None:
    scenario = loads(GOOD)

    assert ["north-1"] == [name for name, _ in scenario.instances()]
    assert 3_600_000 == scenario.end_ms - scenario.start_ms


def test_all_errors_are_named_at_once_with_their_places() -> None:
    found = errors_of(
        """
name = "bad"
start = 2012-02-29T00:00:00
duration = "1 hour"
sed = 3

[[cluster]]
name = "north"
servers = 0
racks = "n / zero"

[[fault]]
kind = "server_lost"
step = "no such thing"
scope = { clusters = "south-*", servrs = 1 }

[[fault]]
kind = "lag"

[[truth.find]]
detector = "start_failure"
seen_by = { moment = "no such moment" }

[[truth.not]]
clusters = "@nobody"
"""
    )

    assert any(error.startswith("start: ") for error in found)
    assert any(error.startswith("duration: ") for error in found)
    assert "sed: unknown key; did you mean 'seed'?" in found
    assert any(error.startswith("cluster[0].servers: ") for error in found)
    assert any(error.startswith("cluster[0].racks: formula uses 'zero'") for error in found)
    assert any(error.startswith("fault[0].step: is no key of 'server_lost'") for error in found)
    assert any(error.startswith("fault[0].scope.clusters: no cluster is named 'south-*'") for error in found)
    assert "fault[0].scope.servrs: unknown key; did you mean 'servers'?" in found
    assert "fault[1].delay: is missing; 'lag' needs it" in found
    assert any(error.startswith("truth.find[0].seen_by: ") for error in found)
    assert any(error.startswith("truth.not[0].clusters: '@nobody' names no fault") for error in found)
    assert any(error.startswith("truth.not[0].detectors: is missing") for error in found)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("[[fault]]\nkind = 'flood'", "fault[0].kind"),
        ("[[fault]]\nname = 'x'", "fault[0].kind"),
        ("[[fault]]\nkind = 'loss'\nfraction = 1.5", "fault[0].fraction"),
        ("[[fault]]\nkind = 'bug'\ndates = ['29 February']", "fault[0].dates"),
        ("[[fault]]\nkind = 'bug'\nversions = { gaa = '1' }", "fault[0].versions"),
        ("[[fault]]\nkind = 'reboot'\nper_day = 0", "fault[0].per_day"),
        ("[[fault]]\nkind = 'clock_skew'\nskew_s = [5, 1]", "fault[0].skew_s"),
        ("[[fault]]\nkind = 'agent_dies'\nscope = { servers = '120%' }", "fault[0].scope.servers"),
        ("[[fault]]\nkind = 'agent_dies'\nname = 'a'\n[[fault]]\nkind = 'agent_hangs'\nname = 'a'", "fault"),
        ("[[rollout]]\nname = 'r'", "rollout[0].at"),
        ("[[rollout]]\nname = 'r'\nat = '1m'\nversions = { ga = '2' }\ncomponent = 'ha'", "rollout[0].component"),
        ("[[truth.find]]\nseen_by = '1h'", "truth.find[0].detector"),
        ("[[truth.find]]\ndetector = 'x'\nthroughout = ['1h']", "truth.find[0].throughout"),
        ("[[truth.decide]]\ncount = 1", "truth.decide[0].action"),
        ("[truth.count]\nsheep = 3", "truth.count"),
        ("[fleet]\nversions = 'new'", "fleet.versions"),
        ("[[region]]\nregion = ''", "region[0].region"),
    ],
)
def test_each_error_names_its_place(line: str, place: str) -> None:
    assert any(error.startswith(f"{place}: ") for error in errors_of(GOOD + line)), errors_of(GOOD + line)


def test_what_is_no_toml_says_where() -> None:
    assert any("line 2" in error for error in errors_of("a = 1\nb = ?\n"))


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ScenarioError, match="leap-day"):
        load("leap-dya")


def test_two_clusters_of_the_leap_day_are_one_in_rollout_and_one_without() -> None:
    scenario = load("leap-day-dawn").with_size(clusters=2, servers=50, vms=5)

    assert ["started-1", "complete-1"] == [name for name, _ in scenario.instances()]
    assert {(50, 5)} == {(plan.servers, plan.vms) for _, plan in scenario.instances()}


def test_more_clusters_than_kinds_are_dealt_in_turn() -> None:
    scenario = load("leap-day-dawn").with_size(clusters=7)

    assert [2, 2, 1, 1, 1] == [plan.count for plan in scenario.clusters]


@pytest.mark.parametrize(
    "size",
    [
        {"clusters": 0},
        {"clusters": 1_001},
        {"servers": 0},
        {"servers": 100_001},
        {"vms": -1},
        {"vms": 1_001},
        {"days": 0},
    ],
)
def test_a_size_that_cannot_be_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        load("bad-server").with_size(**size)


def test_the_largest_size_is_taken() -> None:
    (plan,) = load("bad-server").with_size(clusters=1, servers=100_000, vms=1_000).clusters

    assert (1, 100_000, 1_000) == (plan.count, plan.servers, plan.vms)
