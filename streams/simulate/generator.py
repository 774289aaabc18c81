"""The generator: a scenario in, its source records out, in the order in which brokers stamped them."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from operator import attrgetter

from schemas.history import SourceRecord
from schemas.inventory import INVENTORY
from streams.simulate import fleet
from streams.simulate.choose import clusters_named
from streams.simulate.ledger import Ledger
from streams.simulate.scenario import Scenario
from streams.simulate.services import named_services
from streams.simulate.world import World


@dataclass(frozen=True, slots=True)
class Delay:
    """An intake reads the lane of a cluster in one feed late, for a time: what stands there is stamped in time."""

    cluster: str
    feed: str
    from_ms: int
    until_ms: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class PulseOutage:
    """No pulse is written into the lane of a cluster in one feed, for a time."""

    cluster: str
    feed: str
    from_ms: int
    until_ms: int


class Simulation:
    """One run of a scenario: `records()` once, and beside it the ledger of what was injected."""

    def __init__(self, scenario: Scenario, clusters: Collection[str] | None = None) -> None:
        """Prepare a run; `clusters` names the only ones to simulate: they come out as in a run of all."""
        self.scenario = scenario
        self.ledger = Ledger()
        self.instances = [(name, plan) for name, plan in scenario.instances() if clusters is None or name in clusters]

    def records(self) -> Iterator[SourceRecord]:
        """Return the records in the order of `at_ms`; the ledger is whole when they are all taken."""
        for region in fleet.regions(self.scenario):
            yield SourceRecord(INVENTORY, self.scenario.start_ms, region)
        for service in named_services(self.scenario):
            yield SourceRecord(INVENTORY, self.scenario.start_ms, service)
        worlds = [World(self.scenario, name, plan, self.ledger) for name, plan in self.instances]
        if len(worlds) == 1:
            yield from worlds[0].run()
        else:
            yield from heapq.merge(*(world.run() for world in worlds), key=attrgetter("at_ms"))


def records(scenario: Scenario, clusters: Collection[str] | None = None) -> Iterator[SourceRecord]:
    """Return the source records of a scenario in the order of `at_ms`, inventory first; no pulses."""
    return Simulation(scenario, clusters).records()


def delays(scenario: Scenario) -> list[Delay]:
    """Return which lanes are read late: faults of kind `lag`, mode `read`."""
    names = [name for name, _ in scenario.instances()]
    return [
        Delay(name, feed, fault.at_ms, fault.until_ms(scenario.end_ms), fault.delay_ms)
        for fault in scenario.faults
        if fault.kind == "lag" and fault.mode == "read"
        for name in clusters_named(fault.scope.clusters, names)
        for feed in fault.feeds
    ]


def pulse_outages(scenario: Scenario) -> list[PulseOutage]:
    """Return in which lanes no pulses are written, and when."""
    names = [name for name, _ in scenario.instances()]
    return [
        PulseOutage(name, feed, fault.at_ms, fault.until_ms(scenario.end_ms))
        for fault in scenario.faults
        if fault.kind == "pulse_outage"
        for name in clusters_named(fault.scope.clusters, names)
        for feed in fault.feeds
    ]
