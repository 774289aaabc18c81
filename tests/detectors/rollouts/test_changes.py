"""changes: whose doing a version is, and where it was in force."""

from __future__ import annotations

import pytest

from detectors.rollouts.changes import ANNOUNCED_MS, CHANGES_MOST, SEEN_LATE_MS, Changes, Told
from detectors.rollouts.ledger import BESIDE, parsed
from schemas.outputs import Evidence

E = Evidence(0, 0)
GA = {"ga": ("1.0", "2.0")}


def announced() -> Changes:
    changes = Changes()
    changes.announce("r", Told("ga", "1.0", "2.0", "m1", E))
    changes.updated("r", 1000, "m2", E, server="s1")
    return changes


@pytest.mark.parametrize(("after_ms", "known"), [(ANNOUNCED_MS, 1), (ANNOUNCED_MS + 1, 2)])
def test_a_version_shown_after_its_announcement_is_the_rollouts(after_ms: int, known: int) -> None:
    changes = announced()
    changes.shown("s1", 1000 + after_ms, GA, "s1/b/r/1", E)

    assert known == len(changes.known)


def test_a_version_nobody_announced_is_a_change_of_its_own() -> None:
    """In force from a little before the report that shows it."""
    changes = announced()
    change = changes.shown("s2", 1_000_000, {"ha": ("1", "2"), "netplugin": ("1", "3")}, "s2/b/r/1", E)

    assert ("", "ha", "2", "1") == (change.rollout, change.component, change.version, change.from_version)
    assert [1_000_000 - SEEN_LATE_MS, -1] == change.servers["s2"]


def test_what_is_changed_again_is_no_longer_in_force() -> None:
    changes = announced()
    changes.shown("s1", 1000 + ANNOUNCED_MS + SEEN_LATE_MS, {"ga": ("2.0", "1.0")}, "s1/b/r/9", E)

    assert changes.known["r"].superseded
    assert changes.known["r"].in_force("s1", "", 1000 + ANNOUNCED_MS - 1) == 1000
    assert changes.known["r"].in_force("s1", "", 1000 + ANNOUNCED_MS) is None


def test_another_component_supersedes_nothing() -> None:
    changes = announced()
    changes.shown("s1", 10 * ANNOUNCED_MS, {"ha": ("1", "2")}, "s1/b/r/9", E)

    assert not changes.known["r"].superseded


@pytest.mark.parametrize(
    ("server", "at_ms", "expected"), [("s1", 999, {}), ("s1", 1000, {1: 0}), ("s2", 999, {}), ("s2", 1000, {1: BESIDE})]
)
def test_a_change_is_in_force_where_it_came_and_beside_elsewhere(
    server: str, at_ms: int, expected: dict[int, int]
) -> None:
    assert expected == parsed(announced().pattern(server, "", at_ms)[0])


@pytest.mark.parametrize(("version", "age"), [("", 0), ("2.0", 0), ("1.0", BESIDE)])
def test_a_start_with_the_old_guest_agent_is_not_with_the_new_one(version: str, age: int) -> None:
    assert {1: age} == parsed(announced().pattern("s1", "v", 2000, version)[0])


def test_vms_are_changed_one_by_one() -> None:
    changes = Changes()
    changes.updated("os", 1000, "m1", E, vm="v1")

    assert {1: 0} == parsed(changes.pattern("s1", "v1", 1000)[0])
    assert {1: BESIDE} == parsed(changes.pattern("s1", "v2", 1000)[0])


def test_what_was_announced_late_is_named_later() -> None:
    changes = Changes()
    changes.updated("r", 1000, "m2", E, server="s1")
    changes.announce("r", Told("ga", "1.0", "2.0", "m1", E))

    assert ("ga", "2.0") == (changes.known["r"].component, changes.known["r"].version)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    changes = Changes()
    for n in range(CHANGES_MOST + 1):
        assert changes.oldest_beyond_bound() is None
        changes.updated(f"r{n}", 1000 + n, f"m{n}", E, server="s1")

    oldest = changes.oldest_beyond_bound()
    assert oldest is not None
    assert "r0" == oldest.key


def test_announcements_have_a_bound() -> None:
    changes = Changes()
    for n in range(5 * CHANGES_MOST):
        changes.announce(f"r{n}", Told())

    assert 4 * CHANGES_MOST == len(changes.told)
