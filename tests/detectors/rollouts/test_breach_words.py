"""Tests of the words of domain_breach."""

from __future__ import annotations

from detectors.rollouts.breach_words import Reach, said_of_change, said_of_overlap, said_of_rollout, subject_of
from detectors.rollouts.spread import Reached
from schemas.outputs import Evidence, Severity, Subject
from tests.kit import START_MS


def reach(number: int, servers: int = 20) -> Reach:
    recent = [Reached(START_MS + n * 1000, f"e{n}", Evidence(0, n)) for n in range(number)]
    return Reach("ha=1.6", "c1", recent, servers, 4, 0.25, 600)


def test_subjects_are_a_rollout_or_a_version_of_a_component() -> None:
    assert Subject(cluster="c1", rollout="a b=c") == subject_of("reach a b=c", "c1")
    assert Subject(cluster="c1", component="ha", version="1=6") == subject_of("seen ha=1=6", "c1")


def test_of_several_groups_their_number_is_told_of_one_its_name() -> None:
    one = said_of_overlap("c1", "r", {"group web": ["0", "2"]}, 0.1, 5)
    two = said_of_overlap("c1", "", {"group web": ["0", "2"], "group api": ["0", "10", "2"]}, 0.1, 5)

    assert "VMs of web of c1 are updated by rollout r in 2 update domains at once: 0, 2" == one["title"]
    assert "VMs of 2 groups of c1 are updated in 3 update domains at once: 0, 2, 10" == two["title"]
    assert {"update_domains": 3, "groups": 2, "share_per_min": 0.1} == two["numbers"]
    assert "servers of c1 are updated" in said_of_overlap("c1", "", {"servers r": ["0", "1"]}, 0.1, 5)["title"]


def test_a_blast_that_has_reached_nothing_yet_is_told_as_what_it_is() -> None:
    assert "No server of it has been told of yet." in said_of_rollout(reach(0), blast=True)["explanation"]
    assert "is a blast: it takes all it is for in c1 at once" in said_of_rollout(reach(0), blast=True)["title"]
    assert "is a blast: it has reached 5 of 20 servers of c1" in said_of_rollout(reach(5), blast=True)["title"]
    assert "rollout ha=1.6 has reached 5 of 20" in said_of_rollout(reach(5), blast=False)["title"]


def test_without_an_inventory_no_share_is_said() -> None:
    said = said_of_rollout(reach(5, 0), blast=True)

    assert "has reached 5 servers of c1" in said["title"]
    assert "cannot be said" in said["explanation"]
    assert 0 == said["numbers"]["share"]


def test_a_change_that_a_rollout_tells_of_is_info_and_advises_nothing() -> None:
    alone, told = said_of_change(reach(5), ""), said_of_change(reach(5), "fix")

    assert (Severity.CRITICAL, ("halt-rollout",)) == (alone["severity"], alone["advised"])
    assert (Severity.INFO, ()) == (told["severity"], told["advised"])
    assert "ha 1.6 has reached 5 of 20 servers of c1 within 10 min, as announced" == told["title"]
    assert {"since": "2012-02-29 00:00:00Z"} == told["facts"]
