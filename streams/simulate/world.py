"""The world of one cluster: its timeline, and everything that lives on it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from schemas.history import SourceRecord
from schemas.inventory import INVENTORY
from streams.simulate import fleet
from streams.simulate.agents import Agents
from streams.simulate.choose import clusters_named
from streams.simulate.component_updates import ComponentUpdates
from streams.simulate.controller import Controller
from streams.simulate.courier import Courier
from streams.simulate.failures import Failures
from streams.simulate.injector import Injector
from streams.simulate.ledger import Fact, Ledger
from streams.simulate.machines import Host, Vm
from streams.simulate.outages import Outages
from streams.simulate.repairs import Repairs
from streams.simulate.roles import Roles
from streams.simulate.rollouts import Rollouts
from streams.simulate.scenario import ClusterPlan, Scenario
from streams.simulate.services import Services
from streams.simulate.upgrades import Upgrades
from streams.simulate.waves import Waves

_SLICE_MS = 1000


class World:
    """One cluster. Clusters know nothing of each other: any of them can be simulated alone, with the same result."""

    def __init__(self, scenario: Scenario, name: str, plan: ClusterPlan, ledger: Ledger) -> None:
        self.scenario = scenario
        self.name = name
        self.plan = plan
        self.ledger = ledger
        self.now = scenario.start_ms
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0
        self.lost: set[str] = set()
        """Servers without power or for good: no reboot brings them back."""
        self.hosts: list[Host] = fleet.build(name, plan, scenario, self.rng("fleet"))
        self.services = Services(scenario, name)
        self.services.settle(self.hosts)
        self.vms: dict[str, Vm] = {vm.name: vm for host in self.hosts for vm in host.vms.values()}
        self.fixed_services = fleet.fixed_services(name, plan) | {
            service.name for service in scenario.services if service.guest_os != "auto"
        }
        """Services that keep their guest OS version."""
        self._wheel = sorted(self.hosts, key=lambda host: host.phase_ms)
        """Servers in the order of their beats, which is the same in every interval: cheaper than a heap."""
        self._place = 0
        self._round_ms = scenario.start_ms
        self.courier = Courier(scenario.latency_ms, scenario.jitter_ms, self.rng("courier"))
        self.outages = Outages(self)
        self.failures = Failures(self)
        self.roles = Roles(self)
        self.agents = Agents(self)
        self.controller = Controller(self)
        self.rollouts = Rollouts(self)
        self.repairs = Repairs(self)
        self.upgrades = Upgrades(self)
        self.waves = Waves(self)
        self.component_updates = ComponentUpdates(self)
        self.injector = Injector(self)

    def rng(self, purpose: str) -> Random:
        """Return a generator for one purpose, so that one fault more does not change the dice of the others."""
        return Random(f"{self.scenario.seed}/{self.name}/{purpose}")

    def at(self, at_ms: int, act: Callable[..., None], *arguments: Any) -> None:
        """Plan an act; those of one millisecond happen in the order in which they were planned."""
        self._planned += 1
        heapq.heappush(self._heap, (at_ms, self._planned, act, arguments))

    def note(self, kind: str, *, server: str = "", vm: str = "", detail: str = "") -> None:
        """Write a fact of this moment into the ledger."""
        self.ledger.add(Fact(kind, self.now, self.name, server, vm, detail))

    def run(self) -> Iterator[SourceRecord]:
        """Return the cluster's records in the order of their stamps, inventory first."""
        start_ms, end_ms = self.scenario.start_ms, self.scenario.end_ms
        for row in self.services.inventory(fleet.inventory(self.name, self.plan, self.hosts)):
            yield SourceRecord(INVENTORY, start_ms, row)
        for rollout in self.scenario.rollouts:
            if self._concerned(rollout.clusters):
                self.rollouts.add(rollout)
        self._plan_upkeep()
        self.injector.begin()
        self.repairs.begin()
        self.controller.begin()
        if self.plan.heartbeat_ms and self.plan.ga:
            for vm in self.vms.values():
                self.agents.heartbeats(vm)
        slice_ms = start_ms
        while slice_ms < end_ms:
            until_ms = min(slice_ms + _SLICE_MS, end_ms)
            self._advance(until_ms)
            yield from self.courier.take(until_ms)
            slice_ms = until_ms
            if not self.courier.out:
                # Nothing is on its way: slices in which nothing happens are passed over, and a month is cheap.
                slice_ms += (self._next_ms() - until_ms) // _SLICE_MS * _SLICE_MS

    def _plan_upkeep(self) -> None:
        """Plan upgrades, waves and updates of components."""
        for upgrade in self.scenario.upgrades:
            if self._concerned(upgrade.clusters):
                self.upgrades.add(upgrade)
        for wave in self.scenario.waves:
            if self._concerned(wave.scope.clusters):
                hosts = self.injector.hosts(wave.scope, self.rng(f"scope of {wave.name}"))
                self.waves.add(wave, [host for host in hosts if host.vms])
        for update in self.scenario.component_updates:
            if self._concerned(update.scope.clusters):
                hosts = self.injector.hosts(update.scope, self.rng(f"scope of {update.name}"))
                self.component_updates.add(update, hosts)

    def _concerned(self, patterns: tuple[str, ...]) -> bool:
        return bool(clusters_named(patterns, [self.name]))

    def _next_ms(self) -> int:
        """Return when something happens next: what is planned, or the next server's turn to beat."""
        due_ms = self._wheel[self._place].phase_ms + self._round_ms
        return min(due_ms, self._heap[0][0]) if self._heap else due_ms

    def _advance(self, until_ms: int) -> None:
        """Let everything happen that happens before a time; of one moment, what is planned comes before the beats."""
        heap, pop, beat = self._heap, heapq.heappop, self.agents.beat
        wheel = self._wheel
        while True:
            due_ms = wheel[self._place].phase_ms + self._round_ms
            if heap and heap[0][0] <= due_ms:
                if heap[0][0] >= until_ms:
                    return
                at_ms, _, act, arguments = pop(heap)
                # What was planned for before the start happens at the start.
                self.now = max(self.now, at_ms)
                act(*arguments)
                continue
            if due_ms >= until_ms:
                return
            self.now = due_ms
            host = wheel[self._place]
            self._place += 1
            if self._place == len(wheel):
                self._place = 0
                self._round_ms += self.scenario.interval_s * 1000
            if host.up and not host.muted:
                beat(host)
