"""Reports that hosts counted and we never saw: a finding a host, or one of the cluster while they are many."""

from __future__ import annotations

from typing import Any

from detectors.frames import DueFrame
from detectors.hosts.blindness import Config, State
from detectors.picture import Picture
from schemas.outputs import Finding, Severity, Subject
from schemas.source import HOST_AGENT

LOST = "*lost"
"""The key of the finding on many hosts; no server's name begins with `*`."""


def lost_reports(
    name: str, detector: str, state: State, config: Config, frame: DueFrame, picture: Picture
) -> list[Finding]:
    """Tell of a host's lost reports, or close what was told once none were lost for a while."""
    loss = state.losses.get(name)
    server = picture.servers.get(name)
    if loss is None or server is None:
        return []
    if server.lost < loss.told:
        loss.told = 0  # a new run of its agent: the picture counts from 0 again
    quiet_ms = loss.at_ms + round(config.lost_quiet_s * 1000)
    lost = server.lost - loss.told
    if lost <= 0 or frame.due_ms >= quiet_ms:
        loss.told = server.lost
        found = state.openings.end(name, frame, "no further report was lost")
        return found + _mass(detector, state, config, frame, picture)
    state.deadlines.set(name, quiet_ms)
    found = _mass(detector, state, config, frame, picture)
    if LOST in state.openings.open:
        return found
    title = f"{lost} reports of server {name} were lost between it and us"
    numbers = {"lost": float(lost)}
    if name in state.openings.open:
        return found + state.openings.update(name, frame, title=title, numbers=numbers)
    return found + state.openings.start(
        name,
        frame,
        detector,
        Subject(cluster=picture.cluster, server=name),
        f"lost/{server.server}/{server.boot_id}/{server.run}/{server.seq}",
        opened_ms=loss.at_ms,
        severity=Severity.INFO,
        title=title,
        explanation="Its agent counted them and they never came, though later ones did. It lives; its way to us "
        "loses reports.",
        evidence=(server.heard_evidence,) if server.heard_evidence is not None else (),
        numbers=numbers,
    )


def _mass(detector: str, state: State, config: Config, frame: DueFrame, picture: Picture) -> list[Finding]:
    """Fold the hosts' losses into one finding while they are many; close it when they are few again."""
    quiet_ms = round(config.lost_quiet_s * 1000)
    active = [
        name
        for name, loss in state.losses.items()
        if name in picture.servers
        and picture.servers[name].lost > loss.told
        and loss.at_ms <= frame.due_ms < loss.at_ms + quiet_ms
    ]
    servers = picture.counted_servers()
    many = servers > 0 and len(active) >= max(config.mass_share * servers, config.mass_servers)
    if not many:
        return state.openings.end(LOST, frame, "few hosts lose reports now")
    lost = sum(max(0, picture.servers[name].lost - state.losses[name].told) for name in active)
    fields: dict[str, Any] = {
        "title": f"{lost} reports of {len(active)} of {servers} hosts of {picture.cluster} were lost on the way",
        "numbers": {"hosts": float(len(active)), "servers": float(servers), "lost": float(lost)},
    }
    if LOST in state.openings.open:
        return state.openings.update(LOST, frame, **fields)
    found: list[Finding] = []
    for name in active:
        found += state.openings.end(name, frame, "one of many: folded into one finding of the cluster")
    newest = max(active, key=lambda name: (state.losses[name].at_ms, name))
    server = picture.servers[newest]
    return found + state.openings.start(
        LOST,
        frame,
        detector,
        Subject(cluster=picture.cluster, feed=HOST_AGENT),
        f"lost/{server.server}/{server.boot_id}/{server.run}/{server.seq}",
        opened_ms=state.losses[newest].at_ms,
        severity=Severity.WARNING,
        explanation="Their agents counted reports that never came, though later ones did: something that carries "
        "the reports of many hosts drops them.",
        evidence=(server.heard_evidence,) if server.heard_evidence is not None else (),
        **fields,
    )
