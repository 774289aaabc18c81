"""Services that a scenario names."""

from schemas.inventory import Service
from schemas.inventory import Vm as VmRecord
from streams.simulate.generator import records
from tests.streams.simulate.worlds import scenario

TEXT = (
    '[[cluster]]\nname = "south"\n'
    '[[service]]\nname = "access"\nclusters = "north-*"\nneeded_by = "*"\nguest_os = "3.1"\n'
    '[[service]]\nname = "bus"\nclusters = "north-*"\npriority = 1\ndepends_on = "access"\n'
)


def inventory() -> list[object]:
    of = scenario(TEXT, servers=30, vms=2, fleet="services = 4\ncreate_every_s = 60", duration="30m")
    return [one.record for one in records(of) if one.feed == "inventory"]


def test_a_named_service_is_told_once_as_the_file_has_it() -> None:
    told = [one for one in inventory() if isinstance(one, Service) and "svc" not in one.service]

    assert [Service("access", 0, (), "3.1"), Service("bus", 1, ("access",))] == told


def test_it_takes_the_place_of_one_of_the_clusters_own_and_the_others_depend_on_what_they_need() -> None:
    told = {one.service: one.depends_on for one in inventory() if isinstance(one, Service)}

    assert {
        "access": (), "bus": ("access",), "north-1-svc-2": ("access",), "north-1-svc-3": ("access",),
        "south-1-svc-0": ("access",), "south-1-svc-1": ("south-1-svc-0", "access"),
        "south-1-svc-2": ("south-1-svc-0", "access"), "south-1-svc-3": ("south-1-svc-0", "access"),
    } == told  # fmt: skip


def test_new_vms_too_are_of_services_that_there_are() -> None:
    rows = inventory()
    told = {one.service for one in rows if isinstance(one, Service)}
    used = {one.service for one in rows if isinstance(one, VmRecord) and one.cluster == "north-1"}

    assert {"access", "bus", "north-1-svc-2", "north-1-svc-3"} == used
    assert any("-new-" in one.vm for one in rows if isinstance(one, VmRecord))
    assert used <= told


def test_without_named_ones_a_cluster_has_its_own() -> None:
    told = [one.record for one in records(scenario()) if isinstance(one.record, Service)]

    assert [f"north-1-svc-{place}" for place in range(5)] == [one.service for one in told]
    assert [(), *[("north-1-svc-0",)] * 4] == [one.depends_on for one in told]
