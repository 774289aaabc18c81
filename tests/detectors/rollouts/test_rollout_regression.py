"""rollout_regression: guilty, cleared, and above all inconclusive, at its limits."""

from __future__ import annotations

import pytest

from detectors.rollouts.rollout_regression import Config, RolloutRegression
from schemas.outputs import Finding, Severity, Verdict
from schemas.source import HOST_AGENT, MAINTENANCE
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.runner import Runner
from tests.detectors.rollouts.rolling import HOUR_S, ONLY, Rolling, guilty, innocent
from tests.kit import short

HALT = ("halt-rollout", "quarantine-version")


def verdicts(findings: list[Finding]) -> list[str]:
    """Return the verdicts in their order, each once in a row."""
    told: list[str] = []
    for finding in findings:
        if not told or told[-1] != finding.verdict:
            told.append(str(finding.verdict))
    return told


def test_a_change_whose_starts_fail_is_guilty_and_says_what_to_stop() -> None:
    last = guilty().said()[-1]

    assert (Verdict.GUILTY, Severity.CRITICAL, HALT) == (last.verdict, last.severity, last.advised)
    subject = last.subject
    assert ("c1", "r", "ga", "2.0") == (subject.cluster, subject.rollout, subject.component, subject.version)
    assert last.title.startswith(
        "rollout r (ga 2.0) in c1 is guilty: 40 of 80 starts with it failed with boot:E_NEW on 20 servers, without it 0"
    )
    assert last.numbers["ratio_low"] > 1
    assert last.numbers["exposed_failed"] == 40
    assert "boot:E_NEW" == last.facts["signature"]


def test_it_opens_with_the_first_start_with_the_change() -> None:
    first = guilty().said()[0]

    assert ["rollout_regression c1/r/ga/2.0 OPEN 90036s"] == short([first])
    assert Verdict.INCONCLUSIVE == first.verdict
    assert Severity.INFO == first.severity
    assert () == first.advised


def test_a_change_of_versions_that_nobody_announced_is_judged_too() -> None:
    world = Rolling()
    for hour in range(1, 24, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    for step, hour in enumerate((25, 33)):
        reached = world.servers[step * 10 : step * 10 + 10]
        world.beats(hour - 1, hour).shown(hour, reached, ha="2.0")
        world.starts(hour + 0.01, reached, each=4, error="E_NEW", failing=2)
        world.starts(hour + 0.2, world.servers[20:], each=1).beats(hour + 1, hour + 7)
    last = world.said()[-1]

    assert (Verdict.GUILTY, None, "ha", "2.0") == (
        last.verdict,
        last.subject.rollout,
        last.subject.component,
        last.subject.version,
    )


def test_the_same_error_without_the_change_clears_it() -> None:
    """The leap day: every start fails from one moment on, and the rollout only made them many."""
    findings = innocent().said()

    assert Verdict.CLEARED == findings[-1].verdict
    assert Verdict.GUILTY not in verdicts(findings)
    assert "as frequent without it" in findings[-1].title


def test_no_failure_in_many_starts_and_server_hours_clears_it() -> None:
    """And fewer than that do not: see the number at which it turns."""
    world = Rolling(servers=200)
    world.beats(1, 3).update(3, world.servers)
    for hour in range(3, 15):
        world.starts(hour + 0.1, world.servers, each=1).beats(hour + 1, hour + 2)
    findings = world.said()

    assert ["INCONCLUSIVE", "CLEARED"] == verdicts(findings)
    cleared = next(finding for finding in findings if finding.verdict == Verdict.CLEARED)
    assert 669 < cleared.numbers["starts"] <= 1400
    assert "no more than 0.5 % of its starts and 0.5 % of its server-hours can be failing for it" in cleared.title


def spoiled(how: str) -> Rolling:
    """Return the cluster of the test above with something missing."""
    world = Rolling(servers=200, complete=how != "inventory")
    world.beats(1, 3).update(3, world.servers)
    for hour in range(3, 15):
        world.starts(hour + 0.1, world.servers, each=1)
        if how == "silence" and hour > 4:
            world.log.clocks((hour + 1) * HOUR_S + 1)
        elif how == "gap":
            world.beats(hour + 1, hour + 2)
            world.log.clocks((hour + 1) * HOUR_S + 2, gaps=[(hour * HOUR_S, hour * HOUR_S + 1000)])
        else:
            world.beats(hour + 1, hour + 2)
    return world


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("inventory", "the inventory is not complete"),
        ("silence", "200 of 200 changed servers are not heard"),
        ("gap", "were not watched"),
    ],
)
def test_what_is_missing_clears_nothing(how: str, why: str) -> None:
    findings = spoiled(how).said()

    assert ["INCONCLUSIVE"] == verdicts(findings) or how == "silence"
    assert why in findings[-1].title


def test_running_vms_are_no_starts() -> None:
    """Servers that merely run on for a week, with a change on them, clear nothing: nothing has started."""
    world = Rolling(servers=100)
    world.beats(1, 3).shown(3, world.servers, ha="2.0").beats(4, 100)
    last = world.said()[-1]

    assert Verdict.INCONCLUSIVE == last.verdict
    assert "too few starts" in last.title


def test_without_any_control_it_is_not_known() -> None:
    """All starts there ever were are with the change: nothing says that they would go well without it."""
    world = Rolling()
    world.beats(1, 3).update(3, world.servers)
    world.starts(3.1, world.servers, each=4, error="E_NEW", failing=2).beats(4, 8)
    last = world.said()[-1]

    assert Verdict.INCONCLUSIVE == last.verdict
    assert 80 == last.numbers["exposed_failed"]


@pytest.mark.parametrize(("failing", "guilt"), [(2, False), (3, True)])
def test_it_takes_three_servers(failing: int, guilt: bool) -> None:
    """Each of whose racks has others that start well; one or two servers may be broken."""
    world = Rolling(servers=60, racks=20)
    for hour in range(1, 48, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=2)
    for hour in (49, 57, 65):
        world.beats(hour - 1, hour).update(hour, world.servers[:6])
        world.starts(hour + 0.1, world.servers[:failing], each=4, error="E_NEW", failing=4)
        world.starts(hour + 0.2, world.servers[10:], each=2).beats(hour + 1, hour + 7)

    assert guilt == (Verdict.GUILTY in verdicts(world.said()))


@pytest.mark.parametrize(("rest_h", "guilt"), [(0.8, False), (1.1, True)])
def test_where_two_were_changed_both_decide_once_it_rests(rest_h: float, guilt: bool) -> None:
    """A rollout that has just begun is not judged by its first two servers."""
    world = Rolling(servers=60, racks=20)
    for hour in range(1, 48, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=2)
    world.beats(48, 49).update(49, world.servers[:2])
    for n in range(3):
        world.starts(49.1 + n / 100, world.servers[:2], each=4, error="E_NEW", failing=4)
        world.starts(49.2 + n / 10, world.servers[10:], each=2)
    world.log.clocks((49 + rest_h) * HOUR_S)
    if rest_h > 1:
        world.starts(49 + rest_h, world.servers[:2], each=1, error="E_NEW", failing=1)

    assert guilt == (Verdict.GUILTY in verdicts(world.said()))


def test_one_rack_alone_does_not_make_a_change_guilty() -> None:
    """All failures are on the servers of one rack, however many."""
    world = Rolling(servers=80, racks=8)
    for hour in range(1, 24, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    world.update(25, world.servers[:40])
    for hour in range(25, 45, 4):
        world.beats(hour, hour + 4)
        world.starts(hour + 0.1, world.servers[:40:8], each=4, error="E_RACK", failing=4)
        world.starts(hour + 0.2, [s for n, s in enumerate(world.servers) if n % 8], each=1)
    findings = world.said()

    assert ["INCONCLUSIVE"] == verdicts(findings)
    assert 5 == findings[-1].numbers["servers_failed"]


def faulty(planned: bool | None, *, said: bool = True) -> Rolling:
    """Return servers that reboot after a change, in two steps, while those beside do not."""
    world = Rolling(servers=40, racks=8)
    world.beats(1, 30).update(30, world.servers[:10], component="ha")
    for step, hour in enumerate((31, 40)):
        for n in range(10):
            server = world.servers[step * 10 + n]
            if said:
                world.log.maintenance(
                    (hour + 1 + n / 3) * HOUR_S, "NODE_REBOOT_STARTED", server=server, planned=planned
                )
        world.beats(hour, hour + 8)
        if not step:
            world.update(hour + 8, world.servers[10:20], component="ha")
    return world


@pytest.mark.parametrize(("planned", "verdict"), [(False, Verdict.GUILTY), (True, Verdict.INCONCLUSIVE)])
def test_unplanned_reboots_count_and_planned_ones_do_not(planned: bool, verdict: str) -> None:
    last = faulty(planned).said()[-1]

    assert verdict == last.verdict


def test_two_changes_at_once_are_told_apart() -> None:
    """A on servers 1-20, B on 11-30: starts fail where A is, with B and without it."""
    world = Rolling(servers=40)
    for hour in range(1, 24, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    for hour in (25, 33, 41):
        world.beats(hour - 1, hour)
        world.update(hour, world.servers[:20], rollout="a").update(
            hour, world.servers[10:30], rollout="b", component="ha"
        )
        world.starts(hour + 0.1, world.servers[:20], each=4, error="E_A", failing=2)
        world.starts(hour + 0.3, world.servers[20:], each=4).beats(hour + 1, hour + 7)
    last = {finding.subject.rollout: finding for finding in world.said()}

    assert Verdict.GUILTY == last["a"].verdict
    assert Verdict.GUILTY != last["b"].verdict


def test_two_changes_that_always_came_together_are_not_and_name_each_other() -> None:
    world = Rolling(servers=40)
    for hour in range(1, 24, 2):
        world.beats(hour, hour + 2).starts(hour + 1.2, world.servers, each=1)
    for hour in (25, 33, 41):
        world.beats(hour - 1, hour)
        for name, component in (("a", "ga"), ("b", "ha")):
            world.update(hour, world.servers[:20], rollout=name, component=component)
        world.starts(hour + 0.1, world.servers[:20], each=4, error="E_A", failing=2)
        world.starts(hour + 0.3, world.servers[20:], each=4).beats(hour + 1, hour + 7)
    last = {finding.subject.rollout: finding for finding in world.said()}

    assert {"a": Verdict.INCONCLUSIVE, "b": Verdict.INCONCLUSIVE} == {n: f.verdict for n, f in last.items()}
    assert "rollout b (ha 2.0)" == last["a"].facts["confounders"]


@pytest.mark.parametrize(("timeout_s", "failed"), [(1500, 10), (1501, 0)])
def test_a_start_without_contact_fails_after_its_time(timeout_s: float, failed: int) -> None:
    """Contact comes at 1500.5 s: too late by half a second, or in time."""
    world = Rolling()
    world.beats(1, 3).update(3, world.servers[:10])
    for server in world.servers[:10]:
        world.start(3 * HOUR_S, server, f"v{server}", silent=True)
    for server in world.servers[:10]:
        world.log.guest(3 * HOUR_S + 1500.5, f"v{server}", "READY", server=server)
    world.beats(4, 6)
    runner = Runner(0, only=ONLY)
    detector = runner._make("c1").detectors["rollout_regression"]
    detector.config = Config(timeout_s=timeout_s)
    last = world.said(runner)[-1]

    assert failed == last.numbers.get("exposed_failed", 0)


def test_it_is_forgotten_after_its_days_when_the_component_was_changed_again() -> None:
    world = Rolling(servers=4)
    world.beats(1, 3).update(3, world.servers)
    world.starts(3.1, world.servers, each=1)
    for day in range(1, 36):
        world.beats(24 * day, 24 * day + 1)
        if day == 2:
            world.update(24 * day + 2, world.servers, rollout="next")
    closed = [finding for finding in world.said() if finding.state == "CLOSED"]

    assert ["r"] == [finding.subject.rollout for finding in closed]
    assert 33 * 86_400 > (closed[0].at_ms - world.log.start_ms) / 1000 > 30 * 86_400


def test_what_is_still_in_force_is_remembered() -> None:
    world = Rolling(servers=4)
    world.beats(1, 3).update(3, world.servers)
    world.starts(3.1, world.servers, each=1)
    for day in range(1, 36):
        world.beats(24 * day, 24 * day + 1)

    assert [] == [finding for finding in world.said() if finding.state == "CLOSED"]


def test_it_goes_on_after_a_restore() -> None:
    frames = guilty().log.frames
    cut = len(frames) * 3 // 4
    whole = Runner(0, only=ONLY)
    before = Runner(0, only=ONLY)
    expected = whole.feed(frames)
    first = before.feed(frames[:cut])
    after = Runner(0, only=ONLY)
    for name in sorted(before.clusters, key=lambda known: known != "*"):
        after.restore(name, decode_saved(encode_saved(before.save(name))), cut)

    assert expected == [*first, *after.feed(frames[cut:])]


def test_it_reads_all_feeds_that_could_explain() -> None:
    assert {HOST_AGENT, MAINTENANCE} < set(RolloutRegression.feeds)
