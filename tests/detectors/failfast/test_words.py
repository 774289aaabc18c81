"""Tests of how times, places and lists are put."""

from __future__ import annotations

from detectors.failfast.words import counted, domains_of, listed, minutes, rack_of, racks_of, utc
from detectors.frames import BatchFrame
from detectors.lanes import Lanes
from detectors.picture import Picture
from tests.kit import START_MS, Log


def test_stamps_are_utc_to_the_second() -> None:
    assert "2012-02-29 01:15:00Z" == utc(START_MS + 4_500_999)


def test_long_lists_name_the_first_and_count_the_rest() -> None:
    assert "a, b" == listed(["b", "a", "b"])
    assert "a, b and 2 more" == listed("dcba", 2)


def test_numbers_agree_with_their_nouns() -> None:
    assert ["0 racks", "1 rack", "2 racks"] == [counted(number, "rack") for number in range(3)]


def test_lengths_of_time_are_minutes_where_they_are_whole() -> None:
    assert ["25 min", "90 s"] == [minutes(1500), minutes(90)]


def test_places_are_those_of_the_inventory() -> None:
    picture = Picture("c1", Lanes())
    for frame in Log().inventory(4, racks=2, update_domains=4).host(0, "stranger", vms=[]).frames:
        assert isinstance(frame, BatchFrame)
        picture.fold(frame)

    assert ("r1", "", "") == (rack_of(picture, "s2"), rack_of(picture, "stranger"), rack_of(picture, "nobody"))
    assert ["r0", "r1"] == racks_of(picture, ["s3", "s1", "s2", "stranger"])
    assert [0, 3] == domains_of(picture, ["s4", "s1", "stranger"])
