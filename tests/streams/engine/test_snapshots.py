"""Snapshots: cut, assembled, torn, damaged; and which cluster is next."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outputs import SnapshotMark
from schemas.telemetry import EVERYONE
from streams.engine.cluster import SavedCluster, encode_saved
from streams.engine.runner import Runner
from streams.engine.snapshots import CHUNK_BYTES, FORMAT, SnapshotError, SnapshotPlan, assemble, cut
from tests.kit import Log


def saved(filler_bytes: int = 0) -> SavedCluster:
    """Return a cluster's state, made larger by an error text of this size."""
    runner = Runner(0)
    runner.feed(Log().inventory(4).host(1, "s1").clocks(60).frames)
    state = runner.save("c1")
    return dataclasses.replace(state, broken={"filler": "x" * filler_bytes} if filler_bytes else {})


SMALL = saved()
LARGE = saved(3 * CHUNK_BYTES)


# -- chunks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [SMALL, LARGE])
def test_what_was_cut_is_assembled_whatever_the_order(state: SavedCluster) -> None:
    chunks, manifest = cut(2, "c1", 77, state, "code")
    random.Random(1).shuffle(chunks)

    assert encode_saved(state) == encode_saved(assemble(chunks, manifest))
    assert (2, "c1", 77, len(chunks)) == (manifest.partition, manifest.cluster, manifest.next_offset, manifest.chunks)
    assert {name: version for name, (version, _) in state.detectors.items()} == manifest.state_versions


def test_no_chunk_is_larger_than_its_limit_and_none_is_empty() -> None:
    chunks, manifest = cut(0, "c1", 1, LARGE, "code")
    sizes = [len(chunk.data) for chunk in chunks]

    assert {CHUNK_BYTES} == set(sizes[:-1])
    assert 0 < sizes[-1] <= CHUNK_BYTES
    assert manifest.size_bytes == sum(sizes)


def test_a_chunk_that_came_twice_counts_once() -> None:
    """A flush that was done again wrote it again."""
    chunks, manifest = cut(0, "c1", 1, LARGE, "code")

    assert encode_saved(LARGE) == encode_saved(assemble([*chunks, chunks[0]], manifest))


@pytest.mark.parametrize("missing", [0, 1, -1])
def test_a_torn_snapshot_is_refused(missing: int) -> None:
    chunks, manifest = cut(0, "c1", 1, LARGE, "code")
    del chunks[missing]

    with pytest.raises(SnapshotError, match=f"snapshot of c1 at offset 1: {len(chunks)} of {len(chunks) + 1} chunks"):
        assemble(chunks, manifest)


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_damaged_byte_is_refused_wherever_it_is(place: float, flip: int) -> None:
    chunks, manifest = cut(0, "c1", 1, SMALL, "code")
    data = bytearray(chunks[0].data)
    data[int(place * len(data))] ^= flip
    damaged = dataclasses.replace(chunks[0], data=bytes(data))

    with pytest.raises(SnapshotError, match="its bytes are not those that were written"):
        assemble([damaged], manifest)


def test_bytes_of_another_snapshot_are_refused() -> None:
    chunks, _ = cut(0, "c1", 1, LARGE, "code")
    _, manifest = cut(0, "c1", 1, saved(3 * CHUNK_BYTES + 1), "code")

    with pytest.raises(SnapshotError, match="its bytes are not those"):
        assemble(chunks, manifest)


def test_another_format_is_refused_by_its_number() -> None:
    chunks, manifest = cut(0, "c1", 1, SMALL, "code")

    with pytest.raises(SnapshotError, match=f"format {FORMAT + 1}, this code reads {FORMAT}"):
        assemble(chunks, dataclasses.replace(manifest, format=FORMAT + 1))


# -- the plan ----------------------------------------------------------------------------------------------------

CLUSTERS = (EVERYONE, "c1", "c2")


def taken(plan: SnapshotPlan, at_ms: int, clusters: tuple[str, ...] = CLUSTERS) -> list[str]:
    """Take what the plan names until it names nothing; return the names."""
    names = []
    while (name := plan.next_cluster(at_ms, clusters)) is not None:
        names.append(name)
        plan.taken(SnapshotMark(name, 10 + len(names)))
    return names


def test_the_first_set_is_due_a_whole_turn_after_the_beginning() -> None:
    plan = SnapshotPlan(every_ms=1_000)

    assert plan.next_cluster(5_000, CLUSTERS) is None
    assert plan.next_cluster(5_999, CLUSTERS) is None
    assert EVERYONE == plan.next_cluster(6_000, CLUSTERS)


def test_a_set_begins_with_the_partition_itself_and_is_complete_with_its_last_cluster() -> None:
    plan = SnapshotPlan(every_ms=1_000)
    taken(plan, 0)
    plan.next_cluster(1_000, ("c2", EVERYONE, "c1"))
    plan.taken(SnapshotMark(EVERYONE, 5))
    plan.next_cluster(1_000, CLUSTERS)
    plan.taken(SnapshotMark("c2", 6))
    assert [] == [mark.cluster for mark in plan.complete]

    plan.taken(SnapshotMark("c1", 7))
    assert [EVERYONE, "c2", "c1"] == [mark.cluster for mark in plan.complete]


def test_a_cluster_made_during_a_set_waits_for_the_next() -> None:
    """All its frames lie behind the set's first: the re-run makes it again."""
    plan = SnapshotPlan(every_ms=1_000)
    taken(plan, 0)
    plan.next_cluster(1_000, CLUSTERS)
    plan.taken(SnapshotMark(EVERYONE, 5))

    assert ["c1", "c2"] == taken(plan, 1_500, (*CLUSTERS, "c3"))
    assert [EVERYONE, "c1", "c2", "c3"] == taken(plan, 2_000, (*CLUSTERS, "c3"))


def test_a_set_that_takes_longer_than_its_turn_is_finished_first() -> None:
    plan = SnapshotPlan(every_ms=1_000)
    taken(plan, 0)
    plan.next_cluster(1_000, CLUSTERS)
    plan.taken(SnapshotMark(EVERYONE, 5))

    assert "c1" == plan.next_cluster(9_000, CLUSTERS)
    plan.taken(SnapshotMark("c1", 6))
    plan.taken(SnapshotMark("c2", 7))
    assert EVERYONE == plan.next_cluster(9_000, CLUSTERS)
    assert [5, 6, 7] == [mark.next_offset for mark in plan.complete]
