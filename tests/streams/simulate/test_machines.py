"""Servers and VMs as the simulation holds them."""

import pytest

from schemas.source import Network
from streams.simulate.machines import Host, Vm


def host() -> Host:
    server = Host("s1", 0, "r0", 0, {"ha": "1", "ga": "2"})
    server.vms["v1"] = Vm("v1", server, "g", "svc", "")
    return server


@pytest.mark.parametrize(
    ("up", "muted", "speaks"), [(True, 0, True), (True, 1, False), (True, 2, False), (False, 0, False)]
)
def test_an_agent_speaks_while_its_server_is_up_and_no_fault_keeps_it(up: bool, muted: int, speaks: bool) -> None:
    server = host()
    server.up, server.muted = up, muted

    assert speaks == server.speaks


def test_a_vm_is_told_by_the_clock_of_its_server() -> None:
    server = host()
    server.skew_ms = -5000
    server.vms["v1"].since_ms = 60_000

    assert 55_000 == server.report()[0].since_ms


def test_a_network_is_down_where_the_vm_the_server_or_the_place_is() -> None:
    fine, own, whole, place = (host() for _ in range(4))
    own.vms["v1"].network = Network.DOWN
    whole.network_down = 1
    place.vms_down.add("v1")

    assert [Network.UP, *[Network.DOWN] * 3] == [server.report()[0].network for server in (fine, own, whole, place)]


def test_a_report_is_made_anew_only_when_a_change_was_told() -> None:
    server = host()
    before = server.report()
    server.vms["v1"].incarnation = 9

    assert before is server.report()
    server.rows = server.vms["v1"].row = None
    assert [9] == [vm.incarnation for vm in server.report()]


def test_a_host_report_names_no_version_of_a_guest_agent() -> None:
    assert {"ha": "1"} == host().host_versions()
