"""Which regions are paired, and where clusters are."""

from __future__ import annotations

from detectors.fleet.pairs import datacenter_of, pair_of, region_of
from detectors.fleet_view import FleetState
from detectors.lanes import Lanes
from detectors.picture import Picture
from schemas.fleet import ClusterFacts
from schemas.inventory import Region


def test_either_of_two_regions_may_say_that_they_are_paired() -> None:
    picture = Picture("*", Lanes())
    picture.state.regions.update({"north": Region("north", "south"), "south": Region("south"), "east": Region("east")})

    assert ["south", "north", "", ""] == [pair_of(picture, name) for name in ("north", "south", "east", "west")]


def test_a_cluster_is_where_its_facts_say() -> None:
    fleet = FleetState()
    known = fleet.cluster("c1")
    assert known is not None
    known.facts = ClusterFacts("c1", region="north", datacenter="dc1")

    assert ("north", "dc1") == (region_of(fleet, "c1"), datacenter_of(fleet, "c1"))
    assert ("", "") == (region_of(fleet, "c2"), datacenter_of(fleet, "c2"))
