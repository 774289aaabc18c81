"""The passes through role instances."""

from __future__ import annotations

from collections import defaultdict

from schemas.history import SourceRecord
from schemas.inventory import Service
from schemas.source import MaintenanceEvent
from streams.simulate.world import World
from tests.streams.simulate.worlds import said, scenario, world

GUEST = '[[upgrade]]\nname = "os"\nat = "0s"\ncopy = "1m"\nguest_os = "guest-2"\nguest_at = "10m"\ngap = "5m"\n'
AGENT = '[[upgrade]]\nname = "os"\nat = "0s"\nga = "2"\nagent_at = "10m"\ngap = "5m"\n'
FLEET = "update_domains = 3\nslow_starts = 0\nonstop_s = [5, 20]\nstartup_s = [10, 30]\nservices = 2\n"


def passed(lines: str, fleet: str = "", hours: int = 2) -> tuple[World, list[SourceRecord]]:
    simulated = world(scenario(lines, servers=6, vms=4, duration=f"{hours}h", fleet=FLEET + fleet))
    return simulated, list(simulated.run())


def test_every_instance_is_reimaged_with_the_new_guest_os() -> None:
    simulated, found = passed(GUEST)

    assert {"guest-2"} == {vm.guest_os for vm in simulated.vms.values()}
    assert 24 == len(said(found, "VM_UPDATE_COMPLETED")) == simulated.ledger.count("start")
    assert {"GUEST_OS_UPDATE"} == {one.cause for one in simulated.ledger.intervals("north-1")}


def test_a_service_with_a_fixed_guest_os_is_left_out() -> None:
    simulated, found = passed(GUEST, "fixed_services = 1\n")
    fixed = {vm.name for vm in simulated.vms.values() if vm.service == "north-1-svc-1"}

    assert fixed
    assert {"guest-os-1"} == {vm.guest_os for vm in simulated.vms.values() if vm.name in fixed}
    assert not fixed & {event.vm for event in said(found, "VM_UPDATE_STARTED") if isinstance(event, MaintenanceEvent)}
    services = [one.record for one in found if isinstance(one.record, Service)]
    assert ["guest-os-1"] == [service.guest_os for service in services if service.service == "north-1-svc-1"]
    assert {"auto"} == {service.guest_os for service in services if service.service != "north-1-svc-1"}


def test_a_service_has_instances_of_one_update_domain_away_at_a_time() -> None:
    simulated, _ = passed(GUEST)
    away: dict[str, set[int]] = defaultdict(set)
    most = 0
    facts = [(fact, 1) for fact in simulated.ledger.facts("north-1", "down")]
    facts += [(fact, -1) for fact in simulated.ledger.facts("north-1", "up")]
    out: dict[tuple[str, int], int] = defaultdict(int)
    for fact, step in sorted(facts, key=lambda item: (item[0].at_ms, item[1])):
        vm = simulated.vms[fact.vm]
        domain = vm.home.update_domain
        out[vm.service, domain] += step
        (away[vm.service].add if out[vm.service, domain] else away[vm.service].discard)(domain)
        most = max(most, len(away[vm.service]))

    assert 1 == most


def test_a_group_hears_of_its_update_domains() -> None:
    simulated, found = passed(GUEST)
    groups = {vm.group for vm in simulated.vms.values()}
    told = {
        (event.group, event.update_domain) for event in said(found, "UD_STARTED") if isinstance(event, MaintenanceEvent)
    }

    assert {(group, domain) for group in groups for domain in range(3)} == told
    assert len(told) == len(said(found, "UD_STARTED")) == len(said(found, "UD_COMPLETED"))


def test_guest_agents_are_updated_in_the_same_order_and_no_vm_starts() -> None:
    simulated, found = passed(AGENT)

    assert {"2"} == {vm.ga_version for vm in simulated.vms.values()}
    assert 24 == len(said(found, "VM_UPDATE_COMPLETED"))
    assert 0 == simulated.ledger.count("start")
    assert 1 == len(said(found, "ROLLOUT_COMPLETED"))


def test_an_instance_that_is_not_ready_in_half_an_hour_has_failed_and_the_pass_goes_on() -> None:
    slow = '[[fault]]\nname = "slow"\nkind = "slow_startup"\nstartup_s = [3000, 3000]\n'
    slow += 'scope = { servers = ["*-s0000"], vms = 1 }\n'
    simulated, found = passed(GUEST + slow, hours=3)

    assert [("NOT_READY", True)] == [
        (event.error_code, event.vm in simulated.ledger.hit("slow", "vm"))
        for event in said(found, "VM_UPDATE_FAILED")
        if isinstance(event, MaintenanceEvent)
    ]
    assert 1 == len(said(found, "ROLLOUT_COMPLETED"))
