"""What people and tenants ask: the records of the topics `operator` and `requests`."""

from __future__ import annotations

from dataclasses import dataclass

OPERATOR = "operator"
REQUESTS = "requests"


@dataclass(frozen=True, slots=True)
class Release:
    """A person lifts a latch: `target_id` is a decision's or a latched finding's id."""

    command_id: str
    cluster: str
    target_id: str
    by: str
    reason: str
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen a finding."""

    command_id: str
    cluster: str
    finding_id: str
    by: str
    reason: str = ""
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """A person closes a finding."""

    command_id: str
    cluster: str
    finding_id: str
    by: str
    reason: str
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class Confirm:
    """A person confirms a cause."""

    command_id: str
    cluster: str
    finding_id: str
    cause: str
    by: str
    reason: str = ""
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """A person silences paging (never detection) of what matches, until a time."""

    command_id: str
    cluster: str
    by: str
    reason: str
    until_ms: int
    detector: str = ""
    server: str = ""
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """The thresholds in force from here on in the log: the TOML text of the tables `detectors` and `policy`."""

    command_id: str
    cluster: str
    """Always `*`."""
    text: str
    digest: str
    by: str
    reason: str = ""
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class StartEvent:
    """A tenant's VM acknowledges a scheduled event."""

    request_id: str
    cluster: str
    vm: str
    event_id: str
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class SelfServiceRequest:
    """A tenant asks for its VM's maintenance now."""

    request_id: str
    cluster: str
    vm: str
    subscription: str
    sent_ms: int = 0
