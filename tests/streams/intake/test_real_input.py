"""The real input: what waagent's library writes, by rsyslog's socket and omkafka, reaches a finding and closes it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors.contract import registry
from schemas.codec import encode
from schemas.history import LogRecord
from schemas.inventory import InventoryComplete, Server
from schemas.outputs import Finding, FindingState
from schemas.source import HOST_AGENT
from schemas.telemetry import Batch, HostRow
from streams.config.thresholds import parse
from streams.engine.frames import frame_of
from streams.engine.runner import Runner
from streams.kafka.embedded import EmbeddedBroker
from tests.conftest import skip_loudly
from tests.streams.intake.live import ROOT, Live, live

RSYSLOGD = Path("/usr/sbin/rsyslogd")
OMKAFKA = "rsyslog/omkafka.so"
SYSTEM_PYTHON = Path("/usr/bin/python3")
PROGRAM = Path(__file__).with_name("waagent_program.py")
TOPIC = "machine-logs"
MACHINE = "machine-1"
CLUSTER = "lab"
LIMIT_S = 60.0

MAPPING = """
[mapping]
based_on = "waagent-journald"
[parameters]
interval_s = 1
"""
THRESHOLDS = "[detectors.host_silence]\nat_least_s = 3.0\nwait_s = 1.0\n"
INTAKE = f"""
[paths]
mappings = "mappings"
[[intake.foreign]]
topic = "{TOPIC}"
mapping = "lab"
pulsed = true
"""


def missing() -> str:
    """Give what of the real input is not installed here."""
    if not RSYSLOGD.exists():
        return "rsyslogd is not installed (apt: rsyslog)"
    if not [*Path("/usr/lib").glob(f"*/{OMKAFKA}")]:
        return "rsyslog's omkafka is not installed (apt: rsyslog-kafka)"
    command = [str(SYSTEM_PYTHON), "-c", "import azurelinuxagent.common.protocol.wire, distro"]
    if not SYSTEM_PYTHON.exists() or subprocess.run(command, capture_output=True, check=False).returncode:
        return "waagent's library is not installed (apt: waagent, python3-distro)"
    return ""


@contextlib.contextmanager
def rsyslog(folder: Path, bootstrap: str) -> Iterator[None]:
    """Run rsyslogd in the foreground, on a socket and a file of its own."""
    configuration = folder / "rsyslog.conf"
    configuration.write_text(
        f"""global(workDirectory="{folder}" localHostname="{MACHINE}" maxMessageSize="64k")
module(load="imuxsock" SysSock.Use="off")
module(load="imfile" mode="inotify")
module(load="omkafka")
input(type="imuxsock" Socket="{folder}/log")
input(type="imfile" File="{folder}/waagent.log" Tag="waagent:" reopenOnTruncate="on")
template(name="whole" type="string" string="%jsonmesg%")
set $!leapwatch_cluster = "{CLUSTER}";
action(type="omkafka" broker="{bootstrap}" topic="{TOPIC}" template="whole" partitions.auto="on"
       confParam=["queue.buffering.max.ms=20"])
"""
    )
    (folder / "waagent.log").touch()
    command = [str(RSYSLOGD), "-n", "-f", str(configuration), "-i", str(folder / "rsyslog.pid")]
    with (folder / "rsyslog.out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not (folder / "log").exists():
            assert process.poll() is None, (folder / "rsyslog.out").read_text()
            assert time.monotonic() < deadline, "rsyslogd has no socket"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def agent(folder: Path) -> Iterator[None]:
    """Let the agent's library write, twice a second."""
    command = [str(SYSTEM_PYTHON), str(PROGRAM), str(folder / "log"), str(folder / "waagent.log"), "0.5"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ""})
    try:
        yield
        assert process.poll() is None, "the agent's program ended by itself"
    finally:
        process.terminate()
        process.wait(30)


class Engine:
    """The engine's runner over the telemetry of one partition, as it grows."""

    def __init__(self, site: Live) -> None:
        self.site = site
        thresholds = parse(THRESHOLDS, {name: kind.Config for name, kind in registry().items()})
        self.runner = Runner(0, thresholds, pinned=True)
        self.next_offset = 0
        self.findings: list[Finding] = []
        self.reports: list[HostRow] = []

    def silences(self) -> list[str]:
        """Feed what is new; give the states of the machine's silence so far."""
        for partition, offset, at_ms, record in self.site.telemetry():
            if offset < self.next_offset:
                continue
            self.next_offset = offset + 1
            if isinstance(record, Batch):
                self.reports += [row for row in record.rows if isinstance(row, HostRow)]
            frame = frame_of(LogRecord(partition, offset, at_ms, None, encode(record)))
            self.findings += [made for made in self.runner.feed([frame]) if isinstance(made, Finding)]
        return [
            finding.state
            for finding in self.findings
            if finding.detector == "host_silence" and finding.subject.server == MACHINE
        ]


@pytest.mark.real_input
@pytest.mark.embedded
def test_a_real_agent_that_stops_is_a_silence_and_its_return_closes_it(
    tmp_path: Path, embedded_broker: EmbeddedBroker, topic_prefix: str
) -> None:
    """Status blobs and log lines of waagent's own making, through rsyslog, Kafka, intake and engine."""
    if reason := missing():
        skip_loudly(reason)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "lab.toml").write_text(MAPPING)
    with live(tmp_path, embedded_broker.bootstrap, topic_prefix, 1, INTAKE) as site:
        for topic, partitions in [*site.topics(), (TOPIC, 2)]:
            embedded_broker.create_topic(topic, partitions)
        now_ms = time.time_ns() // 1_000_000
        site.send("inventory", encode(Server(CLUSTER, MACHINE)), 0, f"server:{MACHINE}".encode(), now_ms)
        site.send("inventory", encode(InventoryComplete(CLUSTER, 1, 0)), 0, f"complete:{CLUSTER}".encode(), now_ms)
        site.sent()
        worker = site.start("pulse")
        engine = Engine(site)
        with rsyslog(tmp_path, embedded_broker.bootstrap):
            with agent(tmp_path):
                site.wait("ten reports of the machine", lambda: not engine.silences() and len(engine.reports) >= 10)
            site.wait("its silence", lambda: [FindingState.OPEN] == engine.silences())
            with agent(tmp_path):
                site.wait("its return", lambda: [FindingState.OPEN, FindingState.CLOSED] == engine.silences())
        assert 0 == site.stop(worker)

        assert {MACHINE} == {row.server for row in engine.reports}
        assert {"ha"} <= {component for row in engine.reports for component in row.versions or {}}
        # A new run of the agent is known by its own HeartbeatId, and no report is missed within one.
        runs = [row.run for row in engine.reports]
        assert len({*runs}) >= 2
        assert [] == [finding for finding in engine.findings if "lost" in finding.title]
        assert {f"{HOST_AGENT}@{TOPIC}"} <= {
            record.feed for *_, record in site.telemetry() if isinstance(record, Batch)
        }
        assert [] == site.letters()


def test_the_program_needs_no_part_of_ours() -> None:
    """It is run by the system's Python, which knows nothing of this project."""
    specification = importlib.util.spec_from_file_location("waagent_program", PROGRAM)

    assert specification is not None
    assert not [line for line in PROGRAM.read_text().splitlines() if line.startswith(("from streams", "from schemas"))]
    assert PROGRAM.is_relative_to(ROOT)
