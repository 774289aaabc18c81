"""Tests of instances: marks in order of stamp, incarnations, counts by service and update domain."""

from __future__ import annotations

from detectors.rollouts.instances import DOWN, FRESH, OFF, UP, Instance, Roll, ServiceCount


def roll(vms: int = 4, domains: int = 2) -> Roll:
    found = Roll()
    for n in range(vms):
        found.instances[f"v{n}"] = Instance("web", n % domains)
        count = found.services.setdefault("web", ServiceCount())
        count.all += 1
        count.domains[n % domains] = count.domains.get(n % domains, 0) + 1
    return found


def test_marks_are_taken_in_order_of_stamp_whatever_order_they_come_in() -> None:
    state = roll()
    state.mark(30, UP, "v0", 2)
    state.mark(20, DOWN, "v0", 2)
    state.mark(40, DOWN, "v1", 1)

    assert {"web": None} == state.take(39, 2)
    assert {} == state.services["web"].missing
    state.take(40, 2)
    assert {"v1": 40} == state.services["web"].missing


def test_of_one_stamp_ready_counts() -> None:
    state = roll()
    state.mark(20, UP, "v0", 1)
    state.mark(20, DOWN, "v0", 1)
    state.take(20, 2)

    assert {} == state.services["web"].missing


def test_what_an_older_incarnation_was_is_nothing() -> None:
    state = roll()
    state.mark(20, DOWN, "v0", 2)
    state.mark(25, UP, "v0", 1)
    state.take(30, 2)

    assert {"v0": 20} == state.services["web"].missing


def test_deep_and_two_hold_from_their_stamp_on() -> None:
    state, count = roll(), ServiceCount()
    for n, at_ms in enumerate((10, 20, 30)):
        state.mark(at_ms, DOWN, f"v{n}", 1)
    state.take(30, 2)
    count = state.services["web"]

    assert (2, 1, True, 30, 20) == (count.largest, count.ready, count.deep, count.deep_ms, count.two_ms)

    state.mark(40, UP, "v0", 1)
    state.mark(50, UP, "v1", 1)
    state.take(50, 2)
    assert (None, None) == (count.deep_ms, count.two_ms)


def test_a_deallocated_instance_is_none_until_a_later_incarnation() -> None:
    state = roll()
    state.mark(5, DOWN, "v0", 1)
    state.mark(10, OFF, "v0", -1)
    state.mark(10, DOWN, "v0", 1)
    state.take(10, 2)
    assert (3, {}, 2) == (state.services["web"].all, state.services["web"].missing, state.services["web"].largest)

    state.mark(20, DOWN, "v0", 2)
    state.take(20, 2)
    assert (4, {"v0": 20}) == (state.services["web"].all, state.services["web"].missing)


def test_a_created_instance_is_none_until_it_is_ready() -> None:
    state = roll()
    state.mark(10, DOWN, "v0", 1)
    state.mark(11, FRESH, "v0", -1)
    state.take(15, 2)
    assert 3 == state.services["web"].all

    state.mark(20, UP, "v0", 1)
    state.mark(21, FRESH, "v0", -1)
    state.take(30, 2)
    assert (4, UP) == (state.services["web"].all, state.instances["v0"].state)


def test_vms_of_no_service_leave_no_marks() -> None:
    state = roll()
    state.mark(10, DOWN, "stranger", 1)

    assert [] == state.marks
