"""The brake, foretold: when it will be reached if the VMs that fail now go on as they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from detectors.contract import EVIDENCE_KEPT, Detector, State
from detectors.failfast.lives import FEEDS, unheard
from detectors.frames import BatchFrame, DueFrame, FindingFrame, Frame
from detectors.investigate.brake import FEWEST_SERVERS, LEAST_SERVERS, ROOT_FACTOR, SERVERS_SHARE, brake
from detectors.investigate.chains import Chain, Chains
from detectors.investigate.outages import Outages
from detectors.investigate.telling import tell
from detectors.lanes import FAR_MS
from detectors.picture import Picture
from schemas.outputs import Action, Evidence, Finding, FindingState, Severity, Subject, Verdict
from schemas.telemetry import HostRow

FORECAST = "forecast"
"""The key of the one finding a cluster can have; the other keys of due times are `server/NAME`."""
OVERDUE_MS = 120_000
"""A time-out not told this long after its time has stalled: a server that lives has reported by then (CATALOGUE,
host_silence: three intervals of about a minute, less than two minutes)."""


@dataclass(frozen=True, slots=True)
class ForecastConfig:
    """How VMs that fail go on, and where the brake is; the brake's fields are those of `hi_threshold`: change both."""

    timeout_s: float = field(default=1500.0, metadata={"least": 1, "most": 86_400})
    """Seconds from a start to its time-out, as in `guest_timeout`. Source: seed 004, "25-minute timeout"."""
    in_a_row: int = field(default=3, metadata={"least": 1, "most": 100})
    """Time-outs in a row that put a server into HI, as in `server_hi`. Source: seed 004, "three times in a row"."""
    least_servers: int = field(default=LEAST_SERVERS, metadata={"least": 1, "most": 20_000})
    """Servers out below which no cluster stops. Source: CATALOGUE, hi_threshold."""
    servers_share: float = field(default=SERVERS_SHARE, metadata={"least": 0, "most": 1})
    """Share of a large cluster's servers (0 to 1). Source: a public record of 23,739 node failures over nine years."""
    root_factor: float = field(default=ROOT_FACTOR, metadata={"least": 0, "most": 100})
    """Times the square root of the servers, for small clusters, which scatter more. Source: the same record."""
    fewest_servers: int = field(default=FEWEST_SERVERS, metadata={"least": 1, "most": 20_000})
    """A cluster of fewer servers has no brake. Source: CATALOGUE, hi_threshold."""


@dataclass(slots=True)
class ForecastState(State):
    """Who is out, who is failing, and whether the brake has been reached."""

    outages: Outages = field(default_factory=Outages)
    chains: Chains = field(default_factory=Chains)
    reached: bool = False
    """`hi_threshold` is open."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way to the brake as it is seen now."""

    least: int
    """Servers at which the cluster stops."""
    servers: int
    """Servers of the cluster."""
    out: int
    failing: int
    """Servers not out, with a failing VM."""
    vms: int
    opened_ms: int
    """When so many servers were first known to be out or failing."""
    opened_by: str
    crosses_ms: int | None
    """When so many will be out; None where time-outs have stalled, so that it cannot be told."""
    server: str
    """The server that will cross it."""
    evidence: tuple[Evidence, ...]


class HiForecast(Detector[ForecastConfig, ForecastState]):
    """Foretells, to the second, when a cluster will reach its brake if the VMs that fail now go on as they do.

    Rule: servers out (in HI or under repair, as `hi_threshold` counts) and servers with a failing clean VM together
    >= brake(n), while those out alone are not. A VM is failing from its first time-out in a row on, or from a
    START_FAILED of a clean start, until it makes contact, is healed or deallocated, or starts anew before its limit.
    Each will time out `timeout_s` after its present start, and `in_a_row` times in a row; its server is out with the
    first of its VMs that has. The forecast is the moment of the brake(n)-th server: `numbers.crosses_at_ms`, and to
    the second (UTC) in `facts.crosses_at`, such as 01:15:00. `opened_ms` is when the brake(n)-th server was first
    known to fail. Where time-outs are overdue by two minutes and nobody says why (a silent server), the verdict is
    INCONCLUSIVE and no time is told until they go on. Advises `stop-updates`.

    Closes when fewer than brake(n) are left on the way, or when `hi_threshold` opens; never because data is missing.
    Source: seed 004: on 29 February 2012 the first starts failed at 00:00 UTC, "precisely 75 minutes (3 times 25
    minute timeout)" before the threshold.
    """

    Config = ForecastConfig
    State = ForecastState
    memory_s = 24 * 3600
    feeds = FEEDS
    follows = ("guest_timeout", "server_hi", "hi_threshold")

    @property
    def _limit_ms(self) -> int:
        return round(self.config.timeout_s * 1000)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what starts, contacts, time-outs, outages and the brake bring."""
        if isinstance(frame, FindingFrame):
            return self._judge(frame, picture) if self._found(frame.finding, picture) else []
        if isinstance(frame, DueFrame):
            keys = self.state.deadlines.pop(frame.due_ms)
            for key in keys:
                if key != FORECAST:
                    self._overdue(key.partition("/")[2], frame, picture)
            return self._judge(frame, picture) if self.state.openings.open or keys else []
        if isinstance(frame, BatchFrame) and self._batch(frame, picture):
            return self._judge(frame, picture)
        return []

    def dismiss(self, finding_id: str, frame: Frame, reason: str) -> list[Finding]:
        """Close the forecast because a person says so; nothing more is said until this way to the brake is gone."""
        self.state.deadlines.drop(FORECAST)
        return super().dismiss(finding_id, frame, reason)

    # -- what is known -------------------------------------------------------------------------------------------

    def _found(self, finding: Finding, picture: Picture) -> bool:
        """Take a finding that it follows; tell whether it changes the way to the brake."""
        state = self.state
        closed = finding.state == FindingState.CLOSED
        if finding.detector == "hi_threshold":
            if closed and state.reached:
                state.outages.release()
                for server in list(state.chains.servers):
                    self._forget_full(server)
            state.reached = not closed
            return True
        if finding.detector == "server_hi":
            state.outages.take_finding(finding)
            if closed:
                self._forget_full(finding.subject.server or "")
            return True
        if closed or finding.facts.get("counts_towards_hi") == "no":
            return False
        if finding.numbers.get("in_a_row", 1) >= self.config.in_a_row:
            # Its server is in HI by that, as server_hi is telling; or a person has said that it is not.
            state.chains.drop(finding.subject.vm or "")
            return True
        failing = state.chains.timed_out(finding, picture, self._limit_ms)
        if failing is not None:
            self._watch(failing.server, picture)
        return True

    def _forget_full(self, server: str) -> None:
        """Forget the VMs that have led a server into HI: only what comes after that counts."""
        for chain in self.state.chains.of(server):
            if chain.in_a_row >= self.config.in_a_row:
                self.state.chains.drop(chain.vm)

    def _batch(self, frame: BatchFrame, picture: Picture) -> bool:
        """Take what a batch brought; tell whether it changes the way to the brake."""
        news, chains, limit_ms = picture.news, self.state.chains, self._limit_ms
        changed = bool(self.state.outages.take_batch(frame, picture)) or news.inventory or bool(news.maintenance)
        for server in news.removed_servers:
            chains.drop_server(server)
        if chains.homes:
            touched = [vm for vm, _ in (*news.ended, *news.starts, *news.contacts) if vm in chains.homes]
            changed = changed or bool(touched)
            for vm, start in news.ended:
                chains.ended(vm, start, picture)
            for vm, start in news.starts:
                chains.started(vm, start, limit_ms)
            for vm, start in news.contacts:
                chains.made_contact(vm, start, picture)
            for vm in touched:
                if (chain := chains.get(vm)) is not None:
                    self._watch(chain.server, picture)
            for row in frame.batch.rows:
                if isinstance(row, HostRow) and row.vms_block is not None and row.server in chains.servers:
                    changed = chains.confirm(row.server, picture) or changed
        for index, event in news.failures:
            at_ms = frame.batch.at_ms[index]
            failed = chains.failed(event, at_ms, frame.evidence(index), picture, limit_ms)
            if failed is not None:
                self._watch(failed.server, picture)
                changed = True
        return changed

    def _watch(self, server: str, picture: Picture) -> None:
        """Ask again when the first of a server's time-outs is overdue."""
        overdue = [self._overdue_ms(chain, picture) for chain in self.state.chains.of(server) if not chain.stalled]
        if overdue:
            self.state.deadlines.set(f"server/{server}", min(overdue))

    def _overdue_ms(self, chain: Chain, picture: Picture) -> int:
        """Return by when its next time-out must have been told, or, after the last, that its server is in HI."""
        view = picture.servers.get(chain.server)
        allowed_ms = OVERDUE_MS if view is None else max(OVERDUE_MS, view.silent_after_ms)
        return min(chain.next_ms, chain.out_ms(self._limit_ms, self.config.in_a_row)) + allowed_ms

    def _overdue(self, server: str, frame: DueFrame, picture: Picture) -> None:
        """Look at what of a server should have come: it is observed later, has stalled, or is of no more interest."""
        view = picture.servers.get(server)
        for chain in self.state.chains.of(server):
            if chain.stalled or self._overdue_ms(chain, picture) > frame.due_ms:
                continue
            if chain.in_a_row >= self.config.in_a_row:
                # It has put its server into HI, or a person has said that it shall not.
                self.state.chains.drop(chain.vm)
                continue
            excluded = unheard(view) if view is not None else ()
            since_ms = chain.next_ms - self._limit_ms
            # Gaps and silences count for nobody: the limit may come later than it looked.
            later_ms = picture.limit_passed_ms(FEEDS, since_ms, self._limit_ms, excluded)
            moved = later_ms > chain.next_ms and later_ms < FAR_MS // 2
            chain.next_ms = later_ms if moved else chain.next_ms
            chain.stalled = self._overdue_ms(chain, picture) <= frame.due_ms
        self._watch(server, picture)

    # -- what is said --------------------------------------------------------------------------------------------

    def _judge(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Open, update or close the forecast by the way to the brake as it is now."""
        state = self.state
        if state.reached:
            return self._close(frame, "the brake is reached: see hi_threshold")
        if not picture.state.inventory_complete:
            return []
        known = FORECAST in state.openings.open
        if known and not isinstance(frame, DueFrame):
            # Once for all that a turn of the clocks brings, however many VMs that is.
            if FORECAST not in state.deadlines.due:
                state.deadlines.set(FORECAST, frame.at_ms + 1)
            return []
        path = self._path(picture)
        if path is None:
            return self._close(frame, "too few servers are left on the way to the brake")
        if known:
            said = self._said(picture, path)
            now = state.openings.get(FORECAST)
            return tell(state, FORECAST, frame, at_once=now is not None and now.verdict != said["verdict"], **said)
        if path.out >= path.least or path.crosses_ms is None:
            return []
        return self._open(
            FORECAST,
            frame,
            Subject(cluster=picture.cluster),
            path.opened_by,
            opened_ms=path.opened_ms,
            severity=Severity.CRITICAL,
            advised=(Action.STOP_UPDATES,),
            evidence=path.evidence,
            **self._said(picture, path),
        )

    def _close(self, frame: Frame, reason: str) -> list[Finding]:
        self.state.deadlines.drop(FORECAST)
        return self.state.openings.end(FORECAST, frame, reason)

    def _path(self, picture: Picture) -> Path | None:
        """Return the way to the brake, None where too few servers are on it."""
        config, chains, limit_ms = self.config, self.state.chains, self._limit_ms
        if len(self.state.outages.current) + len(chains.servers) < config.least_servers:
            return None
        servers = picture.counted_servers()
        least = brake(servers, config.least_servers, config.servers_share, config.root_factor)
        out = self.state.outages.servers(picture)
        failing: dict[str, list[Chain]] = {}
        released = self.state.outages.released.values()
        for server in chains.servers:
            if server in out or server in released:
                continue
            view = picture.servers.get(server)
            counted = [chain for chain in chains.of(server) if chain.clean]
            if counted and view is not None and view.counted:
                failing[server] = counted
        if servers < config.fewest_servers or len(out) + len(failing) < least:
            return None
        known = [(outage.from_ms, server, outage.source) for server, outage in out.items()]
        moments = [(outage.from_ms, server) for server, outage in out.items()]
        for server, counted in failing.items():
            first = min(counted, key=lambda chain: (chain.failing_ms, chain.vm))
            known.append((first.failing_ms, server, first.source))
            runs = [chain.out_ms(limit_ms, config.in_a_row) for chain in counted if not chain.stalled]
            if runs:
                moments.append((min(runs), server))
        opened_ms, _, opened_by = sorted(known)[least - 1]
        crosses = sorted(moments)[least - 1] if len(moments) >= least else None
        every = sorted(
            (chain for counted in failing.values() for chain in counted), key=lambda chain: -chain.failing_ms
        )
        return Path(
            least=least,
            servers=servers,
            out=len(out),
            failing=len(failing),
            vms=len(every),
            opened_ms=opened_ms,
            opened_by=opened_by,
            crosses_ms=None if crosses is None else crosses[0],
            server="" if crosses is None else crosses[1],
            evidence=tuple(chain.evidence for chain in every if chain.evidence is not None)[:EVIDENCE_KEPT],
        )

    def _said(self, picture: Picture, path: Path) -> dict[str, Any]:
        """Return the fields that change while the forecast stands."""
        on_way = path.out + path.failing
        numbers: dict[str, float] = {
            "servers": on_way,
            "out": path.out,
            "failing": path.failing,
            "failing_vms": path.vms,
            "brake": path.least,
            "servers_counted": path.servers,
        }
        state = (
            f"{path.out} servers are in Human Investigate or under repair, and {path.vms} clean VMs on {path.failing} "
            f"more fail to start; the brake is at {path.least} of {path.servers}. "
        )
        if path.crosses_ms is None:
            return {
                "verdict": Verdict.INCONCLUSIVE,
                "title": f"cluster {picture.cluster} is on the way to its brake; when it comes cannot be told",
                "explanation": f"{state}Time-outs that should have come have not, and nobody says why: most likely "
                "their servers are silent. Look at host_silence and blind; the forecast goes on when they are heard.",
                "numbers": numbers,
                "facts": {"crosses_at": "unknown"},
            }
        crosses = datetime.fromtimestamp(path.crosses_ms // 1000, UTC)
        clock, day = f"{crosses:%H:%M:%S}", f"{crosses:%Y-%m-%d}"
        return {
            "verdict": Verdict.NONE,
            "title": f"cluster {picture.cluster} reaches its brake at {clock} UTC if this goes on: "
            f"{on_way} servers out or failing, {path.least} stop it",
            "explanation": f"{state}Each start that fails is given up after {self.config.timeout_s / 60:g} min, "
            f"{self.config.in_a_row} in a row give up the server: at {clock} UTC on {day} {path.server} will be "
            f"number {path.least}. Stop the updates that restart VMs now, while it is not too late; start_failure, "
            "start_stall and fault_class say what fails.",
            "numbers": {**numbers, "crosses_at_ms": path.crosses_ms},
            "facts": {"crosses_at": clock, "crosses_on": day, "server": path.server},
        }
