"""VMs that are healthy and cannot be reached: what a test that looks at health alone does not see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from detectors.contract import UPDATE_EVERY_MS, Detector, State
from detectors.failfast.words import counted, domains_of, listed, minutes, racks_of, utc
from detectors.frames import BatchFrame, Frame
from detectors.picture import Picture
from detectors.rollouts.expected import expecting, overdue
from detectors.rollouts.losses import Loss, Losses
from detectors.rollouts.recent import recent
from schemas.outputs import Action, Finding, Severity, Subject

CLUSTER = "*"
"""Key of the cluster's finding; those of servers have the server's name."""
UP_AGAIN = "their VMs have network again, or are gone"
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Config:
    """How many healthy VMs without network are a fault, and for how long an announced loss is none."""

    server_vms: int = field(default=3, metadata={"least": 1, "most": 10_000})
    """VMs of one server. Source: CATALOGUE, network_loss."""
    cluster_vms: int = field(default=10, metadata={"least": 1, "most": 100_000})
    """VMs of several servers of a cluster. Source: CATALOGUE, network_loss."""
    cluster_servers: int = field(default=3, metadata={"least": 1, "most": 1000})
    """Servers on which these run. Source: CATALOGUE, network_loss."""
    window_s: float = field(default=120.0, metadata={"least": 1, "most": 3600})
    """Seconds from the first to the last of these losses, both included. Source: CATALOGUE, network_loss."""
    changes_s: float = field(default=3600.0, metadata={"least": 60, "most": 86_400})
    """Seconds before the loss of which it tells what changed. Source: CATALOGUE, network_loss."""
    expected_s: float = field(default=300.0, metadata={"least": 0, "most": 3600})
    """Seconds from the start of an announced update with impact on the network for which a loss is expected; exactly
    so long is. Source: CATALOGUE, root_cause: an update of the nmagent takes at most 5 min (seed 001)."""


@dataclass(slots=True)
class LossState(State):
    """Who has no network, and what was said of it."""

    losses: Losses = field(default_factory=Losses)
    unexpected: dict[str, int] = field(default_factory=dict)
    """Server to its losses that nobody announced, of those servers that have any."""
    first_ms: int = 0
    """The first loss of the cluster's finding: those since then are its own."""
    most: dict[str, int] = field(default_factory=dict)
    """Key of each open finding to the most VMs that it has had at once."""
    untold: dict[str, None] = field(default_factory=dict)
    """Keys of open findings whose numbers have changed since they were last told."""


class NetworkLoss(Detector[Config, LossState]):
    """Finds VMs that report well and have no network: three of one server, or ten of three servers within two minutes.

    Rule: the guest agent is READY or BUSY, the server reports, in whatever state, and the VM's network is DOWN: at
    least `server_vms` VMs of one server at once; or at least `cluster_vms` VMs of `cluster_servers` servers that
    lost it within `window_s`; in the frame that completes them. This is what the test before the blast of the leap
    day did not look at: the VMs of the one server "appeared to be healthy" and had no network, and an hour later so
    had every VM of seven clusters (seed 004).

    It says what changed on these servers in the last `changes_s`: versions, rollouts, updates under way. While the
    cluster's finding is open no servers' findings are opened, and those of its servers are folded under it. A loss
    that an update announced (impact network or reboot) is info until a report later than `expected_s` after the
    update began shows it still. Otherwise a server's finding is a warning and a cluster's critical (a warning while
    only single servers of it are unexplained). Each ends when all its VMs have network again or are gone; missing
    data never ends it. A restart of a VM does not either.
    """

    Config = Config
    State = LossState
    memory_s = 6 * 3600

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return what changes of networks, reports and announcements bring."""
        if not isinstance(frame, BatchFrame):
            return []
        began, servers = self._look(picture)
        servers |= self._to_judge_again(picture)
        for server in servers:
            self._weigh(server, picture)
        if not (servers or self.state.untold):
            return []
        findings = self._cluster(began, frame, picture, touched=bool(servers))
        for server in servers:
            findings += self._server(server, frame, picture)
        return findings + self._tell_late(frame, picture)

    # -- what is new ---------------------------------------------------------------------------------------------

    def _look(self, picture: Picture) -> tuple[list[Loss], dict[str, None]]:
        """Return the losses that began now, and the servers at which one began or ended."""
        news, losses = picture.news, self.state.losses
        touched = dict.fromkeys(vm for vm, _ in chain(news.network_changes, news.ga_changes))
        if losses.by_vm:
            touched |= dict.fromkeys(vm for vm, _ in chain(news.ended, news.starts))
        if losses.pending:
            for server in news.heard:
                touched |= dict.fromkeys(losses.due(server))
        if news.inventory:
            touched |= {vm: None for vm in losses.by_vm if vm not in picture.vms}
        for server in news.removed_servers:
            for vm in list(losses.by_server.get(server, ())):
                losses.drop(vm)
        servers: dict[str, None] = dict.fromkeys(news.removed_servers)
        began: list[Loss] = []
        for vm in touched:
            before = losses.by_vm.get(vm)
            loss = losses.see(picture, vm)
            if before is not None and losses.by_vm.get(vm) is not before:
                servers[before.server] = None
            if loss is not None:
                began.append(loss)
                servers[loss.server] = None
        return began, servers

    def _to_judge_again(self, picture: Picture) -> dict[str, None]:
        """Return the servers with losses of which something was announced, or that are to be overdue by now."""
        losses = self.state.losses.by_server
        if not losses:
            return {}
        told = {event.server: None for _, event in picture.news.maintenance if event.server in losses}
        again = {server: None for server in told if server is not None}
        for server in picture.news.heard:
            if server in losses and self.state.unexpected.get(server, 0) < len(losses[server]):
                again[server] = None
        return again

    def _weigh(self, server: str, picture: Picture) -> None:
        """Count the losses of a server that nobody announced, or that have lasted for longer than announced."""
        view = picture.servers.get(server)
        longest_ms = round(self.config.expected_s * 1000)
        number = 0
        for at_ms in self.state.losses.by_server.get(server, {}).values():
            upkeep = expecting(view, at_ms, longest_ms)
            if upkeep is None or view is None or overdue(view, upkeep, longest_ms):
                number += 1
        if number:
            self.state.unexpected[server] = number
        else:
            self.state.unexpected.pop(server, None)

    # -- one server ----------------------------------------------------------------------------------------------

    def _server(self, server: str, frame: BatchFrame, picture: Picture) -> list[Finding]:
        there = self.state.losses.by_server.get(server, {})
        if server in self.state.openings.open:
            if not there:
                self._closed(server)
                reason = "removed" if server in picture.news.removed_servers else UP_AGAIN
                return self.state.openings.end(server, frame, reason)
            self._touch(server, len(there))
            severity = self._server_severity(server)
            return self._rise(server, severity, frame, picture)
        if len(there) < self.config.server_vms or CLUSTER in self.state.openings.open:
            return []
        stamps = sorted((at_ms, vm) for vm, at_ms in there.items())
        completing = self.state.losses.by_vm[stamps[self.config.server_vms - 1][1]]
        self.state.most[server] = len(there)
        return self._open(
            server,
            frame,
            Subject(cluster=picture.cluster, server=server),
            completing.source,
            opened_ms=completing.at_ms,
            severity=self._server_severity(server),
            evidence=self._evidence([self.state.losses.by_vm[vm] for _, vm in stamps]),
            **self._said_of_server(server, picture),
        )

    def _server_severity(self, server: str) -> str:
        return Severity.WARNING if self.state.unexpected.get(server, 0) >= self.config.server_vms else Severity.INFO

    def _said_of_server(self, server: str, picture: Picture) -> dict[str, Any]:
        """Return title, explanation, numbers, facts and advice."""
        losses = self.state.losses.by_server[server]
        since_ms = min(losses.values())
        view = picture.servers.get(server)
        running = 0 if view is None else len(view.vms)
        return {
            "title": f"{counted(len(losses), 'VM')} on server {server} report well but have no network, "
            f"since {utc(since_ms)}",
            **self._said((server,), list(losses), since_ms, picture),
            "numbers": {
                "vms": len(losses),
                "vms_most": self.state.most[server],
                "vms_of_server": running,
                "unexpected": self.state.unexpected.get(server, 0),
                "changes_window_s": self.config.changes_s,
            },
        }

    # -- the cluster ---------------------------------------------------------------------------------------------

    def _cluster(self, began: list[Loss], frame: BatchFrame, picture: Picture, *, touched: bool) -> list[Finding]:
        if CLUSTER in self.state.openings.open:
            if not touched:
                return []
            members = self.state.losses.since(self.state.first_ms)
            if not members:
                self._closed(CLUSTER)
                return self.state.openings.end(CLUSTER, frame, UP_AGAIN)
            self._touch(CLUSTER, len(members))
            return self._rise(CLUSTER, self._cluster_severity(members), frame, picture)
        completed = self._completed(began)
        if completed is None:
            return []
        self.state.first_ms, completing = completed
        members = self.state.losses.since(self.state.first_ms)
        self.state.most[CLUSTER] = len(members)
        openings = self.state.openings
        superseded = (openings.get(server) for server in sorted({loss.server for loss in members}))
        return self._open(
            CLUSTER,
            frame,
            Subject(cluster=picture.cluster),
            completing.source,
            opened_ms=completing.at_ms,
            severity=self._cluster_severity(members),
            evidence=self._evidence(members),
            supersedes=tuple(finding.id for finding in superseded if finding is not None),
            **self._said_of_cluster(members, picture),
        )

    def _completed(self, began: list[Loss]) -> tuple[int, Loss] | None:
        """Return the stamp of the first loss of the window that the new ones complete, and the loss that does so."""
        if not began:
            return None
        losses, window_ms = self.state.losses, round(self.config.window_s * 1000)
        known = losses.since(min(loss.at_ms for loss in began) - window_ms)
        servers: dict[str, int] = {}
        first = 0
        for place, loss in enumerate(known):
            servers[loss.server] = servers.get(loss.server, 0) + 1
            while loss.at_ms - known[first].at_ms > window_ms:
                servers[known[first].server] -= 1
                if not servers[known[first].server]:
                    del servers[known[first].server]
                first += 1
            if place - first + 1 >= self.config.cluster_vms and len(servers) >= self.config.cluster_servers:
                return known[first].at_ms, loss
        return None

    def _cluster_severity(self, members: list[Loss]) -> str:
        servers = dict.fromkeys(loss.server for loss in members)
        unexpected = {server: number for server in servers if (number := self.state.unexpected.get(server, 0))}
        if sum(unexpected.values()) >= self.config.cluster_vms and len(unexpected) >= self.config.cluster_servers:
            return Severity.CRITICAL
        alone = any(number >= self.config.server_vms for number in unexpected.values())
        return Severity.WARNING if alone else Severity.INFO

    def _said_of_cluster(self, members: list[Loss], picture: Picture) -> dict[str, Any]:
        """Return title, explanation, numbers, facts and advice."""
        servers = sorted({loss.server for loss in members})
        counted_servers = picture.counted_servers()
        return {
            "title": f"{counted(len(members), 'VM')} on {counted(len(servers), 'server')} of {picture.cluster} report "
            f"well but have no network, since {utc(members[0].at_ms)}",
            **self._said(servers, [loss.vm for loss in members], members[0].at_ms, picture),
            "numbers": {
                "vms": len(members),
                "vms_most": self.state.most[CLUSTER],
                "servers": len(servers),
                "servers_of_cluster": counted_servers,
                "racks": len(racks_of(picture, servers)),
                "update_domains": len(domains_of(picture, servers)),
                "unexpected": sum(self.state.unexpected.get(server, 0) for server in servers),
                "changes_window_s": self.config.changes_s,
            },
        }

    # -- what is said --------------------------------------------------------------------------------------------

    def _said(self, servers: Collection[str], vms: list[str], since_ms: int, picture: Picture) -> dict[str, Any]:
        """Return explanation, facts and advice: what changed, what was announced."""
        changed = recent(picture, servers, since_ms - round(self.config.changes_s * 1000))
        unexpected = sum(self.state.unexpected.get(server, 0) for server in servers)
        text = "Their guest agents and host agents report well, so that nothing but the network itself shows it. "
        if not unexpected:
            text += (
                f"An update announced that the network would be away; that is expected for {self._expected()} from its "
                "start. "
            )
        text += changed.sentence(self.config.changes_s)
        if unexpected:
            text += " Test that VMs can be reached before any change of these servers goes further."
        return {
            "explanation": text,
            "facts": {"servers": listed(servers), "vms": listed(vms), **changed.facts()},
            "advised": (Action.HALT_ROLLOUT.value,) if unexpected and changed.under_way else (),
        }

    def _expected(self) -> str:
        return minutes(self.config.expected_s)

    @staticmethod
    def _evidence(losses: list[Loss]) -> tuple[Any, ...]:
        """Return the reports that showed these losses, each once."""
        return tuple({(known.offset, known.source_offset): known for known in (x.evidence for x in losses)}.values())

    # -- telling -------------------------------------------------------------------------------------------------

    def _touch(self, key: str, number: int) -> None:
        self.state.most[key] = max(self.state.most.get(key, 0), number)
        self.state.untold[key] = None

    def _closed(self, key: str) -> None:
        self.state.most.pop(key, None)
        self.state.untold.pop(key, None)

    def _rise(self, key: str, severity: str, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Say at once that a loss has become louder, or that it was announced; else nothing changes its severity."""
        known = self.state.openings.get(key)
        if known is None or severity == known.severity:
            return []
        if _RANK[Severity(severity)] < _RANK[Severity(known.severity)] and severity != Severity.INFO:
            return []
        if severity == Severity.INFO and self._unexpected(key):
            return []
        self.state.untold.pop(key, None)
        return self.state.openings.update(key, frame, at_once=True, severity=severity, **self._telling(key, picture))

    def _unexpected(self, key: str) -> bool:
        """Tell whether a loss of this finding is unexplained, were it one alone."""
        if key != CLUSTER:
            return self.state.unexpected.get(key, 0) > 0
        return any(self.state.unexpected.get(loss.server) for loss in self.state.losses.since(self.state.first_ms))

    def _telling(self, key: str, picture: Picture) -> dict[str, Any]:
        if key == CLUSTER:
            return self._said_of_cluster(self.state.losses.since(self.state.first_ms), picture)
        return self._said_of_server(key, picture)

    def _tell_late(self, frame: BatchFrame, picture: Picture) -> list[Finding]:
        """Tell the numbers that changed, 10 s after they were told last."""
        findings: list[Finding] = []
        for key in list(self.state.untold):
            known = self.state.openings.get(key)
            if known is not None and frame.at_ms < known.at_ms + UPDATE_EVERY_MS:
                continue
            del self.state.untold[key]
            if known is not None:
                findings += self.state.openings.update(key, frame, **self._telling(key, picture))
        return findings
