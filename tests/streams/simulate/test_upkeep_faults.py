"""The faults of upkeep."""

from schemas.source import MaintenanceEvent
from streams.simulate.kinds import KINDS
from streams.simulate.upkeep_faults import KINDS as OURS
from streams.simulate.upkeep_faults import ROLE_KINDS
from tests.streams.simulate.worlds import at, said, scenario, world


def test_every_kind_is_one_that_a_file_may_name() -> None:
    assert set(KINDS) >= OURS > ROLE_KINDS


def test_a_blob_cache_race_is_a_deallocation_then_an_unplanned_reboot_of_the_same_server() -> None:
    text = '[[fault]]\nname = "race"\nkind = "blob_cache_race"\nat = "5m"\nscope = { servers = 1 }\n'
    simulated = world(scenario(text, servers=3, vms=2))
    found = list(simulated.run())
    (gone,) = [event for event in said(found, "VM_DEALLOCATED") if isinstance(event, MaintenanceEvent)]
    (reboot,) = [event for event in said(found, "NODE_REBOOT_STARTED") if isinstance(event, MaintenanceEvent)]
    (server,) = simulated.ledger.hit("race", "server")

    assert {server} == {gone.server, reboot.server}
    assert (False, "WORKFLOW_TIMEOUT", "BLOB_CACHE_RACE") == (reboot.planned, reboot.workflow, reboot.cause)
    assert at(300) < gone.sent_ms < reboot.sent_ms < at(420)
    assert gone.vm not in simulated.vms
    assert 5 == len(simulated.vms)
    (kept,) = [one for one in simulated.ledger.intervals("north-1") if one.vm != gone.vm]
    assert ("HOST_REBOOT", server) == (kept.cause, kept.server)
    assert kept.until_ms is not None


def test_a_server_that_is_away_has_no_race() -> None:
    text = '[[fault]]\nkind = "blob_cache_race"\nat = "5m"\n'
    simulated = world(scenario(text, servers=1, vms=2))
    simulated.hosts[0].muted = 1

    assert [] == said(list(simulated.run()), "VM_DEALLOCATED")


def test_a_vm_that_does_not_run_is_not_restarted_by_its_customer() -> None:
    text = '[[fault]]\nkind = "guest_restart"\nat = "5m"\n'
    simulated = world(scenario(text, servers=1, vms=2))
    first, _ = simulated.vms.values()
    first.alive = False
    list(simulated.run())

    assert 1 == simulated.ledger.count("start")


def test_faults_of_a_wave_that_does_not_concern_the_cluster_do_nothing() -> None:
    wave = '[[wave]]\nname = "w"\nhost_os = "2"\nannounced = "1m"\nself_service = ["10m", "2h"]\n'
    wave += 'scheduled = ["3h", "4h"]\nscope = { clusters = "south-1" }\n'
    text = '[[cluster]]\nname = "south"\n' + wave
    for kind in ("owner_redeploy", "maintenance_restart"):
        text += f'[[fault]]\nkind = "{kind}"\nwave = "w"\nscope = {{ clusters = "north-1" }}\n'
    found = list(world(scenario(text)).run())

    assert [] == said(found, "VM_REDEPLOYED") + said(found, "NODE_REBOOT_STARTED")
