"""The injector of faults."""

import dataclasses

import pytest

from streams.simulate.scenario import Scenario
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, reports, scenario, world


def hit(of: Scenario, field: str = "server") -> tuple[World, set[str]]:
    """Return a world that has run, and whom its fault hit."""
    simulated = world(of)
    list(simulated.run())
    return simulated, simulated.ledger.hit("f", field)


def test_a_scope_takes_racks_then_servers_of_these() -> None:
    fault = '[[fault]]\nname = "f"\nkind = "server_lost"\nscope = { racks = 1, servers = 2 }'
    simulated, found = hit(scenario(fault, servers=9, fleet="racks = 3"))

    assert 2 == len(found)
    assert 1 == len({host.rack for host in simulated.hosts if host.name in found})


def test_a_fault_of_another_cluster_does_not_happen_here() -> None:
    text = '[[cluster]]\nname = "south"\n[[fault]]\nname = "f"\nkind = "server_lost"\nscope = { clusters = "south-*" }'

    assert set() == hit(scenario(text))[1]


@pytest.mark.parametrize(("per_day", "times"), [(0.5, 5), (1.0, 10), (2.0, 20)])
def test_so_many_a_day_are_a_share_of_the_servers_in_scope(per_day: float, times: int) -> None:
    fault = f'[[fault]]\nname = "f"\nkind = "agent_restart"\nper_day = {per_day}'
    simulated, _ = hit(scenario(fault, servers=10, vms=0, duration="1d"))

    assert times == simulated.ledger.count("fault")


def test_a_host_agent_that_died_comes_back_as_a_new_run_and_one_that_hung_goes_on() -> None:
    runs = {}
    for kind in ("agent_dies", "agent_hangs"):
        fault = f'[[fault]]\nname = "f"\nkind = "{kind}"\nagent = "host"\nat = "10m"\nfor = "10m"'
        found = reports(list(world(scenario(fault, servers=1)).run()))
        runs[kind] = list(dict.fromkeys(one.run.rpartition("-")[2] for one in found))

        assert [] == [one for one in found if at(600) < one.sent_ms < at(1200)]

    assert {"agent_dies": ["0", "1"], "agent_hangs": ["0"]} == runs


def test_a_skewed_clock_is_wrong_while_it_lasts_and_right_again_after() -> None:
    fault = '[[fault]]\nname = "f"\nkind = "clock_skew"\nskew_s = 500\nat = "10m"\nfor = "10m"'
    simulated = world(scenario(fault, servers=1))
    skews = []
    for second in (599.0, 601.0, 1199.0, 1201.0):
        simulated.at(at(second), lambda: skews.append(simulated.hosts[0].skew_ms))
    list(simulated.run())

    assert [0, 500_000, 500_000, 0] == skews


def test_after_a_loss_of_power_every_server_boots_within_two_minutes() -> None:
    fault = '[[fault]]\nname = "f"\nkind = "power_lost"\nat = "10m"\nfor = "10m"'
    booted: dict[str, int] = {}
    for one in reports(list(world(scenario(fault, servers=5)).run())):
        if one.boot_id.endswith("boot-1"):
            booted.setdefault(one.server, one.sent_ms)

    assert 5 == len(booted)
    assert all(at(1200) <= sent_ms <= at(1321) for sent_ms in booted.values())


def test_a_kind_that_nobody_injects_is_our_bug_and_says_so() -> None:
    known = scenario('[[fault]]\nname = "f"\nkind = "loss"\nfraction = 1')
    unknown = dataclasses.replace(known, faults=(dataclasses.replace(known.faults[0], kind="flood"),))

    with pytest.raises(AssertionError, match="'flood' has nobody to inject it"):
        list(world(unknown).run())
