"""The picture of a cluster: folds that do not hang on the order of lanes."""

import itertools

import pytest

from detectors.frames import BatchFrame
from detectors.lanes import FAR_MS, Lanes
from detectors.picture import ClusterState, Picture, signature_of
from schemas.inventory import InventoryState, Removed, Server
from schemas.source import GuestEvent
from schemas.telemetry import Clocks
from tests.kit import Log, vm


def pictured(log: Log) -> Picture:
    """Return the picture after all frames of a log, Clocks too."""
    picture = Picture("c1", Lanes())
    for frame in log.frames:
        if isinstance(frame, BatchFrame):
            picture.fold(frame)
        else:
            assert isinstance(frame.clocks, Clocks)
            for stretch in frame.clocks.stretches:
                picture.lanes.turn(stretch, frame.at_ms)
    return picture


def test_a_server_is_counted_where_the_inventory_has_it_in_service_and_is_complete() -> None:
    log = Log().inventory(3, complete=False).host(0, "stranger")
    log.batch("inventory", [(0.0, Server("c1", "s3", state=InventoryState.DECOMMISSIONED))])

    assert 0 == pictured(log).counted_servers()
    picture = pictured(log.inventory(2))
    assert (2, 1) == (picture.counted_servers(), picture.state.unknown_servers)


def test_a_removed_server_is_forgotten_and_news() -> None:
    picture = pictured(Log().inventory(2).host(0, "s1").batch("inventory", [(1.0, Removed("server", "s1"))]))

    assert ["s1"] == picture.news.removed_servers
    assert ["s2"] == list(picture.servers)


@pytest.mark.parametrize(("back_s", "silences"), [(180.0, 0), (180.001, 1)])
def test_a_silence_longer_than_three_intervals_is_kept(back_s: float, silences: int) -> None:
    log = Log().host(0, "s1").host(back_s, "s1")

    assert silences == len(pictured(log).servers["s1"].silences)
    assert [log.ms(0), log.ms(back_s)] * silences == [
        at for pair in pictured(log).servers["s1"].silences for at in pair
    ]


def test_a_report_sent_again_is_no_sign_of_life() -> None:
    log = Log().inventory().host(0, "s1", []).host(60, "s1", seq=1).host(400, "s1", seq=1)

    assert log.ms(60) == pictured(log).servers["s1"].heard_ms


def test_a_report_that_another_lane_brings_late_splits_a_silence() -> None:
    log = Log().host(0, "s1").host(400, "s1").host(150, "s1", feed="host-agent@foreign")

    assert [(log.ms(150), log.ms(400))] == pictured(log).servers["s1"].silences


def test_seqs_never_seen_are_lost_until_they_come_after_all() -> None:
    log = Log().host(0, "s1", seq=4).host(60, "s1", seq=8)

    assert 3 == pictured(log).servers["s1"].lost
    log.host(61, "s1", seq=6)
    assert (2, [5, 7]) == (pictured(log).servers["s1"].lost, pictured(log).servers["s1"].missing)
    log.host(62, "s1", seq=6)
    assert 2 == pictured(log).servers["s1"].lost
    log.host(120, "s1", run="r2", seq=0)
    assert 0 == pictured(log).servers["s1"].lost


def test_beats_of_an_unknown_full_report_are_unsure_and_not_silent() -> None:
    log = Log().host(0, "s1", [vm("v1")]).host(60, "s1", full_seq=99).host(120, "s1", [vm("v1")])
    server = pictured(log).servers["s1"]

    assert [(log.ms(60), log.ms(120))] == server.unsure
    assert [] == server.silences


def test_a_start_is_the_same_whichever_lane_tells_of_it_first() -> None:
    def told(order: tuple[str, ...]) -> list[tuple[int, int, int | None]]:
        log = Log()
        for which in order:
            if which == "host":
                log.host(30, "s1", [vm("v1", 2, "READY")])
            else:
                log.guest(20, "v1", "READY", incarnation=2)
        return [(start.incarnation, start.at_ms, start.contact_ms) for start in pictured(log).vms["v1"].starts]

    assert told(("host", "guest")) == told(("guest", "host")) == [(2, Log().ms(20), Log().ms(20))]


def test_a_second_delivery_of_an_event_is_no_second_failure() -> None:
    log = Log().guest(0, "v1", "START_FAILED", event_id="e").guest(1, "v1", "START_FAILED", event_id="e")

    assert [] == pictured(log).news.failures


def test_upkeep_lasts_from_its_start_to_its_end_with_its_impact() -> None:
    log = Log().maintenance(0, "COMPONENT_UPDATE_STARTED", server="s1", component="fc", impact="none")
    log.maintenance(9, "COMPONENT_UPDATE_COMPLETED", server="s1", component="fc")
    upkeep = pictured(log).servers["s1"].upkeep

    assert [("component", log.ms(0), log.ms(9), "none")] == [
        (known.what, known.from_ms, known.until_ms, known.impact) for known in upkeep
    ]


def test_the_same_fault_has_the_same_signature_whatever_names_and_dates_it_tells() -> None:
    def event(code: str, message: str) -> GuestEvent:
        return GuestEvent("e", "c1", "s1", "v1", 1, 0, "START_FAILED", step="cert", error_code=code, message=message)

    assert "cert:E7" == signature_of(event("E7", "anything"))
    assert signature_of(event("", "vm 12 until 2013-02-29")) == signature_of(event("", "vm 9 until 1-2-3"))


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


def test_the_picture_does_not_hang_on_how_lanes_interleave() -> None:
    """Every interleaving of three lanes, each in its own order, ends in the same picture of the servers."""
    log = Log()
    log.host(0, "s1").host(60, "s1").host(300, "s1").guest(20, "v1", "START").guest(90, "v1", "READY")
    log.maintenance(61, "NODE_REBOOT_STARTED", server="s1").maintenance(299, "NODE_REBOOT_COMPLETED", server="s1")
    lanes = [log.frames[:3], log.frames[3:5], log.frames[5:]]
    ends: list[ClusterState] = []
    for order in set(itertools.permutations("AAABBCC")):
        picture, at = Picture("c1", Lanes()), [0, 0, 0]
        for letter in order:
            lane = "ABC".index(letter)
            frame = lanes[lane][at[lane]]
            assert isinstance(frame, BatchFrame)
            picture.fold(frame)
            at[lane] += 1
        ends.append(picture.state)

    assert all(ends[0].servers == end.servers and ends[0].quiets == end.quiets for end in ends)
    assert all(ends[0].vms == end.vms for end in ends)
