"""Logs of clusters whose clean VMs fail to start, as their host agents tell it: restarted at each limit, in vain."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.frames import BatchFrame
from schemas.columns import pack_vms
from schemas.outputs import Finding
from schemas.source import HOST_AGENT, GaState
from schemas.telemetry import HostRow
from streams.engine.runner import Runner
from tests.kit import Log, vm

LIMIT_S = 1500
CHAIN = ("guest_timeout", "server_hi", "hi_threshold", "hi_forecast")
"""The detectors of this table, with what they follow."""


class Failing(Log):
    """A cluster in which chosen servers have one VM each, `v-SERVER`, that never makes contact."""

    def report(
        self, at_s: float, servers: Sequence[str], incarnation: int, *, clean: bool = True, vms: int = 1
    ) -> Failing:
        """Append one batch with a full report of each server, whose VMs are STARTING in this incarnation."""
        rows = []
        for place, server in enumerate(servers):
            seq = self.fulls[server] = self.seqs[server] = self.seqs.get(server, -1) + 1
            named = [
                vm(f"v-{server}" if n == 0 else f"v{n}-{server}", incarnation, GaState.STARTING, clean=clean)
                for n in range(vms)
            ]
            at = at_s + place / 1000
            rows.append((at, HostRow(server, "b1", "r1", seq, seq, self.ms(at), 300, vms_block=pack_vms(named))))
        self.batch(HOST_AGENT, rows)
        return self

    def tick(self, until_s: float, servers: Sequence[str], every_s: float = 60) -> Failing:
        """Append beats of the servers and turns of the clocks up to a time, from the last turn on."""
        at_s = (self.clocked[HOST_AGENT][1] - self.start_ms) / 1000 + every_s if self.clocked else 0.0
        while at_s <= until_s:
            rows = []
            for server in servers:
                seq = self.seqs[server] = self.seqs[server] + 1
                rows.append((at_s, HostRow(server, "b1", "r1", seq, self.fulls[server], self.ms(at_s), 300)))
            if rows:
                self.batch(HOST_AGENT, rows)
            self.clocks(at_s)
            at_s += every_s
        return self

    def fail(self, servers: Sequence[str], times: int, *, from_s: float = 0.2, vms: int = 1) -> Failing:
        """Let the VMs of these servers time out so often: each start is replaced at its limit, exactly."""
        for n in range(times + 1):
            self.report(from_s + n * LIMIT_S, servers, n + 1, vms=vms)
            self.clocks(from_s + n * LIMIT_S + 2)
            if n < times:
                self.tick(from_s + (n + 1) * LIMIT_S - 1, servers, 300)
        return self


def cluster(servers: int) -> Failing:
    """Return a log that begins with a complete inventory of so many servers, `s1` and on."""
    log = Failing()
    log.inventory(servers)
    return log


def names(count: int, first: int = 1) -> list[str]:
    """Return `s1`, `s2`, ... as `Log.inventory` names them."""
    return [f"s{n}" for n in range(first, first + count)]


def of(findings: Sequence[Finding], detector: str) -> list[Finding]:
    """Return the findings of one detector."""
    return [finding for finding in findings if finding.detector == detector]


def give(runner: Runner, finding: Finding, log: Log) -> list[Finding]:
    """Give a finding to those that follow its detector, as the engine does, in the last frame of the log."""
    last = log.frames[-1]
    assert isinstance(last, BatchFrame)
    cluster = runner.clusters[log.cluster]
    return [found for found in cluster._tell_followers(finding, last) if isinstance(found, Finding)]
