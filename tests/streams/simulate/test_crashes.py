"""Servers that fail at a rate."""

from schemas.source import MaintenanceEvent
from tests.streams.simulate.worlds import at, said, scenario, world

BUG = '[[fault]]\nname = "f"\nkind = "bug"\neffect = "reboot"\ncause = "HOST_AGENT"\n'


def rebooted(text: str, *, servers: int = 50, duration: str = "4h") -> list[tuple[int, str, str]]:
    """Return when which server rebooted by itself, and the cause that was told."""
    found = list(world(scenario(BUG + text, servers=servers, vms=0, duration=duration)).run())
    return [
        (event.sent_ms, event.server or "", event.cause or "")
        for event in said(found, "NODE_REBOOT_STARTED")
        if isinstance(event, MaintenanceEvent) and not event.planned
    ]


def test_so_many_reboot_a_server_and_hour() -> None:
    found = rebooted("rate = 0.2\n")

    assert 20 <= len(found) <= 60  # 40 are expected
    assert {"HOST_AGENT"} == {cause for _, _, cause in found}


def test_only_where_its_conditions_hold_and_while_it_lasts() -> None:
    text = (
        'rate = 0.5\nversions = { ha = "2" }\nafter = "1h"\nfor = "3h"\n[[rollout]]\nname = "r"\nat = "30m"\n'
        'versions = { ha = "2" }\nmode = "blast"\nlead = 0\nservers = ["*-s000*"]\n'
    )
    found = rebooted(text)

    assert found
    assert all(at(90 * 60) <= sent_ms <= at(190 * 60 + 20) for sent_ms, _, _ in found)
    assert all(server[-4:-1] == "000" for _, server, _ in found)


def test_it_is_the_same_for_a_server_whatever_strikes_the_others() -> None:
    all_of_them = rebooted("rate = 0.2\n")
    some = rebooted('rate = 0.2\nversions = { ha = "1*" }\n')

    assert all_of_them == some
