"""Tests of start_stall: how many stalled starts suffice, where, how soon; what it learns; when it is over."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.failfast.start_stall import StallState, StartStall
from schemas.outputs import Finding
from streams.engine.runner import Runner
from tests.kit import START_MS, Log, run, short, vm

ONLY = ("start_stall",)


class Cluster:
    """Servers that beat every minute, and VMs that start on them and make contact, or not."""

    def __init__(self, servers: int = 4, *, ga: str = "present") -> None:
        self.names = [f"s{n + 1}" for n in range(servers)]
        self.starts: list[tuple[float, str, str]] = []
        self.contacts: list[tuple[float, str, str]] = []
        self.ga = ga
        self.quiet: dict[str, tuple[float, float]] = {}

    def start(self, at_s: float, server: str, contact_s: float | None = None) -> None:
        name = f"v{len(self.starts)}"
        self.starts.append((at_s, name, server))
        if contact_s is not None:
            self.contacts.append((at_s + contact_s, name, server))

    def log(self, until_s: float, every_s: float = 60) -> Log:
        log = Log().inventory(self.names, racks=2, ga=self.ga)
        steps: list[tuple[float, int, str, str]] = []
        at_s = 0.0
        while at_s <= until_s:
            for n, server in enumerate(self.names):
                from_s, to_s = self.quiet.get(server, (0.0, 0.0))
                if not from_s < at_s + n < to_s:
                    steps.append((at_s + n, 0 if at_s else -1, server, ""))
            steps.append((at_s + len(self.names), 3, "", ""))
            at_s += every_s
        steps += [(at, 1, server, name) for at, name, server in self.starts]
        steps += [(at, 2, server, name) for at, name, server in self.contacts]
        for at, what, server, name in sorted(steps):
            if what == -1:
                log.host(at, server, vms=[])
            elif what == 0:
                log.host(at, server)
            elif what == 3:
                log.clocks(at)
            else:
                log.guest(at, name, "START" if what == 1 else "READY", server=server)
        return log

    def found(self, until_s: float) -> list[Finding]:
        return run(self.log(until_s).frames, only=ONLY)


def stalled(count: int, servers: int = 4, first_s: float = 100) -> Cluster:
    cluster = Cluster(servers)
    for n in range(count):
        cluster.start(first_s + n, cluster.names[n % servers])
    return cluster


def test_the_arithmetic_of_the_docstring() -> None:
    for rate, ratio, needed in ((0.93, 7.64, 7), (0.95, 10.5, 6), (0.857, 3.99, 10)):
        factor = (1 - rate / 2) / (1 - rate)

        assert math.isclose(ratio, factor, rel_tol=2e-3)
        assert factor ** (needed - 1) < 1e6 <= factor**needed * 1.0001


@pytest.mark.parametrize(("count", "findings"), [(6, 0), (7, 1), (8, 1)])
def test_seven_stalled_starts_in_a_row_suffice_at_the_prior_rate(count: int, findings: int) -> None:
    assert findings == len([f for f in stalled(count).found(600) if f.state == "OPEN"])


def test_ten_stalled_starts_on_two_servers_suffice() -> None:
    assert 1 == len([f for f in stalled(10, servers=2).found(600) if f.state == "OPEN"])


def test_it_is_told_within_six_minutes_after_the_tenth() -> None:
    cluster = stalled(10)
    finding = cluster.found(900)[0]
    tenth_s = cluster.starts[9][0]

    assert finding.opened_ms <= START_MS + (tenth_s + 360) * 1000
    assert finding.at_ms <= START_MS + (tenth_s + 375) * 1000


def test_opened_when_the_deciding_start_reached_its_age() -> None:
    assert ["start_stall c1 OPEN 406s"] == short(stalled(7).found(480))


@pytest.mark.parametrize("count", [10, 40])
def test_one_server_alone_never_suffices(count: int) -> None:
    cluster = Cluster()
    for n in range(count):
        cluster.start(100 + n, "s1")

    assert [] == cluster.found(900)


@pytest.mark.parametrize(("elsewhere", "findings"), [(1, 0), (3, 0), (4, 1)])
def test_without_its_worst_server_the_rest_must_still_speak(elsewhere: int, findings: int) -> None:
    cluster = Cluster()
    for n in range(20):
        cluster.start(100 + n, "s1")
    for n in range(elsewhere):
        cluster.start(130 + n, "s2")

    assert findings == len([f for f in cluster.found(600) if f.state == "OPEN"])


@pytest.mark.parametrize(("contact_s", "findings"), [(299.999, 0), (300, 0), (300.001, 1)])
def test_contact_at_exactly_the_age_is_contact(contact_s: float, findings: int) -> None:
    cluster = Cluster()
    for n in range(10):
        cluster.start(100 + n, cluster.names[n % 4], contact_s)

    assert findings == len([f for f in cluster.found(600) if f.state == "OPEN"])


def test_a_sound_cluster_says_nothing() -> None:
    """One in ten is late, here and there: worse than learned, and no stall."""
    cluster = Cluster()
    for n in range(300):
        cluster.start(70 + 10 * n, cluster.names[n % 4], 400 if n % 10 == 3 else 20)

    assert [] == cluster.found(4000)


def test_half_of_all_starts_is_enough_in_time() -> None:
    cluster = Cluster(7)
    for n in range(60):
        cluster.start(70 + 10 * n, cluster.names[n % 7], None if n % 2 else 20)

    assert ["OPEN"] == [f.state for f in cluster.found(1300) if f.state != "UPDATED"]


def test_servers_that_are_silent_give_no_evidence() -> None:
    """Power is lost a minute after the starts: nobody knows what became of them."""
    cluster = stalled(20)
    cluster.quiet = dict.fromkeys(cluster.names, (170.0, 4000.0))

    assert [] == cluster.found(3900)


def test_starts_ended_before_their_age_give_no_evidence() -> None:
    cluster = stalled(20)
    log = cluster.log(100)
    for n, (at_s, name, server) in enumerate(cluster.starts):
        log.maintenance(200 + n, "VM_DEALLOCATED", vm=name, server=server)
        assert at_s < 200
    for at_s in range(160, 900, 60):
        for server in cluster.names:
            log.host(at_s, server)
        log.clocks(at_s)

    assert [] == run(log.frames, only=ONLY)


def test_vms_in_the_first_report_of_a_server_are_no_starts() -> None:
    """An engine that begins to read sees VMs without contact that began long ago."""
    log = Log().inventory(4)
    for n in range(4):
        log.host(n, f"s{n + 1}", vms=[vm(f"v{n}-{k}", ga="SILENT") for k in range(10)])
    for at_s in range(60, 900, 60):
        for n in range(4):
            log.host(at_s, f"s{n + 1}")
        log.clocks(at_s)

    assert [] == run(log.frames, only=ONLY)


def test_clusters_without_guest_agents_have_no_stalls() -> None:
    cluster = stalled(20)
    cluster.ga = "none"

    assert [] == cluster.found(900)


# -- learning ----------------------------------------------------------------------------------------------------------


def detector_of(runner: Runner) -> StartStall:
    found = runner.clusters["c1"].detectors["start_stall"]
    assert isinstance(found, StartStall)
    return found


def test_a_quick_cluster_is_judged_sooner() -> None:
    """Two hundred starts in contact within 20 s: a stall is seen at the least age of 60 s, not at 300 s."""
    cluster = Cluster()
    for n in range(240):
        cluster.start(70 + 5 * n, cluster.names[n % 4], 20)
    for n in range(10):
        cluster.start(2000 + n, cluster.names[n % 4])
    finding = cluster.found(2400)[0]

    assert START_MS + 2_065_000 == finding.opened_ms
    assert 60 == finding.numbers["age_s"]


def test_a_stall_teaches_nothing() -> None:
    cluster = Cluster()
    for n in range(100):
        cluster.start(70 + 5 * n, cluster.names[n % 4], 20)
    for n in range(100):
        cluster.start(1000 + n, cluster.names[n % 4])
    runner = Runner(0, only=ONLY)
    run(cluster.log(2000).frames, runner=runner)
    state = detector_of(runner).state

    assert (100, 0) == (sum(state.ages), state.ages[-1])


def test_single_late_starts_are_learned_when_they_prove_to_be_single() -> None:
    cluster = Cluster()
    for n in range(40):
        cluster.start(70 + 5 * n, cluster.names[n % 4], 400 if n == 20 else 20)
    runner = Runner(0, only=ONLY)
    run(cluster.log(1000).frames, runner=runner)
    state = detector_of(runner).state

    assert (40, 1, []) == (sum(state.ages), state.ages[-1], state.held)


def test_the_histogram_is_bounded() -> None:
    detector = StartStall(StartStall.Config(), StallState())
    for _ in range(20_000):
        detector._count(3)

    assert sum(detector.state.ages) <= 4001


# -- its end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("good", "states"), [(9, ["OPEN"]), (10, ["OPEN", "CLOSED"])])
def test_ten_starts_in_contact_in_a_row_close_it(good: int, states: list[str]) -> None:
    cluster = stalled(10)
    for n in range(good):
        cluster.start(1000 + n, cluster.names[n % 4], 20)

    assert states == [f.state for f in cluster.found(1600) if f.state != "UPDATED"]


def test_missing_data_never_closes_it() -> None:
    cluster = stalled(10)
    log = cluster.log(600)
    log.clocks(50_000, gaps=[(601, 50_000)])

    assert ["OPEN"] == [f.state for f in run(log.frames, only=ONLY) if f.state != "UPDATED"]


# -- validity ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.93, 0.99))
def test_no_false_alarm_while_starts_do_as_well_as_the_rate(seed: int, rate: float) -> None:
    """A thousand starts at the prior rate or better, drawn anew: alarms are one in a thousand such runs at most."""
    draw = random.Random(seed)
    log_ratio, up = 0.0, math.log((1 - 0.93 / 2) / (1 - 0.93))
    for _ in range(1000):
        log_ratio = max(0.0, log_ratio + (math.log(0.5) if draw.random() < rate else up))

        assert log_ratio < math.log(1e6)


@pytest.mark.parametrize("seed", range(4))
def test_many_starts_of_one_minute_of_which_some_are_late_are_no_stall(seed: int) -> None:
    """An update domain starts a thousand VMs at once: 93 % in contact within 80 s, the others late as ever."""
    draw = random.Random(seed)
    cluster = Cluster(50)
    for n in range(1000):
        late = draw.random() > 0.93
        contact_s = draw.uniform(310, 480) if late else draw.uniform(30, 80)
        cluster.start(100 + draw.random() * 60, cluster.names[n % 50], contact_s)

    assert [] == short(cluster.found(900))


def test_an_engine_that_joins_a_running_fleet_learns_nothing_from_what_ran_before() -> None:
    """It hears beats, and only minutes later, in the next full reports, of VMs that are ready: those are no starts."""
    log = Log().inventory(4)
    names = [f"s{n + 1}" for n in range(4)]
    for at_s in range(0, 300, 60):
        for n, server in enumerate(names):
            log.host(at_s + n, server, seq=10 + at_s // 60, full_seq=9)
        log.clocks(at_s + 5)
    for n, server in enumerate(names):
        log.host(300 + n, server, [vm(f"v{k}-{server}") for k in range(60)])
    # A start after that is one.
    log.guest(400, "new", "START", server="s1")
    for at_s in range(360, 1200, 60):
        for n, server in enumerate(names):
            log.host(at_s + n, server)
        log.clocks(at_s + 5)
    runner = Runner(0, only=ONLY)
    run(log.frames, runner=runner)
    state = runner.clusters["c1"].detectors["start_stall"].state

    assert (0, 0, 1) == (sum(state.ages), state.contacts, state.stalls)
