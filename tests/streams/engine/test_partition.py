"""A partition's owner on the real broker: fenced, exactly once, and nothing passed over."""

import pytest

from schemas.codec import decode, encode
from schemas.outputs import Progress
from streams.engine.partition import PartitionEngine
from streams.engine.place import Place
from streams.engine.runner import Runner
from streams.kafka.transactions import Fenced, read_partition
from tests.streams.engine.places import frames, log_records, write

pytestmark = pytest.mark.kafka


async def _opened(place: Place) -> PartitionEngine:
    engine = PartitionEngine(place, new_runner=lambda: Runner(0))
    await engine.open()
    return engine


async def _findings(place: Place) -> list[bytes]:
    return [r.value or b"" async for r in read_partition(place.bootstrap, place.topic("findings"), 0)]


async def test_owners_one_after_another_publish_what_one_would(place: Place) -> None:
    """The second is restored in mid-stream; what the first did not flush is made again, repeats are passed over."""
    records = log_records(frames())
    await write(place, records)
    first = await _opened(place)
    half = len(records) // 2
    for index, record in enumerate(records[: half + 5]):
        first.take(record)
        if index % 5 == 4 and index < half:
            await first.flush()
    await first.close()
    second = await _opened(place)
    restored_at = second.next_offset
    for record in records:
        second.take(record)
    await second.flush()
    assert [] == await second.flush()
    await second.close()

    expected = [encode(output) for output in Runner(0).feed(frames()) if hasattr(output, "detector")]
    assert 0 < restored_at <= half
    assert expected
    assert expected == await _findings(place)


async def test_an_owner_that_lost_the_partition_cannotwrite(place: Place) -> None:
    records = log_records(frames())
    await write(place, records)
    zombie = await _opened(place)
    heir = await _opened(place)
    zombie.take(records[0])
    with pytest.raises(Fenced):
        await zombie.flush()
    heir.take(records[0])
    written = await heir.flush()
    await heir.close()

    assert [1] == [progress.next_offset for progress in written if isinstance(progress, Progress)]


async def test_records_that_nobody_handed_out_are_fetched(place: Place) -> None:
    records = log_records(frames())
    await write(place, records)
    engine = await _opened(place)
    engine.take(records[0])
    await engine.reach(records[-1].offset)
    engine.take(records[-1])
    await engine.flush()
    await engine.close()

    assert [encode(o) for o in Runner(0).feed(frames()) if hasattr(o, "detector")] == await _findings(place)


async def test_progress_names_a_snapshot_only_when_its_set_is_whole(place: Place) -> None:
    records = log_records(frames())
    await write(place, records)
    engine = await _opened(place)
    for record in records:
        engine.take(record)
        await engine.flush()
    await engine.close()
    named = [decode(r.value or b"") async for r in read_partition(place.bootstrap, place.topic("progress"), 0)]

    assert all(["*", "c1"] == [mark.cluster for mark in each.snapshots] for each in named if each.snapshots)
    assert named[-1].snapshots
    assert sorted(each.next_offset for each in named) == [each.next_offset for each in named]
