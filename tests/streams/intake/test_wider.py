"""What the fleet engine hears of a source topic."""

from schemas.commands import Release
from schemas.inventory import Region, Removed, Server, Service
from schemas.telemetry import Batch, Row
from streams.intake.checks import Limits, row_of
from streams.intake.pack import Packer
from streams.intake.wider import for_fleet
from tests.streams.intake.makers import CLUSTER, T0, place, report


def batch(feed: str, *rows: Row) -> Batch:
    packer = Packer(place(feed), Limits())
    for offset, row in enumerate(rows):
        packer.add("*", row, offset, T0 + offset)
    return packer.flush()[0]


def test_the_fleet_hears_commands_services_and_regions() -> None:
    """And what of them was removed; no server, and no report."""
    release = Release("c", CLUSTER, "t", "ada", "mended")
    mixed = batch(
        "inventory", Service("web"), Server(CLUSTER, "s"), Region("north"), Removed("vm", "v"), Removed("service", "x")
    )
    kept = for_fleet(mixed)

    assert batch("operator", release) == for_fleet(batch("operator", release))
    assert kept is not None
    assert ((0, 2, 4), (Service("web"), Region("north"), Removed("service", "x"))) == (kept.offsets, kept.rows)
    assert None is for_fleet(batch("inventory", Server(CLUSTER, "s")))
    assert None is for_fleet(batch("host-agent", row_of(report())))
