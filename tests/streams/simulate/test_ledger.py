"""The facts of a simulation."""

import pytest

from streams.simulate.ledger import Fact, Ledger


def ledger(*facts: Fact) -> Ledger:
    found = Ledger()
    for fact in facts:
        found.add(fact)
    return found


def failed(at_ms: int, server: str, vm: str, signature: str = "x/1") -> Fact:
    return Fact("start_failed", at_ms, "north-1", server, vm, signature)


def test_facts_come_in_the_order_of_their_time_of_their_cluster_and_kind_alone() -> None:
    found = ledger(failed(20, "s1", "a"), failed(10, "s2", "b"), Fact("hi", 5, "north-1"), Fact("hi", 6, "south-1"))

    assert [10, 20] == [fact.at_ms for fact in found.facts("north-1", "start_failed")]
    assert 2 == found.count("hi")
    assert [] == found.facts("west-1", "hi")


def test_a_fault_tells_whom_it_hit_and_of_a_cluster_no_server() -> None:
    found = ledger(
        Fact("fault", 0, "north-1", "s1", "a", "bad"), Fact("fault", 0, "south-1", "", "", "bad"), Fact("hi", 0, "x")
    )

    assert {"s1"} == found.hit("bad", "server")
    assert {"north-1", "south-1"} == found.hit("bad", "cluster")
    assert set() == found.hit("bad", "vm", "south-1")


@pytest.mark.parametrize(("window_ms", "completed_ms"), [(19, None), (20, 30), (21, 30)])
def test_a_moment_comes_with_the_last_of_so_many_within_the_window(window_ms: int, completed_ms: int | None) -> None:
    found = ledger(failed(10, "s1", "a"), failed(20, "s1", "b"), failed(30, "s2", "c"))

    assert completed_ms == found.completed_ms("north-1", "start_failed", 3, 2, window_ms)


@pytest.mark.parametrize(("servers", "completed_ms"), [(1, 20), (2, 30), (3, None)])
def test_the_same_vm_twice_and_another_signature_complete_nothing(servers: int, completed_ms: int | None) -> None:
    found = ledger(
        failed(10, "s1", "a"), failed(11, "s1", "a"), failed(12, "s3", "z", "y/2"), failed(20, "s1", "b"),
        failed(30, "s2", "c"),
    )  # fmt: skip

    assert completed_ms == found.completed_ms("north-1", "start_failed", 2, servers, 100)


def test_another_processs_facts_are_taken_over() -> None:
    found = ledger(failed(10, "s1", "a"))
    found.merge(ledger(failed(5, "s2", "b")))

    assert [5, 10] == [fact.at_ms for fact in found.facts("north-1", "start_failed")]


@pytest.mark.parametrize(
    ("from_ms", "of", "completed_ms"),
    [(None, "*", 10), (10, "*", 10), (11, "*", 20), (None, "y/*", 30), (31, "*", None)],
)
def test_what_came_before_a_time_or_is_of_something_else_completes_nothing(
    from_ms: int | None, of: str, completed_ms: int | None
) -> None:
    found = ledger(failed(10, "s1", "a"), failed(20, "s1", "b"), failed(30, "s2", "c", "y/2"))

    assert completed_ms == found.completed_ms("north-1", "start_failed", 1, 1, 100, from_ms, of)


def test_an_interval_lasts_from_down_to_the_next_up_of_the_same_vm() -> None:
    ledger = Ledger()
    for kind, at_ms, vm in (("down", 1, "a"), ("down", 2, "b"), ("up", 5, "a"), ("down", 7, "a")):
        ledger.add(Fact(kind, at_ms, "north-1", "s", vm, "HOST_REBOOT"))

    assert [("a", 1, 5), ("b", 2, None), ("a", 7, None)] == [
        (one.vm, one.from_ms, one.until_ms) for one in ledger.intervals("north-1")
    ]
