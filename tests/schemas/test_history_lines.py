"""Source records as lines: they come back as they went, and a wrong line says what is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CodecError
from schemas.history import SourceRecord
from schemas.history_lines import source_from_line, source_to_line
from schemas.outputs import DeadReason
from schemas.records import FEEDS
from schemas.source import Pulse
from tests.schemas.generated import of_record

SOURCES = st.sampled_from([(feed, record) for feed, records in FEEDS.items() for record in records]).flatmap(
    lambda place: st.builds(
        SourceRecord,
        st.just(place[0]),
        st.integers(0, 2**53),
        of_record(place[1]),
        st.integers(0, 63) if place[1] is Pulse else st.none(),
    )
)


@given(SOURCES)
def test_a_line_comes_back_as_it_went(source: SourceRecord) -> None:
    line = source_to_line(source)

    assert b"\n" not in line
    assert source == source_from_line(line)


def test_a_line_begins_with_where_and_when() -> None:
    line = source_to_line(SourceRecord("host-agent", 5, Pulse("i", 1), 3))

    assert {
        "feed": "host-agent",
        "at_ms": 5,
        "record": {"type": "Pulse", "intake": "i", "seq": 1},
        "lane": 3,
    } == json.loads(line)


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"", DeadReason.NOT_JSON, "not whole"),
        (b"[]", DeadReason.WRONG_TYPE, "line: expected `object`"),
        (b'{"feed": "host-agent", "record": {}}', DeadReason.MISSING_FIELD, "line.at_ms is missing"),
        (b'{"feed": "host-agent", "at_ms": "now", "record": {}}', DeadReason.WRONG_TYPE, "line.at_ms: expected `int`"),
        (b'{"feed": "host-agent", "at_ms": %d, "record": {}}' % 2**63, DeadReason.BAD_VALUE, "line.at_ms"),
        (b'{"feed": "host-agent", "at_ms": 1, "lane": %d, "record": {}}' % 2**63, DeadReason.BAD_VALUE, "line.lane"),
        (
            b'{"feed": "weather", "at_ms": 1, "record": {}}',
            DeadReason.BAD_VALUE,
            "line.feed: 'weather' is none of host-agent",
        ),
        (
            b'{"feed": "host-agent", "at_ms": 1, "record": {}}',
            DeadReason.MISSING_FIELD,
            "HostReport.cluster is missing",
        ),
        (
            b'{"feed": "host-agent", "at_ms": 1, "record": {"type": "Server"}}',
            DeadReason.NOT_ALLOWED,
            "HostReport, Pulse",
        ),
        (b'{"feed": "\xff"}', DeadReason.NOT_UTF8, "byte 10"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(line: bytes, reason: DeadReason, detail: str) -> None:
    with pytest.raises(CodecError) as caught:
        source_from_line(line)

    assert reason == caught.value.reason
    assert detail in caught.value.detail
