"""What the fleet engine is told and tells."""

from schemas.codec import decode, encode
from schemas.fleet import ClusterFacts, Incident, IncidentState, ServiceCount


def test_a_cluster_before_its_first_import_has_nothing_to_count() -> None:
    facts = ClusterFacts("c1")

    assert (0, 0, 0) == (facts.servers, facts.vms, facts.servers_out)


def test_facts_and_incidents_travel_whole() -> None:
    facts = ClusterFacts("c1", "north", "n-1", 3, 1, versions={"ha=1.7": 3}, services=(ServiceCount("acs", 2, 1),))
    incident = Incident("i", IncidentState.OPEN, "WARNING", "t", 1, 2, clusters=("c1",), findings={"server_hi": 4})

    assert [facts, incident] == [decode(encode(facts)), decode(encode(incident))]
