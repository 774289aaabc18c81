"""Tests of the calendar's edges."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from detectors.failfast.calendar_edges import edge_before


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "edge", "names"),
    [
        ("2012-02-29T00:00:00", "2012-02-29", ["UTC midnight", "29 February", "the last day of a month"]),
        ("2012-12-31T00:09:59", "2012-12-31", ["UTC midnight", "31 December", "the last day of a month"]),
        ("2012-07-01T00:10:00", "2012-07-01", ["UTC midnight", "the end of a month", "a leap second"]),
        ("2013-07-01T00:00:01", "2013-07-01", ["UTC midnight", "the end of a month"]),
        ("2013-05-05T00:00:01", "2013-05-05", ["UTC midnight"]),
        ("2038-01-19T03:14:08", "2038-01-19T03:14:08", ["the end of 31-bit time (2038)"]),
        ("2038-01-19T03:24:08", "2038-01-19T03:14:08", ["the end of 31-bit time (2038)"]),
    ],
)
def test_edges_have_names(at: str, edge: str, names: list[str]) -> None:
    assert (ms(edge), ", ".join(names)) == edge_before(ms(at))


@pytest.mark.parametrize(
    "at", ["2012-02-28T23:59:59.999", "2012-02-29T00:10:00.001", "2038-01-19T03:14:07.999", "2038-01-19T03:24:08.001"]
)
def test_outside_ten_minutes_there_is_no_edge(at: str) -> None:
    assert None is edge_before(ms(at))
