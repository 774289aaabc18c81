"""The Faust host: every record handed over in order, and never committed before it is acked."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP

from streams.kafka.bundle import Bundle
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.faust_host import BundleConsumer, make_app
from streams.kafka.real import RealBroker
from tests.streams.kafka.bundle_workers import Workers, workers
from tests.streams.kafka.records import record

START_MS = 1_330_473_600_000
LONG_S = 60.0


def _create(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)


def _produce(bootstrap: str, topic: str, values: range, partitions: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    for value in values:
        producer.produce(topic, b"%d" % value, partition=value % partitions, timestamp=START_MS + value)
        producer.poll(0)
    assert 0 == producer.flush(30)


def _assert_in_order(group: Workers) -> None:
    """Each worker's bundles follow on each other within a partition, or go back; and they hold what they say."""
    for line in group.lines():
        offsets = [offset for offset, _, _ in line["records"]]
        assert not line["hole"]
        assert sorted(offsets) == offsets
        assert line["from"] <= offsets[0]
        assert offsets[-1] < line["to"]


@pytest.mark.embedded
def test_every_record_comes_once_in_order_with_its_own_stamp_and_all_is_committed(
    tmp_path: Path, embedded_broker: EmbeddedBroker
) -> None:
    embedded_broker.create_topic("t", 4)
    _produce(embedded_broker.bootstrap, "t", range(20_000), 4)

    with workers(tmp_path, embedded_broker.bootstrap, "t", "g") as group:
        worker = group.start()
        group.wait("all records handled", lambda: len(group.values()) >= 20_000)
        assert 0 == group.stop(worker)

        _assert_in_order(group)
        got = [(int(v), at_ms, line["partition"], o) for line in group.lines() for o, at_ms, v in line["records"]]
        assert [(v, START_MS + v, v % 4, v // 4) for v in range(20_000)] == sorted(got)
        assert [5_000] * 4 == group.committed(4)


@pytest.fixture
def one_record(tmp_path: Path, embedded_broker: EmbeddedBroker) -> Iterator[Workers]:
    """Give a group with one worker, over a topic of one record."""
    embedded_broker.create_topic("t", 1)
    _produce(embedded_broker.bootstrap, "t", range(1), 1)
    with workers(tmp_path, embedded_broker.bootstrap, "t", "g") as group:
        group.start()
        yield group


@pytest.mark.embedded
def test_when_the_broker_last_answered_is_told_by_the_monotonic_clock(one_record: Workers) -> None:
    """By the wall's an answer would lie in the future for ever, and no broker would seem to be away."""
    one_record.wait("the record handled", lambda: len(one_record.values()) == 1)

    assert 0 <= one_record.lines()[0]["answered_s"] < LONG_S


@pytest.mark.embedded
def test_a_single_record_at_offset_zero_is_committed_while_the_worker_runs(one_record: Workers) -> None:
    one_record.wait("offset 1 committed", lambda: one_record.committed(1) == [1])


@pytest.mark.embedded
def test_a_worker_slower_than_the_log_loses_nothing_to_its_full_queue(
    tmp_path: Path, embedded_broker: EmbeddedBroker
) -> None:
    embedded_broker.create_topic("t", 2)

    with workers(tmp_path, embedded_broker.bootstrap, "t", "g") as group:
        worker = group.start(work_s=0.02)
        for i in range(0, 6_000, 100):
            _produce(embedded_broker.bootstrap, "t", range(i, i + 100), 2)
        group.wait("all records handled", lambda: len(set(group.values())) == 6_000)
        assert 0 == group.stop(worker)

        _assert_in_order(group)
        assert 6_000 == len(group.values())
        assert [3_000] * 2 == group.committed(2)


@pytest.mark.kafka
def test_workers_that_join_leave_and_die_handle_every_record_and_few_twice(
    tmp_path: Path, real_broker: RealBroker, topic_prefix: str
) -> None:
    # Faust fills workers up to partitions / workers, rounded up, and leaves one without where that is enough.
    topic, partitions, sent = f"{topic_prefix}t", 12, 0
    _create(real_broker.bootstrap, topic, partitions)

    def fed(done: Callable[[], bool]) -> Callable[[], bool]:
        """Go on sending for as long as the group is waited for: what moves must move under load."""

        def holds() -> bool:
            nonlocal sent
            _produce(real_broker.bootstrap, topic, range(sent, sent + 600), partitions)
            sent += 600
            return done()

        return holds

    with workers(tmp_path, real_broker.bootstrap, topic, f"{topic_prefix}g") as group:
        first, second = group.start(work_s=0.01), group.start(work_s=0.01)
        group.wait("both work", fed(lambda: group.worked(0) and group.worked(1)))
        third = group.start(work_s=0.01)
        group.wait("the third works", fed(lambda: group.worked(2)))
        first.kill()
        fourth = group.start(work_s=0.01)
        group.wait("the fourth works", fed(lambda: group.worked(3)))
        assert 0 == group.stop(third)
        group.wait("all records handled", lambda: len(set(group.values())) == sent)
        group.wait("all committed", lambda: group.committed(partitions) == [sent // partitions] * partitions)
        assert 0 == group.stop(second)
        assert 0 == group.stop(fourth)

        _assert_in_order(group)
        assert set(range(sent)) == set(group.values())
        # What was handled and not committed when a worker died, or when partitions moved: a fifth of a second's work.
        assert len(group.values()) < 1.2 * sent


@pytest.mark.kafka
async def test_markers_and_aborted_records_neither_freeze_nor_show_nor_make_holes(
    tmp_path: Path, real_broker: RealBroker, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}t"
    _create(real_broker.bootstrap, topic, 1)
    producer = AIOKafkaProducer(bootstrap_servers=real_broker.bootstrap, transactional_id=f"{topic_prefix}x")
    async with producer:
        for value in range(60):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"%d" % value, partition=0)
            await (producer.abort_transaction() if value % 3 == 2 else producer.commit_transaction())

    with workers(tmp_path, real_broker.bootstrap, topic, f"{topic_prefix}g") as group:
        worker = group.start()
        wanted = [value for value in range(60) if value % 3 != 2]
        group.wait("all committed records handled", lambda: len(group.values()) >= len(wanted))
        assert 0 == group.stop(worker)

        _assert_in_order(group)
        assert wanted == group.values()
        # The last record was aborted, so the last of the log that a commit can cover is the one before.
        assert group.ends(1)[0] - group.committed(1)[0] <= 4


async def test_a_commit_never_passes_a_bundle_that_is_not_acked() -> None:
    app = make_app("g", "127.0.0.1:1")
    consumer = app.consumer
    assert isinstance(consumer, BundleConsumer)
    tp = TP("t", 0)
    first, second, third = (
        consumer._to_message(tp, Bundle("t", 0, begin, begin + 10, (record(begin + 9),))) for begin in (0, 10, 20)
    )
    third.acked = second.acked = True

    assert consumer._new_offset(tp) is None
    first.acked = True
    assert 30 == consumer._new_offset(tp)
    assert consumer._new_offset(tp) is None
    consumer._thread.thread_loop.close()


@pytest.mark.parametrize("bootstrap", ["kafka://broker:9092", "user:secret@broker:9092"])
def test_an_address_with_more_than_host_and_port_is_refused_and_shows_no_secret(bootstrap: str) -> None:
    with pytest.raises(ValueError, match="give host:port") as refused:
        make_app("g", bootstrap)

    assert "secret" not in str(refused.value)
