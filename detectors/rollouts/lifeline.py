"""The life of a VM by stamps: when it started, and when it was READY, whichever agent said so."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.lanes import FAR_MS, Interval
from detectors.picture import Start, VmView
from schemas.outputs import Evidence
from schemas.source import GaState, GuestKind

SAME_MS = 60_000
"""A RECYCLED and a new incarnation within a minute tell of one start: brokers' clocks of two feeds may differ by so
much (DESIGN, Time)."""
_UNREADY = (
    GuestKind.START,
    GuestKind.START_FAILED,
    GuestKind.BUSY,
    GuestKind.STOPPING,
    GuestKind.STOPPED,
    GuestKind.RECYCLED,
    GuestKind.SHUTDOWN,
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """A start of a VM: a new incarnation, or a RECYCLED within one."""

    at_ms: int
    incarnation: int
    server: str
    source: str
    evidence: Evidence
    recycled: bool = False


def seen_to_start(view: VmView, incarnation: int) -> bool:
    """Tell whether an incarnation was seen to begin: the first that is known may have run for days when it was seen.

    One that is no longer kept, because so many followed it, is taken to have been.
    """
    if view.starts and incarnation < view.starts[0].incarnation:
        return True
    for start in view.starts:
        if start.incarnation < incarnation:
            return True
        if start.incarnation == incarnation and start.turns and start.turns[0][1] == GaState.STARTING:
            return True
    return any(word.incarnation == incarnation and word.kind == GuestKind.START for word in view.words)


def beginnings(view: VmView) -> list[Beginning]:
    """Return the starts of a VM that are remembered, in order of stamp; each once, whoever told of it.

    First sight of an incarnation that runs already is none.
    """
    found = [
        Beginning(start.at_ms, start.incarnation, start.server, start.source, start.evidence)
        for place, start in enumerate(view.starts)
        if place or seen_to_start(view, start.incarnation)
    ]
    told: dict[tuple[int, int], None] = {}
    for word in view.words:
        if word.kind != GuestKind.RECYCLED:
            continue
        same = _same(view.starts, word.incarnation, word.at_ms)
        place = (same.incarnation, word.incarnation) if same is not None else None
        if place is not None and place not in told:
            told[place] = None
            continue
        server = next((s.server for s in view.starts if s.incarnation == word.incarnation), view.server)
        found.append(Beginning(word.at_ms, word.incarnation, server, word.event_id, word.evidence, recycled=True))
    return sorted(found, key=lambda known: (known.at_ms, known.incarnation, known.source))


def _same(starts: list[Start], incarnation: int, at_ms: int) -> Start | None:
    """Return the start that a RECYCLED tells of: of its own incarnation, or of the next one."""
    for start in starts:
        if start.incarnation in (incarnation, incarnation + 1) and abs(start.at_ms - at_ms) <= SAME_MS:
            return start
    return None


def ready_stretches(view: VmView, from_ms: int, until_ms: int) -> list[Interval]:
    """Return when a VM was READY between two stamps, in order; READY until it said otherwise, started anew or left."""
    marks = [(at_ms, ready) for at_ms, ready in _marks(view) if at_ms < until_ms]
    found: list[Interval] = []
    since_ms: int | None = None
    for at_ms, ready in sorted(marks):
        if ready and since_ms is None:
            since_ms = at_ms
        elif not ready and since_ms is not None:
            found.append((since_ms, at_ms))
            since_ms = None
    if since_ms is not None:
        found.append((since_ms, until_ms))
    clipped = [(max(start, from_ms), end) for start, end in found if end > from_ms]
    return [(start, end) for start, end in clipped if end > start]


def _marks(view: VmView) -> list[tuple[int, bool]]:
    """Return (at_ms, READY from then on) of each record; of one incarnation none from the next one's start on."""
    marks: list[tuple[int, bool]] = []
    ends = {
        start.incarnation: min(
            [later.at_ms for later in view.starts if later.incarnation > start.incarnation],
            default=FAR_MS,
        )
        for start in view.starts
    }
    for start in view.starts:
        end_ms = ends[start.incarnation]
        marks.append((start.at_ms, False))
        if start.ended_ms is not None:
            marks.append((start.ended_ms, False))
        if start.ready_ms is not None and start.ready_ms < end_ms:
            marks.append((start.ready_ms, True))
        marks += [(at_ms, ga == GaState.READY) for at_ms, ga in start.turns if at_ms < end_ms]
    for word in view.words:
        if word.at_ms < ends.get(word.incarnation, FAR_MS):
            if word.kind == GuestKind.READY:
                marks.append((word.at_ms, True))
            elif word.kind in _UNREADY:
                marks.append((word.at_ms, False))
    return marks
