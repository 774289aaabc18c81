"""Building a cluster: servers over racks and update domains, VMs over groups, and what the inventory says of it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from schemas.inventory import InventoryComplete, Region, Server, Service
from schemas.inventory import Vm as VmRecord
from schemas.source import GaState
from streams.simulate.machines import Host, Vm
from streams.simulate.quantity import DAY_MS
from streams.simulate.scenario import ClusterPlan, Scenario


def build(name: str, plan: ClusterPlan, scenario: Scenario, rng: Random) -> list[Host]:
    """Return the servers of a cluster with their VMs, as they stand when the scenario starts.

    Neighbouring servers share a rack and stand in different update domains, so that an update domain is spread over
    racks; a group takes one VM each of neighbouring servers, so that its VMs are in different update domains.
    """
    interval_ms = scenario.interval_s * 1000
    hosts: list[Host] = []
    for index in range(plan.servers):
        rack = f"{name}-r{index * plan.rack_count // plan.servers:03d}"
        host = Host(f"{name}-s{index:04d}", index, rack, index % plan.domain_count, dict(plan.versions))
        host.phase_ms = int(interval_ms * rng.random())
        # Agents have long been running: their numbers do not begin with the scenario.
        host.seq = 100 + int(9900 * rng.random())
        vms = plan.vms if index < plan.servers - plan.spare_count else 0
        for place in range(vms):
            group = place * -(-plan.servers // plan.group_size) + index // plan.group_size
            group_name, service = f"{name}-g{group}", f"{name}-svc-{group % plan.services}"
            if index == 0 and place < plan.single_services:
                group_name, service = f"{name}-single-{place}", f"{name}-single-{place}"
            vm = Vm(f"{host.name}-v{place:02d}", host, group_name, service, plan.guest_os)
            vm.incarnation = 1 + int(4 * rng.random())
            vm.since_ms = scenario.start_ms - int((0.01 + 30 * rng.random()) * DAY_MS)
            vm.ga = GaState.READY if plan.ga else GaState.UNKNOWN
            vm.ga_version = plan.versions["ga"] if plan.ga else ""
            vm.contact = vm.alive = plan.ga
            host.vms[vm.name] = vm
        hosts.append(host)
    return hosts


def inventory(
    name: str, plan: ClusterPlan, hosts: list[Host]
) -> Iterator[Server | VmRecord | Service | InventoryComplete]:
    """Return what the inventory says of a cluster, closed by InventoryComplete."""
    fixed = fixed_services(name, plan)
    for number in range(plan.services):
        depends = (f"{name}-svc-0",) if number else ()
        service = f"{name}-svc-{number}"
        yield Service(service, number, depends, guest_os=plan.guest_os if service in fixed else "auto")
    for number in range(min(plan.single_services, plan.vms)):
        yield Service(f"{name}-single-{number}", plan.services + number)
    for host in hosts:
        yield Server(
            name, host.name, host.update_domain, host.rack, plan.datacenter, plan.region,
            ga="present" if plan.ga else "none",
        )  # fmt: skip
    for host in hosts:
        for vm in host.vms.values():
            yield VmRecord(
                vm.name, name, host.name, f"id-{vm.name}", vm.name, (), "", vm.group, host.update_domain, vm.service
            )  # fmt: skip
    yield InventoryComplete(name, len(hosts), sum(len(host.vms) for host in hosts))


def fixed_services(name: str, plan: ClusterPlan) -> frozenset[str]:
    """Return the services whose guest OS version is fixed: the last ones."""
    numbers = range(max(0, plan.services - plan.fixed_services), plan.services)
    return frozenset(f"{name}-svc-{number}" for number in numbers)


def regions(scenario: Scenario) -> Iterator[Region]:
    """Return the regions that the scenario names or uses."""
    named = {region.region: region for region in scenario.regions}
    for name in dict.fromkeys([*named, *(plan.region for plan in scenario.clusters)]):
        yield Region(name, named[name].paired_with if name in named else "")
