"""Packing: what closes a batch, and what may overtake what."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from schemas.columns import pack_vms
from schemas.commands import ConfigChanged
from schemas.inventory import Removed, Server
from schemas.telemetry import Batch, HostRow, Row
from streams.intake.checks import Limits
from streams.intake.pack import Packer, halves, row_bytes
from tests.streams.intake.makers import T0, VMS, guest, place

ROW: Row = HostRow("s", "b", "r", 1, 1, T0, 60)


def pack(rows: Sequence[tuple[str, Row, int, int]], limits: Limits | None = None) -> list[Batch]:
    """Give all batches of (cluster, row, offset, at_ms), the last ones by a flush."""
    packer = Packer(place(), limits or Limits())
    return [batch for row in rows for batch in packer.add(*row)] + packer.flush()


def shape(batches: list[Batch]) -> list[tuple[str, tuple[int, ...]]]:
    return [(batch.cluster, batch.offsets) for batch in batches]


def test_a_second_of_one_cluster_is_one_batch() -> None:
    """999 ms after the first row still belongs to it, 1,000 ms does not."""
    batches = pack([("a", ROW, 0, T0), ("a", ROW, 1, T0 + 999), ("a", ROW, 2, T0 + 1_000)])

    assert [("a", (0, 1)), ("a", (2,))] == shape(batches)
    assert (T0, T0 + 999) == batches[0].at_ms


def test_a_stamp_before_the_first_row_begins_a_new_batch() -> None:
    """A batch spans a second, also where stamps step back."""
    assert [("a", (0,)), ("a", (1,))] == shape(pack([("a", ROW, 0, T0), ("a", ROW, 1, T0 - 1)]))


def test_clusters_are_packed_apart() -> None:
    """Each has its own batch; the one begun first goes first."""
    assert [("a", (0, 2)), ("b", (1,))] == shape(pack([("a", ROW, 0, T0), ("b", ROW, 1, T0), ("a", ROW, 2, T0)]))


def test_a_batch_is_full_at_its_limits() -> None:
    """At the number of rows, and at the bytes."""
    rows: list[tuple[str, Row, int, int]] = [("a", ROW, offset, T0) for offset in range(5)]

    assert [("a", (0, 1)), ("a", (2, 3)), ("a", (4,))] == shape(pack(rows, Limits(batch_max_rows=2)))
    assert [("a", (0, 1, 2)), ("a", (3, 4))] == shape(pack(rows, Limits(batch_max_bytes=3 * row_bytes(ROW))))


def test_rows_of_one_source_record_are_never_parted() -> None:
    """The engine drops what is not above the highest offset: a second part would be taken for a repeat."""
    rows: list[tuple[str, Row, int, int]] = [("a", ROW, 5, T0)] * 3 + [("a", ROW, 6, T0)]

    assert [("a", (5, 5, 5)), ("a", (6,))] == shape(pack(rows, Limits(batch_max_rows=2)))


def test_nothing_overtakes_what_concerns_everyone() -> None:
    """A tombstone stands behind what came before it and before what came after it."""
    first, second = Server("a", "s"), Server("b", "s")
    batches = pack([("a", first, 0, T0), ("*", Removed("server", "s"), 1, T0), ("b", second, 2, T0), ("*", ROW, 3, T0)])

    assert [("a", (0,)), ("*", (1,)), ("b", (2,)), ("*", (3,))] == shape(batches)


@given(
    st.lists(st.tuples(st.sampled_from("ab*"), st.integers(0, 1_500), st.integers(1, 2)), max_size=40),
    st.integers(1, 5),
)
def test_every_row_comes_out_once_in_its_clusters_order(steps: list[tuple[str, int, int]], most: int) -> None:
    """Nothing is lost, doubled or moved within a cluster, whatever closes the batches; none spans a second."""
    at_ms, rows = T0, []
    for offset, (cluster, delta, copies) in enumerate(steps):
        at_ms += delta - 500
        rows += [(cluster, ROW, offset, at_ms)] * copies
    batches = pack(rows, Limits(batch_max_rows=most))

    for cluster in "ab*":
        expected = [(offset, stamp) for name, _, offset, stamp in rows if name == cluster]
        actual = [
            pair
            for batch in batches
            if batch.cluster == cluster
            for pair in zip(batch.offsets, batch.at_ms, strict=True)
        ]
        assert expected == actual
    # A source record with several rows may exceed the rows of a batch, by those alone.
    assert all(len(batch.rows) <= most + 1 for batch in batches)
    assert all(max(batch.at_ms) - min(batch.at_ms) < 1_000 for batch in batches)


def test_a_batch_is_halved_between_source_records() -> None:
    """Near its middle, and never within one record's rows."""
    batch = pack([("a", ROW, offset, T0) for offset in (0, 1, 1, 1, 2)])[0]
    parts = halves(batch)

    assert parts is not None
    assert [("a", (0,)), ("a", (1, 1, 1, 2))] == shape([*parts])
    assert halves(parts[0]) is None
    assert halves(pack([("a", ROW, 7, T0)] * 3)[0]) is None


def test_the_size_of_a_row_follows_what_it_holds() -> None:
    """VMs, versions and texts count; lists too."""
    block = pack_vms(VMS)

    assert len(block) == row_bytes(HostRow("s", "b", "r", 1, 1, T0, 60, "READY", None, block)) - row_bytes(ROW)
    assert row_bytes(HostRow("s", "b", "r", 1, 1, T0, 60, "READY", {"ha": "1"})) > row_bytes(ROW)
    assert 1_000 == row_bytes(guest(message="m" * 1_000)) - row_bytes(guest())
    assert row_bytes(ConfigChanged("c", "*", "t" * 5_000, "d", "ada")) > 5_000
