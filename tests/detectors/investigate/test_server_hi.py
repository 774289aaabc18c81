"""Servers in Human Investigate."""

import pytest

from detectors.investigate.server_hi import ServerHi
from schemas.commands import Release
from schemas.inventory import Removed
from schemas.outputs import Finding, FindingState, Severity, Subject
from schemas.source import MAINTENANCE
from streams.engine.runner import Runner
from tests.detectors.investigate.failing import CHAIN, cluster, give, names, of
from tests.kit import START_MS, Log, run, short

ONLY = ("server_hi",)


def timeout(at_s: float, in_a_row: int, vm: str = "v1", server: str = "s1", **facts: str) -> Finding:
    """Return a time-out as `guest_timeout` tells it."""
    return Finding(
        id=f"t-{server}-{vm}-{at_s:g}",
        detector="guest_timeout",
        subject=Subject(cluster="c1", server=server, vm=vm),
        state=FindingState.OPEN,
        severity=Severity.WARNING,
        opened_ms=START_MS + round(at_s * 1000),
        at_ms=START_MS + round(at_s * 1000),
        title="",
        numbers={"in_a_row": in_a_row},
        facts=facts,
    )


class Told:
    """`server_hi` alone, with time-outs given by hand between the frames of a log."""

    def __init__(self) -> None:
        self.log = Log().inventory(4)
        self.runner = Runner(0, only=ONLY)
        self.findings: list[Finding] = []
        self.taken = 0
        self.read()

    def read(self) -> "Told":
        """Feed what was added to the log."""
        self.findings += run(self.log.frames[self.taken :], runner=self.runner)
        self.taken = len(self.log.frames)
        return self

    def fc(self, at_s: float, state: str, server: str = "s1") -> "Told":
        """Let the FC speak."""
        self.log.maintenance(at_s, "SERVER_STATE", server=server, state=state)
        return self.read()

    def timeout(self, at_s: float, in_a_row: int, vm: str = "v1", **facts: str) -> "Told":
        """Give a time-out."""
        self.findings += give(self.runner, timeout(at_s, in_a_row, vm, **facts), self.log)
        return self

    def release(self, at_s: float) -> "Told":
        """Let a person release the newest finding."""
        target = self.findings[-1].id
        self.log.batch("operator", [(at_s, Release(f"r{at_s}", "c1", target, "ada", "seen to"))])
        return self.read()

    def lines(self) -> list[str]:
        """Return the findings in short."""
        return [line.removeprefix("server_hi c1/") for line in short(self.findings)]


@pytest.mark.parametrize(("in_a_row", "found"), [(2, 0), (3, 1), (4, 1)])
def test_the_third_time_out_in_a_row_opens(in_a_row: int, found: int) -> None:
    """Below, at and above the limit."""
    assert found == len(Told().timeout(4500, in_a_row).findings)


def test_three_time_outs_of_a_real_chain_put_a_server_into_hi_at_the_third() -> None:
    """Through guest_timeout: opened at 01:15:00.2 exactly, once."""
    log = cluster(4).fail(["s1"], 3)

    assert ["server_hi c1/s1 OPEN 4500.2s"] == short(of(run(log.frames, only=CHAIN), "server_hi"))


def test_two_time_outs_of_a_real_chain_do_not() -> None:
    """One fewer."""
    log = cluster(4).fail(["s1"], 2)

    assert [] == of(run(log.frames, only=CHAIN), "server_hi")


def test_a_vm_that_is_not_clean_never_counts() -> None:
    """Its cause is open: customer code may keep the agent away."""
    assert [] == Told().timeout(4500, 3, counts_towards_hi="no").findings


def test_the_fc_opens_in_the_frame_that_brings_its_word() -> None:
    """With the stamp of its record."""
    assert ["s1 OPEN 60s"] == Told().fc(60, "HI").lines()


def test_a_server_has_one_finding_whatever_the_causes() -> None:
    """The FC's word after the time-outs is added, not opened; so is another VM."""
    told = Told().timeout(4500, 3).timeout(4500.1, 3, "v2").fc(4501, "HI")
    told.log.clocks(4512)
    told.read()

    assert ["s1 OPEN 4500s", "s1 UPDATED 4500s"] == told.lines()
    assert {"cause": "time-outs and fc", "vm": "v1"} == told.findings[-1].facts
    assert 2 == told.findings[-1].numbers["vms"]


def test_a_time_out_judged_late_moves_the_moment_back() -> None:
    """The FC spoke first, of a time-out that came to light later: the server was out from that on, said at once."""
    assert ["s1 OPEN 4501s", "s1 UPDATED 4500s"] == Told().fc(4501, "HI").timeout(4500, 3).lines()


def test_ready_closes_and_nothing_else_does() -> None:
    """Latched: OUT_FOR_REPAIR is no end of it."""
    told = Told().fc(60, "HI").fc(70, "OUT_FOR_REPAIR")

    assert ["s1 OPEN 60s"] == told.lines()
    assert told.findings[0].latched

    assert ["s1 OPEN 60s", "s1 CLOSED 60s"] == told.fc(80, "READY").lines()
    assert START_MS + 80_000 == told.findings[-1].numbers["ended_ms"]


def test_ready_from_before_the_time_out_does_not_close() -> None:
    """READY at 4,499 s says nothing of what happened at 4,500 s, though it is read later."""
    told = Told().timeout(4500, 3).fc(4499, "READY")

    assert ["s1 OPEN 4500s"] == told.lines()


def test_ready_read_first_ends_the_same() -> None:
    """The other order of the lanes: the time-out is judged after READY, and was over by then."""
    late = Told().fc(4600, "READY").timeout(4500, 3).lines()
    early = Told().timeout(4500, 3).fc(4600, "READY").lines()

    assert early == late == ["s1 OPEN 4500s", "s1 CLOSED 4500s"]


def test_of_two_words_of_one_stamp_the_later_holds() -> None:
    """READY and then HI in one millisecond: the server is in HI."""
    assert ["s1 OPEN 60s"] == Told().fc(60, "READY").fc(60, "HI").lines()


def test_what_led_to_hi_before_ready_does_not_lead_to_it_again() -> None:
    """After READY three more time-outs of the same VM are needed."""
    told = Told().timeout(4500, 3).fc(4600, "READY").timeout(6000, 4).timeout(7500, 5)

    assert ["s1 OPEN 4500s", "s1 CLOSED 4500s"] == told.lines()
    assert "s1 OPEN 9000s" == told.timeout(9000, 6).lines()[-1]


def test_a_released_server_opens_again_only_by_something_new() -> None:
    """The fourth time-out of the same chain is not new; the third of another VM is, under another id."""
    told = Told().timeout(4500, 3).release(4600).timeout(6000, 4)

    assert ["s1 OPEN 4500s", "s1 CLOSED 4500s"] == told.lines()
    assert "released by ada: seen to" == told.findings[-1].close_reason

    told.timeout(6010, 3, "v2")
    assert "s1 OPEN 6010s" == told.lines()[-1]
    assert told.findings[-1].id != told.findings[0].id


def test_a_released_server_opens_again_by_a_new_word_of_the_fc() -> None:
    """Another record, another id."""
    told = Told().fc(60, "HI").release(70).fc(80, "HI")

    assert ["s1 OPEN 60s", "s1 CLOSED 60s", "s1 OPEN 80s"] == told.lines()


def test_a_chain_that_began_anew_counts_from_its_beginning() -> None:
    """Contact, then three new ones: what was spent before is forgotten."""
    told = Told().timeout(4500, 3).release(4600).timeout(7000, 1).timeout(8500, 2).timeout(10_000, 3)

    assert "s1 OPEN 10000s" == told.lines()[-1]


def test_a_server_that_leaves_the_inventory_is_closed_as_removed() -> None:
    """Its end is told as what it is."""
    told = Told().fc(60, "HI")
    told.log.batch("inventory", [(70, Removed("server", "s1"))])
    told.read()

    assert "removed" == told.findings[-1].close_reason


def test_what_a_stranger_reads_names_the_server_and_the_next_step() -> None:
    """Title and explanation stand alone."""
    finding = Told().timeout(4500, 3).findings[0]

    assert "server s1 is in Human Investigate: VM v1 timed out 3 times in a row" == finding.title
    assert "fault_class" in finding.explanation


def test_a_state_holds_a_bounded_number_of_vms_of_a_server() -> None:
    """The oldest go first."""
    told = Told()
    for n in range(300):
        told.timeout(4500 + n, 3, f"v{n}")
    detector = told.runner.clusters["c1"].detectors["server_hi"]
    assert isinstance(detector, ServerHi)

    assert 256 == len(detector.state.wards["s1"].chains)
    assert MAINTENANCE in detector.feeds
    assert names(1) == list(detector.state.wards)
