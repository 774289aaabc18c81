"""Gathers what could fail and what did, in order of stamps, once every lane has passed them.

Records wait in a queue until all feeds have been read beyond their stamps; then they are taken in order of stamps,
changes before what may be their doing. So what is counted does not hang on how lanes interleave.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.contract import State
from detectors.frames import BatchFrame
from detectors.lanes import FAR_MS
from detectors.picture import CONTACT_GA, Picture, ServerView, Start
from detectors.rollouts.changes import Changes, Told
from detectors.rollouts.ledger import BLOCK_MS, Ledger
from schemas.outputs import Evidence
from schemas.source import HostState, MaintenanceEvent, MaintenanceKind, Network

QUEUE_MOST = 400_000
"""Records that wait for slower lanes; beyond, the oldest are dropped, and counted."""
HEARD_TOGETHER_MS = 600_000
GOOD_TOGETHER_MS = 10_000
"""Servers heard and starts that went well are taken together, so often; failures at once."""
CUT = "\x1f"
ROLLOUT, UPDATE, SHOWN, HEARD, FAULT, BOOT = range(6)
LOOK = "look"


@dataclass(slots=True)
class Note:
    """One thing that waits for its place in the order of stamps."""

    at_ms: int
    kind: int
    server: str
    source: str
    evidence: Evidence
    vm: str = ""
    rollout: str = ""
    signature: str = ""
    told: Told | None = None
    versions: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Host:
    """What was last seen of a server."""

    boot_id: str = ""
    faulted: bool = False
    block: int = -1
    """The block in which it was counted as heard."""
    failed: dict[str, int] = field(default_factory=dict)
    """Signature to the block in which it was counted last."""


@dataclass(slots=True)
class RegressionState(State):
    """What was changed, what could fail since, and what did."""

    changes: Changes = field(default_factory=Changes)
    ledger: Ledger = field(default_factory=Ledger)
    queue: list[Note] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)
    """Starts whose outcome may be known, by key of their time limit, with the stamp at which it is."""
    hosts: dict[str, Host] = field(default_factory=dict)
    dropped: int = 0
    told_starts: int = 0
    """Starts that went well of which the guest itself told with START: where guests do, one that nobody told of shows
    that events are lost."""


def gather(state: RegressionState, frame: BatchFrame, picture: Picture, limit_ms: int) -> None:
    """Put what a batch brings into the queue, and name when it is to be looked at."""
    news = picture.news
    first = len(state.queue)
    for index, event in news.maintenance:
        _told(state, frame.batch.at_ms[index], event, frame.evidence(index))
    _versions(state, picture)
    for server in dict.fromkeys(news.heard):
        _heard(state, frame, picture.servers.get(server))
    _unreachable(state, picture)
    _starts(state, frame, picture, limit_ms)
    if len(state.queue) > first:
        want(state, min(urgent(note) for note in state.queue[first:]))
    if len(state.queue) > QUEUE_MOST:
        state.queue.sort(key=in_order)
        state.dropped += len(state.queue) - QUEUE_MOST
        del state.queue[: len(state.queue) - QUEUE_MOST]
    for server in news.removed_servers:
        state.hosts.pop(server, None)


def want(state: RegressionState, at_ms: int) -> None:
    """Name a time to look at, if none earlier is named."""
    if at_ms < state.deadlines.due.get(LOOK, FAR_MS):
        state.deadlines.set(LOOK, at_ms)


def in_order(note: Note) -> tuple[int, int, str, str, str]:
    """Return what notes are sorted by: stamps, changes before what may be their doing."""
    return (note.at_ms, note.kind, note.server, note.source, note.signature)


def urgent(note: Note) -> int:
    """Return when a note wants to be looked at: that a server was heard can wait for others."""
    return note.at_ms if note.kind != HEARD else _up(note.at_ms, HEARD_TOGETHER_MS)


def _up(at_ms: int, step_ms: int) -> int:
    return (at_ms // step_ms + 1) * step_ms


def _key(vm: str, start: Start) -> str:
    return f"start{CUT}{vm}{CUT}{start.incarnation}"


def _touch(state: RegressionState, key: str, at_ms: int) -> None:
    state.touched[key] = min(at_ms, state.touched.get(key, at_ms))
    want(state, at_ms)


def there_before(vm: str, start: Start, picture: Picture) -> bool:
    """Tell whether a VM was there before anyone watched, or was first seen in contact: nobody saw it start.

    Of a VM that was seen in an earlier incarnation a later one is a start, whoever tells of it.
    """
    server = picture.servers.get(start.server)
    first_ms = server.first_full_ms if server is not None else 0
    view = picture.vms.get(vm)
    if view is not None and any(known.incarnation < start.incarnation for known in view.starts):
        return False
    return start.contact_ms == start.at_ms or bool(first_ms and start.at_ms == first_ms)


def _told(state: RegressionState, at_ms: int, event: MaintenanceEvent, evidence: Evidence) -> None:
    kind, server, rollout = event.kind, event.server or "", event.rollout or ""
    note = Note(at_ms, FAULT, server, event.event_id, evidence, event.vm or "", rollout)
    if rollout and kind.startswith(("ROLLOUT_", "UD_")):
        note.kind = ROLLOUT
    elif rollout and kind in (MaintenanceKind.SERVER_UPDATE_STARTED, MaintenanceKind.VM_UPDATE_STARTED):
        note.kind = UPDATE
    elif kind == MaintenanceKind.SERVER_STATE and event.state == "HI":
        note.signature = "server:HI"
    elif kind == MaintenanceKind.NODE_REBOOT_STARTED and event.planned is False:
        note.signature = "server:reboot"
    else:
        return
    if event.component or event.to_version:
        told = Told(event.component or "", event.from_version or "", event.to_version or "", event.event_id, evidence)
        note.told = told
    state.queue.append(note)


def _unreachable(state: RegressionState, picture: Picture) -> None:
    """Queue the servers of VMs in contact whose network is found DOWN."""
    news = picture.news
    for vm in dict.fromkeys((*(vm for vm, _ in news.network_changes), *(vm for vm, _ in news.ga_changes))):
        view = picture.vms.get(vm)
        if view is not None and view.network == Network.DOWN and view.ga in CONTACT_GA and view.ga_evidence:
            at_ms = max(view.network_from_ms, view.ga_from_ms)
            source, evidence = view.ga_source, view.ga_evidence
            state.queue.append(Note(at_ms, FAULT, view.server, source, evidence, signature="network:DOWN"))


def _starts(state: RegressionState, frame: BatchFrame, picture: Picture, limit_ms: int) -> None:
    """Wait for what comes of starts, and note of which it may be known."""
    news, due = picture.news, state.deadlines.due
    for vm, start in news.starts:
        state.deadlines.set(_key(vm, start), start.at_ms + limit_ms)
    for vm, start in news.contacts:
        if start.contact_ms is not None and _key(vm, start) in due:
            _touch(state, _key(vm, start), _up(start.contact_ms, GOOD_TOGETHER_MS))
    for index, failure in news.failures:
        key = f"start{CUT}{failure.vm}{CUT}{failure.incarnation}"
        if key in due:
            _touch(state, key, frame.batch.at_ms[index])


def _versions(state: RegressionState, picture: Picture) -> None:
    """Queue what reports show changed: all components of one report together."""
    shown: dict[tuple[str, int], Note] = {}
    for server, change in picture.news.changes:
        if change.evidence is None:
            continue
        note = shown.get((server, change.at_ms))
        if note is None:
            note = Note(change.at_ms, SHOWN, server, change.source, change.evidence)
            shown[server, change.at_ms] = note
        note.versions[change.component] = (change.from_version, change.to_version)
    state.queue += shown.values()


def _heard(state: RegressionState, frame: BatchFrame, server: ServerView | None) -> None:
    """Queue a server that was heard, once a block, and what its report says of its health."""
    if server is None or server.heard_evidence is None:
        return
    at_ms = server.heard_ms
    host = state.hosts.setdefault(server.server, Host(server.boot_id, block=-1))
    name, source, evidence = server.server, server.heard_source, server.heard_evidence
    if host.boot_id != server.boot_id:
        host.boot_id = server.boot_id
        state.queue.append(Note(at_ms, BOOT, name, source, evidence, signature="server:reboot"))
    faulted = server.state == HostState.FAULTED
    if faulted and not host.faulted:
        state.queue.append(Note(at_ms, FAULT, name, source, evidence, signature="server:FAULTED"))
    host.faulted = faulted
    if host.block != at_ms // BLOCK_MS:
        host.block = at_ms // BLOCK_MS
        state.queue.append(Note(at_ms, HEARD, name, source, evidence))
