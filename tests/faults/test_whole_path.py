"""Source topics, intake and engine together: killed at high speed, and in real time without a broker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.codec import encode
from schemas.inventory import InventoryComplete, Server
from schemas.outputs import Finding
from schemas.source import HOST_AGENT, HostReport
from streams.intake.offline import telemetry
from streams.kafka.partition import lane_of
from streams.kafka.real import RealBroker
from streams.simulate.feed import Feeder, scenario_messages
from streams.simulate.generator import records
from streams.simulate.load import load
from tests.faults.harness import BRAKE_PASSED_MS, CLOCKS_MS, LANES, Run, replayed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_killed_intakes_and_engines_find_what_undisturbed_ones_do(run: Run) -> None:
    """Each of both is killed three times; ids are the same where one source record opened a finding."""
    scenario = load("leap-day-dawn").with_size(clusters=2, servers=50, vms=5)
    end_ms = scenario.start_ms + BRAKE_PASSED_MS
    sending = takewhile(lambda sent: sent.at_ms < end_ms, scenario_messages(scenario, LANES))
    feeder = Feeder(run.bootstrap, prefix=run.prefix)
    feeding = threading.Thread(target=lambda: asyncio.run(feeder.play(sending)))
    feeding.start()
    for share in (0.15, 0.4, 0.7):
        workers = [run.start(role="intake"), run.start()]
        until_ms = scenario.start_ms + int(BRAKE_PASSED_MS * share)
        run.wait(f"{share:.0%} of it", lambda until_ms=until_ms: run.watermark_ms() > until_ms)  # type: ignore[misc]
        for worker in workers:
            worker.kill()
    feeding.join()
    intake = run.start(role="intake")
    run.start()
    run.wait("all was read", lambda: run.watermark_ms() >= end_ms - 1_000)
    intake.terminate()
    run.settle()
    run.finish()

    run.judge()
    sources = takewhile(lambda record: record.at_ms < end_ms, records(scenario))
    calm = tuple(telemetry(sources, lanes=LANES, clocks_every_ms=CLOCKS_MS, end_ms=end_ms - 1))
    run.judge_ends(replayed(calm), apart=("blind",), ids_of=ONE_RECORD)


ONE_RECORD = ("server_hi",)
"""Detectors whose findings one source record opens."""
AWAY_S = 60.0
LIMIT_S = 15
WAIT_S = 150
"""A finding waits for 2 min where something larger may explain it better."""
SERVERS = [f"s{number}" for number in range(1, 9)]


class Hosts:
    """Eight living hosts that report every two seconds, whatever becomes of the broker; one of them can die."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.alive = list(SERVERS)
        self._stopped = threading.Event()
        self._prefix, self._lane = prefix, lane_of("c1", LANES)
        # A host keeps the newest report only: what it could not send within four seconds is dropped.
        self._producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 4_000, "log_level": 0})
        for server in SERVERS:
            self._send("inventory", f"server:{server}", Server("c1", server, 0, "r1", "d1", "north"))
        self._send("inventory", "complete:c1", InventoryComplete("c1", len(SERVERS), 0))
        assert self._producer.flush(20) == 0
        self._thread = threading.Thread(target=self._report)
        self._thread.start()

    def stop(self) -> None:
        """Let them report no more."""
        self._stopped.set()
        self._thread.join()

    def _report(self) -> None:
        seq = 0
        while not self._stopped.wait(2.0):
            for server in self.alive:
                now_ms = time.time_ns() // 1_000_000
                report = HostReport("c1", server, "b1", "r1", seq, seq, now_ms, 2, vms=())
                self._send(HOST_AGENT, "c1", report)
            seq += 1

    def _send(self, feed: str, key: str, record: object) -> None:
        self._producer.produce(self._prefix + feed, encode(record), key, self._lane)
        self._producer.poll(0)


@pytest.fixture
def live(broker: RealBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Run]:
    each = Run(tmp_path, broker.bootstrap, topic_prefix, simulated=False, may_crash=True)
    limits = f"[detectors.host_silence]\nintervals = 3.0\nat_least_s = {LIMIT_S}.0\n"
    each.config.write_text(each.config.read_text() + limits)
    try:
        yield each
    finally:
        each.close()


def test_a_broker_away_for_a_minute_makes_us_blind_and_nobody_silent(broker: RealBroker, live: Run) -> None:
    """In real time, the limit of silence a quarter of the outage; a host that really dies afterwards is told."""
    supervised = Supervised(live)
    # The limits are in the log before the first report, so that every absence is judged by them from its beginning.
    live.wait("the limits are in the log", lambda: bool(live.read("operator")))
    hosts = Hosts(live.bootstrap, live.prefix)
    try:
        live.wait("all is read", lambda: live.watermark_ms() > time.time_ns() // 1_000_000 - 5_000)
        time.sleep(2 * LIMIT_S)
        broker.stop()
        time.sleep(AWAY_S)
        broker.start()
        live.wait("it goes on", lambda: live.watermark_ms() > time.time_ns() // 1_000_000 - 5_000)
        time.sleep(2 * LIMIT_S)
        before = [output for output in live.outputs() if isinstance(output, Finding)]
        hosts.alive.remove("s8")
        live.wait("the dead host is told", lambda: bool(_silent(live)), LIMIT_S + WAIT_S)
    finally:
        hosts.stop()
        supervised.stop()
    live.settle()
    live.finish()

    assert "blind" in {finding.detector for finding in before}, live.tails()
    assert [] == [finding for finding in before if finding.detector not in ("blind", "lag")], live.tails()
    assert {"s8"} == _silent(live)
    live.judge()


def _silent(live: Run) -> set[str | None]:
    found = [o for o in live.outputs() if isinstance(o, Finding) and o.detector == "host_silence" and o.state == "OPEN"]
    return {finding.subject.server for finding in found}


class Supervised:
    """An intake and an engine that are started again whenever they end."""

    def __init__(self, run: Run) -> None:
        self._run, self._stopped = run, threading.Event()
        self._intake, self._engine = run.start(role="intake"), run.start()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(1.0):
            if self._intake.status is not None:
                self._intake = self._run.start(role="intake")
            if self._engine.status is not None:
                self._engine = self._run.start()

    def stop(self) -> None:
        """End the intake in good order; the engine comes to the end by itself."""
        self._stopped.set()
        self._thread.join()
        self._intake.terminate()
