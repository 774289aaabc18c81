"""The intake as a process: source records in, telemetry out, nothing lost over restarts."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from schemas.codec import decode, encode
from schemas.commands import ConfigChanged
from schemas.inventory import Server
from schemas.outputs import DeadReason
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, TELEMETRY_FEEDS, Pulse
from schemas.telemetry import Batch, Clocks
from streams.intake.checks import row_of
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.guards import EXIT_STATUS
from streams.kafka.partition import lane_of
from streams.kafka.real import RealBroker
from tests.streams.intake.live import Live, covered, fresh_rows, live
from tests.streams.intake.makers import T0, VMS, guest, maintenance, report

LANES = 2
NAMES = ("cluster-a", "cluster-b", "cluster-c")


def send_all(site: Live, rounds: int, start: int = 0) -> list[tuple[str, int, object]]:
    """Send rounds of a report, an event and a pulse a second; give (feed, lane, row) of what must come out."""
    expected: list[tuple[str, int, object]] = []
    for number in range(start, start + rounds):
        at_ms = T0 + number * 1_000
        for feed in TELEMETRY_FEEDS:
            for lane in range(site.lanes):
                site.send(feed, encode(Pulse("test", number)), lane, None, at_ms)
        for name in NAMES:
            lane = lane_of(name, site.lanes)
            records = {
                HOST_AGENT: report(number, cluster=name, vms=VMS if number % 5 == 0 else None),
                GUEST_AGENT: guest(f"g-{number}", cluster=name),
                MAINTENANCE: maintenance(f"m-{number}", cluster=name),
            }
            for feed, record in records.items():
                site.send(feed, encode(record), lane, name.encode(), at_ms + 100)
                expected.append((feed, lane, row_of(decode(encode(record)))))
    return expected


def rows_out(site: Live) -> list[tuple[str, int, object]]:
    return [(feed, lane, row) for (feed, lane), rows in fresh_rows(site.telemetry()).items() for _, _, row in rows]


def by_text(rows: list[tuple[str, int, object]]) -> list[str]:
    return sorted(map(repr, rows))


@pytest.mark.embedded
def test_source_records_become_batches_and_clocks(
    tmp_path: Path, embedded_broker: EmbeddedBroker, topic_prefix: str
) -> None:
    """Rows, stamps, dead letters, and commits up to the end once all is forwarded and the worker is stopped."""
    with live(tmp_path, embedded_broker.bootstrap, topic_prefix, LANES) as site:
        for topic, partitions in site.topics():
            embedded_broker.create_topic(topic, partitions)
        expected = send_all(site, 30)
        site.send(HOST_AGENT, b"junk", 0, b"cluster-a", T0 + 30_000)
        site.send(HOST_AGENT, encode(Pulse("test", 99)), 0, None, T0 + 30_000)
        site.sent()
        worker = site.start()
        site.wait("all rows in telemetry", lambda: len(rows_out(site)) >= len(expected))
        site.wait("the dead letter", lambda: len(site.letters()) == 1)
        assert 0 == site.stop(worker)

        assert by_text(expected) == by_text([row for row in rows_out(site) if row[0] in TELEMETRY_FEEDS])
        telemetry = site.telemetry()

        batches = [(partition, at_ms, made) for partition, _, at_ms, made in telemetry if isinstance(made, Batch)]
        assert all(at_ms == batch.at_ms[-1] and partition == batch.lane for partition, at_ms, batch in batches)
        assert [DeadReason.NOT_UTF8, DeadReason.NOT_JSON].count(DeadReason(site.letters()[0].reason)) == 1
        ends = covered(telemetry)
        assert ends[HOST_AGENT, 0] + 1 == site.committed(HOST_AGENT)[0]
        assert ends[MAINTENANCE, 1] + 1 == site.committed(MAINTENANCE)[1]


@pytest.mark.embedded
def test_an_empty_log_gets_the_thresholds_and_a_full_one_is_obeyed(
    tmp_path: Path, embedded_broker: EmbeddedBroker, topic_prefix: str
) -> None:
    """The first start writes ConfigChanged into each lane; a start with another file warns and writes nothing."""
    with live(tmp_path, embedded_broker.bootstrap, topic_prefix, LANES, "[policy]\nbudget_per_hour = 3\n") as site:
        for topic, partitions in site.topics():
            embedded_broker.create_topic(topic, partitions)
        worker = site.start()
        site.wait("the configuration in telemetry", lambda: len(changes(site)) == LANES)
        site.stop(worker)
        site.path.write_text(site.path.read_text().replace("budget_per_hour = 3", "budget_per_hour = 4"))
        again = site.start()
        site.wait("the warning", lambda: "thresholds of file and log differ" in site.logs())
        again.send_signal(signal.SIGHUP)
        site.wait("the new configuration", lambda: len(changes(site)) == 2 * LANES)
        assert 0 == site.stop(again)

        assert ["start"] * LANES + ["SIGHUP"] * LANES == [change.by for change in changes(site)]
        assert ["budget_per_hour = 3", "budget_per_hour = 4"] == sorted(
            {line for change in changes(site) for line in change.text.splitlines() if "budget" in line}
        )


@pytest.mark.embedded
def test_once_a_day_inventory_and_configuration_are_written_whole(
    tmp_path: Path, embedded_broker: EmbeddedBroker, topic_prefix: str
) -> None:
    """At midnight by the stamps of the lane; with the offsets that they had, so that an engine takes them once."""
    with live(tmp_path, embedded_broker.bootstrap, topic_prefix, 1) as site:
        for topic, partitions in site.topics():
            embedded_broker.create_topic(topic, partitions)
        evening_ms = T0 - 5_000
        server = Server(NAMES[0], "server-1")
        site.send("inventory", encode(server), 0, b"server:server-1", evening_ms)
        site.send(HOST_AGENT, encode(Pulse("test", 0)), 0, None, evening_ms)
        site.sent()
        worker = site.start()
        site.wait("the inventory", lambda: told(site, server) == [evening_ms])
        site.wait("the configuration", lambda: len(changes(site)) == 1)
        # The worker's own configuration is stamped with its wall clock: the lane has to go beyond that.
        day_ms = 86_400_000
        tomorrow_ms = (time.time_ns() // 1_000_000 // day_ms + 1) * day_ms
        site.send(HOST_AGENT, encode(Pulse("test", 1)), 0, None, tomorrow_ms + 1_000)
        site.sent()
        site.wait("the inventory again", lambda: len(told(site, server)) == 2)
        assert 0 == site.stop(worker)

        assert [evening_ms, tomorrow_ms + 1_000] == told(site, server)
        assert [(0, evening_ms, server)] == fresh_rows(site.telemetry())["inventory", 0]
        assert 1 == len(changes(site))

        # Down over the next midnight, and nothing new in the inventory; a start on the same day writes nothing.
        site.send(HOST_AGENT, encode(Pulse("test", 2)), 0, None, tomorrow_ms + day_ms + 1_000)
        site.sent()
        worker = site.start()
        site.wait("the inventory after midnight", lambda: len(told(site, server)) == 3)
        assert 0 == site.stop(worker)
        site.send(HOST_AGENT, encode(Pulse("test", 3)), 0, None, tomorrow_ms + day_ms + 2_000)
        site.sent()
        worker = site.start()
        site.wait("the next pulse", lambda: covered(site.telemetry())[HOST_AGENT, 0] >= 3)
        assert 0 == site.stop(worker)

        days = [tomorrow_ms + 1_000, tomorrow_ms + day_ms + 1_000]
        assert [evening_ms, *days] == told(site, server)
        assert 1 == len(changes(site))


def told(site: Live, row: object) -> list[int]:
    """Give the stamps in telemetry of the batches that hold this row."""
    return [at_ms for _, _, at_ms, made in site.telemetry() if isinstance(made, Batch) and row in made.rows]


def changes(site: Live) -> list[ConfigChanged]:
    found = [entry for rows in fresh_rows(site.telemetry()).values() for entry in rows]
    return [row for _, _, row in sorted(found, key=lambda entry: entry[0]) if isinstance(row, ConfigChanged)]


@pytest.mark.embedded
def test_an_intake_pulses_all_lanes_when_told_to(
    tmp_path: Path, embedded_broker: EmbeddedBroker, topic_prefix: str
) -> None:
    """Without a single report the clocks of all three feeds run."""
    with live(tmp_path, embedded_broker.bootstrap, topic_prefix, LANES) as site:
        for topic, partitions in site.topics():
            embedded_broker.create_topic(topic, partitions)
        site.start("pulse")
        places = {(feed, lane) for feed in TELEMETRY_FEEDS for lane in range(LANES)}
        site.wait(
            "three seconds on every lane",
            lambda: places <= {key for key, end in covered(site.telemetry()).items() if end >= 2},
        )

        clocks = [made for *_, made in site.telemetry() if isinstance(made, Clocks)]
        assert {()} == {stretch.gaps for one in clocks for stretch in one.stretches}


@pytest.mark.kafka
def test_partitions_added_to_a_live_source_topic_end_the_intake_which_says_so_and_does_not_start_again(
    tmp_path: Path, real_broker: RealBroker, topic_prefix: str
) -> None:
    """Soon, and with what to do: nobody reads on in lanes that clusters have left."""
    with live(tmp_path, real_broker.bootstrap, topic_prefix, LANES) as site:
        admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
        made = admin.create_topics([NewTopic(topic, partitions, 1) for topic, partitions in site.topics()])
        for future in made.values():
            future.result(30)
        worker = site.start()
        site.wait("the lanes", lambda: "lanes assigned" in site.logs())
        topic = f"{topic_prefix}{HOST_AGENT}"
        admin.create_partitions([NewPartitions(topic, LANES + 1)])[topic].result(30)
        assert EXIT_STATUS == worker.wait(60), site.logs()

        assert f"topic {topic} has a lane {LANES}, and [kafka] lanes is {LANES}: partitions were added" in site.logs()
        assert 0 != site.start().wait(60)
        assert f"topic {topic} has {LANES + 1} lanes and the configuration says {LANES}" in site.logs()


@pytest.mark.kafka
def test_killed_and_restarted_in_mid_stream_an_intake_loses_nothing(
    tmp_path: Path, real_broker: RealBroker, topic_prefix: str
) -> None:
    """Three kills at random moments: what the engine would take is each row once."""
    seed = 20120229
    rng = random.Random(seed)
    with live(tmp_path, real_broker.bootstrap, topic_prefix, LANES) as site:
        admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
        made = admin.create_topics([NewTopic(topic, partitions, 1) for topic, partitions in site.topics()])
        for future in made.values():
            future.result(30)
        expected: list[tuple[str, int, object]] = []
        worker = site.start()
        for kill in range(3):
            expected += send_all(site, 60, kill * 60)
            site.sent()
            least = rng.randrange(len(expected) - 540, len(expected))
            site.wait(f"{least} rows", lambda least=least: len(rows_out(site)) >= least, alive=False)  # type: ignore[misc]
            worker.kill()
            worker.wait(30)
            worker = site.start()
        ends = [site.end(HOST_AGENT, lane) for lane in range(LANES)]
        site.wait("the last worker to commit all", lambda: ends == site.committed(HOST_AGENT), alive=False)
        # The one before it may have committed all of it: stop none that is still being started.
        site.wait("the last worker's lanes", lambda: "lanes assigned" in site.log_of_last(), alive=False)
        assert 0 == site.stop(worker)

        telemetry = [row for row in rows_out(site) if row[0] in TELEMETRY_FEEDS]
        assert by_text(expected) == by_text(telemetry)
        reached = covered(site.telemetry())
        assert [reached[HOST_AGENT, lane] + 1 for lane in range(LANES)] == site.committed(HOST_AGENT)
