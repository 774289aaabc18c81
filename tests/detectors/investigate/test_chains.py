"""VMs that fail to start, and when each times out next."""

import pytest

from detectors.frames import BatchFrame
from detectors.investigate.chains import CHAINS_KEPT, NEAR_MS, Chain, Chains
from detectors.lanes import Lanes
from detectors.picture import Picture
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject
from schemas.source import GaState, GuestEvent
from tests.kit import START_MS, Log, vm

LIMIT_MS = 1_500_000
HERE = Evidence(0, 0)


def pictured(log: Log) -> Picture:
    """Return the picture that a log's batches give."""
    picture = Picture("c1", Lanes())
    for frame in log.frames:
        if isinstance(frame, BatchFrame):
            picture.fold(frame)
    return picture


def timeout(at_s: float, in_a_row: int, server: str = "s1") -> Finding:
    """Return a time-out of `v1`."""
    at_ms = START_MS + round(at_s * 1000)
    subject = Subject(cluster="c1", server=server, vm="v1")
    numbers = {"in_a_row": float(in_a_row)}
    return Finding(
        f"t{at_s:g}", "guest_timeout", subject, FindingState.OPEN, Severity.WARNING, at_ms, at_ms, "", numbers=numbers
    )


def failed(incarnation: int = 1) -> GuestEvent:
    """Return a START_FAILED of `v1`."""
    return GuestEvent("g1", "c1", "s1", "v1", incarnation, 0, "START_FAILED")


def starting(at_s: float, incarnation: int = 1, server: str = "s1", log: Log | None = None) -> Log:
    """Return a log in which `v1` starts."""
    return (log or Log()).host(at_s, server, [vm("v1", incarnation, GaState.STARTING)])


@pytest.mark.parametrize(("in_a_row", "out_ms"), [(0, 3 * LIMIT_MS), (1, 2 * LIMIT_MS), (2, LIMIT_MS), (3, 0), (4, 0)])
def test_a_chain_goes_on_as_it_did(in_a_row: int, out_ms: int) -> None:
    """Of a start at 0: its third time-out, seen from each before it; from the third on, it has been."""
    chain = Chain("v1", "s1", in_a_row, LIMIT_MS, 0, "x", clean=True)

    assert out_ms == chain.out_ms(LIMIT_MS, 3)


def test_a_restart_told_late_does_not_put_off_the_next_time_out() -> None:
    """The host agent's clock runs from the limit on, however late its report of the restart is stamped."""
    chain = Chains().timed_out(timeout(1500, 1), pictured(starting(1500.4, 2)), LIMIT_MS)

    assert chain is not None
    assert START_MS + 1_500_000 + LIMIT_MS == chain.next_ms


def test_where_the_restart_is_not_seen_yet_it_counts_from_the_time_out() -> None:
    """The host agent acts at the limit."""
    chain = Chains().timed_out(timeout(1500, 1), pictured(starting(0)), LIMIT_MS)

    assert chain is not None
    assert START_MS + 1_500_000 + LIMIT_MS == chain.next_ms


def test_a_time_out_judged_when_it_is_over_leaves_nothing() -> None:
    """Contact since, or a start elsewhere, or healed away."""
    well = starting(0).host(1600, "s1", [vm("v1", 1, GaState.READY)])
    moved = starting(1600, 2, "s2", starting(0))
    healed = starting(0).maintenance(1600, "VM_HEALED", vm="v1", from_server="s1", to_server="s2")

    assert [None] * 3 == [
        Chains().timed_out(timeout(1500, 1), pictured(log), LIMIT_MS) for log in (well, moved, healed)
    ]


def test_a_failed_start_is_a_chain_of_none_yet() -> None:
    """Once, for the newest incarnation only, and not after contact."""
    chains, picture = Chains(), pictured(starting(0))
    chain = chains.failed(failed(), START_MS + 5_000, HERE, picture, LIMIT_MS)

    assert chain is not None
    assert (0, START_MS + LIMIT_MS, True) == (chain.in_a_row, chain.next_ms, chain.clean)
    assert chains.failed(failed(), START_MS + 6_000, HERE, picture, LIMIT_MS) is None
    assert Chains().failed(failed(2), START_MS + 6_000, HERE, picture, LIMIT_MS) is None
    well = pictured(starting(0).host(9, "s1", [vm("v1", 1, GaState.READY)]))
    assert Chains().failed(failed(), START_MS + 9_000, HERE, well, LIMIT_MS) is None


@pytest.mark.parametrize(
    ("late_ms", "in_a_row"),
    [(-NEAR_MS - 1, None), (-NEAR_MS, 1), (0, 1), (NEAR_MS, 1), (NEAR_MS + 1, None)],
)
def test_a_start_replaced_near_its_limit_has_timed_out(late_ms: int, in_a_row: int | None) -> None:
    """Within 5 s of it; else whether the new start fails is not known."""
    log = starting(0)
    chains = Chains()
    chains.failed(failed(), START_MS + 5_000, HERE, pictured(log), LIMIT_MS)
    start = pictured(starting(1500 + late_ms / 1000, 2, log=log)).vms["v1"].start
    assert start is not None
    chains.started("v1", start, LIMIT_MS)
    chain = chains.get("v1")

    assert in_a_row == (None if chain is None else chain.in_a_row)


def test_a_chain_that_is_under_way_outlives_a_start_at_another_time() -> None:
    """One time-out is told already: the next counts from the new start."""
    log = starting(1500.4, 2)
    chains = Chains()
    chains.timed_out(timeout(1500, 1), pictured(log), LIMIT_MS)
    start = pictured(starting(1700, 3, log=log)).vms["v1"].start
    assert start is not None
    chains.started("v1", start, LIMIT_MS)
    chain = chains.get("v1")

    assert chain is not None
    assert (1, START_MS + 1_700_000 + LIMIT_MS) == (chain.in_a_row, chain.next_ms)


def test_contact_and_leaving_end_a_chain_of_the_newest_start_alone() -> None:
    """A late word of an older incarnation ends nothing."""
    picture = pictured(starting(1500.4, 2, log=starting(0)))
    old, new = picture.vms["v1"].starts
    chains = Chains()
    chains.timed_out(timeout(1500, 1), picture, LIMIT_MS)
    chains.made_contact("v1", old, picture)
    chains.ended("v1", old, picture)
    assert chains.get("v1") is not None

    chains.made_contact("v1", new, picture)
    assert chains.get("v1") is None
    assert {} == chains.servers


def test_a_server_keeps_a_bounded_number_of_failing_vms() -> None:
    """One is enough to put it into HI."""
    log = Log().host(0, "s1", [vm(f"v{n}", 1, GaState.STARTING) for n in range(CHAINS_KEPT + 10)])
    picture, chains = pictured(log), Chains()
    for n in range(CHAINS_KEPT + 10):
        event = GuestEvent(f"g{n}", "c1", "s1", f"v{n}", 1, 0, "START_FAILED")
        chains.failed(event, START_MS + n, HERE, picture, LIMIT_MS)

    assert CHAINS_KEPT == len(chains.of("s1")) == len(chains.homes)
    chains.drop_server("s1")
    assert Chains() == chains


def test_delays_of_reports_do_not_add_up() -> None:
    """Each restart is told 0.9 s late by its report: the third time-out is expected 75 minutes after the start."""
    log, chains = starting(0), Chains()
    chains.failed(failed(), START_MS + 5_000, HERE, pictured(log), LIMIT_MS)
    for n in (1, 2):
        picture = pictured(starting(n * 1500 + 0.9, n + 1, log=log))
        start = picture.vms["v1"].start
        assert start is not None
        chains.started("v1", start, LIMIT_MS)
        chains.timed_out(timeout(n * 1500 + 0.9, n), picture, LIMIT_MS)
        chain = chains.get("v1")
        assert chain is not None

        assert START_MS + 4_500_000 == chain.out_ms(LIMIT_MS, 3)
