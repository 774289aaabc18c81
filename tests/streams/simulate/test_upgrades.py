"""OS upgrades: copies, then the pass through the servers."""

from __future__ import annotations

from schemas.history import SourceRecord
from schemas.source import MaintenanceEvent
from tests.streams.simulate.worlds import at, said, scenario, world

LINES = (
    '[[upgrade]]\nname = "os"\nat = "1m"\ncopy = "9m"\nhost_os = "2"\nhost_at = "20m"\nguest_os = "guest-2"\n'
    'guest_at = "5h"\nga = "2"\nagent_at = "7h"\ngap = "5m"\n'
)
FLEET = "update_domains = 3\nslow_starts = 0\nonstop_s = [5, 20]\nstartup_s = [10, 30]\n"


def upgraded(lines: str = LINES) -> list[SourceRecord]:
    return list(world(scenario(lines, servers=6, vms=2, duration="9h", fleet=FLEET)).run())


def happened(found: list[SourceRecord], *kinds: str, system: str = "") -> list[tuple[int, MaintenanceEvent]]:
    return [
        (one.at_ms, one.record)
        for one in found
        if isinstance(one.record, MaintenanceEvent) and one.record.kind in kinds and system in {"", one.record.system}
    ]


def test_images_are_copied_before_any_pass_and_for_each_of_them() -> None:
    found = upgraded()
    copies = happened(found, "IMAGE_COPY_COMPLETED")

    assert [("os-host", "north-1"), ("os-guest", "north-1")] == [
        (event.rollout, event.datacenter) for _, event in copies
    ]
    assert all(at(600) <= stamp < at(601) for stamp, _ in copies)


def test_passes_start_at_their_times_and_complete_in_their_order() -> None:
    found = upgraded()
    starts = [(stamp, event.rollout) for stamp, event in happened(found, "ROLLOUT_STARTED")]
    ends = [(stamp, event.rollout) for stamp, event in happened(found, "ROLLOUT_COMPLETED")]

    assert ["os-host", "os-guest", "os-agent"] == [name for _, name in starts] == [name for _, name in ends]
    assert [20, 300, 420] == [(stamp - at(0)) // 60_000 for stamp, _ in starts]
    assert all(end < start for (end, _), (start, _) in zip(ends, starts[1:], strict=False))


def test_one_update_domain_of_servers_is_away_at_a_time() -> None:
    found = upgraded()
    turns = [
        (event.kind, event.update_domain)
        for _, event in happened(found, "UD_STARTED", "UD_COMPLETED", system="host-os")
    ]

    assert [(kind, domain) for domain in range(3) for kind in ("UD_STARTED", "UD_COMPLETED")] == turns
    assert 6 == len(said(found, "NODE_REBOOT_COMPLETED")) == len(said(found, "SERVER_UPDATE_COMPLETED"))


def test_a_fault_opens_two_at_once() -> None:
    found = upgraded(LINES + "parallel = 2\n")
    turns = [event.kind for _, event in happened(found, "UD_STARTED", "UD_COMPLETED", system="host-os")]

    assert ["UD_STARTED", "UD_STARTED"] == turns[:2]


def test_behind_the_brake_no_pass_begins() -> None:
    simulated = world(scenario(LINES, servers=6, vms=2, duration="9h", fleet=FLEET))
    simulated.controller.braked = True

    assert [] == happened(list(simulated.run()), "ROLLOUT_STARTED")
