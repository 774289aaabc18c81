"""What makes starts fail."""

import pytest

from schemas.source import Network
from streams.simulate.failures import Active
from streams.simulate.scenario import Fault, Scope
from streams.simulate.world import World
from tests.streams.simulate.worlds import START_MS, world


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
