"""What makes starts fail."""

import pytest

from schemas.source import Network
from streams.simulate.failures import Active
from streams.simulate.scenario import Fault, Scope
from streams.simulate.world import World
from tests.streams.simulate.worlds import START_MS, at, scenario, world


def active(simulated: World, *, vms: frozenset[str] | None = None, **fields: object) -> Active:
    """Return a fault of starts on the first server, or of some VMs wherever they run."""
    fault = Fault("f", "bug", Scope(), START_MS, None, **fields)  # type: ignore[arg-type]
    return Active(fault, frozenset({simulated.hosts[0].name}), vms)


def test_it_concerns_the_vms_on_its_servers_or_its_own_vms_wherever_they_run() -> None:
    simulated = world()
    here, there = (next(iter(host.vms.values())) for host in simulated.hosts[:2])

    assert [True, False] == [active(simulated).concerns(vm) for vm in (here, there)]
    assert [False, True] == [active(simulated, vms=frozenset({there.name})).concerns(vm) for vm in (here, there)]


@pytest.mark.parametrize(("skew_ms", "fails"), [(-1, False), (0, True), (86_399_999, True), (86_400_000, False)])
def test_a_bug_of_a_date_reads_the_clock_of_the_server(skew_ms: int, fails: bool) -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, dates=("2012-03-01",)))
    host = simulated.hosts[0]
    host.skew_ms = skew_ms

    assert fails == (simulated.failures.of_start(next(iter(host.vms.values()))) is not None)


@pytest.mark.parametrize(("ha", "ga", "fails"), [("1.6", "2", True), ("1.6", "3", False), ("1.7", "2", False)])
def test_a_bug_of_a_combination_needs_all_of_it(ha: str, ga: str, fails: bool) -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, versions={"ha": "1.6", "ga": "2*"}))
    host = simulated.hosts[0]
    host.versions = {**host.versions, "ha": ha, "ga": ga}

    assert fails == (simulated.failures.of_start(next(iter(host.vms.values()))) is not None)


def test_the_first_fault_of_the_file_wins_until_it_ends() -> None:
    simulated = world()
    vm = next(iter(simulated.hosts[0].vms.values()))
    faults = [active(simulated, step=step) for step in ("one", "two")]
    for each in faults:
        simulated.failures.begin(each)
    steps = []
    for each in faults:
        failure = simulated.failures.of_start(vm)
        steps.append(failure.step if failure is not None else "")
        simulated.failures.end(each.fault)

    assert ["one", "two"] == steps
    assert simulated.failures.of_start(vm) is None


def test_a_bug_of_the_network_lets_starts_succeed_and_takes_the_network() -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, effect="network_down"))
    here, there = (next(iter(host.vms.values())) for host in simulated.hosts[:2])

    assert simulated.failures.of_start(here) is None
    assert [Network.DOWN, Network.UP] == [simulated.failures.network(vm) for vm in (here, there)]


@pytest.mark.parametrize(("rate", "least", "most"), [(0.25, 180, 320), (1.0, 1000, 1000), (None, 1000, 1000)])
def test_a_bug_with_a_rate_strikes_that_share_of_the_starts(rate: float | None, least: int, most: int) -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, rate=rate))
    vm = next(iter(simulated.hosts[0].vms.values()))

    assert least <= sum(simulated.failures.of_start(vm) is not None for _ in range(1000)) <= most


@pytest.mark.parametrize(("passed_ms", "fails"), [(7_199_999, False), (7_200_000, True)])
def test_a_bug_that_sleeps_awakes_so_long_after_the_change_on_its_server(passed_ms: int, fails: bool) -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, versions={"ha": "2"}, after_ms=7_200_000))
    host = simulated.hosts[0]
    simulated.agents.put(host, {"ha": "2"})
    simulated.now += passed_ms

    assert fails == (simulated.failures.of_start(next(iter(host.vms.values()))) is not None)


def test_what_a_server_has_had_from_the_start_sleeps_no_more() -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, versions={"ha": "1.0"}, after_ms=7_200_000))

    assert simulated.failures.of_start(next(iter(simulated.hosts[0].vms.values()))) is not None


def test_a_network_goes_when_what_sleeps_awakes_and_for_the_same_vms_of_a_share() -> None:
    text = (
        '[[rollout]]\nname = "r"\nversions = { ha = "2" }\nmode = "blast"\nlead = 0\nat = "5m"\n'
        '[[fault]]\nname = "f"\nkind = "bug"\nversions = { ha = "2" }\neffect = "network_down"\nafter = "10m"\n'
        "rate = 0.5\n"
    )
    simulated = world(scenario(text, servers=10, vms=10))
    list(simulated.run())
    lost = simulated.ledger.facts("north-1", "blasted")

    assert {at(900)} == {fact.at_ms for fact in lost}
    assert 30 <= len(lost) == len({fact.vm for fact in lost}) <= 70


def test_of_guest_agents_a_networks_bug_asks_which_one_the_vm_runs() -> None:
    simulated = world()
    simulated.failures.begin(active(simulated, versions={"ga": "2"}, effect="network_down"))
    host = simulated.hosts[0]
    simulated.agents.put(host, {"ga": "2"})
    vm = next(iter(host.vms.values()))
    before = simulated.failures.network(vm)
    vm.ga_version = "2"

    assert [Network.UP, Network.DOWN] == [before, simulated.failures.network(vm)]
