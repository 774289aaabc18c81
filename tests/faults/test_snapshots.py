"""Snapshots that are damaged or gone: the whole log is fed again, and nobody sees the difference."""

import asyncio
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.codec import decode, encode
from schemas.outputs import Progress, SnapshotChunk
from streams.kafka.transactions import Output, TransactionalProducer
from tests.faults.harness import LANES, Run, leap_day

pytestmark = pytest.mark.kafka


def _half_way(run: Run) -> dict[int, Progress]:
    """Return progress after a worker came half way, with complete snapshots, and ended."""
    run.play(leap_day())
    worker = run.start()
    run.wait("half of it", lambda: run.share() > 0.5)
    worker.terminate()
    newest = {record.partition: decode(record.value) for record in run.read("progress")}
    assert all(progress.snapshots for progress in newest.values()), worker.tail()
    return newest


def test_a_restore_uses_snapshots_where_they_are_whole(run: Run) -> None:
    before = _half_way(run)
    heir = run.start()
    run.finish(restart=False)

    restored = {each["partition"]: each for each in heir.restores()}
    assert {lane: len(progress.snapshots) for lane, progress in before.items()} == {
        lane: each["snapshots"] for lane, each in restored.items()
    }
    assert all(each["frames"] < before[lane].next_offset / 2 for lane, each in restored.items()), restored
    run.judge()


@pytest.mark.slow
def test_without_its_snapshots_the_whole_log_is_fed(run: Run) -> None:
    _half_way(run)
    admin = AdminClient({"bootstrap.servers": run.bootstrap, "log_level": 0})
    places = [TopicPartition(run.topic("snapshots"), lane) for lane in range(LANES)]
    ends = admin.list_offsets({place: OffsetSpec.latest() for place in places})
    gone = [TopicPartition(place.topic, place.partition, ends[place].result(20).offset) for place in places]
    for done in admin.delete_records(gone).values():
        done.result(20)
    heir = run.start()
    run.finish(restart=False)

    assert "snapshot passed over" in heir.text(), heir.tail()
    run.judge()


def test_with_a_damaged_snapshot_the_whole_log_is_fed(run: Run) -> None:
    """A bit flips in one chunk of a set, which is then written again as the newest."""
    for lane, progress in _half_way(run).items():
        asyncio.run(_damage(run, lane, progress))
    heir = run.start()
    run.finish(restart=False)

    assert "its bytes are not those that were written" in heir.text(), heir.tail()
    run.judge()


async def _damage(run: Run, lane: int, progress: Progress) -> None:
    wanted = {(mark.cluster, mark.next_offset) for mark in progress.snapshots}
    topic = run.topic("snapshots")
    copies = []
    for record in run.read("snapshots"):
        piece = decode(record.value)
        if record.partition == lane and (piece.cluster, piece.next_offset) in wanted:
            if isinstance(piece, SnapshotChunk):
                flipped = bytearray(piece.data)
                flipped[len(flipped) // 2] ^= 1
                piece = replace(piece, data=bytes(flipped))
            copies.append(Output(topic, lane, record.key, encode(piece), record.at_ms))
    async with TransactionalProducer(run.bootstrap, f"{run.prefix}telemetry-{lane}") as producer:
        placed = await producer.flush(copies)
        marks = tuple(replace(mark, snapshots_offset=placed[0]) for mark in progress.snapshots)
        again = replace(progress, snapshots=marks)
        await producer.flush([Output(run.topic("progress"), lane, str(lane).encode(), encode(again), progress.at_ms)])
