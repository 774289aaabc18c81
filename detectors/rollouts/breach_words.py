"""The words of domain_breach: what is changed where, how much of it, how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectors.failfast.words import counted, listed, minutes, utc
from detectors.rollouts.spread import Reached
from schemas.outputs import Action, Severity, Subject

HALT = (Action.HALT_ROLLOUT.value,)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a change has come."""

    name: str
    """The rollout, or `component=version`."""
    cluster: str
    recent: list[Reached]
    """The servers of the newest window, in order."""
    servers: int
    """Of the cluster, by the inventory; 0: not complete."""
    most: int
    """How many it may reach in that time."""
    per_min: float
    """Share of the cluster's servers changed per minute."""
    window_s: float

    def words(self) -> str:
        """Return how many it has reached, of how many."""
        of = f" of {self.servers}" if self.servers else ""
        return f"{len(self.recent)}{of} servers of {self.cluster} within {minutes(self.window_s)}"


def subject_of(key: str, cluster: str) -> Subject:
    """Return what a finding of a reach is about, by its key: `reach ROLLOUT` or `seen COMPONENT=VERSION`."""
    kind, _, name = key.partition(" ")
    if kind == "reach":
        return Subject(cluster=cluster, rollout=name)
    component, _, version = name.partition("=")
    return Subject(cluster=cluster, component=component, version=version)


def said_of_overlap(
    cluster: str, rollout: str, scopes: dict[str, list[str]], per_min: float, together_s: float
) -> dict[str, Any]:
    """Return title, explanation, numbers and facts of update domains that are under way at once, by scope."""
    domains = sorted({domain for known in scopes.values() for domain in known}, key=int)
    most = max(len(known) for known in scopes.values())
    groups = [name.removeprefix("group ") for name in scopes if name.startswith("group ")]
    what = f"VMs of {groups[0] if len(groups) == 1 else counted(len(groups), 'group')}" if groups else "servers"
    by = f" by rollout {rollout}" if rollout else ""
    return {
        "title": f"{what} of {cluster} are updated{by} in {most} update domains at once: {', '.join(domains)}",
        "explanation": "An update takes one update domain at a time, so that the others go on serving; here more than "
        f"one has been under way for longer than {minutes(together_s)}. What depends on them may have no instance "
        "left. Stop the rollout before the next one begins.",
        "numbers": {"update_domains": most, "groups": len(groups), "share_per_min": per_min},
        "facts": {"of": listed(scopes), "update_domains": ", ".join(domains)},
    }


def said_of_rollout(reach: Reach, *, blast: bool) -> dict[str, Any]:
    """Return all that is said of a rollout that reaches too many servers, or was announced as a blast."""
    if blast and not reach.recent:
        title = f"rollout {reach.name} is a blast: it takes all it is for in {reach.cluster} at once"
    else:
        title = f"rollout {reach.name} {'is a blast: it' if blast else ''} has reached {reach.words()}"
    return {
        "severity": Severity.CRITICAL,
        "title": " ".join(title.split()),
        "explanation": f"{_speed(reach)} Stop it where it is: what is wrong with it is then everywhere before "
        "anyone has seen it.",
        "numbers": _numbers(reach),
        "facts": _facts(reach),
        "advised": HALT,
    }


def said_of_change(reach: Reach, told_by: str) -> dict[str, Any]:
    """Return all that is said of a version that reports show on too many servers; `told_by`: the rollout that did."""
    what = reach.name.replace("=", " ")
    end = (
        f"Rollout {told_by} announced it, and has a finding of its own: this is what the reports show of it."
        if told_by
        else "No rollout that we know of announced it: find out who does this, and stop it where it is."
    )
    return {
        "severity": Severity.INFO if told_by else Severity.CRITICAL,
        "title": f"{what} has reached {reach.words()}, {'as' if told_by else 'and nobody'} announced",
        "explanation": f"{_speed(reach)} {end}",
        "numbers": _numbers(reach),
        "facts": _facts(reach),
        "advised": () if told_by else HALT,
    }


def _speed(reach: Reach) -> str:
    if not reach.recent:
        return "No server of it has been told of yet."
    return (
        f"It changes {reach.per_min:.1%} of the cluster's servers per minute. By update domains it would reach "
        f"{reach.most} in {minutes(reach.window_s)} at most."
        if reach.servers
        else "What share of the cluster that is cannot be said before its inventory is complete."
    )


def _numbers(reach: Reach) -> dict[str, float]:
    return {
        "servers_changed": len(reach.recent),
        "servers": reach.servers,
        "share": round(len(reach.recent) / reach.servers, 4) if reach.servers else 0.0,
        "share_per_min": reach.per_min,
        "most": reach.most,
        "window_s": reach.window_s,
    }


def _facts(reach: Reach) -> dict[str, str]:
    return {"since": utc(reach.recent[0].at_ms)} if reach.recent else {}
