"""Tests of the smallest difference between failing and healthy combinations."""

from __future__ import annotations

import pytest

from detectors.rollouts.difference import (
    NETWORK_FAR,
    START_FAR,
    difference,
    matches,
    named_first,
    parse,
    text_of,
    words,
)

OLD = {"ha": "1.6", "netplugin": "1.6", "ga": "1.6"}
NEW = {"ha": "1.7", "netplugin": "1.7", "ga": "1.7"}
MIX = {"ha": "1.6", "netplugin": "1.7", "ga": "1.6"}


def test_two_versions_that_never_met_before() -> None:
    assert {"ha": "1.6", "netplugin": "1.7"} == difference([MIX], [OLD, NEW], NETWORK_FAR)


def test_one_version_that_nobody_else_runs_is_less_than_two() -> None:
    assert {"netplugin": "1.7"} == difference([MIX], [OLD], NETWORK_FAR)


def test_components_far_from_the_failure_are_named_last() -> None:
    fixed = {**MIX, "ga": "1.6.1"}

    assert {"ha": "1.6", "netplugin": "1.7"} == difference([fixed], [OLD, NEW], NETWORK_FAR)
    assert {"ga": "1.6.1"} == difference([fixed], [OLD, NEW], START_FAR)


def test_what_all_failing_ones_have() -> None:
    other = {**MIX, "ga": "1.7"}

    assert {"ha": "1.6", "netplugin": "1.7"} == difference([MIX, other], [OLD, NEW], START_FAR)
    assert difference([MIX, NEW], [OLD, {**OLD, "netplugin": "1.7"}], START_FAR) is None


def test_where_all_were_seen_together_or_nothing_is_healthy_there_is_none() -> None:
    assert difference([MIX], [MIX, OLD], NETWORK_FAR) is None
    assert difference([MIX], [], NETWORK_FAR) is None


def test_the_newest_is_named_first_where_versions_are_numbers_of_one_scheme() -> None:
    assert ["netplugin", "ha"] == named_first({"ha": "1.9", "netplugin": "1.10"}, {"ha": 1, "netplugin": 9})
    assert ["ha", "netplugin"] == named_first({"ha": "1.7", "netplugin": "1.7"}, {"ha": 1, "netplugin": 9})


def test_else_the_rarest() -> None:
    found = {"host_os": "2008r2-31", "ha": "1.7"}

    assert ["ha", "host_os"] == named_first(found, {"ha": 1, "host_os": 9})
    assert ["host_os", "ha"] == named_first(found, {"ha": 9, "host_os": 1})
    assert "ha 1.7 with host_os 2008r2-31" == words(found, ["ha", "host_os"])


def test_patterns_are_read_and_written() -> None:
    assert {"ha": "1.6", "netplugin": "1.7"} == parse(" netplugin=1.7 , ha = 1.6")
    assert "ga=1.6,ha=1.6,netplugin=1.7" == text_of(MIX)
    assert MIX == parse(text_of(MIX))


@pytest.mark.parametrize("text", ["", "ha", "ha=", "=1", "ha=1,", "ha=1,ha=1"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a combination reads like"):
        parse(text)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("ha=1.6", True), ("ha=1.*", True), ("ha=1", False), ("ha=*", True), ("fc=*", False), ("ha=1.6,ga=1.7", False)],
)
def test_a_pattern_matches_whole_versions_or_their_beginning(pattern: str, found: bool) -> None:
    assert found == matches(parse(pattern), MIX)
