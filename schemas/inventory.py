"""Who is where: the denominator of every fraction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

INVENTORY = "inventory"


class InventoryState(StrEnum):
    """What the inventory says of a server."""

    UNKNOWN = "UNKNOWN"
    IN_SERVICE = "IN_SERVICE"
    OUT_FOR_REPAIR = "OUT_FOR_REPAIR"
    DECOMMISSIONED = "DECOMMISSIONED"


NO_GUEST_AGENT = "none"
"""`Server.ga` of servers whose VMs run no guest agent."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server and its place."""

    cluster: str
    server: str
    update_domain: int = 0
    rack: str = ""
    datacenter: str = ""
    region: str = ""
    state: str = InventoryState.IN_SERVICE
    ga: str = "present"
    """`none`: its VMs run no guest agent (storage clusters)."""


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM, where it runs and whose it is."""

    vm: str
    cluster: str
    server: str
    vm_id: str = ""
    name: str = ""
    addresses: tuple[str, ...] = ()
    subscription: str = ""
    group: str = ""
    """Availability set, scale set or cloud service."""
    update_domain: int = 0
    service: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A service made of VMs, and what it needs."""

    service: str
    priority: int = 0
    depends_on: tuple[str, ...] = ()
    guest_os: str = "auto"
    """`auto`, or a fixed version."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whom to tell."""

    subscription: str
    admins: tuple[str, ...] = ()
    co_admins: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """A region and the one it is paired with."""

    region: str
    paired_with: str = ""


@dataclass(frozen=True, slots=True)
class InventoryComplete:
    """Ends an import of a cluster; before the first of these the cluster's fractions are INCONCLUSIVE."""

    cluster: str
    servers: int = 0
    vms: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """A tombstone of the inventory: `kind` is server, vm, service, subscription or region."""

    kind: str
    id: str
