"""In which order services should come back."""

from detectors.fleet.services import recovery_order
from schemas.inventory import Service

SERVICES = {
    each.service: each
    for each in (
        Service("acs", priority=1),
        Service("bus", priority=2, depends_on=("acs",)),
        Service("portal", priority=1, depends_on=("bus",)),
        Service("alone", priority=1),
        Service("unset"),
    )
}


def names(**counted: tuple[int, int]) -> list[str]:
    return [one.words() for one in recovery_order(SERVICES, counted)]


def test_what_others_need_comes_first_and_who_needs_it_is_affected() -> None:
    assert ["acs (1 of 4 up)", "bus (needs acs)", "portal (needs acs)"] == names(acs=(1, 4))


def test_among_equals_priority_then_how_much_is_out() -> None:
    assert ["alone (3 of 4 up)", "portal (4 of 5 up)", "unset (0 of 9 up)"] == names(
        unset=(0, 9), portal=(4, 5), alone=(3, 4)
    )
    assert ["portal (2 of 5 up)", "alone (3 of 4 up)"] == names(portal=(2, 5), alone=(3, 4))


def test_nothing_out_nothing_to_recover() -> None:
    assert [] == names(acs=(4, 4))


def test_a_circle_of_needs_ends() -> None:
    circle = {"a": Service("a", depends_on=("b",)), "b": Service("b", depends_on=("a",))}

    assert ["a", "b"] == [one.service for one in recovery_order(circle, {"a": (0, 1)})]
