"""Which regions are paired, and where a cluster is."""

from __future__ import annotations

from detectors.fleet_view import FleetState
from detectors.picture import Picture


def pair_of(picture: Picture, region: str) -> str:
    """Return the region that this one is paired with, whichever of the two says so; empty where none is."""
    known = picture.state.regions.get(region)
    if known is not None and known.paired_with:
        return known.paired_with
    return next((name for name, other in sorted(picture.state.regions.items()) if other.paired_with == region), "")


def region_of(fleet: FleetState, cluster: str) -> str:
    """Return a cluster's region, empty while nothing has told it."""
    known = fleet.clusters.get(cluster)
    return known.region if known is not None else ""


def datacenter_of(fleet: FleetState, cluster: str) -> str:
    """Return a cluster's datacenter, empty while nothing has told it."""
    known = fleet.clusters.get(cluster)
    return known.datacenter if known is not None else ""
