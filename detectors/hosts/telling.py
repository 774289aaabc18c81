"""The words of the findings on feeds and hosts: for a stranger, at three in the morning."""

from __future__ import annotations

from datetime import UTC, datetime

from detectors.hosts.absence import Absence


def words(name: str, absence: Absence, *, unseen: bool) -> tuple[str, str, dict[str, str]]:
    """Return title, explanation and facts of a server's silence; `unseen`: the maintenance feed had a gap then."""
    limit = span(absence.limit_ms)
    last = clock_time(absence.since_ms)
    facts = {"last_heard": last}
    if absence.dark_ms:
        title = f"server {name} has not come back {limit} after its cluster did"
        text = f"Its last report came at {last}, before the whole cluster fell silent. Others report again."
    elif absence.explained:
        what = absence.explained.partition(" from ")[0]
        title = f"server {name} has not come back for more than {limit} from a {what}"
        text = f"Announced: {absence.explained}. Its last report came at {last}. An update takes 15 to 20 minutes."
        facts["explained_by"] = absence.explained
    else:
        title = f"server {name} is silent: no report for more than {limit}"
        text = (
            f"Its host agent reports every {absence.interval_s} s; the last report came at {last}. "
            "No reboot or update of it was announced. Nothing is known of it and its VMs since then."
        )
        if unseen:
            facts["maintenance"] = "blind"
            text += " The maintenance feed was blind at that time: a planned reboot cannot be ruled out."
    return title, text, facts


def clock_time(at_ms: int) -> str:
    """Return a stamp as people read it: `2012-02-29 00:25:00 UTC`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(length_ms: float) -> str:
    """Return a length of time as people read it: `90 s`, `12 min`, `3.5 h`."""
    seconds = length_ms / 1000
    if seconds <= 120:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
