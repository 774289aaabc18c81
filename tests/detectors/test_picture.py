"""What detectors ask of the picture."""

import pytest

from detectors.lanes import FAR_MS
from schemas.inventory import InventoryState, Server
from tests.detectors.pictured import pictured
from tests.kit import Log


def test_a_server_is_counted_where_the_inventory_has_it_in_service_and_is_complete() -> None:
    log = Log().inventory(3, complete=False).host(0, "stranger")
    log.batch("inventory", [(0.0, Server("c1", "s3", state=InventoryState.DECOMMISSIONED))])

    assert 0 == pictured(log).counted_servers()
    picture = pictured(log.inventory(2))
    assert (2, 1) == (picture.counted_servers(), picture.state.unknown_servers)


def quiet_log(guests: tuple[float, ...], back_s: float | None = 400.0, order: str = "in time") -> Log:
    """Return a cluster whose hosts were last heard at 60 s, with guest events, the lanes read in an order."""
    parts = {
        "host": lambda log: [log.host(at, "s1") for at in (0.0, 60.0, *((back_s,) if back_s else ()))],
        "guest": lambda log: [log.guest(at, "v1", "HEARTBEAT") for at in guests],
    }
    log = Log()
    for part in ("host", "guest") if order == "in time" else ("guest", "host"):
        parts[part](log)
    return log.clocks(500)


@pytest.mark.parametrize(("at_s", "quiet"), [(150.0, 0), (150.001, 1)])
def test_a_cluster_is_quiet_after_one_and_a_half_intervals(at_s: float, quiet: int) -> None:
    log = quiet_log(())

    assert quiet == len(pictured(log).quiets(log.ms(at_s)))


def test_guests_that_speak_later_than_the_next_report_was_due_tell_that_it_is_blind() -> None:
    for order in ("in time", "guests first"):
        log = quiet_log((100.0, 134.0, 171.0), order=order)
        picture = pictured(log)

        assert [None] == [quiet.told_ms for quiet in picture.quiets(log.ms(179))]
        assert [log.ms(180)] == [quiet.told_ms for quiet in picture.quiets(log.ms(180))]
        assert {} == picture.blind_at(log.ms(179))
        assert {"host-agent": [(log.ms(60), log.ms(400))]} == picture.blind_at(log.ms(180))


def test_last_words_of_guests_tell_nothing() -> None:
    log = quiet_log((100.0, 134.9), back_s=None)

    assert [(log.ms(60), FAR_MS, None)] == [
        (quiet.from_ms, quiet.until_ms, quiet.told_ms) for quiet in pictured(log).quiets(log.ms(490))
    ]


def test_guests_that_speak_while_the_host_lane_had_a_gap_tell_nothing() -> None:
    log = Log().host(0, "s1").host(60, "s1").clocks(61)
    log.guest(170, "v1", "HEARTBEAT")
    log.host(400, "s1").clocks(500, gaps=[(62.0, 399.0)])

    assert {} == pictured(log).blind_at(log.ms(490))


def test_a_report_that_comes_late_by_another_lane_ends_a_quiet_stretch() -> None:
    log = quiet_log(()).host(140, "s2", feed="host-agent@foreign")
    stretches = pictured(log).state.quiets

    assert [(log.ms(140), log.ms(400), "s2/b1/r1/0")] == [(q.from_ms, q.until_ms, q.source) for q in stretches]
