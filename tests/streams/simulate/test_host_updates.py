"""A new host OS on a few servers."""

from schemas.history import SourceRecord
from schemas.source import MaintenanceEvent
from streams.simulate.host_updates import HostUpdate, HostUpdates, settled
from streams.simulate.world import World
from tests.streams.simulate.worlds import at, said, scenario, world

HOW = HostUpdate({"host_os": "2"}, {"rollout": "r"}, (60_000, 60_000), 0, 1_800_000)


def updated(lose: bool = False, text: str = "", hours: int = 1) -> tuple[World, list[SourceRecord], list[int]]:
    simulated = world(scenario(text, servers=2, vms=1, duration=f"{hours}h", fleet="slow_starts = 0\nnotice = 0"))
    done: list[int] = []

    def begin() -> None:
        HostUpdates(simulated, simulated.hosts[:1], HOW, simulated.rng("test"), lambda: done.append(simulated.now))

    simulated.at(at(60), begin)
    if lose:
        simulated.lost.add(simulated.hosts[0].name)
    return simulated, list(simulated.run()), done


def test_a_server_reboots_with_its_new_version_and_is_complete_when_its_vms_are_ready() -> None:
    simulated, found, done = updated()
    server = simulated.hosts[0]
    kinds = [
        str(one.record.kind)
        for one in found
        if isinstance(one.record, MaintenanceEvent) and one.record.server == server.name
    ]

    assert [
        "SERVER_UPDATE_STARTED", "NODE_REBOOT_STARTED", "NODE_REBOOT_COMPLETED", "SERVER_UPDATE_COMPLETED",
    ] == kinds  # fmt: skip
    assert ["2", "1.0"] == [host.versions["host_os"] for host in simulated.hosts]
    assert 1 == len(done)
    assert settled(server)


def test_its_reboot_is_planned_and_names_the_rollout() -> None:
    _, found, _ = updated()
    (event,) = said(found, "NODE_REBOOT_STARTED")

    assert isinstance(event, MaintenanceEvent)
    assert (True, "update", "r", "host-os") == (event.planned, event.workflow, event.rollout, event.system)


def test_vms_that_are_not_ready_are_waited_for_half_an_hour_from_the_boot() -> None:
    _, found, done = updated(text='[[fault]]\nkind = "slow_startup"\nstartup_s = [5000, 5000]\n', hours=2)
    (booted,) = [one.at_ms for one in found if getattr(one.record, "kind", "") == "NODE_REBOOT_COMPLETED"]

    assert 1_800_000 < done[0] - booted < 1_840_000
    assert 1 == len(said(found, "SERVER_UPDATE_COMPLETED"))


def test_a_server_that_is_not_back_in_an_hour_has_failed() -> None:
    _, found, done = updated(lose=True, hours=2)

    assert ["NOT_BACK"] == [
        event.error_code for event in said(found, "SERVER_UPDATE_FAILED") if isinstance(event, MaintenanceEvent)
    ]
    assert 1 == len(done)
