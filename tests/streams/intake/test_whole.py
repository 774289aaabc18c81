"""Inventory and configuration, whole: the newest of each key, with offsets that make it harmless to say again."""

from __future__ import annotations

from typing import Any

from schemas.commands import ConfigChanged, Release
from schemas.inventory import Server, Service, Vm
from schemas.telemetry import Batch
from streams.intake.checks import Limits, RawRecord
from streams.intake.whole import day_of, whole
from tests.streams.intake.makers import CLUSTER, T0, place, raw

NOW_MS = T0 + 86_400_000


def rows(feed: str, raws: list[RawRecord]) -> list[tuple[str, int, Any]]:
    made = whole(place(feed), raws, Limits(), NOW_MS)

    assert {NOW_MS} >= {out.at_ms for out in made}
    return [
        (out.record.cluster, offset, row)
        for out in made
        if isinstance(out.record, Batch)
        for offset, row in zip(out.record.offsets, out.record.rows, strict=True)
    ]


def test_the_newest_record_of_each_key_stands() -> None:
    """What a tombstone removed does not, and what is wrong never did."""
    old, new = Server(CLUSTER, "s-1", rack="r-1"), Server(CLUSTER, "s-1", rack="r-2")
    found = rows(
        "inventory",
        [
            raw(old, 0, key=b"server:s-1"),
            raw(Vm("v-1", CLUSTER, "s-1"), 1, key=b"vm:v-1"),
            raw(Service("web"), 2, key=b"service:web"),
            raw(new, 3, key=b"server:s-1"),
            raw(None, 4, key=b"vm:v-1"),
            raw(b"junk", 5, key=b"vm:v-2"),
        ],
    )

    assert [("*", 2, Service("web")), (CLUSTER, 3, new)] == found


def test_of_the_operators_topic_only_the_configuration_is_repeated() -> None:
    """A release is history."""
    first, second = ConfigChanged("c-1", "*", "a", "d", "ada"), ConfigChanged("c-2", "*", "b", "e", "ada")
    found = rows(
        "operator",
        [
            raw(first, 0, key=b"*"),
            raw(Release("c-3", CLUSTER, "t", "ada", "mended"), 1),
            raw(second, 2, key=b"*"),
        ],
    )

    assert [("*", 2, second)] == found


def test_nothing_stands_where_nothing_was_said() -> None:
    """An empty lane writes nothing."""
    assert [] == rows("inventory", [])


def test_days_begin_at_midnight_utc() -> None:
    """29 February 2012, and the millisecond before it."""
    assert 1 == day_of(T0) - day_of(T0 - 1)
