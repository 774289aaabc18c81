"""Small simulated worlds for tests: one cluster, `north-1`, of a scenario that a test completes."""

from __future__ import annotations

from schemas.history import SourceRecord
from schemas.source import GuestEvent, HostReport, MaintenanceEvent
from streams.simulate.ledger import Ledger
from streams.simulate.load import loads
from streams.simulate.quantity import moment_ms
from streams.simulate.scenario import Scenario
from streams.simulate.world import World

START_MS = moment_ms("2012-03-01T00:00:00Z", 0)


def scenario(text: str = "", *, servers: int = 4, vms: int = 2, duration: str = "1h", fleet: str = "") -> Scenario:
    """Return a scenario of one cluster; `text` follows the lines of the cluster, `fleet` those of the fleet."""
    return loads(
        f'name = "small"\nstart = 2012-03-01T00:00:00Z\nduration = "{duration}"\nseed = 7\n'
        f'[fleet]\nservers = {servers}\nvms = {vms}\n{fleet}\n[[cluster]]\nname = "north"\n{text}\n'
    )


def world(of: Scenario | None = None) -> World:
    """Return the world of a scenario's first cluster, nothing of which has happened yet."""
    chosen = of or scenario()
    name, plan = chosen.instances()[0]
    return World(chosen, name, plan, Ledger())


def at(seconds: float) -> int:
    """Return the stamp of a second of the scenario."""
    return START_MS + round(seconds * 1000)


def reports(found: list[SourceRecord], server: str = "") -> list[HostReport]:
    """Return the host reports, of one server or of all."""
    return [one.record for one in found if isinstance(one.record, HostReport) and server in {"", one.record.server}]


def said(found: list[SourceRecord], kind: str) -> list[MaintenanceEvent | GuestEvent]:
    """Return the events of a kind."""
    return [
        one.record for one in found if isinstance(one.record, MaintenanceEvent | GuestEvent) and one.record.kind == kind
    ]
