"""What the engine says: findings, decisions, progress, snapshots; and the intake's dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FindingState(StrEnum):
    """Where a finding is in its life."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    UPDATED = "UPDATED"
    CLOSED = "CLOSED"


class Severity(StrEnum):
    """How loud a finding is."""

    UNKNOWN = "UNKNOWN"
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class Verdict(StrEnum):
    """What a finding concludes, where it concludes."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    SOFTWARE = "SOFTWARE"
    HARDWARE = "HARDWARE"
    INCONCLUSIVE = "INCONCLUSIVE"
    GUILTY = "GUILTY"
    CLEARED = "CLEARED"
    HOST_UPDATE_OVERDUE = "HOST_UPDATE_OVERDUE"


class DecisionState(StrEnum):
    """Where a decision is in its life."""

    UNKNOWN = "UNKNOWN"
    PROPOSED = "PROPOSED"
    ENFORCED = "ENFORCED"
    HELD = "HELD"
    RELEASED = "RELEASED"
    REFUSED = "REFUSED"


class Action(StrEnum):
    """What can be stopped; nothing here starts anything, and what is running is never touched."""

    UNKNOWN = "UNKNOWN"
    STOP_UPDATES = "stop-updates"
    DISABLE_HEALING = "disable-healing"
    PAUSE_CREATE = "pause-create"
    PAUSE_SCALE_OUT = "pause-scale-out"
    PAUSE_CUSTOMER_UPDATES = "pause-customer-updates"
    HALT_ROLLOUT = "halt-rollout"
    QUARANTINE_VERSION = "quarantine-version"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about; None where it does not apply."""

    region: str | None = None
    cluster: str | None = None
    server: str | None = None
    vm: str | None = None
    rollout: str | None = None
    component: str | None = None
    version: str | None = None
    feed: str | None = None
    lane: int | None = None
    signature: str | None = None
    """What fails, where that is what the finding is about: step and error code."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record that a finding stands on: its place in `telemetry` and in its source."""

    partition: int
    offset: int
    topic: str = ""
    topic_id: str = ""
    lane: int = -1
    source_offset: int = -1
    at_ms: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector saw: one record for its opening, each update (at most every 10 s) and its closing."""

    id: str
    detector: str
    subject: Subject
    state: str
    severity: str
    opened_ms: int
    """When what it tells began to hold (a limit passed), not when it was noticed."""
    at_ms: int
    """The source time of the frame that brought this record of it."""
    title: str
    explanation: str = ""
    verdict: str = Verdict.NONE
    trigger: str = ""
    """`clock` where a calendar edge set it off."""
    evidence: tuple[Evidence, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    advised: tuple[str, ...] = ()
    """Actions advised."""
    supersedes: tuple[str, ...] = ()
    """Ids of findings that this one folds under itself."""
    latched: bool = False
    close_reason: str = ""
    config_digest: str = ""
    code_digest: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy made of findings: something to stop."""

    id: str
    action: str
    scope: str
    """`cluster:NAME`, `region:NAME` or `everywhere`."""
    state: str
    mode: str
    """shadow, advise or enforce."""
    reason: str
    finding_ids: tuple[str, ...]
    at_ms: int
    request_id: str = ""
    by: str = ""
    """Who released it; empty while policy alone spoke."""
    config_digest: str = ""
    target: str = ""
    """What of the scope: `rollout:NAME` or `COMPONENT=VERSION`; empty: all of it."""


@dataclass(frozen=True, slots=True)
class SnapshotMark:
    """Where a cluster's newest complete snapshot stands: it holds all frames below `next_offset`."""

    cluster: str
    next_offset: int
    snapshots_offset: int = -1
    """Where its first chunk stands in the partition's `snapshots`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition's outputs have gone; written in the transaction that writes them."""

    partition: int
    next_offset: int
    at_ms: int
    watermarks: dict[str, int]
    """`feed/topic_id/lane` to source milliseconds."""
    snapshots: tuple[SnapshotMark, ...] = ()
    config_digest: str = ""
    code_digest: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """A piece of one cluster's state."""

    partition: int
    cluster: str
    next_offset: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotManifest:
    """Closes the chunks of one snapshot."""

    partition: int
    cluster: str
    next_offset: int
    chunks: int
    size_bytes: int
    sha256: str
    format: int
    state_versions: dict[str, int]
    """Detector to its `state_version`."""
    code_digest: str = ""
    clusters: tuple[str, ...] = ()
    """Only with `*`: the clusters whose snapshots follow it; with all of them the set is complete."""


class DeadReason(StrEnum):
    """Why a source record could not be taken."""

    UNKNOWN = "UNKNOWN"
    EMPTY = "EMPTY"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"
    NOT_AVRO = "NOT_AVRO"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    WRONG_TYPE = "WRONG_TYPE"
    MISSING_FIELD = "MISSING_FIELD"
    BAD_VALUE = "BAD_VALUE"
    BAD_TIME = "BAD_TIME"
    FUTURE_STAMP = "FUTURE_STAMP"
    WRONG_KEY = "WRONG_KEY"
    WRONG_LANE = "WRONG_LANE"
    NOT_ALLOWED = "NOT_ALLOWED"
    NO_MAPPING = "NO_MAPPING"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A source record that could not be taken, with its bytes."""

    topic: str
    lane: int
    offset: int
    at_ms: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
    """What was wrong, where in the record, and what to do."""
    headers: dict[str, bytes] = field(default_factory=dict)
