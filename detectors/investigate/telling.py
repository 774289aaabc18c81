"""Updates that nobody loses: what may not be said yet (at most every 10 s) is said when its time has come."""

from __future__ import annotations

from typing import Any

from detectors.contract import EVIDENCE_KEPT, UPDATE_EVERY_MS, State
from detectors.frames import DueFrame, Frame
from schemas.outputs import Finding


def tell(state: State, key: str, frame: Frame, *, at_once: bool = False, **changes: Any) -> list[Finding]:
    """Return the update of an open finding; where it comes too early, name the time at which to ask again."""
    known = state.openings.get(key)
    if known is None:
        return []
    if "evidence" in changes:
        changes["evidence"] = changes["evidence"][:EVIDENCE_KEPT]
    if all(getattr(known, name) == value for name, value in changes.items()):
        state.deadlines.drop(key)
        return []
    findings = state.openings.update(key, frame, at_once=at_once, **changes)
    if findings:
        state.deadlines.drop(key)
    else:
        _ask_again(state, key, frame, known)
    return findings


def too_early(state: State, key: str, frame: Frame) -> bool:
    """Tell whether an open finding may not be updated yet, and name the time at which to ask again."""
    known = state.openings.get(key)
    if known is None or frame.at_ms >= known.at_ms + UPDATE_EVERY_MS:
        return False
    _ask_again(state, key, frame, known)
    return True


def _ask_again(state: State, key: str, frame: Frame, known: Finding) -> None:
    after_ms = frame.due_ms if isinstance(frame, DueFrame) else -1
    state.deadlines.set(key, max(known.at_ms + UPDATE_EVERY_MS, after_ms + 1))
