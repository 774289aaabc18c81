"""Bundles: the records of a fetch cut within bounds, and stretches that follow on each other without a gap."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.bundle import Bundle, Record, split
from tests.streams.kafka.records import record


def _split(begin: int, end: int, records: list[Record], max_records: int = 3, max_bytes: int = 100) -> list[Bundle]:
    return list(split("t", 0, begin, end, records, max_records=max_records, max_bytes=max_bytes))


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 150)), min_size=1, max_size=40),
    st.integers(0, 5),
    st.integers(1, 6),
    st.integers(1, 200),
)
def test_bundles_hold_every_record_once_in_order_and_their_stretches_are_the_fetch_s(
    steps: list[tuple[int, int]], markers_behind: int, max_records: int, max_bytes: int
) -> None:
    records, offset = [], 10
    for gap, size in steps:
        offset += gap
        records.append(record(offset, b"x" * size))
    end = offset + 1 + markers_behind

    bundles = _split(10, end, records, max_records, max_bytes)

    assert records == [each for bundle in bundles for each in bundle.records]
    assert (10, end) == (bundles[0].from_offset, bundles[-1].to_offset)
    assert all(one.to_offset == two.from_offset for one, two in pairwise(bundles))
    for bundle in bundles:
        assert bundle.from_offset <= bundle.records[0].offset <= bundle.records[-1].offset < bundle.to_offset
        assert 1 <= len(bundle.records) <= max_records
        assert len(bundle.records) == 1 or sum(len(r.value or b"") for r in bundle.records) <= max_bytes


def test_a_record_over_the_bound_comes_by_itself() -> None:
    sizes = [len(bundle.records) for bundle in _split(0, 3, [record(0), record(1, b"x" * 101), record(2)])]

    assert [1, 1, 1] == sizes


def test_a_record_at_the_bound_shares_a_bundle() -> None:
    assert 1 == len(_split(0, 2, [record(0, b"x" * 50), record(1, b"x" * 49, key=b"k")]))


def test_nothing_fetched_is_no_bundle() -> None:
    assert [] == _split(5, 5, [])
