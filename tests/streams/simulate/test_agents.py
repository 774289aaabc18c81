"""Host agents and guest agents."""

import pytest

from schemas.source import GaState, HostState
from streams.simulate.machines import Host, Vm
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, reports, said, scenario, world


def first(simulated: World) -> tuple[Host, Vm]:
    host = simulated.hosts[0]
    return host, next(iter(host.vms.values()))


def test_what_changes_within_a_second_travels_in_one_full_report() -> None:
    simulated = world(scenario(servers=1))
    host, _ = first(simulated)
    for second in (1200.0, 1200.0, 1200.3, 1200.9):
        simulated.at(at(second), simulated.agents.changed, host)
    found = reports(list(simulated.run()))
    fulls = [one.sent_ms for one in found if one.vms is not None and at(1200) <= one.sent_ms < at(1203)]

    assert [at(1200), at(1201)] == fulls


def test_a_new_run_counts_from_nought_with_a_full_report() -> None:
    simulated = world(scenario(servers=1))
    host, _ = first(simulated)
    before = host.run
    simulated.at(at(600), simulated.agents.new_run, host)
    anew = [one for one in reports(list(simulated.run())) if one.run != before]

    assert list(range(len(anew))) == [one.seq for one in anew]
    assert anew[0].vms is not None


@pytest.mark.parametrize(("component", "state"), [("ha", HostState.READY), ("netplugin", HostState.FAULTED)])
def test_another_host_agent_judges_a_faulty_server_anew(component: str, state: str) -> None:
    simulated = world(scenario(servers=1))
    host, _ = first(simulated)
    host.state = HostState.FAULTED
    simulated.at(at(600), simulated.agents.new_versions, host, {component: "9"})

    assert state == reports(list(simulated.run()))[-1].state


@pytest.mark.parametrize(("contact_s", "timeouts"), [(1499.999, 0), (1500.0, 0), (1500.001, 1)])
def test_a_guest_agent_may_take_twenty_five_minutes_to_make_contact(contact_s: float, timeouts: int) -> None:
    fleet = f"contact_s = [{contact_s}, {contact_s}]\nslow_starts = 0"
    simulated = world(scenario(servers=1, vms=1, fleet=fleet, duration="30m"))
    _, vm = first(simulated)
    simulated.at(at(0), lambda: simulated.agents.start(vm, clean=True))
    list(simulated.run())

    assert timeouts == simulated.ledger.count("timeout")


def test_after_three_time_outs_in_a_row_the_server_is_at_fault() -> None:
    text = '[[fault]]\nname = "bad"\nkind = "bad_hardware"\nscope = { servers = 1 }\neffect = "silent"'
    simulated = world(scenario(text, servers=1, vms=1, duration="2h"))
    list(simulated.run())

    (given_up,) = simulated.ledger.facts("north-1", "hi")
    assert [at(1500), at(3000), at(4500)] == [
        fact.at_ms for fact in simulated.ledger.facts("north-1", "timeout") if fact.at_ms <= given_up.at_ms
    ]


@pytest.mark.parametrize(("after_s", "states"), [(59.999, set()), (60.001, {GaState.SILENT})])
def test_a_guest_agent_is_silent_after_a_minute_without_a_word(after_s: float, states: set[str]) -> None:
    simulated = world(scenario(servers=1))
    _, vm = first(simulated)
    simulated.at(at(600), simulated.agents.fall_silent, vm)
    simulated.at(at(600 + after_s), simulated.agents.speak_again, vm, vm.incarnation)
    told = {row.ga for one in reports(list(simulated.run())) for row in one.vms or () if row.vm == vm.name}

    assert states | {GaState.READY} == told


def test_an_incarnation_that_is_over_does_nothing_more() -> None:
    simulated = world(scenario(servers=1, fleet="slow_starts = 0"))
    _, vm = first(simulated)
    simulated.at(at(600), simulated.agents.fall_silent, vm)
    simulated.at(at(610), lambda: simulated.agents.start(vm, clean=True))
    simulated.at(at(611), simulated.agents.speak_again, vm, vm.incarnation)
    found = list(simulated.run())
    told = {row.ga for one in reports(found) for row in one.vms or () if row.vm == vm.name}

    assert {GaState.READY, GaState.STARTING} == told
    assert [vm.incarnation] == [event.incarnation for event in said(found, "READY")]  # type: ignore[union-attr]
