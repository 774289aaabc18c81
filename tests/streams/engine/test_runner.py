"""The runner: repeats, clusters, configuration, due times, restore; and the same over `fleet`."""

import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.frames import BatchFrame, ClocksFrame, DecisionFrame, FindingFrame, OtherFrame
from schemas.commands import ConfigChanged, Release
from schemas.inventory import Region
from schemas.outputs import Decision, Finding, FindingState, Severity, Subject
from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE
from schemas.telemetry import EVERYONE
from streams.config.catalogue import config_types
from streams.config.thresholds import parse
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.runner import CLUSTERS_MOST, COMMANDS_KEPT, Runner, TelemetryFrame
from tests.detectors.investigate.failing import Failing
from tests.kit import START_MS, Log, short
from tests.streams.engine.made import Asks, AsksForEver, Fleet, Says, Throttled, batch, engine_clocks, runner_with

SMALL = "[detectors.host_silence]\nsilent_s = 30\n"


def changed(text: str, by: str = "alice", name: str = "x") -> ConfigChanged:
    """Return a configuration as it stands in the log."""
    return ConfigChanged(name, EVERYONE, text, "", by)


def digest(text: str) -> str:
    """Return the digest of a thresholds text."""
    return parse(text, config_types()).digest


def text_of(seconds: int) -> str:
    """Return thresholds that differ by a number."""
    return f"[policy]\nhysteresis_s = {seconds}\n"


def failing() -> list[TelemetryFrame]:
    """Return a log in which starts fail, time out, and put servers into HI."""
    log = Failing()
    servers = [f"s{n + 1}" for n in range(4)]
    log.inventory(servers)
    log.fail(servers[:3], 3)
    log.maintenance(4600, "SERVER_STATE", server="s4", state="HI")
    for at_s in range(4610, 4700, 10):
        log.clocks(at_s)
    return log.frames


WHOLE = failing()


# -- repeats -----------------------------------------------------------------------------------------------------


def test_a_batch_that_comes_twice_is_taken_once() -> None:
    says = Says()
    runner, log = runner_with({"c1": {"says": says}})
    log.maintenance(1, "SERVER_STATE", server="s1", state="HI")
    frame = log.frames[-1]

    assert 1 == len(runner.feed([frame]))
    assert [] == runner.feed([replace(frame, offset=frame.offset + 1)])
    assert 1 == runner.counts.repeats
    assert 1 == len(says.frames)


def test_of_a_batch_that_comes_again_in_part_the_rest_is_taken() -> None:
    """A batch may be cut otherwise the second time: what is above the highest offset is new."""
    says = Says()
    runner, _ = runner_with({"c1": {"says": says}})
    rows = {offset: Release(str(offset), "c1", "x", "alice", "why") for offset in range(5, 9)}
    some = {offset: row for offset, row in rows.items() if offset < 7}
    runner.feed([BatchFrame(0, 10, 1, batch(some)), BatchFrame(0, 11, 1, batch(rows))])

    taken = [frame.batch.offsets for frame in says.frames if isinstance(frame, BatchFrame)]
    assert [(5, 6), (7, 8)] == taken
    assert 2 == runner.counts.repeats


@pytest.mark.parametrize("other", [{"lane": 1}, {"topic_id": "made anew"}, {"feed": "requests"}, {"cluster": "c2"}])
def test_an_offset_is_a_repeat_in_its_own_cluster_feed_topic_and_lane_alone(other: dict[str, Any]) -> None:
    runner, _ = runner_with({"c1": {"says": Says()}, "c2": {"says": Says()}})
    row = Release("1", "c1", "x", "alice", "why")
    runner.feed([BatchFrame(0, 10, 1, batch({5: row})), BatchFrame(0, 11, 1, batch({5: row}, **other))])

    assert 0 == runner.counts.repeats


def test_more_clusters_than_a_partition_can_have_are_counted_and_dropped() -> None:
    runner = Runner(0, only=())
    row = Region("r")
    for number in range(CLUSTERS_MOST + 2):
        runner.feed([BatchFrame(0, number, 1, batch({0: row}, cluster=f"c{number}", feed="inventory"))])

    assert CLUSTERS_MOST + 1 == len(runner.clusters)
    assert 2 == runner.counts.dropped_clusters


def test_reboots_are_counted_by_cluster_and_plan_and_a_repeat_is_none() -> None:
    log = Log()
    log.maintenance(1, "NODE_REBOOT_STARTED", server="s1", planned=True)
    log.maintenance(2, "NODE_REBOOT_STARTED", server="s2", planned=False)
    log.maintenance(3, "NODE_REBOOT_COMPLETED", server="s2", planned=False)
    runner = Runner(0, only=())
    runner.feed([*log.frames, *log.frames])

    assert {("c1", True): 1, ("c1", False): 1} == runner.counts.reboots


# -- configuration -----------------------------------------------------------------------------------------------


def test_a_configuration_holds_from_its_place_in_the_log_for_all_clusters() -> None:
    runner, log = runner_with({"c1": {}, "c2": {}})
    log.everyone(1, changed(text_of(7)))
    runner.feed(log.frames[-1:])
    log.cluster = "c3"
    log.inventory(["s1"], at_s=2)
    runner.feed(log.frames[-1:])

    assert {digest(text_of(7))} == {cluster.thresholds.digest for cluster in runner.clusters.values()}
    assert {"*", "c1", "c2", "c3"} == set(runner.clusters)


def test_of_two_starts_the_first_wins_and_a_person_may_change_it() -> None:
    log = Log()
    log.everyone(1, changed(text_of(1), "start", "a"))
    log.everyone(2, changed(text_of(2), "start", "b"))
    runner = Runner(0, only=())
    runner.feed(log.frames)
    assert digest(text_of(1)) == runner.clusters_thresholds().digest

    log.everyone(3, changed(text_of(3), "alice", "c"))
    log.everyone(4, changed(text_of(4), "start", "d"))
    runner.feed(log.frames[2:])
    assert digest(text_of(3)) == runner.clusters_thresholds().digest


def test_a_restored_engine_still_knows_that_it_was_configured() -> None:
    """Also where what was taken are the defaults, whose text is empty; and for a cluster that is made later."""
    log = Log()
    log.everyone(1, changed("", "start", "a"))
    before = Runner(0, only=())
    before.feed(log.frames)
    after = Runner(0, only=())
    after.restore(EVERYONE, decode_saved(encode_saved(before.save(EVERYONE))), 1)
    log.everyone(2, changed(text_of(2), "start", "b"))
    log.inventory(["s1"], at_s=3)
    log.everyone(4, changed(text_of(2), "start", "b"))
    after.feed(log.frames[1:])

    assert {digest("")} == {cluster.thresholds.digest for cluster in after.clusters.values()}
    assert after.clusters["c1"].configured


@pytest.mark.parametrize("text", ["[policy", "[policy]\nhysteresis_s = -1\n", "[detectors]\nblind = 3\n"])
def test_a_bad_text_is_refused_and_counted_and_the_old_stays(text: str) -> None:
    log = Log()
    log.everyone(1, changed(text_of(1), "start", "a"))
    log.everyone(2, changed(text, "alice", "b"))
    runner = Runner(0, only=())
    runner.feed(log.frames)

    assert digest(text_of(1)) == runner.clusters_thresholds().digest
    assert 1 == runner.counts.refused_configs


def test_a_start_whose_text_is_bad_leaves_room_for_the_next() -> None:
    log = Log()
    log.everyone(1, changed("[policy", "start", "a"))
    log.everyone(2, changed(text_of(2), "start", "b"))
    runner = Runner(0, only=())
    runner.feed(log.frames)

    assert digest(text_of(2)) == runner.clusters_thresholds().digest


def test_what_newer_code_knows_is_left_out_and_the_rest_holds() -> None:
    log = Log()
    log.everyone(1, changed(f"{text_of(9)}[detectors.not_made_yet]\nlimit_s = 1\n"))
    runner = Runner(0, only=())
    runner.feed(log.frames)

    assert 9 == runner.clusters_thresholds().policy.hysteresis_s
    assert 0 == runner.counts.refused_configs


def test_what_if_stays_as_it_was_given() -> None:
    log = Log()
    log.everyone(1, changed(text_of(1)))
    runner = Runner(0, parse(text_of(5), config_types()), only=(), pinned=True)
    runner.feed(log.frames)

    assert digest(text_of(5)) == runner.clusters_thresholds().digest


# -- time --------------------------------------------------------------------------------------------------------


def test_time_goes_by_pulsed_feeds_alone() -> None:
    """What a person writes into a simulated log of 2012 bears the stamp of today."""
    runner, log = runner_with({"c1": {}})
    log.clocks(60)
    log.everyone(86_400 * 5_000, changed(text_of(1)))
    runner.feed(log.frames[1:])
    assert START_MS + 60_000 == runner.at_ms

    log.clocks(90, feeds=("operator",))
    log.maintenance(70, "SERVER_STATE", server="s1", state="HI")
    runner.feed(log.frames[-2:])
    assert START_MS + 70_000 == runner.at_ms


def test_who_is_due_is_asked_in_the_order_of_the_times_over_all_clusters() -> None:
    """At one time: in the order of the clusters, then of the detectors."""
    asked: list[tuple[str, int, int]] = []
    ms = [START_MS + second * 1000 for second in range(10)]
    runner, log = runner_with(
        {
            "c1": {"a": Asks("c1/a", asked, ms[3], ms[7]), "b": Asks("c1/b", asked, ms[3])},
            "c2": {"a": Asks("c2/a", asked, ms[1], ms[3], ms[5])},
        }
    )
    log.clocks(8)
    runner.feed(log.frames[-1:])

    expected = [("c2/a", 1), ("c1/a", 3), ("c1/b", 3), ("c2/a", 3), ("c2/a", 5), ("c1/a", 7)]
    assert [(name, ms[second], ms[8]) for name, second in expected] == asked


def test_a_time_is_due_once_every_lane_has_passed_it_and_not_at_it() -> None:
    asked: list[tuple[str, int, int]] = []
    due_ms = START_MS + 10_000
    runner, log = runner_with({"c1": {"a": Asks("a", asked, due_ms)}})
    for at_s in (9, 10):
        log.clocks(at_s)
    log.clocks(20, feeds=(GUEST_AGENT, MAINTENANCE))
    runner.feed(log.frames[1:])
    assert [] == asked

    log.clocks(10.001, feeds=(HOST_AGENT,))
    runner.feed(log.frames[-1:])
    assert [("a", due_ms, due_ms + 1)] == asked


def test_clocks_of_a_lane_that_lags_do_not_bring_a_time_before_its_own() -> None:
    """Asked with an older stamp, a detector that speaks every 10 s would ask again for each millisecond between."""
    asked: list[tuple[str, int, int]] = []
    due_ms = START_MS + 3_600_000
    runner, log = runner_with({"c1": {}})
    log.clocks(3_700, feeds=(HOST_AGENT,))
    runner.feed(log.frames[-1:])
    runner.clusters["c1"].detectors["a"] = Throttled("a", asked, due_ms)
    log.clocks(60, feeds=(GUEST_AGENT,))
    runner.feed(log.frames[-1:])

    assert [("a", due_ms, due_ms)] == asked


def test_a_detector_that_names_its_time_again_for_ever_is_taken_out_and_its_neighbours_run() -> None:
    asked: list[tuple[str, int, int]] = []
    ms = START_MS + 1_000
    runner, log = runner_with({"c1": {"bad": AsksForEver("bad", asked, ms), "good": Asks("good", asked, ms, ms + 1)}})
    log.clocks(8)
    outputs = runner.feed(log.frames[-1:])

    assert ["bad", "good", "good"] == [name for name, *_ in asked]
    (finding,) = outputs
    assert isinstance(finding, Finding)
    assert ("engine", "bad", FindingState.OPEN) == (finding.detector, finding.facts["detector"], finding.state)
    assert "named" in finding.facts["error"]
    log.clocks(9)
    assert [] == runner.feed(log.frames[-1:])


# -- restore -----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_an_engine_restored_from_any_set_of_snapshots_says_the_same(seed: int) -> None:
    """`*` was saved first, every cluster at a later frame of its own: what it held already is passed over."""
    drawn = random.Random(seed)
    frames = WHOLE
    cuts = sorted(drawn.sample(range(1, len(frames)), 2))
    running = Runner(0)
    saved: dict[str, tuple[bytes, int]] = {}
    expected: list[bytes] = []
    for number, frame in enumerate(frames):
        if number == cuts[0]:
            saved[EVERYONE] = (encode_saved(running.save(EVERYONE)), number)
        if number == cuts[1]:
            saved["c1"] = (encode_saved(running.save("c1")), number)
        outputs = [msgspec.msgpack.encode(output) for output in running.feed([frame])]
        expected += outputs if number >= cuts[1] else []
    restored = Runner(0)
    for name, (data, next_offset) in saved.items():
        assert [] == restored.restore(name, decode_saved(data), next_offset)
    for frame in frames[cuts[0] : cuts[1]]:
        restored.feed([frame])

    assert expected == [msgspec.msgpack.encode(output) for output in restored.feed(frames[cuts[1] :])]
    assert encode_saved(running.save("c1")) == encode_saved(restored.save("c1"))


def test_the_log_of_these_tests_says_something() -> None:
    lines = short(output for output in Runner(0).feed(WHOLE) if isinstance(output, Finding))

    assert {"guest_timeout", "server_hi", "hi_threshold"} <= {line.split()[0] for line in lines}


# -- the fleet ---------------------------------------------------------------------------------------------------


def release(name: str = "r1", cluster: str = EVERYONE) -> Release:
    """Return a command."""
    return Release(name, cluster, "target", "alice", "why")


def commands(says: Says) -> list[list[str]]:
    """Return the commands that a detector saw, by frame."""
    batches = [frame.batch for frame in says.frames if isinstance(frame, BatchFrame)]
    return [[row.command_id for row in known.rows if isinstance(row, Release)] for known in batches]


def test_the_fleet_gets_findings_commands_and_clocks_and_makes_no_clusters() -> None:
    says = Says()
    fleet = Fleet()
    whole = fleet.runner.clusters[EVERYONE]
    whole.detectors["says"] = says
    finding = Finding(
        "f", "start_failure", Subject(cluster="c7"), FindingState.OPEN, Severity.CRITICAL, START_MS, START_MS, "t"
    )
    fleet.runner.feed([FindingFrame(0, 0, START_MS, finding), engine_clocks(1, 3, 0, 5, (0, 9))])
    fleet.offset = 2
    fleet.give(batch({0: release(cluster="c7")}, cluster="c7"))

    assert [FindingFrame, ClocksFrame, BatchFrame] == [type(frame) for frame in says.frames]
    assert ["f"] == says.heard
    assert [EVERYONE] == list(fleet.runner.clusters)


def test_decisions_go_into_the_picture_of_the_fleet_and_kinds_of_later_versions_are_counted() -> None:
    fleet = Fleet()
    made = Decision("d", "stop-updates", "cluster:c7", "PROPOSED", "advise", "why", ("f",), START_MS)
    fleet.runner.tell([DecisionFrame(0, 0, START_MS, made), OtherFrame(0, 1, START_MS, "Later")])

    assert {"d": made} == fleet.runner.clusters[EVERYONE].picture.fleet.decisions
    assert (1, 1, 2) == (fleet.runner.counts.decisions, fleet.runner.counts.others, fleet.runner.counts.frames)


def test_the_lanes_of_the_fleet_are_the_engines_partitions() -> None:
    asked: list[tuple[str, int, int]] = []
    fleet = Fleet()
    waits = Asks("a", asked, START_MS + 3_000)
    waits.feeds = ("engine",)  # type: ignore[misc]
    fleet.runner.clusters[EVERYONE].detectors["a"] = waits
    fleet.runner.feed([engine_clocks(0, 0, 0, 1, (0, 1)), engine_clocks(1, 1, 0, 5, (0, 1))])
    assert [] == asked

    fleet.runner.feed([engine_clocks(2, 0, 1, 4, (2, 3))])
    assert [("a", START_MS + 3_000, START_MS + 4_000)] == asked
    assert START_MS + 5_000 == fleet.runner.at_ms


def test_a_command_that_every_partition_brings_is_one() -> None:
    """The copies differ in lane and offset alone; a restored engine still knows them."""
    says = Says()
    fleet = Fleet()
    fleet.runner.clusters[EVERYONE].detectors["says"] = says
    fleet.give(batch({4: release()}, EVERYONE, lane=0), batch({9: release(), 10: release("r2")}, EVERYONE, lane=1))
    assert [["r1"], ["r2"]] == commands(says)

    restored = Runner(0, only=(), fleet=True)
    restored.restore(EVERYONE, decode_saved(encode_saved(fleet.runner.save(EVERYONE))), fleet.offset)
    again = Says()
    restored.clusters[EVERYONE].detectors["says"] = again
    restored.feed([BatchFrame(0, 2, 1, batch({3: release("r2"), 4: release("r3")}, EVERYONE, lane=2))])
    assert [["r3"]] == commands(again)


def test_commands_are_remembered_up_to_a_bound() -> None:
    fleet = Fleet()
    size = 500
    for start in range(0, COMMANDS_KEPT + size, size):
        fleet.give(batch({start + n: release(f"r{start + n}") for n in range(size)}, EVERYONE))
    positions = fleet.runner.clusters[EVERYONE].positions

    kept = [key for key in positions if key.startswith("command/")]
    assert COMMANDS_KEPT == len(kept)
    assert f"command/r{COMMANDS_KEPT + size - 1}" in kept


def test_what_has_no_id_of_its_own_is_taken_from_every_partition() -> None:
    fleet = Fleet()
    fleet.give(
        *(batch({0: Region("north", "south")}, EVERYONE, "inventory", lane=lane) for lane in range(3)),
        *(batch({0: changed(text_of(3))}, EVERYONE, lane=lane) for lane in range(3)),
    )

    assert "south" == fleet.runner.clusters[EVERYONE].picture.state.regions["north"].paired_with
    assert digest(text_of(3)) == fleet.runner.clusters_thresholds().digest


def test_the_detectors_of_clusters_do_not_run_in_the_fleet_nor_those_of_the_fleet_in_clusters() -> None:
    fleet = Runner(0, fleet=True).clusters[EVERYONE]
    partition = Runner(0).clusters[EVERYONE]

    assert {"fleet"} >= {type(detector).scope for detector in fleet.detectors.values()}
    assert {"partition", "both"} >= {type(detector).scope for detector in partition.detectors.values()}
    assert "blind" in partition.detectors
