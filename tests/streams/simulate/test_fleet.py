"""How a cluster is built."""

from collections import defaultdict
from random import Random

from schemas.inventory import InventoryComplete, Region, Server, Service, Vm
from streams.simulate.fleet import build, inventory, regions
from streams.simulate.machines import Host
from streams.simulate.scenario import ClusterPlan
from tests.streams.simulate.worlds import START_MS, scenario, world

FLEET = "racks = 3\nupdate_domains = 4\ngroup_size = 4"


def built(fleet: str = FLEET, seed: int = 1) -> tuple[ClusterPlan, list[Host]]:
    chosen = scenario(servers=12, vms=3, fleet=fleet)
    name, plan = chosen.instances()[0]
    return plan, build(name, plan, chosen, Random(seed))


def test_an_update_domain_is_spread_over_racks() -> None:
    racks = defaultdict(set)
    for host in built()[1]:
        racks[host.update_domain].add(host.rack)

    assert dict.fromkeys(range(4), 3) == {domain: len(found) for domain, found in racks.items()}


def test_the_vms_of_a_group_stand_in_different_update_domains() -> None:
    domains = defaultdict(list)
    for host in built()[1]:
        for vm in host.vms.values():
            domains[vm.group].append(host.update_domain)

    assert all(sorted(found) == [0, 1, 2, 3] for found in domains.values())
    assert 9 == len(domains)


def test_agents_and_vms_have_long_been_running() -> None:
    _, hosts = built()

    assert all(host.seq >= 100 and 0 <= host.phase_ms < 60_000 for host in hosts)
    assert all(
        vm.alive and vm.incarnation >= 1 and vm.since_ms < START_MS for host in hosts for vm in host.vms.values()
    )


def test_storage_has_no_guest_agents() -> None:
    plan, hosts = built(f"{FLEET}\nga = false")

    assert not any(vm.alive or vm.contact or vm.ga_version for host in hosts for vm in host.vms.values())
    assert {"none"} == {row.ga for row in inventory("north-1", plan, hosts) if isinstance(row, Server)}


def test_the_inventory_names_everything_once_and_ends_with_its_count() -> None:
    plan, hosts = built()
    rows = list(inventory("north-1", plan, hosts))
    services = {row.service for row in rows if isinstance(row, Service)}

    assert InventoryComplete("north-1", 12, 36) == rows[-1]
    assert [host.name for host in hosts] == [row.server for row in rows if isinstance(row, Server)]
    assert 36 == len({row.vm for row in rows if isinstance(row, Vm)})
    assert services >= {row.service for row in rows if isinstance(row, Vm)}


def test_a_region_that_is_used_but_not_named_has_no_pair() -> None:
    text = 'region = "west"\n[[region]]\nregion = "east"\npaired_with = "north"'

    assert [Region("east", "north"), Region("west", "")] == list(regions(scenario(text)))


def test_the_last_servers_are_spare_but_never_all() -> None:
    for spare, with_vms in ((1, 3), (9, 1)):
        simulated = world(scenario(servers=4, vms=2, fleet=f"spare = {spare}"))

        assert [True] * with_vms + [False] * (4 - with_vms) == [bool(host.vms) for host in simulated.hosts]


def test_services_of_one_instance_have_it_in_a_group_of_its_own() -> None:
    simulated = world(scenario(servers=4, vms=2, fleet="single_services = 1"))
    alone = [vm for vm in simulated.vms.values() if "single" in vm.service]
    told = [row.service for row in inventory("north-1", simulated.plan, simulated.hosts) if isinstance(row, Service)]

    assert ["north-1-single-0"] == [vm.group for vm in alone] == [vm.service for vm in alone]
    assert "north-1-single-0" in told


def test_the_last_services_keep_their_guest_os() -> None:
    simulated = world(scenario(servers=4, vms=2, fleet="services = 3\nfixed_services = 2"))
    rows = inventory("north-1", simulated.plan, simulated.hosts)

    assert ["auto", "guest-os-1", "guest-os-1"] == [row.guest_os for row in rows if isinstance(row, Service)]
