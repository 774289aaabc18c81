"""The clinic: by a seed, its records in order, and a world that hangs together."""

from schemas.columns import unpack_vms
from schemas.source import GUEST_AGENT, HOST_AGENT
from schemas.telemetry import HostRow
from streams.simulate.clinic import Clinic, Host


def restart(clinic: Clinic, host: Host) -> None:
    """Restart the VMs of a server."""
    for vm in clinic.on(host):
        clinic.note(vm, "GUEST_INITIATED", "restart")
        clinic.stop(vm, "explorer.exe", "Other")
        clinic.at(30, clinic.start, vm)


def made(seed: int) -> Clinic:
    """Return a clinic of eight servers."""
    clinic = Clinic(seed, 8)
    clinic.run(restart)
    return clinic


def test_a_seed_makes_the_same_records() -> None:
    assert made(1).rows == made(1).rows
    assert made(1).rows != made(2).rows


def test_the_records_of_a_feed_are_in_order_and_every_start_is_reported() -> None:
    clinic = made(1)
    for rows in clinic.rows.values():
        assert sorted(at_s for at_s, _ in rows) == [at_s for at_s, _ in rows]
    reported = {
        (vm.vm, vm.incarnation)
        for _, row in clinic.rows[HOST_AGENT]
        if isinstance(row, HostRow) and row.vms_block
        for vm in unpack_vms(row.vms_block)
    }

    assert {(injected.vm, 2) for injected in clinic.truth} <= reported
    assert clinic.rows[GUEST_AGENT]


def test_a_server_that_is_down_says_nothing_until_it_boots() -> None:
    clinic = Clinic(3, 4)
    clinic.run(lambda one, host: one.down(host, 600))
    boots = {row.boot_id for _, row in clinic.rows[HOST_AGENT] if isinstance(row, HostRow)}

    assert {"s000-b1", "s000-b2", "s001-b1", "s001-b2", "s002-b1", "s003-b1"} == boots
