"""Reading the fleet of a scenario file."""

from typing import Any

import pytest

from streams.simulate.load_fleet import load_fleet, load_region
from streams.simulate.reading import Table


def loaded(fleet: dict[str, Any], *clusters: dict[str, Any]) -> tuple[list[Any], list[str]]:
    errors: list[str] = []
    return list(load_fleet(Table({"fleet": fleet, "cluster": list(clusters)}, "", errors))), errors


def test_a_cluster_has_what_the_fleet_has_and_what_differs() -> None:
    plans, errors = loaded(
        {"servers": 9, "versions": {"ha": "1.6"}}, {"name": "a"}, {"name": "b", "servers": 7, "versions": {"ga": "2"}}
    )

    assert [] == errors
    assert [("a", 9), ("b", 7)] == [(plan.name, plan.servers) for plan in plans]
    assert [("1.6", "1.0"), ("1.6", "2")] == [(plan.versions["ha"], plan.versions["ga"]) for plan in plans]


@pytest.mark.parametrize(
    ("fleet", "cluster", "error"),
    [
        ({}, {}, "cluster[0].name: is missing"),
        ({"servers": 0}, {"name": "a"}, "fleet.servers: is 0; must be"),
        ({"racks": "n / 3"}, {"name": "a"}, "fleet.racks: 'n / 3' gives"),
        ({}, {"name": "a", "versions": {"hha": "1"}}, "cluster[0].versions: component 'hha' is unknown"),
        ({}, {"name": "a", "vm": 3}, "cluster[0].vm: unknown key; did you mean 'vms'?"),
    ],
)
def test_each_error_names_its_place(fleet: dict[str, Any], cluster: dict[str, Any], error: str) -> None:
    _, errors = loaded(fleet, cluster)

    assert 1 == len(errors), errors
    assert errors[0].startswith(error)


def test_a_region_has_a_name() -> None:
    errors: list[str] = []
    load_region(Table({"paired_with": "south"}, "region[0]", errors))

    assert ["region[0].region: is missing"] == errors
