"""We do not see: a lane stands, lags, runs ahead, has a gap or a hole; a cluster's or a host's reports are lost."""

from __future__ import annotations

from typing import Any

from detectors.contract import Detector
from detectors.frames import BatchFrame, ClocksFrame, DueFrame, Frame
from detectors.hosts.blindness import PULSED_GAP_MS, Config, Loss, State
from detectors.hosts.lost_reports import lost_reports
from detectors.hosts.telling import clock_time, span
from detectors.lanes import Lane
from detectors.picture import SPOKEN_BUCKET_MS, Picture, Quiet
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, TELEMETRY_FEEDS
from schemas.telemetry import EVERYONE

FEED = "*feed"
"""The key of the finding on a cluster's host feed; no server's name begins with `*`."""

EFFECT = "Until it is read, nobody's silence in its clusters is judged: verdicts of absence come late, none is false."


class Blind(Detector[Config, State]):
    """What we do not see, from the whole lane of a feed down to the lost reports of one host.

    Rule, for a lane (subject: feed and lane): it stands still while another lane of its partition goes on for more than
    30 s, or is more than 60 s behind; it runs more than 60 s ahead of all others while these go on; Clocks tell of a
    gap in it (two neighbours more than 10 s apart, or stamps that step back) or of a hole (records that no one will
    ever read); or no Clocks ever told of it. For a cluster (subject: cluster and feed): no host report of it comes for
    1.5 of its longest intervals, in time in which the lane itself was read without a gap, while a guest agent speaks
    later than 1.25 intervals after the last one; blind from that last report on. For a host (subject: server): a `seq`
    was never seen, 60 s after a later one was; hosts that are 20 % of the cluster, and 3, are one finding.

    It tells that absences are not to be believed yet, and they are not: blind time counts for nobody's silence.
    Severity by how many reporters it hides: one host or a gap up to 60 s is info; a longer gap, a hole, a lane that is
    late, is a warning; a whole cluster's reports, or a host-agent or guest-agent lane 5 min late, is critical.
    A lane's finding closes when its watermark runs again, a cluster's when its host reports come again, a host's after
    10 min without further loss.

    Sources: CATALOGUE, *Feeds and hosts*; DESIGN, *Time, lanes and silence*.
    """

    Config = Config
    State = State
    memory_s = 7200
    scope = "both"
    feeds = (HOST_AGENT, GUEST_AGENT)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Watch the lanes (for `*`), or a cluster's host feed and the seqs of its hosts."""
        if picture.cluster == EVERYONE:
            return self._clocks(frame, picture) if isinstance(frame, ClocksFrame) else []
        if isinstance(frame, BatchFrame):
            return self._batch(frame, picture)
        if isinstance(frame, DueFrame):
            found: list[Finding] = []
            for key in self.state.deadlines.pop(frame.due_ms):
                if key == FEED:
                    found += self._feed(frame, picture)
                else:
                    found += lost_reports(key, self.name(), self.state, self.config, frame, picture)
            return found
        return []

    # -- lanes ---------------------------------------------------------------------------------------------------

    def _clocks(self, frame: ClocksFrame, picture: Picture) -> list[Finding]:
        lanes = picture.lanes.lanes
        found: list[Finding] = []
        for key in dict.fromkeys(f"{stretch.feed}/{stretch.lane}" for stretch in frame.clocks.stretches):
            if key in lanes:
                found += self._gap(key, lanes[key], frame)
        if not lanes:
            return found
        marks = {key: lane.watermark_ms for key, lane in lanes.items()}
        order = sorted(marks.values(), reverse=True)
        foremost, second = order[0], order[1] if len(order) > 1 else order[0]
        state = self.state
        state.see(marks, foremost)
        standing = [key for key, lane in lanes.items() if self._stands(key, lane)]
        far = len(lanes) > 2 and foremost - second > self._ms(self.config.ahead_s) and not standing
        settle_ms = self._ms(self.config.settle_s)
        leader = max(marks, key=lambda key: marks[key])
        for key, lane in lanes.items():
            ahead = self.state.holds(f"{key}/ahead", settle_ms, holds=far and key == leader)
            found += self._ahead(key, lane, frame, second if ahead else None)
            found += self._late(key, lane, frame, second if far else foremost, stands=key in standing)
        return found + self._unread(frame, foremost, lanes)

    @staticmethod
    def _ms(seconds: float) -> int:
        return round(seconds * 1000)

    def _stands(self, key: str, lane: Lane) -> bool:
        allowed_ms = self._ms(self.config.still_s) + max(0, lane.gap_ms - PULSED_GAP_MS)
        return self.state.run_ms - self.state.seen[key].run_ms > allowed_ms

    def _late(self, key: str, lane: Lane, frame: ClocksFrame, foremost_ms: int, *, stands: bool) -> list[Finding]:
        """Return what a lane's lateness brings: standing still, or far behind."""
        config = self.config
        behind_ms = foremost_ms - lane.watermark_ms
        slack_ms = max(0, lane.gap_ms - PULSED_GAP_MS)
        place = f"{key}/late"
        far = behind_ms > self._ms(config.behind_s) + slack_ms
        late = self.state.holds(place, self._ms(config.settle_s), holds=far) or stands
        if place in self.state.openings.open and not stands and behind_ms <= self._ms(config.again_s) + slack_ms:
            return self.state.openings.end(place, frame, "its watermark runs with the others again")
        if not late and place not in self.state.openings.open:
            return []
        critical = behind_ms > self._ms(config.critical_s) and not lane.feed.startswith(MAINTENANCE)
        severity = Severity.CRITICAL if critical else Severity.WARNING
        what = "stands still" if stands else "lags"
        fields: dict[str, Any] = {
            "title": f"lane {lane.lane} of {lane.feed} {what}, {span(behind_ms)} behind the others",
            "numbers": {"behind_s": behind_ms / 1000, "unread": float(lane.unread)},
            "severity": severity,
        }
        known = self.state.openings.get(place)
        if known is not None:
            worse = known.severity != severity
            if not worse and abs(behind_ms / 1000 - known.numbers["behind_s"]) < config.tell_again_s:
                return []
            return self.state.openings.update(place, frame, at_once=worse, **fields)
        opened_ms = lane.watermark_ms + self._ms(config.behind_s) + slack_ms
        if stands:
            opened_ms = self.state.seen[key].foremost_ms + self._ms(config.still_s) + slack_ms
        return self._open(
            place,
            frame,
            Subject(feed=lane.feed, lane=lane.lane),
            f"late/{lane.topic_id}/{lane.lane}/{lane.to_offset}",
            opened_ms=opened_ms,
            explanation=f"It was read to {clock_time(lane.watermark_ms)}, with {lane.unread} records unread behind "
            f"that; other lanes of the partition go on. {EFFECT} See whether its intake runs and its broker answers.",
            evidence=(frame.evidence("the clocks that show it"),),
            **fields,
        )

    def _ahead(self, key: str, lane: Lane, frame: ClocksFrame, others_ms: int | None) -> list[Finding]:
        """Return what a lane that runs ahead of all others brings: its broker's clock is wrong."""
        place = f"{key}/ahead"
        if others_ms is None:
            return self.state.openings.end(place, frame, "its watermark runs with the others again")
        ahead_ms = lane.watermark_ms - others_ms
        fields: dict[str, Any] = {
            "title": f"lane {lane.lane} of {lane.feed} runs {span(ahead_ms)} ahead of all others",
            "numbers": {"ahead_s": ahead_ms / 1000},
        }
        if place in self.state.openings.open:
            return []
        return self._open(
            place,
            frame,
            Subject(feed=lane.feed, lane=lane.lane),
            f"ahead/{lane.topic_id}/{lane.lane}/{lane.to_offset}",
            opened_ms=others_ms + self._ms(self.config.ahead_s),
            severity=Severity.WARNING,
            explanation="All other lanes go on, so they do not lag: the clock of its broker is probably wrong. "
            "Announcements and reports that lie so far apart can no longer be matched. Compare the brokers' clocks.",
            evidence=(frame.evidence("the clocks that show it"),),
            **fields,
        )

    def _gap(self, key: str, lane: Lane, frame: ClocksFrame) -> list[Finding]:
        """Return what a turn of the clocks tells of a lane's gaps and holes, and close those told before."""
        found: list[Finding] = []
        for kind in ("gap", "hole"):
            found += self.state.openings.end(f"{key}/{kind}", frame, "its watermark runs again")
        if lane.last_gap is None and lane.hole is None:
            return found
        from_ms, to_ms = lane.last_gap or (lane.watermark_ms, lane.watermark_ms)
        subject = Subject(feed=lane.feed, lane=lane.lane)
        evidence = (frame.evidence("the clocks that tell of it"),)
        if lane.hole is not None:
            unread = lane.hole[1] - lane.hole[0] + 1
            return found + self._open(
                f"{key}/hole",
                frame,
                subject,
                f"hole/{lane.topic_id}/{lane.lane}/{lane.hole[0]}",
                opened_ms=from_ms,
                severity=Severity.WARNING,
                title=f"{unread} records of lane {lane.lane} of {lane.feed} will never be read",
                explanation=f"Offsets {lane.hole[0]} to {lane.hole[1]} were gone before the intake came to them: it "
                "was away for longer than the topic keeps records. What they told is lost; the time between counts for "
                "nobody's silence. Give the topic a longer retention than the longest time without an intake.",
                evidence=evidence,
                numbers={"unread": float(unread), "gap_s": (to_ms - from_ms) / 1000},
            )
        long = to_ms - from_ms > self._ms(self.config.long_gap_s)
        return found + self._open(
            f"{key}/gap",
            frame,
            subject,
            f"gap/{lane.topic_id}/{lane.lane}/{from_ms}",
            opened_ms=from_ms,
            severity=Severity.WARNING if long else Severity.INFO,
            title=f"nothing was written to lane {lane.lane} of {lane.feed} for {span(to_ms - from_ms)}",
            explanation=f"From {clock_time(from_ms)} to {clock_time(to_ms)} not even a pulse stands in it: the broker "
            "was away, no intake ran, or the broker's clock stepped. That time counts for nobody's silence.",
            evidence=evidence,
            numbers={"gap_s": (to_ms - from_ms) / 1000},
        )

    def _unread(self, frame: ClocksFrame, foremost_ms: int, lanes: dict[str, Lane]) -> list[Finding]:
        """Return what lanes bring of which no Clocks ever told, while others go on."""
        state = self.state
        found: list[Finding] = []
        known = {lane.feed for lane in lanes.values()}
        for feed in TELEMETRY_FEEDS:
            key = f"{feed}/unread"
            if feed in known:
                found += state.openings.end(key, frame, "it is read now")
            elif state.run_ms > self._ms(self.config.still_s):
                found += self._open(
                    key,
                    frame,
                    Subject(feed=feed, lane=frame.partition),
                    f"unread/{feed}/{frame.partition}",
                    opened_ms=foremost_ms - state.run_ms + self._ms(self.config.still_s),
                    severity=Severity.WARNING,
                    title=f"lane {frame.partition} of {feed} has never been read",
                    explanation=f"Other lanes of the partition go on. {EFFECT} See whether an intake of {feed} runs.",
                    evidence=(frame.evidence("the clocks that leave it out"),),
                )
        return found

    # -- a cluster's host feed -----------------------------------------------------------------------------------

    def _batch(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        state = picture.state
        known = self.state
        if state.quiets and state.quiets[-1].from_ms > known.checked_ms:
            known.checked_ms = state.quiets[-1].from_ms
            known.deadlines.set(FEED, state.quiets[-1].until_ms)
        elif FEED not in known.deadlines.due and known.told_ms < state.host_report_ms < state.guest_ms:
            least_ms = Quiet(0, 0, state.longest_interval_s).least_ms
            if state.guest_ms - state.host_report_ms > least_ms:
                known.deadlines.set(FEED, state.host_report_ms + least_ms + 1)
        found: list[Finding] = []
        if FEED in known.openings.open and state.host_report_ms > known.told_ms:
            found += self._feed_back(frame, state.host_report_ms)
        for name in picture.news.lost:
            server = picture.servers[name]
            loss = known.losses.setdefault(name, Loss(0, 0))
            loss.at_ms = max(loss.at_ms, server.heard_ms)
            known.deadlines.set(name, loss.at_ms + self._ms(self.config.lost_after_s))
        for name in picture.news.removed_servers:
            known.losses.pop(name, None)
            known.deadlines.drop(name)
            found += known.openings.end(name, frame, "removed")
        return found

    def _feed_back(self, frame: Frame, until_ms: int) -> list[Finding]:
        lasted = span(until_ms - self.state.told_ms)
        return self.state.openings.end(FEED, frame, f"host reports come again after {lasted}")

    def _feed(self, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Tell of the blind stretches of the cluster's host feed that guests have told by now."""
        found: list[Finding] = []
        for quiet in picture.quiets(frame.due_ms):
            if quiet.told_ms is None or quiet.from_ms <= self.state.told_ms:
                continue
            self.state.told_ms = quiet.from_ms
            found += self._tell_feed(quiet, quiet.told_ms, frame, picture)
            if picture.state.host_report_ms > quiet.from_ms:
                found += self._feed_back(frame, quiet.until_ms)
        last_ms = picture.state.host_report_ms
        if self.state.told_ms < last_ms < frame.due_ms and FEED not in self.state.deadlines.due:
            # Quiet still, and guests have not told yet: they may at any time.
            self.state.deadlines.set(FEED, frame.due_ms + SPOKEN_BUCKET_MS)
        return found

    def _tell_feed(self, quiet: Quiet, told_ms: int, frame: DueFrame, picture: Picture) -> list[Finding]:
        name = picture.cluster
        reporters = [server for server in picture.servers.values() if server.heard_ms]
        newest = max(reporters, key=lambda server: (server.heard_ms, server.server), default=None)
        last = newest.heard_evidence if newest is not None and newest.heard_ms <= quiet.from_ms else None
        return self._open(
            FEED,
            frame,
            Subject(cluster=name, feed=HOST_AGENT),
            quiet.source,
            opened_ms=told_ms,
            severity=Severity.CRITICAL,
            title=f"no host report of cluster {name} reaches us, while its guest agents speak",
            explanation=f"The last report of any of its servers came at {clock_time(quiet.from_ms)}. Guest agents have "
            "spoken since, so the servers live: their reports are lost on the way. Look at what carries them "
            "(collector, network, credentials). No server is called silent for this time.",
            evidence=(last if last is not None else Evidence(frame.partition, frame.offset, at_ms=frame.at_ms),),
            numbers={"reporters": float(len(reporters)), "since_s": (told_ms - quiet.from_ms) / 1000},
        )
