"""Folds of reports that do not hang on the order of lanes."""

import itertools

import pytest

from detectors.frames import BatchFrame
from detectors.lanes import Lanes
from detectors.picture import ClusterState, Picture
from tests.detectors.pictured import pictured
from tests.kit import Log, vm


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


def test_what_a_host_agent_called_an_older_incarnation_is_remembered() -> None:
    """The guest's own lane has told of incarnation 2 before the host's reports of incarnation 1 are read."""
    log = Log().guest(5, "v1", "START").guest(90, "v1", "START", incarnation=2)
    log.host(10, "s1", [vm("v1", 1, "STARTING")]).host(20, "s1", [vm("v1", 1, "READY")])
    log.host(30, "s1", [vm("v1", 1, "READY", network="DOWN")]).host(40, "s1", [vm("v1", 1, "SILENT")])
    first, second = pictured(log).vms["v1"].starts

    assert [(log.ms(10), "STARTING"), (log.ms(20), "READY"), (log.ms(40), "SILENT")] == first.turns
    assert (log.ms(20), None) == (first.ready_ms, second.ready_ms)


def test_ready_is_the_least_stamp_of_both_agents() -> None:
    log = Log().host(30, "s1", [vm("v1", 1, "READY")]).guest(20, "v1", "READY").guest(40, "v1", "READY")

    assert log.ms(20) == pictured(log).vms["v1"].starts[0].ready_ms
