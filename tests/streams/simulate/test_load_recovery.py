"""Reading the repairs and the named services of a scenario file."""

from typing import Any

import pytest

from streams.simulate.load_recovery import load_repair, load_services
from streams.simulate.quantity import Clock
from streams.simulate.reading import Table
from streams.simulate.scenario import Repair, ServicePlan
from tests.streams.simulate.worlds import START_MS, scenario

PLANS = scenario("count = 2").clusters
FAULTS = scenario('[[fault]]\nname = "c"\nkind = "corrupted"\n[[fault]]\nname = "b"\nkind = "bug"').faults


def repair(raw: dict[str, Any]) -> tuple[Repair, list[str]]:
    errors: list[str] = []
    return load_repair(Table(raw, "repair[0]", errors), Clock(START_MS), PLANS, FAULTS), errors


def services(*raw: dict[str, Any]) -> tuple[tuple[ServicePlan, ...], list[str]]:
    errors: list[str] = []
    tables = [Table(item, f"service[{place}]", errors) for place, item in enumerate(raw)]
    return load_services(tables, PLANS), errors


def test_a_repair_takes_one_server_a_minute_of_all_that_are_given_up_unless_told() -> None:
    found, errors = repair({"at": "1h"})

    assert [] == errors
    assert (START_MS + 3_600_000, 1, None, (), "failed", True) == (
        found.at_ms, found.per_minute, found.servers, found.of, found.restart, found.lifts_brake,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"per_minute": 0}, "repair[0].per_minute: is 0; must be servers a minute"),
        ({"per_minute": "sheep"}, "repair[0].per_minute: formula uses 'sheep'"),
        ({"of": "b"}, "repair[0].of: 'b' is no fault of kind corrupted; there are c"),
        ({"clusters": "south-*"}, "repair[0].clusters: no cluster is named 'south-*'"),
        ({"restart": "some"}, "repair[0].restart: is 'some'; must be one of all, failed, none"),
        ({"rate": 1}, "repair[0].rate: unknown key"),
    ],
)
def test_each_error_of_a_repair_names_its_place(raw: dict[str, Any], error: str) -> None:
    _, errors = repair({"at": "1h"} | raw)

    assert 1 == len(errors), errors
    assert errors[0].startswith(error)


def test_a_repair_needs_a_time() -> None:
    assert ["repair[0].at: is missing"] == repair({})[1]


def test_services_may_depend_on_each_other() -> None:
    found, errors = services({"name": "a"}, {"name": "b", "depends_on": "a", "needed_by": "north-*", "priority": 1})

    assert [] == errors
    assert [("a", 0, ()), ("b", 1, ("a",))] == [(one.name, one.priority, one.depends_on) for one in found]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({}, "service[0].name: is missing"),
        ({"name": "a", "depends_on": "b"}, "service[0].depends_on: no service is named 'b'; there are a"),
        ({"name": "a", "needed_by": "x-*"}, "service[0].needed_by: no cluster is named 'x-*'"),
        ({"name": "a", "priority": -1}, "service[0].priority: is -1; must be"),
    ],
)
def test_each_error_of_a_service_names_its_place(raw: dict[str, Any], error: str) -> None:
    _, errors = services(raw)

    assert 1 == len(errors), errors
    assert errors[0].startswith(error)


def test_a_cluster_cannot_run_more_named_services_than_it_has() -> None:
    _, errors = services(*({"name": str(place)} for place in range(6)))

    assert all(error.endswith("north would run 6 named services; it has 5") for error in errors)
    assert errors
