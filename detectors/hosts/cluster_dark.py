"""A whole cluster went dark: its servers fell silent together, and no guest agent speaks either."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.contract import Detector, finding_id
from detectors.contract import State as BaseState
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.hosts.absence import Absence, explaining
from detectors.hosts.telling import clock_time
from detectors.picture import Picture, Quiet, ServerView
from schemas.outputs import Evidence, Finding, Severity, Subject
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE

FEEDS = (HOST_AGENT, MAINTENANCE, GUEST_AGENT)
KEY = "dark"
NO_EVIDENCE = Evidence(-1, -1)


@dataclass(frozen=True, slots=True)
class Config:
    """The numbers of cluster_dark."""

    least_share: float = 0.8
    """Share of the inventory's servers that fell silent. Source: CATALOGUE, cluster_dark."""
    least_servers: int = 3
    """And so many of them. Source: CATALOGUE, cluster_dark."""
    together_s: float = 120.0
    """Seconds within which they fell silent; their longest interval where that is more, for nobody can tell the moment
    to less than that. Source: CATALOGUE, cluster_dark."""
    settle_s: float = 30.0
    """Seconds after the last server's limit in which guest agents may still tell that the reports are lost on the way:
    they speak at least every 30 s. Source: CATALOGUE, collector-outage."""
    upkeep_s: float = 1800.0
    """A server under a reboot or update announced within this many seconds is not counted as fallen silent.
    Source: CATALOGUE, host_silence."""
    late_s: float = 60.0
    """Seconds after its first missed report within which that announcement counts. Source: DESIGN, Time."""


@dataclass(slots=True)
class State(BaseState):
    """Which quiet stretch was judged last."""

    judged_ms: int = 0
    """Start of the last stretch that was judged."""
    dark_ms: int = 0
    """Start of the stretch that is open."""
    asked_ms: int = 0
    """As of when it was judged: guests that speak later show that the cluster lives."""


class ClusterDark(Detector[Config, State]):
    """At least 80 % of a cluster's servers, and 3, fell silent within 2 min, and nothing else speaks of the cluster.

    Rule: no report of any server of the cluster comes, guest agents say nothing from 1.25 of the longest interval
    after the last report on (before that: last words), and 80 % of the servers of the inventory were last heard in the
    2 min up to that last report and have passed their limit of 3 intervals, at least 90 s, of observed time of all
    lanes. Servers under an announced reboot or update do not count. `opened_ms` is when the share was reached; it is
    judged when the last server's limit has passed, and 30 s more for guest agents to speak.

    It tells that one cause took all of them: power, network, or a collector that takes both feeds. It is no thousand
    broken servers, so the `host_silence` findings of its servers are folded under it (`supersedes`; those that wait
    are not opened), and none of them counts towards Human Investigate. It closes when a report of the cluster comes,
    or when guest agents speak (then `blind` takes over). Servers that do not come back are told of by `host_silence`.

    Sources: CATALOGUE, *Feeds and hosts*. The public record of node failures has whole-system outages as one event.
    """

    Config = Config
    State = State
    memory_s = 3600
    feeds = FEEDS

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Judge a stretch without reports when its time has come; close when the cluster speaks again."""
        if isinstance(frame, DueFrame):
            return self._due(frame, picture)
        if not isinstance(frame, BatchFrame):
            return []
        state = picture.state
        if not self.state.dark_ms:
            if not self.state.deadlines.due and state.host_report_ms and picture.news.heard:
                self.state.deadlines.set(KEY, state.host_report_ms + self._limit_ms(picture))
            return []
        if state.host_report_ms > self.state.dark_ms:
            found = self._close(frame, "reports of its servers come again")
            self.state.deadlines.set(KEY, state.host_report_ms + self._limit_ms(picture))
            return found
        if state.guest_ms > self.state.asked_ms:
            return self._close(frame, "guest agents of the cluster speak: its host reports are lost on the way")
        return []

    def _close(self, frame: Frame, reason: str) -> list[Finding]:
        self.state.dark_ms = 0
        return self.state.openings.end(KEY, frame, reason)

    def _limit_ms(self, picture: Picture) -> int:
        return ServerView("", interval_s=picture.state.longest_interval_s).silent_after_ms

    def _judged_at_ms(self, quiet: Quiet, picture: Picture, at_ms: int) -> int:
        """Return when a stretch can be judged: the limit of the server heard last, and what guests need to speak."""
        limit_ms = ServerView("", interval_s=quiet.longest_s).silent_after_ms
        settle_ms = round(self.config.settle_s * 1000)
        return picture.limit_passed_ms(FEEDS, quiet.from_ms, limit_ms + settle_ms, known_ms=at_ms)

    def _due(self, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Judge the oldest stretch that is not judged, as of the due time; name the next due time."""
        at_ms = frame.due_ms
        deadlines = self.state.deadlines
        deadlines.pop(at_ms)
        found: list[Finding] = []
        for quiet in picture.quiets(at_ms):
            if quiet.from_ms <= self.state.judged_ms:
                continue
            judged_ms = self._judged_at_ms(quiet, picture, at_ms)
            if judged_ms > at_ms:
                deadlines.set(KEY, judged_ms)
                return found
            self.state.judged_ms = quiet.from_ms
            if quiet.told_ms is None:
                found += self._judge(quiet, judged_ms, frame, picture)
        if picture.state.host_report_ms > self.state.judged_ms:
            # Nothing to judge yet: no stretch that begins later can be judged before this.
            later_ms = picture.state.host_report_ms + self._limit_ms(picture)
            deadlines.set(KEY, max(at_ms + 1, self._next_ms(picture, at_ms, later_ms)))
        return found

    def _next_ms(self, picture: Picture, at_ms: int, later_ms: int) -> int:
        """Return the earliest time at which an ended stretch that the lanes have not passed yet can be judged."""
        known = [
            self._judged_at_ms(quiet, picture, at_ms)
            for quiet in picture.state.quiets
            if quiet.from_ms > self.state.judged_ms
        ]
        return min([later_ms, *known])

    def _judge(self, quiet: Quiet, judged_ms: int, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Return the finding if the stretch is one of darkness."""
        config = self.config
        servers = picture.counted_servers()
        together_ms = max(round(config.together_s * 1000), quiet.longest_s * 1000)
        from_ms = quiet.from_ms - together_ms
        moments: list[int] = []
        silent: list[tuple[int, ServerView]] = []
        for server in picture.servers.values():
            since_ms = _heard_before_ms(server, quiet)
            if since_ms is None or not server.counted or since_ms < from_ms:
                continue
            moment_ms = picture.limit_passed_ms(FEEDS, since_ms, server.silent_after_ms, known_ms=judged_ms)
            if self._explained(server, since_ms, moment_ms, picture, judged_ms):
                continue
            moments.append(moment_ms)
            silent.append((since_ms, server))
        moments.sort()
        need = max(config.least_servers, -int(-config.least_share * servers // 1))
        if servers == 0 or len(moments) < need or moments[need - 1] >= quiet.until_ms:
            return []
        opened_ms = moments[need - 1]
        silent.sort(key=lambda known: (known[0], known[1].server), reverse=True)
        return self._tell(quiet, from_ms, opened_ms, judged_ms, [known[1] for known in silent], frame, picture)

    def _explained(self, server: ServerView, since_ms: int, moment_ms: int, picture: Picture, known_ms: int) -> bool:
        config = self.config
        absence = Absence(since_ms, since_ms, 0, server.interval_s, "", NO_EVIDENCE)
        late_ms = server.interval_s * 1000 + round(config.late_s * 1000)
        by_ms = min(moment_ms, picture.limit_passed_ms(FEEDS, since_ms, late_ms, known_ms=known_ms))
        return explaining(server, absence, by_ms, known_ms, round(config.upkeep_s * 1000)) is not None

    def _tell(
        self,
        quiet: Quiet,
        from_ms: int,
        opened_ms: int,
        judged_ms: int,
        silent: list[ServerView],
        frame: DueFrame,
        picture: Picture,
    ) -> list[Finding]:
        name, servers = picture.cluster, picture.counted_servers()
        # Of a server that was heard since then, the record that its silence counts from is not known here.
        still = [server for server in silent if server.heard_ms <= quiet.from_ms]
        evidence = [server.heard_evidence for server in still if server.heard_evidence is not None]
        found = self._open(
            KEY,
            frame,
            Subject(cluster=name),
            quiet.source,
            opened_ms=opened_ms,
            severity=Severity.CRITICAL,
            title=f"cluster {name} is dark: {len(silent)} of its {servers} servers fell silent together",
            explanation=f"The last report of any server came at {clock_time(quiet.from_ms)}, and no guest agent has "
            "spoken since. All feeds are read without a gap, so this is one cause for all of them: power, network, or "
            "a collector that carries both feeds; it is not so many broken servers. Their silences are folded here.",
            evidence=tuple(evidence),
            numbers={"silent": float(len(silent)), "servers": float(servers), "share": len(silent) / servers},
            facts={"from_ms": str(from_ms), "quiet_since_ms": str(quiet.from_ms), "judged_ms": str(judged_ms)},
            supersedes=tuple(
                finding_id("host_silence", Subject(cluster=name, server=server.server), server.heard_source)
                for server in still
            ),
        )
        self.state.dark_ms, self.state.asked_ms = quiet.from_ms, judged_ms
        if picture.state.host_report_ms > quiet.from_ms:
            found += self._close(frame, "reports of its servers come again")
        return found


def _heard_before_ms(server: ServerView, quiet: Quiet) -> int | None:
    """Return when a server was heard last before a stretch without any report; None: never, or not silent after it."""
    if 0 < server.heard_ms <= quiet.from_ms:
        return server.heard_ms
    for since_ms, until_ms in reversed(server.silences):
        if since_ms <= quiet.from_ms < until_ms:
            return since_ms
    return None
