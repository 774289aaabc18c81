"""Reading the rollouts of a scenario file."""

from typing import Any

import pytest

from streams.simulate.load_rollouts import load_rollout
from streams.simulate.quantity import Clock
from streams.simulate.reading import Table
from streams.simulate.scenario import Rollout
from tests.streams.simulate.worlds import START_MS, scenario

GOOD = {"name": "r", "at": "5m", "versions": {"ha": "2", "netplugin": "2"}}


def loaded(raw: dict[str, Any]) -> tuple[Rollout, list[str]]:
    errors: list[str] = []
    return load_rollout(Table(raw, "rollout[0]", errors), Clock(START_MS), scenario("count = 2").clusters), errors


def test_its_events_name_the_first_of_its_components_unless_told() -> None:
    first, errors = loaded(GOOD)
    other, _ = loaded(GOOD | {"component": "netplugin"})

    assert [] == errors
    assert ("ha", "netplugin") == (first.component, other.component)
    assert (START_MS + 300_000, "ud") == (first.at_ms, first.mode)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"component": "ga"}, "rollout[0].component: 'ga' is none of versions: ha, netplugin"),
        ({"mode": "bang"}, "rollout[0].mode: is 'bang'; must be one of ud, blast"),
        ({"clusters": "south-*"}, "rollout[0].clusters: no cluster is named 'south-*'"),
        ({"done": "uds - 21"}, "rollout[0].done: is 'uds - 21'; must not be negative"),
        ({"servers": "120%"}, "rollout[0].servers: is '120%'; a share is such as"),
        ({"from": {"hha": "1"}}, "rollout[0].from: component 'hha' is unknown"),
        ({"restart": "failed"}, "rollout[0].restart: needs a new ga in versions"),
        ({"repairs": True}, "rollout[0].repairs: needs by_hand"),
        ({"abort_at": "5m"}, "rollout[0].abort_at: must be later than at"),
        ({"announced": "no"}, "rollout[0].announced: is 'no'; must be true or false"),
        ({"lag": "1m"}, "rollout[0].lag: unknown key"),
    ],
)
def test_each_error_names_its_place(raw: dict[str, Any], error: str) -> None:
    _, errors = loaded(GOOD | raw)

    assert 1 == len(errors), errors
    assert errors[0].startswith(error)


@pytest.mark.parametrize("key", sorted(GOOD))
def test_it_needs_name_time_and_versions(key: str) -> None:
    _, errors = loaded({name: value for name, value in GOOD.items() if name != key})

    assert [f"rollout[0].{key}: is missing"] == errors
