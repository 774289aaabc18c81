"""The brake reached."""

import dataclasses

import pytest

from detectors.investigate.brake import brake
from detectors.investigate.hi_threshold import HiThreshold
from schemas.commands import Release
from schemas.inventory import InventoryComplete, Removed, Server
from schemas.outputs import Decision, Finding, FindingState
from streams.config.catalogue import config_types
from streams.config.thresholds import parse
from streams.engine.runner import Runner
from tests.detectors.investigate.failing import CHAIN, cluster, names, of
from tests.kit import START_MS, Log, decisions, run, short

ONLY = ("server_hi", "hi_threshold")


def hi(log: Log, servers: list[str], from_s: float = 60, state: str = "HI") -> Log:
    """Let the FC report servers, one a second."""
    for n, server in enumerate(servers):
        log.maintenance(from_s + n, "SERVER_STATE", server=server, state=state)
    return log


def thresholds(log: Log) -> list[Finding]:
    """Return what `hi_threshold` finds in a log."""
    return of(run(log.frames, only=ONLY), "hi_threshold")


@pytest.mark.parametrize("servers", [3, 5, 16, 49, 128, 1000])
def test_the_brake_is_reached_at_its_count_and_not_below(servers: int) -> None:
    """One below: nothing. At it: open, at the stamp of the server that crosses it. Above: still one."""
    least = brake(servers)

    assert [] == thresholds(hi(Log().inventory(servers), names(least - 1)))
    opened = thresholds(hi(Log().inventory(servers), names(least)))
    assert [f"hi_threshold c1 OPEN {60 + least - 1}s"] == short(opened)
    assert {"servers": least, "brake": least, "servers_counted": servers}.items() <= opened[0].numbers.items()

    more = thresholds(hi(Log().inventory(servers), names(min(servers, least + 1))))
    assert 1 == len([finding for finding in more if finding.state == FindingState.OPEN])


@pytest.mark.parametrize("servers", [1, 2])
def test_a_cluster_of_fewer_than_three_has_no_brake(servers: int) -> None:
    """However many are out."""
    assert [] == thresholds(hi(Log().inventory(servers), names(servers)))


@pytest.mark.parametrize(("fewest", "opened"), [(2, 1), (3, 0)])
def test_a_cluster_of_fewer_than_the_fewest_has_none_whatever_the_formula(fewest: int, opened: int) -> None:
    """Of two servers two would be enough, if two were not too few."""
    text = f"[detectors.hi_threshold]\nleast_servers = 2\nroot_factor = 0.5\nfewest_servers = {fewest}\n"
    runner = Runner(0, parse(text, config_types()), only=ONLY)

    assert opened == len(of(run(hi(Log().inventory(2), names(2)).frames, runner=runner), "hi_threshold"))


@pytest.mark.parametrize(("servers", "down"), [(1024, 14), (128, 10)])
def test_the_worst_of_the_public_record_does_not_trip(servers: int, down: int) -> None:
    """1.3 % of 1,024 and 7.8 % of 128 in ordinary service."""
    assert [] == thresholds(hi(Log().inventory(servers), names(down)))


def test_it_advises_to_stop_updates_and_healing_once_each() -> None:
    """The brake's decisions."""
    log = hi(Log().inventory(5), names(5))
    finding = thresholds(log)[0]

    assert finding.latched
    assert ("stop-updates", "disable-healing") == finding.advised
    assert ["stop-updates", "disable-healing"] == [decision.action for decision in decisions(log.frames)]


def test_servers_under_repair_count_by_the_fc_and_by_the_inventory() -> None:
    """One in HI, one taken away by the FC, one that the inventory has under repair."""
    log = Log().inventory(3)
    log.maintenance(10, "SERVER_STATE", server="s1", state="HI")
    log.maintenance(20, "SERVER_STATE", server="s2", state="OUT_FOR_REPAIR")
    log.batch("inventory", [(30, Server("c1", "s3", state="OUT_FOR_REPAIR"))])

    found = thresholds(log)
    assert ["hi_threshold c1 OPEN 30s"] == short(found)
    assert (1, 2) == (found[0].numbers["in_hi"], found[0].numbers["under_repair"])


def test_a_server_in_hi_and_under_repair_counts_once() -> None:
    """HI, then taken away."""
    log = hi(Log().inventory(3), ["s1", "s2"])
    hi(log, ["s1", "s2"], 70, "OUT_FOR_REPAIR")

    assert [] == thresholds(log)


def test_who_came_back_counts_no_more() -> None:
    """Out one after another is not out at once."""
    log = Log().inventory(3)
    for n, server in enumerate(names(3)):
        log.maintenance(60 + 20 * n, "SERVER_STATE", server=server, state="HI")
        log.maintenance(70 + 20 * n, "SERVER_STATE", server=server, state="READY")

    assert [] == thresholds(log)


def test_one_that_goes_as_another_comes_is_no_second_one() -> None:
    """Of one millisecond: what ends, ends first."""
    log = hi(Log().inventory(3), ["s1", "s2"], 60)
    log.maintenance(70, "SERVER_STATE", server="s1", state="READY")
    log.maintenance(70, "SERVER_STATE", server="s3", state="HI")

    assert [] == thresholds(log)


def test_a_server_outside_the_inventory_does_not_count() -> None:
    """Nor does one that was decommissioned."""
    log = Log().inventory(["s1", "s2", "s3"])
    log.batch("inventory", [(0, Server("c1", "s3", state="DECOMMISSIONED"))])

    assert [] == thresholds(hi(log, ["s1", "s2", "s3", "stranger", "other"]))


def test_before_the_inventory_is_complete_nothing_opens_and_then_what_was_true_does() -> None:
    """Of an unknown whole no share can be told; known, the moment is that of the crossing."""
    log = hi(Log().inventory(3, complete=False), names(3))

    assert [] == thresholds(log)
    log.batch("inventory", [(100, InventoryComplete("c1", 3))])
    assert ["hi_threshold c1 OPEN 62s"] == short(thresholds(log))


def test_a_brake_that_shrinks_is_judged_by_who_is_out_then() -> None:
    """Of 16 servers 6 stop it; of 3 left in the inventory 3 do."""
    log = hi(Log().inventory(16), names(3))
    log.batch("inventory", [(100, Removed("server", name)) for name in names(13, 4)])

    assert ["hi_threshold c1 OPEN 62s"] == short(thresholds(log))


def test_what_is_over_is_not_judged_by_a_brake_that_shrank_later() -> None:
    """Three were out of 16, and came back; then 13 servers leave the inventory."""
    log = hi(Log().inventory(16), names(3))
    hi(log, names(3), 80, "READY")
    log.batch("inventory", [(100, Removed("server", name)) for name in names(13, 4)])

    assert [] == thresholds(log)


def test_it_stays_when_servers_come_back() -> None:
    """Latched: a person releases it."""
    log = hi(hi(Log().inventory(3), names(3)), names(3), 100, "READY").clocks(120)

    found = thresholds(log)
    assert [FindingState.OPEN, FindingState.UPDATED, FindingState.UPDATED] == [finding.state for finding in found]
    assert 0 == found[-1].numbers["servers"]


def release(log: Log, at_s: float) -> None:
    """Let a person release the brake that this log leads to."""
    target = thresholds(log)[0].id
    log.batch("operator", [(at_s, Release(f"r{at_s:g}", "c1", target, "ada", "seen to"))])


def test_a_released_brake_opens_again_only_by_servers_not_released() -> None:
    """Two new ones are not enough beside three that were released; three are, or the same servers out anew."""
    log = hi(Log().inventory(5), names(4))
    release(log, 100)
    hi(log, ["s5"], 110)

    assert [FindingState.OPEN, FindingState.CLOSED] == [finding.state for finding in thresholds(log)]
    hi(log, names(3), 120, "READY")
    hi(log, names(3), 130)
    found = thresholds(log)
    assert "hi_threshold c1 OPEN 132s" == short(found)[-1]
    assert found[-1].id != found[0].id


def test_a_released_repair_counts_no_more_until_it_ends() -> None:
    """Said again, it is the same repair; after READY it is another."""
    log = hi(Log().inventory(3), names(3), 60, "OUT_FOR_REPAIR")
    release(log, 100)
    hi(log, names(3), 110, "OUT_FOR_REPAIR")

    assert FindingState.CLOSED == thresholds(log)[-1].state
    hi(log, names(3), 120, "READY")
    hi(log, names(3), 130, "OUT_FOR_REPAIR")
    assert "hi_threshold c1 OPEN 132s" == short(thresholds(log))[-1]


def test_releasing_a_server_takes_it_out_of_the_count() -> None:
    """A released server is not in HI."""
    log = hi(Log().inventory(3), ["s1"])
    server = run(log.frames, only=ONLY)[0].id
    log.batch("operator", [(62, Release("r", "c1", server, "ada", "seen to"))])

    assert [] == thresholds(hi(log, ["s2", "s3"], 63))


def test_a_late_judgement_gives_the_same_moment_as_an_early_one() -> None:
    """Three servers, two by time-outs judged late; the third, told by the FC, is back before they are judged."""
    told = []
    for late in (False, True):
        log = cluster(3).fail(["s1", "s2"], 2)
        log.tick(4390, ["s1", "s2"], 300)
        log.maintenance(4400, "SERVER_STATE", server="s3", state="HI")
        log.report(4500.2, ["s1", "s2"], 4)
        if not late:
            log.clocks(4501)
        log.maintenance(4502, "SERVER_STATE", server="s3", state="READY")
        log.clocks(4510)
        told.append(short(of(run(log.frames, only=CHAIN), "hi_threshold"))[0])

    assert ["hi_threshold c1 OPEN 4500.2s"] * 2 == told


def test_the_leap_day_reaches_the_brake_at_the_third_time_out_of_the_server_that_crosses() -> None:
    """13 of 50 servers restart VMs at midnight: 01:15:00 and a breath, within 2 s of that server's third time-out."""
    found = run(cluster(50).fail(names(13), 3).frames, only=CHAIN)
    brake_ms = of(found, "hi_threshold")[0].opened_ms
    third = [f.opened_ms for f in of(found, "guest_timeout") if f.numbers["in_a_row"] == 3 and f.state == "OPEN"]

    assert 1 == len([f for f in of(found, "hi_threshold") if f.state == FindingState.OPEN])
    assert START_MS + 4_500_000 <= brake_ms < START_MS + 4_501_000
    assert sorted(third)[brake(50) - 1] == brake_ms


def test_released_decisions_and_finding_go_together() -> None:
    """Through the engine: releasing the last decision closes the finding."""
    log = hi(Log().inventory(3), names(3))
    runner = Runner(0)
    outputs = runner.feed(log.frames)
    made = [output for output in outputs if isinstance(output, Decision)]
    taken = len(log.frames)
    for n, decision in enumerate(made):
        log.batch("operator", [(100 + n, Release(f"r{n}", "c1", decision.id, "ada", "seen to"))])
    closed = of(run(log.frames[taken:], runner=runner), "hi_threshold")

    assert 2 == len(made)
    assert ["hi_threshold c1 CLOSED 62s"] == short(closed)


def test_what_a_stranger_reads_names_cluster_count_and_next_step() -> None:
    """Title and explanation stand alone; evidence is the FC's records."""
    finding = thresholds(hi(Log().inventory(3), names(3)))[0]

    assert "cluster c1 has reached its brake: 3 of 3 servers out at once" == finding.title
    assert "Release the brake when the cause is known" in finding.explanation
    assert {"server": "s3", "servers": "s1, s2, s3"} == finding.facts
    assert 3 == len(finding.evidence)
    assert dataclasses.replace(finding, state=FindingState.OPEN) == finding


def test_how_near_the_brake_is_can_be_asked_at_any_time() -> None:
    """How many are out, and at how many it falls; nothing of a cluster too small for one, or not yet known."""
    log = hi(Log().inventory(16), names(2))
    runner = Runner(0, only=ONLY)
    run(log.frames, runner=runner)
    known = runner.clusters["c1"]
    detector = known.detectors["hi_threshold"]
    assert isinstance(detector, HiThreshold)
    assert (2, brake(16)) == detector.standing(known.picture)

    for servers, complete in ((2, True), (16, False)):
        other = Runner(0, only=ONLY)
        run(hi(Log().inventory(servers, complete=complete), names(2)).frames, runner=other)
        unknown = other.clusters["c1"].detectors["hi_threshold"]
        assert isinstance(unknown, HiThreshold)
        assert unknown.standing(other.clusters["c1"].picture) is None
