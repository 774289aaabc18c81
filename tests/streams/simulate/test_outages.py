"""The times in which VMs were not available."""

from tests.streams.simulate.worlds import world


def test_an_outage_has_one_cause_the_first_and_ends_once() -> None:
    simulated = world()
    vm = next(iter(simulated.vms.values()))
    simulated.outages.begin(vm, "HOST_REBOOT")
    simulated.outages.begin(vm, "UNKNOWN")
    simulated.outages.end(vm)
    simulated.outages.end(vm)

    assert [(vm.name, "HOST_REBOOT", simulated.now, simulated.now)] == [
        (one.vm, one.cause, one.from_ms, one.until_ms) for one in simulated.ledger.intervals("north-1")
    ]


def test_only_the_cause_that_began_it_ends_it_where_one_is_named() -> None:
    simulated = world()
    vm = next(iter(simulated.vms.values()))
    simulated.outages.begin(vm, "HOST_REBOOT")
    simulated.outages.end(vm, "NMAGENT_UPDATE")

    assert [None] == [one.until_ms for one in simulated.ledger.intervals("north-1")]


def test_a_vm_that_is_gone_for_good_is_forgotten() -> None:
    simulated = world()
    vm = next(iter(simulated.vms.values()))
    simulated.outages.begin(vm, "HOST_REBOOT")
    simulated.outages.forget(vm)
    simulated.outages.end(vm)

    assert 0 == simulated.ledger.count("up")
