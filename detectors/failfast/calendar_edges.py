"""Moments at which programs that reckon with dates fail: midnights, and what is special about some of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

WITHIN_MS = 600_000
"""A fault that begins within 10 min after an edge, both ends included, may be its doing (CATALOGUE, fault_class)."""
END_OF_32_BITS_MS = 2_147_483_648_000
"""2038-01-19T03:14:08Z: the first second that 31 bits cannot count."""
LEAP_SECONDS = frozenset(
    (year, month)
    for month, years in (
        (7, (1972, 1981, 1982, 1983, 1985, 1992, 1993, 1994, 1997, 2012, 2015)),
        (1, (1973, 1974, 1975, 1976, 1977, 1978, 1979, 1980, 1988, 1990, 1991, 1996, 1999, 2006, 2009, 2017)),
    )
    for year in years
)
"""Year and month of each first day that a leap second came before. Source: IERS Bulletin C, up to that of 2016."""
_DAY_MS = 86_400_000


def edge_before(at_ms: int, within_ms: int = WITHIN_MS) -> tuple[int, str] | None:
    """Return the calendar edge at most `within_ms` before `at_ms` and what it is; None where there is none."""
    if 0 <= at_ms - END_OF_32_BITS_MS <= within_ms:
        return END_OF_32_BITS_MS, "the end of 31-bit time (2038)"
    midnight_ms = at_ms // _DAY_MS * _DAY_MS
    if at_ms - midnight_ms > within_ms:
        return None
    return midnight_ms, ", ".join(_names(datetime.fromtimestamp(midnight_ms // 1000, tz=UTC)))


def _names(day: datetime) -> list[str]:
    """Return what begins with this midnight."""
    names = ["UTC midnight"]
    if (day.month, day.day) == (2, 29):
        names.append("29 February")
    if (day.month, day.day) == (12, 31):
        names.append("31 December")
    if day.day == 1:
        names.append("the end of a month")
    elif (day + timedelta(days=1)).day == 1:
        names.append("the last day of a month")
    if day.day == 1 and (day.year, day.month) in LEAP_SECONDS:
        names.append("a leap second")
    return names
