"""What the owner of a VM is told of an interval in which it was not available: the record of the topic `rca`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Cause(StrEnum):
    """What made a VM unavailable (CATALOGUE, root_cause)."""

    UNKNOWN = "UNKNOWN"
    HOST_REBOOT = "HOST_REBOOT"
    NMAGENT_UPDATE = "NMAGENT_UPDATE"
    HOST_OS_UPDATE = "HOST_OS_UPDATE"
    GUEST_OS_UPDATE = "GUEST_OS_UPDATE"
    GUEST_AGENT_UPDATE = "GUEST_AGENT_UPDATE"
    SELF_SERVICE_REDEPLOY = "SELF_SERVICE_REDEPLOY"
    SERVICE_HEALING = "SERVICE_HEALING"
    GUEST_INITIATED = "GUEST_INITIATED"
    START_FAILURE = "START_FAILURE"
    NETWORK_PLUGIN = "NETWORK_PLUGIN"
    HARDWARE = "HARDWARE"


class ArticleState(StrEnum):
    """How far a statement of cause may be relied upon."""

    UNKNOWN = "UNKNOWN"
    PROVISIONAL = "PROVISIONAL"
    """More may come to light, or a person must confirm it."""
    FINAL = "FINAL"
    REVISED = "REVISED"
    """It replaces one that was final: see `revision`."""


@dataclass(frozen=True, slots=True)
class RcaArticle:
    """One interval of one VM, its cause, and the article about it; the newest record of an id stands."""

    id: str
    """Of the interval: the id of its finding of `unavailability`."""
    vm: str
    cluster: str
    server: str
    """Where it ran when the interval began."""
    start_ms: int
    end_ms: int
    """0 while it goes on."""
    cause: str
    planned: bool
    state: str
    revision: int
    """1 for the first statement; grows with each that says something else."""
    at_ms: int
    """The source time of the frame that brought it."""
    finding_ids: tuple[str, ...] = ()
    """The interval's finding, then that of its cause."""
    properties: dict[str, str] = field(default_factory=dict)
    """The article's header: articleId, pageTitle, description, diagnosticScenario and their kin (seeds 000 and 001)."""
    markdown: str = ""
