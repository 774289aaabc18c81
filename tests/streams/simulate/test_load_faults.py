"""Reading the faults of a scenario file."""

from typing import Any

import pytest

from streams.simulate.load_faults import load_fault
from streams.simulate.quantity import Clock
from streams.simulate.reading import Table
from streams.simulate.scenario import Fault
from tests.streams.simulate.worlds import START_MS, scenario


def loaded(raw: dict[str, Any]) -> tuple[Fault, list[str]]:
    errors: list[str] = []
    return load_fault(Table(raw, "fault[0]", errors), Clock(START_MS), scenario("count = 2").clusters), errors


def test_what_is_not_given_is_the_kinds_own_default() -> None:
    fault, errors = loaded({"kind": "duplicates"})

    assert [] == errors
    assert ("duplicates", START_MS, None, 5000) == (fault.name, fault.at_ms, fault.for_ms, fault.delay_ms)


def test_a_scope_is_numbers_shares_and_patterns() -> None:
    fault, errors = loaded(
        {"kind": "bug", "scope": {"clusters": "north-1", "racks": 1, "servers": "25%", "vms": ["a*"]}}
    )

    assert [] == errors
    assert (("north-1",), 1, "25%", ("a*",)) == (
        fault.scope.clusters, fault.scope.racks, fault.scope.servers, fault.scope.vms
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({}, "fault[0].kind: is missing; one of"),
        ({"kind": "lag"}, "fault[0].delay: is missing; 'lag' needs it"),
        ({"kind": "server_lost", "step": "x"}, "fault[0].step: is no key of 'server_lost'"),
        ({"kind": "bug", "effect": "bang"}, "fault[0].effect: is 'bang'; must be one of"),
        ({"kind": "bug", "rate": 0}, "fault[0].rate: is 0; must be a share above 0"),
        ({"kind": "bug", "effect": "reboot"}, "fault[0].rate: is missing; say how many reboots"),
        ({"kind": "bad_hardware", "effect": "reboot"}, "fault[0].effect: is 'reboot'; only a bug"),
        ({"kind": "bug", "after": "1h"}, "fault[0].after: needs versions"),
        ({"kind": "bug", "scope": {"racks": "n / 3"}}, "fault[0].scope.racks: 'n / 3' gives"),
        ({"kind": "bug", "scope": {"clusters": "s-*"}}, "fault[0].scope.clusters: no cluster is named 's-*'"),
    ],
)
def test_each_error_names_its_place(raw: dict[str, Any], error: str) -> None:
    _, errors = loaded(raw)

    assert 1 == len(errors), errors
    assert errors[0].startswith(error)
