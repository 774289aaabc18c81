"""Services that a scenario names: which VMs of a cluster are theirs, and what the inventory says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from schemas.inventory import Service
from streams.simulate.choose import clusters_named
from streams.simulate.machines import Host
from streams.simulate.scenario import Scenario, ServicePlan


def named_services(scenario: Scenario) -> Iterator[Service]:
    """Return the inventory's records of the services that the scenario names; they are no one cluster's."""
    for service in scenario.services:
        yield Service(service.name, service.priority, service.depends_on, service.guest_os)


class Services:
    """The services of one cluster: the first of its own numbered ones give way to the named ones that it runs."""

    def __init__(self, scenario: Scenario, cluster: str) -> None:
        """Prepare for a cluster; see `ServicePlan.clusters` for who runs what."""
        here = [service for service in scenario.services if clusters_named(service.clusters, [cluster])]
        self._named = {f"{cluster}-svc-{place}": service.name for place, service in enumerate(here)}
        self._needed = tuple(_needed(scenario.services, cluster))

    def of(self, numbered: str) -> str:
        """Return the service that has the VMs of one of the cluster's own."""
        return self._named.get(numbered, numbered)

    def settle(self, hosts: Iterable[Host]) -> None:
        """Give the named services their VMs."""
        if self._named:
            for host in hosts:
                for vm in host.vms.values():
                    vm.service = self.of(vm.service)

    def inventory(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Return a cluster's inventory without the services that gave way, with what the others depend on."""
        for row in rows:
            if not isinstance(row, Service):
                yield row
            elif row.service not in self._named:
                depends = dict.fromkeys([*(self.of(name) for name in row.depends_on), *self._needed])
                yield replace(row, depends_on=tuple(depends))


def _needed(services: Iterable[ServicePlan], cluster: str) -> list[str]:
    return [service.name for service in services if clusters_named(service.needed_by, [cluster])]
