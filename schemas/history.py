"""A source record outside Kafka: what the simulator writes and `replay --source` reads, a JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.commands import (
    Acknowledge,
    Close,
    ConfigChanged,
    Confirm,
    Release,
    SelfServiceRequest,
    Silence,
    StartEvent,
)
from schemas.inventory import InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.source import GuestEvent, HostReport, MaintenanceEvent, Pulse

Source = (
    HostReport
    | GuestEvent
    | MaintenanceEvent
    | Pulse
    | Server
    | Vm
    | Service
    | Subscription
    | Region
    | InventoryComplete
    | Removed
    | Release
    | Acknowledge
    | Close
    | Confirm
    | Silence
    | ConfigChanged
    | StartEvent
    | SelfServiceRequest
)
"""What one record of a source topic can hold."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a source topic: `at_ms` is the stamp that its broker gave, or would have given, it."""

    feed: str
    at_ms: int
    record: Source
    lane: int | None = None
    """Set only on a Pulse: the lane that it was written into."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of `telemetry` outside Kafka: what a capture holds, and what every replay reads."""

    partition: int
    offset: int
    at_ms: int
    key: bytes | None
    value: bytes
