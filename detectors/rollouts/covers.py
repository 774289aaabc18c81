"""What was announced that explains why a VM starts anew: its update or reimage, or the upkeep of its server."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.picture import Picture, VmView
from schemas.outputs import Evidence

OPEN_MOST_MS = 24 * 3_600_000
"""An update whose end was never told explains starts for a day at most. Source: our judgement; seed 002 lets a host
pass take days, but one server's share of it 15 to 20 min."""


@dataclass(slots=True, frozen=True)
class Cover:
    """Something announced within which VMs start anew."""

    what: str
    """As a sentence names it: `its update`, `the planned reboot of s1`."""
    kind: str
    """vm, or as `Upkeep.what`: reboot, update or component."""
    rollout: str
    system: str
    from_ms: int
    event_id: str
    evidence: Evidence


def cover_of(picture: Picture, view: VmView, server: str, at_ms: int, slack_ms: int) -> Cover | None:
    """Return the newest of `covers_of`, None where there is none."""
    found = covers_of(picture, view, server, at_ms, slack_ms)
    return max(found, key=lambda cover: (cover.from_ms, cover.event_id), default=None)


def covers_of(picture: Picture, view: VmView, server: str, at_ms: int, slack_ms: int) -> list[Cover]:
    """Return the updates of this VM, and the planned upkeep of its server, that were under way at `at_ms`.

    `slack_ms`: so long after its end a start still belongs to it (a rebooted host starts its guests one by one); and
    one whose end was never told explains starts for OPEN_MOST_MS. An unplanned reboot is no cover.
    """
    found: list[Cover] = []
    for update in view.updates:
        if update.from_ms <= at_ms <= _until_ms(update.from_ms, update.until_ms, slack_ms):
            what = _named("update", update.rollout, update.system)
            found.append(
                Cover(
                    f"its {what}", "vm", update.rollout, update.system, update.from_ms, update.event_id, update.evidence
                )
            )
    known = picture.servers.get(server)
    for upkeep in known.upkeep if known is not None else ():
        only_end_seen = upkeep.until_ms == upkeep.from_ms
        if not upkeep.planned or only_end_seen or upkeep.impact in ("none", "freeze", "network"):
            continue
        if upkeep.from_ms <= at_ms <= _until_ms(upkeep.from_ms, upkeep.until_ms, slack_ms):
            noun = "planned reboot" if upkeep.what == "reboot" else "update"
            what = f"the {_named(noun, upkeep.rollout or upkeep.reason, upkeep.system)} of {server}"
            where = (upkeep.rollout, upkeep.system, upkeep.from_ms, upkeep.event_id, upkeep.evidence)
            found.append(Cover(what, upkeep.what, *where))
    return found


def _until_ms(from_ms: int, until_ms: int | None, slack_ms: int) -> int:
    return from_ms + OPEN_MOST_MS if until_ms is None else until_ms + slack_ms


def _named(noun: str, rollout: str, system: str) -> str:
    about = ", ".join(part for part in (rollout, system) if part)
    return f"{noun} ({about})" if about else noun
