"""Intake, engine and fleet engine at work: what they export, how they are told new thresholds, how a brake is released.

One test in steps, each of which takes up what the one before left: three workers are seconds in starting.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from schemas.codec import decode
from schemas.history import SourceRecord
from schemas.inventory import INVENTORY, InventoryComplete, Server
from schemas.outputs import Decision, Progress
from schemas.source import MAINTENANCE, TELEMETRY_FEEDS, MaintenanceEvent, Pulse
from streams.cli.exits import Exit
from streams.cli.main import main
from streams.config.catalogue import config_types
from streams.config.load import load
from streams.intake.fields import EARLIEST_MS
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import apply_embedded, wanted
from streams.operate import metrics
from streams.simulate.feed import Feeder, Sent, messages
from tests.kit import START_MS
from tests.streams.cli.log import held

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).parents[3]
LIMIT_S = 90.0
ROLES = ("intake", "engine", "fleet")
PREFIX = "t."
SERVERS = 4
"""Whose brake is 3."""

NOT_PROVOKED = {"leapwatch_pulses_failed", "leapwatch_detector_errors"}
"""They want a broker that refuses, and a detector that fails; their own tests set them."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Live:
    """The workers of one prefix, and their pages."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.folder, self.bootstrap = folder, bootstrap
        self.ports = dict(zip(ROLES, free_ports(len(ROLES)), strict=True))
        self.path = folder / "leapwatch.toml"
        self.write("[policy]\nhysteresis_s = 1\n")
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def write(self, thresholds: str) -> None:
        """Write the configuration, with these thresholds."""
        kafka = f'[kafka]\nbootstrap = ["{self.bootstrap}"]\nprefix = "{PREFIX}"\nlanes = 1\ncheck_crcs = false\n'
        fast = "[intake]\nflush_ms = 20\nclocks_s = 0.1\n[engine]\nflush_ms = 20\nsnapshot_every_s = 2\n"
        web = "[web]\n" + "".join(f"{role} = {port}\n" for role, port in self.ports.items())
        self.path.write_text(kafka + fast + web + thresholds, encoding="utf-8")

    def start(self) -> None:
        """Start every role."""
        for role in ROLES:
            with (self.folder / f"{role}.log").open("wb") as out:
                self.workers[role] = subprocess.Popen(
                    [sys.executable, "-m", "streams.cli", "worker", "--role", role, "--config", str(self.path)],
                    cwd=self.folder,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )

    def stop(self) -> list[int]:
        """End every role in good order; return the exit codes."""
        for process in self.workers.values():
            process.terminate()
        return [process.wait(LIMIT_S) for process in self.workers.values()]

    def page(self, role: str, path: str) -> str:
        """Return a page of a worker."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[role]}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def families(self, role: str) -> dict[str, Metric]:
        """Return what a worker exports, by name."""
        return {family.name: family for family in text_string_to_metric_families(self.page(role, "/metrics"))}

    def value(self, worker: str, sample: str, /, **labels: str) -> float | None:
        """Return one sample, None where it is not exported."""
        for family in self.families(worker).values():
            for known in family.samples:
                if known.name == sample and known.labels == labels:
                    return float(known.value)
        return None

    def newest(self, topic: str) -> Any:
        """Return the newest record of a topic."""
        records = held(self.bootstrap, f"{PREFIX}{topic}")
        return decode(records[-1].value) if records else None

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        """Return when `holds()`."""
        until_s = time.monotonic() + LIMIT_S
        while True:
            ended = [role for role, process in self.workers.items() if process.poll() is not None]
            try:
                if not ended and holds():
                    return
            except OSError:
                pass
            if ended or time.monotonic() > until_s:
                logs = "\n".join((self.folder / f"{role}.log").read_text()[-2000:] for role in ROLES)
                pytest.fail(f"{what}; ended: {ended}\n{logs}")
            time.sleep(0.1)


def sending() -> list[Sent]:
    """Return a minute of a cluster of four servers, three of which the FC gives up, one after it rebooted."""
    records = [SourceRecord(INVENTORY, START_MS, Server("c1", f"s{n}", 0, "r0", "dc", "north")) for n in range(SERVERS)]
    records.append(SourceRecord(INVENTORY, START_MS, InventoryComplete("c1", SERVERS, 0)))

    def said(at_s: int, kind: str, server: str, **fields: Any) -> SourceRecord:
        at_ms = START_MS + at_s * 1000
        event = MaintenanceEvent(f"e{at_s}", "c1", at_ms, "fc", kind, server=server, **fields)
        return SourceRecord(MAINTENANCE, at_ms, event)

    told = [said(5, "NODE_REBOOT_STARTED", "s0", planned=False)]
    ahead = {"notice_id": "n1", "event_type": "Reboot", "not_before_ms": START_MS + 3_600_000, "vms": ("v1",)}
    told.append(said(6, "SCHEDULED", "s0", **ahead))
    told += [said(10 + n, "SERVER_STATE", f"s{n}", state="HI") for n in range(3)]
    pulses = [
        SourceRecord(feed, START_MS + second * 1000, Pulse("i", second), 0)
        for second in range(60)
        for feed in TELEMETRY_FEEDS
    ]
    events = sorted([*told, *pulses], key=lambda record: record.at_ms)
    junk = Sent(MAINTENANCE, 0, START_MS + 59_000, b"c1", b"junk")
    return [*messages([*records, *events], 1), junk]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Give workers that have judged a minute in which the brake was reached."""
    with EmbeddedBroker() as broker:
        apply_embedded(broker, wanted(partitions=1, prefix=PREFIX, simulated=True))
        made = Live(tmp_path, broker.bootstrap)
        made.start()
        try:
            made.wait("the workers are ready", lambda: all("ready" in made.page(role, "/-/ready") for role in ROLES))
            asyncio.run(Feeder(broker.bootstrap, prefix=PREFIX).play(sending()))
            made.wait("the brake falls", lambda: made.newest("decisions"))
            yield made
        finally:
            for process in made.workers.values():
                if process.poll() is None:
                    process.kill()
                process.wait(10)


def what_is_in_hi_and_how_near_the_brake_is_can_be_scraped(live: Live) -> None:
    live.wait("gauges", lambda: live.value("engine", "leapwatch_hosts_human_investigate", cluster="c1") == 3)

    assert 1.0 == live.value("engine", "leapwatch_hi_threshold_ratio", cluster="c1")
    assert 1.0 == live.value("engine", "leapwatch_findings_open", detector="hi_threshold", severity="CRITICAL")
    assert 3.0 == live.value("engine", "leapwatch_findings_open", detector="server_hi", severity="WARNING")
    assert 1.0 == live.value("engine", "leapwatch_latches_open", action="stop-updates")
    assert 1.0 == live.value("engine", "leapwatch_host_reboots_total", cluster="c1", expected="false")
    assert 1.0 == live.value("engine", "leapwatch_decisions_total", action="stop-updates", state="PROPOSED")
    assert 1.0 == live.value("intake", "leapwatch_dead_letters_total", feed=MAINTENANCE, reason="NOT_AVRO") or 1.0 == (
        live.value("intake", "leapwatch_dead_letters_total", feed=MAINTENANCE, reason="NOT_JSON")
    )
    assert 5.0 == live.value("intake", "leapwatch_source_records_total", feed=MAINTENANCE, outcome="forwarded")


def the_fleet_engine_reads_what_engine_and_intake_write(live: Live) -> None:
    def fed(kind: str) -> float:
        return live.value("fleet", "leapwatch_frames_total", role="fleet", kind=kind) or 0.0

    live.wait("findings in the fleet engine", lambda: fed("finding") >= 4 and fed("clocks") and fed("batch"))
    live.wait("its progress", lambda: live.newest("fleet-progress"))
    live.wait("its time", lambda: live.newest("fleet-progress").watermarks)

    progress = live.newest("fleet-progress")
    assert isinstance(progress, Progress)
    assert ["engine/telemetry/0"] == list(progress.watermarks)
    assert progress.next_offset > 0


def a_changed_file_is_applied_by_sighup_and_a_bad_one_is_refused(live: Live) -> None:
    live.write("[policy]\nhysteresis_s = 2\n")
    digest = load(live.path, {}, config_types()).thresholds_digest
    live.workers["intake"].send_signal(signal.SIGHUP)
    live.wait("the engine obeys", lambda: live.newest("progress").config_digest == digest)
    assert 1.0 == live.value("intake", "leapwatch_config_last_reload_successful", role="intake")

    # In a log of another time what an intake writes bears that time: the first before all else, the next where it is.
    first, second = (record.timestamp for record in held(live.bootstrap, f"{PREFIX}operator"))
    assert EARLIEST_MS == first
    assert START_MS + 59_000 == second

    live.write("[policy]\nhysteresis_s = -2\n")
    live.workers["intake"].send_signal(signal.SIGHUP)
    live.wait("refused", lambda: live.value("intake", "leapwatch_config_reloads_total", outcome="refused") == 1)
    assert 0.0 == live.value("intake", "leapwatch_config_last_reload_successful", role="intake")
    assert digest == live.newest("progress").config_digest


def a_role_that_reads_no_file_says_nothing_of_it(live: Live) -> None:
    """See that no gauge says 0 unasked: that would raise the alarm of a refused reload."""
    assert live.value("engine", "leapwatch_config_last_reload_successful", role="engine") is None
    assert [] == live.families("engine")["leapwatch_config_last_reload_successful"].samples
    assert [] == live.families("engine")["leapwatch_config_matches_log"].samples


def a_release_is_confirmed_by_the_running_engine(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.write("[policy]\nhysteresis_s = 2\n")
    decisions = [decode(record.value) for record in held(live.bootstrap, f"{PREFIX}decisions")]
    ids = {decision.action: decision.id for decision in decisions if isinstance(decision, Decision)}
    for action in ("stop-updates", "disable-healing"):
        released = main(
            [
                "decisions",
                "release",
                ids[action],
                "--by",
                "alice",
                "--reason",
                "mended",
                "--config",
                str(live.path),
                "--json",
            ]
        )
        said = capsys.readouterr().out
        assert Exit.OK == released, said
        assert "RELEASED" == json.loads(said.splitlines()[-1])["state"]

    live.wait("latches", lambda: live.value("engine", "leapwatch_latches_open", action="stop-updates") is None)
    live.wait("closed", lambda: (live.value("engine", "leapwatch_hi_threshold_ratio", cluster="c1") or 0) < 1)


def every_metric_is_set_by_some_role(live: Live) -> None:
    seen = {
        name.removesuffix("_info") for role in ROLES for name, family in live.families(role).items() if family.samples
    }
    defined = {value._name for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)}

    assert NOT_PROVOKED == defined - seen


def test_a_brake_is_scraped_reconfigured_and_released_while_all_roles_run(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    what_is_in_hi_and_how_near_the_brake_is_can_be_scraped(live)
    the_fleet_engine_reads_what_engine_and_intake_write(live)
    a_changed_file_is_applied_by_sighup_and_a_bad_one_is_refused(live)
    a_role_that_reads_no_file_says_nothing_of_it(live)
    every_metric_is_set_by_some_role(live)
    a_release_is_confirmed_by_the_running_engine(live, capsys)
    assert [0, 0, 0] == live.stop()
