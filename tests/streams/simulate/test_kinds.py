"""The kinds of fault."""

import dataclasses

import pytest

from streams.simulate.kinds import KINDS
from streams.simulate.scenario import Fault
from tests.streams.simulate.worlds import scenario, world

WAVE = """[[wave]]
name = "w"
host_os = "2"
announced = "1m"
self_service = ["1h", "2h"]
scheduled = ["3h", "4h"]
"""
FIELDS = {field.name for field in dataclasses.fields(Fault)}


def field_of(key: str) -> str:
    """Return the field of a fault that a key of the file fills."""
    return {"after": "after_ms", "delay": "delay_ms", "down_s": "down_ms", "spacing": "spacing_ms"}.get(key, key)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_a_kind_needs_it_takes_and_what_it_takes_a_fault_holds(name: str) -> None:
    kind = KINDS[name]
    taken = {field_of(key) for key in kind.keys}

    assert set(kind.required) <= set(kind.keys)
    assert set() == taken - FIELDS
    assert set() == set(kind.defaults) - taken


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"pulse_outage"}))
def test_every_kind_is_injected_and_written_down(name: str) -> None:
    needs = {"delay": 'delay = "1m"', "skew_s": "skew_s = 9", "fraction": "fraction = 0.5"}
    needs |= {"startup_s": "startup_s = [9, 9]", "onstop_s": "onstop_s = [9, 9]", "wave": f'wave = "w"\n{WAVE}'}
    keys = "\n".join(needs[key] for key in KINDS[name].required)
    simulated = world(scenario(f'[[fault]]\nname = "f"\nkind = "{name}"\nat = "1m"\n{keys}', duration="3m"))
    list(simulated.run())

    assert {"north-1"} == simulated.ledger.hit("f", "cluster")
