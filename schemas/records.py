"""The records that travel, by name, and which of their fields are enums."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast

from schemas.commands import (
    OPERATOR,
    REQUESTS,
    Acknowledge,
    Close,
    ConfigChanged,
    Confirm,
    Release,
    SelfServiceRequest,
    Silence,
    StartEvent,
)
from schemas.fleet import ClusterFacts, Incident, IncidentState
from schemas.inventory import (
    INVENTORY,
    InventoryComplete,
    InventoryState,
    Region,
    Removed,
    Server,
    Service,
    Subscription,
    Vm,
)
from schemas.outputs import (
    Action,
    DeadLetter,
    DeadReason,
    Decision,
    DecisionState,
    Finding,
    FindingState,
    Progress,
    Severity,
    SnapshotChunk,
    SnapshotManifest,
    Verdict,
)
from schemas.rca import ArticleState, Cause, RcaArticle
from schemas.source import (
    GUEST_AGENT,
    HOST_AGENT,
    MAINTENANCE,
    GaState,
    GuestEvent,
    GuestKind,
    HostReport,
    HostState,
    MaintenanceEvent,
    MaintenanceKind,
    Network,
    Pulse,
    VmReport,
)
from schemas.telemetry import Batch, Clocks, HostRow

T = TypeVar("T")

RECORDS: tuple[type[Any], ...] = (
    HostReport,
    GuestEvent,
    MaintenanceEvent,
    Pulse,
    Server,
    Vm,
    Service,
    Subscription,
    Region,
    InventoryComplete,
    Removed,
    Release,
    Acknowledge,
    Close,
    Confirm,
    Silence,
    ConfigChanged,
    StartEvent,
    SelfServiceRequest,
    HostRow,
    ClusterFacts,
    Batch,
    Clocks,
    Finding,
    Decision,
    Progress,
    SnapshotChunk,
    SnapshotManifest,
    DeadLetter,
    RcaArticle,
    Incident,
)
"""Every record with an .avsc file of its own name."""

BY_NAME: dict[str, type[Any]] = {record.__name__: record for record in RECORDS}

FEEDS: dict[str, tuple[type[Any], ...]] = {
    HOST_AGENT: (HostReport, Pulse),
    GUEST_AGENT: (GuestEvent, Pulse),
    MAINTENANCE: (MaintenanceEvent, Pulse),
    INVENTORY: (Server, Vm, Service, Subscription, Region, InventoryComplete, Removed),
    OPERATOR: (Release, Acknowledge, Close, Confirm, Silence, ConfigChanged),
    REQUESTS: (StartEvent, SelfServiceRequest),
}
"""What may stand on each source topic: the `allowed` of `codec.decode_source`."""

ENUMS: dict[type[Any], dict[str, type[StrEnum]]] = {
    HostReport: {"state": HostState},
    HostRow: {"state": HostState},
    VmReport: {"ga": GaState, "network": Network},
    GuestEvent: {"kind": GuestKind},
    MaintenanceEvent: {"kind": MaintenanceKind},
    Server: {"state": InventoryState},
    Finding: {"state": FindingState, "severity": Severity, "verdict": Verdict},
    Decision: {"action": Action, "state": DecisionState},
    DeadLetter: {"reason": DeadReason},
    RcaArticle: {"cause": Cause, "state": ArticleState},
    Incident: {"state": IncidentState, "severity": Severity, "verdict": Verdict},
}
"""Fields that are a plain `str` in the dataclass and an Avro enum on the wire; a symbol not known reads as UNKNOWN."""

VALUES: dict[type[StrEnum], frozenset[str]] = {
    enum: frozenset(member.value for member in enum) for fields in ENUMS.values() for enum in fields.values()
}


def with_known_symbols(record: Any) -> Any:
    """Return the record itself, or a copy where enum symbols that this version does not know are UNKNOWN."""
    enums = ENUMS.get(type(record))
    if enums is None:
        return record
    changes: dict[str, Any] = {
        name: "UNKNOWN" for name, enum in enums.items() if getattr(record, name) not in VALUES[enum]
    }
    if isinstance(record, HostReport) and record.vms is not None:
        vms = tuple([with_known_symbols(vm) for vm in record.vms])
        if any(new is not old for new, old in zip(vms, record.vms, strict=True)):
            changes["vms"] = vms
    return dataclasses.replace(record, **changes) if changes else record


def once(make: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Return `make` with its answers kept, one a record type."""
    # mypy does not count a class among the hashable things that functools.cache asks for.
    return cast("Callable[[type[Any]], T]", cache(make))
