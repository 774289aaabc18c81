"""Silence of a server: its host agent has not been heard for longer than it may be, in observed time."""

from __future__ import annotations

from typing import Any

from detectors.contract import Detector
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.hosts.absence import Absence, Dark, Place, State, Watch, maintenance_unseen
from detectors.hosts.judging import FEEDS, NOTHING, TELL, Config, explained_by_ms, guests_lag, judge
from detectors.hosts.telling import span, words
from detectors.picture import Picture
from schemas.inventory import Server
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject, Verdict
from schemas.source import HOST_AGENT
from schemas.telemetry import HostRow

NEVER = "*never-heard"
"""The key of the finding on servers never heard; no server's name begins with `*`."""
DARKS_KEPT = 64
ABSENCES_KEPT = 16
"""Absences of one server that wait to be judged; more would mean a maintenance lane that stands for hours."""


class HostSilence(Detector[Config, State]):
    """A server of the inventory, in service and heard at least once, is not heard for longer than it may be.

    Rule: no report for more than 3 of its own intervals, and more than 90 s, of *observed* time (time in which all
    lanes of `host-agent` and `maintenance` were read, less their gaps and less the stretches in which the cluster's
    host feed was blind). Under a known reboot or host update, announced up to 60 s after the first report that was
    missed: more than 30 min, and the verdict is HOST_UPDATE_OVERDUE. A stretch that ended before it could be judged is
    judged just so: opened and closed at once. `opened_ms` is the moment at which the limit was passed.

    It tells that nothing is known of the server and its VMs, not why. While 20 % of the cluster's servers are overdue,
    or no report of the cluster has come for 1.5 of its longest intervals, a finding waits for 2 min: `blind` (the
    reports are lost on the way: nobody was silent) or `cluster_dark` (one cause for all: folded under it, and not
    opened, or closed where it was open) may explain it better. A server that does not come back when its cluster does
    is told of 30 min after the first one that did. A repaired clock, a restarted agent or a late first report never
    opens it; a server's first report is no reboot. It closes when the server is heard, removed or decommissioned.

    Servers never heard have no silence: one finding of severity info a cluster counts them.

    Sources: a missed report or two are lost packets, three are not (3 intervals); a host update takes 15 to 20 min.
    """

    Config = Config
    State = State
    memory_s = 3600
    feeds = FEEDS
    follows = ("cluster_dark",)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Take reports and the inventory; judge the absences whose time has come."""
        if isinstance(frame, BatchFrame):
            found: list[Finding] = []
            if frame.batch.feed.startswith(HOST_AGENT):
                found += self._reports(frame, picture)
            if picture.news.inventory or picture.news.removed_servers:
                found += self._inventory(frame, picture)
            return found
        if isinstance(frame, DueFrame):
            return self._due(frame, picture)
        if isinstance(frame, FindingFrame):
            return self._dark(frame)
        return []

    def next_due_ms(self) -> int | None:
        """Return the next time at which it wants to be asked, not before what it waits for."""
        due_ms = self.state.deadlines.next_ms()
        return None if due_ms is None else max(due_ms, self.state.gate_ms)

    # -- reports -------------------------------------------------------------------------------------------------

    def _reports(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        batch = frame.batch
        place = (frame.partition, frame.offset, batch.topic, batch.topic_id, batch.lane)
        watches = self.state.watches
        found: list[Finding] = []
        for row, at_ms, source_offset in zip(batch.rows, batch.at_ms, batch.offsets, strict=True):
            if not isinstance(row, HostRow):
                continue
            watch = watches.get(row.server)
            if watch is None:
                self._first(row, at_ms, place, source_offset, picture)
                continue
            if at_ms < watch.at_ms:
                self._late(frame, watch, row, at_ms, source_offset)
                continue
            if watch.absences or at_ms - watch.at_ms > watch.limit_ms:
                found += self._heard_again(frame, row.server, watch, at_ms)
            watch.take(at_ms, row, place, source_offset)
            if row.interval_s != watch.interval_s:
                # Judged by what it promised in the report that waiting counts from.
                watch.interval_s, watch.limit_ms = row.interval_s, self._limit_ms(row.interval_s)
                if row.server in self.state.deadlines.due:
                    self._name(row.server, at_ms + watch.limit_ms)
        return found

    def _limit_ms(self, interval_s: int) -> int:
        return round(max(self.config.intervals * interval_s, self.config.at_least_s) * 1000)

    def _name(self, server: str, due_ms: int) -> None:
        """Name a due time, unless it is asked earlier in any case: then it is named again."""
        known = self.state.deadlines.due.get(server)
        if known is None or due_ms < known:
            self.state.deadlines.set(server, due_ms)

    def _first(self, row: HostRow, at_ms: int, place: Place, source_offset: int, picture: Picture) -> None:
        """Begin to watch a server; bounded as the picture's servers are."""
        if row.server not in picture.servers:
            return
        limit_ms = self._limit_ms(row.interval_s)
        self.state.watches[row.server] = Watch(
            at_ms, row.interval_s, limit_ms, row.boot_id, row.run, row.seq, place, source_offset
        )
        self.state.deadlines.set(row.server, at_ms + limit_ms)
        if self.state.expected.pop(row.server, None) is not None and NEVER in self.state.openings.open:
            self._name(NEVER, at_ms)

    def _late(self, frame: BatchFrame, watch: Watch, row: HostRow, at_ms: int, source_offset: int) -> None:
        """Take a report that another lane brings late: the server was heard in the midst of an absence."""
        for place, absence in enumerate(watch.absences):
            if absence.until_ms is None or absence.told or not absence.since_ms < at_ms < absence.until_ms:
                continue
            batch = frame.batch
            origin = (frame.partition, frame.offset, batch.topic, batch.topic_id, batch.lane)
            second = Watch(
                at_ms,
                row.interval_s,
                self._limit_ms(row.interval_s),
                row.boot_id,
                row.run,
                row.seq,
                origin,
                source_offset,
                watch.from_ms,
            ).absence(row.server)
            second.until_ms = absence.until_ms
            self.state.overdue.pop(f"{row.server}/{absence.since_ms}", None)
            absence.until_ms, absence.overdue, absence.moment_ms = at_ms, False, 0
            watch.absences.insert(place + 1, second)
            self._name(row.server, second.base_ms + second.limit_ms)
            return

    def _heard_again(self, frame: BatchFrame, server: str, watch: Watch, at_ms: int) -> list[Finding]:
        """End the present absence; what could not be judged yet is kept, and judged just so."""
        found: list[Finding] = []
        present = watch.present
        if present is not None:
            present.until_ms = at_ms
            key = f"{server}/{present.since_ms}"
            if key in self.state.overdue:
                self.state.overdue[key] = (present.moment_ms, at_ms)
            if present.told:
                watch.absences.remove(present)
                found += self._end(key, frame, present)
        elif at_ms - watch.base_ms > watch.limit_ms and server in self.state.deadlines.due:
            absence = watch.absence(server)
            absence.until_ms = at_ms
            watch.absences.append(absence)
            del watch.absences[:-ABSENCES_KEPT]
        self._name(server, at_ms + watch.limit_ms)
        return found

    def _end(self, key: str, frame: Frame, absence: Absence) -> list[Finding]:
        lasted_ms = (absence.until_ms or absence.moment_ms) - absence.since_ms
        return self.state.openings.end(key, frame, f"heard again after {span(lasted_ms)}")

    # -- inventory -----------------------------------------------------------------------------------------------

    def _inventory(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        state = self.state
        found: list[Finding] = []
        for name in picture.news.removed_servers:
            found += self._forget(name, frame, "removed")
            state.watches.pop(name, None)
            state.expected.pop(name, None)
        for row, at_ms in zip(frame.batch.rows, frame.batch.at_ms, strict=True):
            server = picture.servers.get(row.server) if isinstance(row, Server) else None
            if server is None:
                continue
            watch = state.watches.get(server.server)
            if not server.counted:
                found += self._forget(server.server, frame, "decommissioned")
                state.expected.pop(server.server, None)
            elif watch is None:
                state.expected.setdefault(server.server, at_ms)
            elif server.server not in state.deadlines.due and not watch.absences:
                # Put into service while silent: waiting counts from here.
                watch.from_ms = at_ms
                state.deadlines.set(server.server, watch.base_ms + watch.limit_ms)
        state.counted = picture.counted_servers()
        if state.expected:
            self._name(NEVER, min(state.expected.values()) + round(self.config.never_heard_s * 1000))
        elif NEVER in state.openings.open:
            found += state.openings.end(NEVER, frame, "every server of the inventory has been heard or was removed")
        return found

    def _forget(self, server: str, frame: Frame, reason: str) -> list[Finding]:
        """Close what is open of a server that is not counted any more, and wait for it no longer."""
        found: list[Finding] = []
        watch = self.state.watches.get(server)
        for absence in watch.absences if watch is not None else ():
            key = f"{server}/{absence.since_ms}"
            self.state.overdue.pop(key, None)
            found += self.state.openings.end(key, frame, reason)
        if watch is not None:
            watch.absences = []
        self.state.deadlines.drop(server)
        return found

    # -- judging -------------------------------------------------------------------------------------------------

    def _due(self, frame: DueFrame, picture: Picture) -> list[Finding]:
        deadlines = self.state.deadlines
        found: list[Finding] = []
        while (at_ms := deadlines.next_ms()) is not None and at_ms <= frame.due_ms:
            if guests_lag(picture, at_ms):
                self.state.gate_ms = picture.passed_ms(FEEDS)
                return found
            for key in deadlines.pop(at_ms):
                found += self._never(frame, picture, at_ms) if key == NEVER else self._ask(key, frame, picture, at_ms)
        return found

    def _ask(self, name: str, frame: DueFrame, picture: Picture, at_ms: int) -> list[Finding]:
        """Judge the absences of one server as of its due time, and name the next one."""
        watch = self.state.watches.get(name)
        server = picture.servers.get(name)
        if watch is None:
            return []
        if server is None or not server.counted:
            return self._forget(name, frame, "not in the inventory")
        found: list[Finding] = []
        nexts: list[int] = []
        if watch.present is None:
            due_ms = watch.base_ms + watch.limit_ms
            if due_ms > at_ms:
                nexts.append(due_ms)
            else:
                watch.absences.append(watch.absence(name))
        kept = []
        for absence in watch.absences:
            if absence.told:
                kept.append(absence)
                continue
            next_ms = judge(name, absence, self.state, self.config, picture, at_ms)
            if next_ms == TELL:
                found += self._tell(name, absence, frame, picture)
                if absence.until_ms is None:
                    kept.append(absence)
            elif next_ms != NOTHING:
                nexts.append(next_ms)
                kept.append(absence)
        watch.absences = kept
        if nexts:
            self._name(name, min(nexts))
        return found

    # -- darkness ------------------------------------------------------------------------------------------------

    def _dark(self, frame: FindingFrame) -> list[Finding]:
        """Fold what is open, and what waits, under a cluster that went dark."""
        finding = frame.finding
        if finding.state != FindingState.OPEN:
            return []
        dark = Dark(finding.id, *(int(finding.facts[key]) for key in ("from_ms", "quiet_since_ms", "judged_ms")))
        self.state.darks = [*self.state.darks, dark][-DARKS_KEPT:]
        found: list[Finding] = []
        for name, watch in self.state.watches.items():
            for absence in watch.absences:
                if absence.told and dark.from_ms <= absence.since_ms <= dark.since_ms:
                    found += self.state.openings.end(f"{name}/{absence.since_ms}", frame, f"folded under {finding.id}")
                    absence.told, absence.dark_ms = False, dark.since_ms
                    self._name(name, dark.judged_ms + 1)
        return found

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(self, name: str, absence: Absence, frame: DueFrame, picture: Picture) -> list[Finding]:
        absence.told = True
        by_ms = explained_by_ms(absence, absence.moment_ms, self.config, picture, absence.moment_ms)
        unseen = maintenance_unseen(picture, absence.since_ms, by_ms)
        title, text, facts = words(name, absence, unseen=unseen)
        overdue = bool(absence.explained) and not absence.dark_ms
        key = f"{name}/{absence.since_ms}"
        found = self._open(
            key,
            frame,
            Subject(cluster=picture.cluster, server=name),
            absence.source,
            opened_ms=absence.moment_ms,
            severity=Severity.WARNING,
            title=title,
            explanation=text,
            verdict=Verdict.HOST_UPDATE_OVERDUE if overdue else Verdict.NONE,
            evidence=(absence.evidence,),
            numbers={
                "limit_s": absence.limit_ms / 1000,
                "interval_s": float(absence.interval_s),
                "overdue_servers": float(self.state.overdue_at(absence.moment_ms)),
                "servers": float(self.state.counted),
            },
            facts=facts,
        )
        if absence.until_ms is not None:
            found += self._end(key, frame, absence)
        dark = None if absence.dark_ms else self.state.folded_under(absence)
        if dark is not None:
            # cluster_dark has spoken meanwhile, of a time behind this one: told in their order all the same.
            found += self.state.openings.end(key, frame, f"folded under {dark.id}")
            absence.told, absence.dark_ms = False, dark.since_ms
            self._name(name, dark.judged_ms + 1)
        return found

    def _never(self, frame: DueFrame, picture: Picture, at_ms: int) -> list[Finding]:
        """Count the servers that the inventory names and nobody ever heard."""
        state = self.state
        after_ms = round(self.config.never_heard_s * 1000)
        waiting = sorted(state.expected.values())
        if not picture.state.inventory_complete:
            state.deadlines.set(NEVER, at_ms + after_ms)
            return []
        passed = [picture.limit_passed_ms(FEEDS, stamp, after_ms, known_ms=at_ms) for stamp in sorted(set(waiting))]
        later = [moment for moment in passed if moment > at_ms]
        if later:
            state.deadlines.set(NEVER, min(later))
        due_by = {stamp for stamp, moment in zip(sorted(set(waiting)), passed, strict=True) if moment <= at_ms}
        count = sum(1 for stamp in waiting if stamp in due_by)
        if not count:
            return state.openings.end(NEVER, frame, "every server of the inventory has been heard or was removed")
        names = sorted(name for name, stamp in state.expected.items() if stamp in due_by)
        title = f"{count} of {state.counted} servers of cluster {picture.cluster} have never been heard"
        fields: dict[str, Any] = {
            "title": title,
            "numbers": {"never_heard": float(count), "servers": float(state.counted)},
            "facts": {"servers": ", ".join(names[:20]) + (", ..." if count > 20 else "")},
        }
        if NEVER in state.openings.open:
            return state.openings.update(NEVER, frame, **fields)
        return self._open(
            NEVER,
            frame,
            Subject(cluster=picture.cluster),
            f"{picture.cluster}/InventoryComplete",
            opened_ms=min(moment for moment in passed if moment <= at_ms),
            severity=Severity.INFO,
            explanation="The inventory names them, and no report of theirs ever came: not installed, not connected, or "
            "gone. They have no silence, and count among the cluster's servers.",
            evidence=(Evidence(frame.partition, frame.offset, at_ms=frame.at_ms, note="counted here"),),
            **fields,
        )
