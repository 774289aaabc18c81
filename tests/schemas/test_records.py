"""The table of records: every feed's records travel, and unknown symbols are found wherever they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.records import BY_NAME, ENUMS, FEEDS, RECORDS, once, with_known_symbols
from schemas.source import HostReport, Pulse, VmReport

REPORT = HostReport("c-1", "s-1", "b", "r", 7, 5, 8, 60, vms=(VmReport("v-1", 1, "READY"),))


def test_what_a_feed_takes_travels() -> None:
    assert {record for records in FEEDS.values() for record in records} <= set(RECORDS)
    assert [*BY_NAME.values()] == [*RECORDS]


@pytest.mark.parametrize("record", ENUMS, ids=lambda record: record.__name__)
def test_enum_fields_are_fields(record: type[Any]) -> None:
    assert set(ENUMS[record]) <= set(record.__slots__)


def test_a_record_of_known_symbols_stands_as_it_is() -> None:
    assert with_known_symbols(REPORT) is REPORT
    assert with_known_symbols(replace(REPORT, vms=None)).vms is None
    assert Pulse("i", 1) == with_known_symbols(Pulse("i", 1))


def test_unknown_symbols_become_unknown() -> None:
    vm = VmReport("v-1", 1, "READY", network="ODD")

    assert replace(REPORT, state="UNKNOWN") == with_known_symbols(replace(REPORT, state="odd"))
    assert "UNKNOWN" == with_known_symbols(replace(REPORT, vms=(vm,))).vms[0].network


def test_an_answer_is_made_once() -> None:
    asked = []
    name_of = once(lambda record: asked.append(record) or record.__name__)  # type: ignore[func-returns-value]

    assert ["Pulse", "Pulse"] == [name_of(Pulse), name_of(Pulse)]
    assert [Pulse] == asked
