"""Builds small telemetry logs for tests, and runs them through the real engine.

    log = Log().inventory(servers=4)
    log.host(0, "s1", vms=[vm("v1", ga="STARTING")])
    log.guest(3, "v1", "READY", server="s1")
    log.clocks(60)
    findings = run(log.frames, only=["host_silence"])

Times are seconds from `Log.start_ms`; each call is one frame unless `lag_s` or `Log.batch` says otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from detectors.frames import BatchFrame, ClocksFrame
from schemas.columns import pack_vms
from schemas.inventory import InventoryComplete, Server, Vm
from schemas.outputs import Decision, Finding
from schemas.source import (
    GUEST_AGENT,
    HOST_AGENT,
    MAINTENANCE,
    TELEMETRY_FEEDS,
    GaState,
    GuestEvent,
    MaintenanceEvent,
    VmReport,
)
from schemas.telemetry import EVERYONE, Batch, Clocks, Gap, HostRow, Row, Stretch
from streams.engine.runner import Runner, TelemetryFrame

START_MS = 1_330_473_600_000
"""2012-02-29T00:00:00Z."""


def vm(name: str, incarnation: int = 1, ga: str = GaState.READY, *, clean: bool = True, **fields: Any) -> VmReport:
    """Return a VM as a host report names it."""
    return VmReport(name, incarnation, ga, clean, **fields)


class Log:
    """A telemetry log of one partition in the making."""

    def __init__(self, cluster: str = "c1", start_ms: int = START_MS, partition: int = 0) -> None:
        self.cluster = cluster
        self.start_ms = start_ms
        self.partition = partition
        self.frames: list[TelemetryFrame] = []
        self.offsets: dict[str, int] = {}
        self.clocked: dict[str, tuple[int, int]] = {}
        """Feed to (offset, stamp) of the last Clocks."""
        self.seqs: dict[str, int] = {}
        self.fulls: dict[str, int] = {}
        self.events = 0

    def ms(self, at_s: float) -> int:
        """Return the stamp of a second of this log."""
        return self.start_ms + round(at_s * 1000)

    def batch(self, feed: str, rows: Sequence[tuple[float, Row]], cluster: str | None = None) -> Log:
        """Append one batch of rows (at_s, row)."""
        offsets = []
        for _ in rows:
            offsets.append(self.offsets.get(feed, 0))
            self.offsets[feed] = offsets[-1] + 1
        stamps = tuple(self.ms(at_s) for at_s, _ in rows)
        batch = Batch(
            self.cluster if cluster is None else cluster,
            feed,
            feed.partition("@")[2] or feed,
            f"id-of-{feed}",
            self.partition,
            tuple(offsets),
            stamps,
            tuple(row for _, row in rows),
        )
        self.frames.append(BatchFrame(self.partition, len(self.frames), stamps[-1], batch))
        return self

    def inventory(
        self,
        servers: int | Sequence[str] = 4,
        *,
        vms: Sequence[Vm] = (),
        racks: int = 2,
        update_domains: int = 2,
        complete: bool = True,
        at_s: float = -1,
        ga: str = "present",
    ) -> Log:
        """Append an import: servers `s1`... (or those named) spread over racks `r0`... and update domains."""
        names = [f"s{n + 1}" for n in range(servers)] if isinstance(servers, int) else list(servers)
        rows: list[tuple[float, Row]] = [
            (at_s, Server(self.cluster, name, n % update_domains, f"r{n % racks}", "dc1", "region1", ga=ga))
            for n, name in enumerate(names)
        ]
        rows += [(at_s, known) for known in vms]
        if complete:
            rows.append((at_s, InventoryComplete(self.cluster, len(names), len(vms))))
        return self.batch("inventory", rows)

    def host(
        self,
        at_s: float,
        server: str,
        vms: Sequence[VmReport] | None = None,
        *,
        boot: str = "b1",
        run: str = "r1",
        interval_s: int = 60,
        feed: str = HOST_AGENT,
        **fields: Any,
    ) -> Log:
        """Append a host report: full if `vms` is given, else a beat that names the last full one."""
        key = f"{server}/{boot}/{run}"
        seq = fields.pop("seq", self.seqs.get(key, -1) + 1)
        self.seqs[key] = seq
        if vms is not None:
            self.fulls[key] = seq
        row = HostRow(
            server,
            boot,
            run,
            seq,
            fields.pop("full_seq", self.fulls.get(key, -1)),
            self.ms(at_s),
            interval_s,
            vms_block=None if vms is None else pack_vms(tuple(vms)),
            **fields,
        )
        return self.batch(feed, [(at_s, row)])

    def guest(self, at_s: float, vm: str, kind: str, *, server: str = "s1", incarnation: int = 1, **fields: Any) -> Log:
        """Append a guest event."""
        self.events += 1
        event_id = fields.pop("event_id", f"g{self.events}")
        row = GuestEvent(event_id, self.cluster, server, vm, incarnation, self.ms(at_s), kind, **fields)
        return self.batch(GUEST_AGENT, [(at_s, row)])

    def maintenance(self, at_s: float, kind: str, *, system: str = "fc", **fields: Any) -> Log:
        """Append a maintenance event."""
        self.events += 1
        event_id = fields.pop("event_id", f"m{self.events}")
        row = MaintenanceEvent(event_id, self.cluster, self.ms(at_s), system, kind, **fields)
        return self.batch(MAINTENANCE, [(at_s, row)])

    def everyone(self, at_s: float, row: Row, feed: str = "operator") -> Log:
        """Append a row for the whole partition."""
        return self.batch(feed, [(at_s, row)], cluster=EVERYONE)

    def clocks(
        self,
        at_s: float,
        feeds: Iterable[str] = TELEMETRY_FEEDS,
        *,
        gaps: Sequence[tuple[float, float]] = (),
        unread: int = 0,
        skip: int = 0,
    ) -> Log:
        """Append a turn of the clocks: these feeds' lanes are read up to `at_s`; a pulse a second was among it.

        `gaps`: (from_s, to_s) told with it. `skip`: so many records of each lane were lost unread (a hole).
        """
        stretches = []
        for feed in feeds:
            before = self.clocked.get(feed)
            offset = self.offsets.get(feed, 0)
            self.offsets[feed] = offset + 1 + skip
            from_offset = (0 if before is None else before[0] + 1) + skip
            to_ms = self.ms(at_s)
            from_ms = min(to_ms, self.ms(-60) if before is None else before[1] + 1000)
            self.clocked[feed] = (offset + skip, to_ms)
            told = tuple(Gap(self.ms(a), self.ms(b)) for a, b in gaps)
            topic = feed.partition("@")[2] or feed
            stretches.append(
                Stretch(
                    feed,
                    topic,
                    f"id-of-{feed}",
                    self.partition,
                    from_offset,
                    offset + skip,
                    from_ms,
                    to_ms,
                    told,
                    unread,
                )
            )
        clocks = Clocks(self.partition, tuple(stretches))
        self.frames.append(ClocksFrame(self.partition, len(self.frames), self.ms(at_s), clocks))
        return self


def run(
    frames: Iterable[TelemetryFrame], *, only: Iterable[str] | None = None, runner: Runner | None = None
) -> list[Finding]:
    """Return the findings of these frames, by the real engine, of some detectors or of all."""
    engine = runner or Runner(0, only=only)
    return [output for output in engine.feed(frames) if isinstance(output, Finding)]


def decisions(frames: Iterable[TelemetryFrame], *, runner: Runner | None = None) -> list[Decision]:
    """Return the decisions that these frames lead to."""
    engine = runner or Runner(0)
    return [output for output in engine.feed(frames) if isinstance(output, Decision)]


def short(findings: Iterable[Finding], start_ms: int = START_MS) -> list[str]:
    """Return findings as short lines, for comparisons that a person can read: detector, subject, state, opened at."""
    lines = []
    for finding in findings:
        subject = finding.subject
        about = "/".join(
            str(value)
            for value in (getattr(subject, field.name) for field in dataclasses.fields(subject))
            if value is not None
        )
        opened_s = (finding.opened_ms - start_ms) / 1000
        lines.append(f"{finding.detector} {about} {finding.state} {opened_s:g}s")
    return lines
