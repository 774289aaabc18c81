"""What the fleet engine remembers of all clusters."""

from dataclasses import replace

from detectors.fleet_view import DECISIONS_MOST
from detectors.frames import FindingFrame
from detectors.lanes import Lanes
from detectors.picture import FleetPicture
from schemas.fleet import ClusterFacts
from schemas.inventory import Region
from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
from schemas.source import MaintenanceEvent
from schemas.telemetry import Row
from tests.kit import START_MS, Log


def pictured(*rows: tuple[float, Row]) -> FleetPicture:
    """Return the fleet's picture after rows, each a batch of its own."""
    picture = FleetPicture("*", Lanes())
    log = Log()
    for at_s, row in rows:
        log.batch("facts" if isinstance(row, ClusterFacts) else "maintenance", [(at_s, row)])
    for frame in log.frames:
        picture.fold(frame)  # type: ignore[arg-type]
    return picture


def event(cluster: str, kind: str, **fields: object) -> MaintenanceEvent:
    return MaintenanceEvent(f"{cluster}-{kind}", cluster, 0, "fc", kind, **fields)  # type: ignore[arg-type]


def test_the_newest_facts_by_stamp_stand() -> None:
    fleet = pictured((5, ClusterFacts("c1", "north", servers=2)), (1, ClusterFacts("c1", "south", servers=1))).fleet

    assert "north" == fleet.clusters["c1"].region


def test_a_rollout_of_one_name_is_known_by_cluster() -> None:
    fleet = pictured(
        (1, event("c1", "ROLLOUT_STARTED", rollout="r")), (2, event("c2", "ROLLOUT_PAUSED", rollout="r"))
    ).fleet

    assert ["STARTED", "PAUSED"] == [fleet.clusters[name].rollouts["r"].state for name in ("c1", "c2")]


def test_images_are_copied_when_the_first_word_says_so() -> None:
    copied = event("c1", "IMAGE_COPY_COMPLETED", rollout="os", datacenter="n-1")
    fleet = pictured((9, copied), (3, copied)).fleet

    assert {"os/n-1": START_MS + 3_000} == fleet.clusters["c1"].images


def test_regions_are_told_to_the_fleet() -> None:
    assert "south" == pictured((1, Region("north", "south"))).state.regions["north"].paired_with


def test_a_finding_is_remembered_until_it_closes() -> None:
    picture = pictured()
    opened = Finding("f", "server_hi", Subject(cluster="c1"), FindingState.OPEN, Severity.WARNING, 1, 1, "t")
    picture.fleet.take(FindingFrame(0, 7, 1, opened))
    picture.fleet.take(FindingFrame(0, 8, 2, replace(opened, state=FindingState.UPDATED, title="u")))
    assert [("u", 7)] == [(known.finding.title, known.evidence.offset) for known in picture.fleet.open.values()]

    assert (["u"], []) == ([known.title for known in picture.fleet.open_in("c1")], picture.fleet.open_in("c2"))

    picture.fleet.take(FindingFrame(0, 9, 3, replace(opened, state=FindingState.CLOSED)))
    assert ({}, {}) == (picture.fleet.open, picture.fleet.ids_of)


def test_decisions_are_bounded_released_ones_go_first() -> None:
    fleet = pictured().fleet
    for n in range(DECISIONS_MOST):
        fleet.decided(Decision(f"d{n}", "stop-updates", "cluster:c", "PROPOSED", "advise", "why", (), n))
    fleet.decided(Decision("d7", "stop-updates", "cluster:c", "RELEASED", "advise", "why", (), 9, by="ann"))
    fleet.decided(Decision("new", "stop-updates", "cluster:c", "PROPOSED", "advise", "why", (), 9))
    fleet.decided(Decision("newer", "stop-updates", "cluster:c", "PROPOSED", "advise", "why", (), 9))

    assert (DECISIONS_MOST, 2) == (len(fleet.decisions), fleet.dropped)
    assert ["d0", "d7"] == [name for name in ("d0", "d1", "d7", "new", "newer") if name not in fleet.decisions]
