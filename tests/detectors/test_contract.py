"""What every detector is made of: ids, due times, open findings, the registry."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.contract import (
    EVIDENCE_KEPT,
    FOLDERS,
    UPDATE_EVERY_MS,
    Deadlines,
    Openings,
    finding_id,
    in_order,
    registry,
)
from detectors.frames import DueFrame
from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject


def at(at_ms: int) -> DueFrame:
    """Return a frame of this stamp."""
    return DueFrame(0, 0, at_ms, at_ms)


def opened(**fields: object) -> tuple[Openings, Finding]:
    """Return openings with one finding under `k`, opened at 0, and that finding."""
    openings = Openings()
    found = openings.start(
        "k",
        at(0),
        "d",
        Subject(server="s1"),
        "e1",
        **({"opened_ms": 0, "severity": Severity.INFO, "title": "one"} | fields),  # type: ignore[arg-type]
    )
    return openings, found[0]


def test_an_id_is_made_of_detector_subject_and_what_opened_it() -> None:
    """Each tells ids apart; nothing else goes in."""
    ids = {
        finding_id("d", Subject(server="s1"), "e1"),
        finding_id("e", Subject(server="s1"), "e1"),
        finding_id("d", Subject(server="s2"), "e1"),
        finding_id("d", Subject(vm="s1"), "e1"),
        finding_id("d", Subject(server="s1"), "e2"),
    }

    assert 5 == len(ids)
    assert finding_id("d", Subject(server="s1"), "e1") == opened()[1].id


def test_a_finding_is_opened_once_under_its_key() -> None:
    """What is open is updated, not opened."""
    openings, _ = opened()

    assert [] == openings.start("k", at(1), "d", Subject(), "e2", opened_ms=1, severity=Severity.INFO, title="two")


@pytest.mark.parametrize(("at_ms", "said"), [(UPDATE_EVERY_MS - 1, 0), (UPDATE_EVERY_MS, 1), (UPDATE_EVERY_MS + 1, 1)])
def test_an_update_waits_ten_seconds(at_ms: int, said: int) -> None:
    """Below, at and above the limit."""
    openings, _ = opened()

    assert said == len(openings.update("k", at(at_ms), title="two"))


def test_an_update_that_changes_nothing_is_not_said() -> None:
    """Nor does it move the ten seconds."""
    openings, _ = opened(numbers={"n": 1})

    assert [] == openings.update("k", at(20_000), title="one", numbers={"n": 1.0})


def test_a_changed_conclusion_is_said_at_once() -> None:
    """With its state and the stamp of its frame."""
    openings, finding = opened()
    update = openings.update("k", at(1), at_once=True, severity=Severity.CRITICAL)[0]

    assert (FindingState.UPDATED, 1, Severity.CRITICAL) == (update.state, update.at_ms, update.severity)
    assert (finding.id, finding.opened_ms) == (update.id, update.opened_ms)


def test_an_end_closes_with_its_reason_and_frees_the_key() -> None:
    """Once."""
    openings, finding = opened()
    closed = openings.end("k", at(5), "over")[0]

    assert (finding.id, FindingState.CLOSED, "over") == (closed.id, closed.state, closed.close_reason)
    assert [] == openings.end("k", at(6), "over")
    assert openings.get("k") is None


def test_what_a_person_closed_is_silent_until_its_condition_ends() -> None:
    """No update, no second closing, no new opening; the end of the condition frees the key without a word."""
    openings, finding = opened()

    assert FindingState.CLOSED == openings.dismiss(finding.id, at(1), "seen to")[0].state
    assert [] == openings.dismiss(finding.id, at(2), "again")
    assert [] == openings.update("k", at(60_000), title="two")
    assert [] == openings.start("k", at(3), "d", Subject(), "e2", opened_ms=3, severity=Severity.INFO, title="two")
    assert [] == list(openings)
    assert [] == openings.end("k", at(4), "over")
    assert {} == openings.open


def test_evidence_has_a_bound() -> None:
    """Sixteen records, in the opening and in updates."""
    many = tuple(Evidence(0, n) for n in range(EVIDENCE_KEPT + 5))
    openings, finding = opened(evidence=many)
    update = openings.update("k", at(60_000), evidence=many[1:])[0]

    assert EVIDENCE_KEPT == len(finding.evidence) == len(update.evidence)
    assert [] == openings.update("k", at(120_000), evidence=many[1:])


def test_a_saved_finding_has_the_same_bytes_as_before() -> None:
    """Whole numbers among its numbers are floats from the start: they come back as such."""
    openings, _ = opened(numbers={"n": 1})
    openings.update("k", at(60_000), numbers={"n": 2})
    saved = msgspec.msgpack.encode(openings)

    assert saved == msgspec.msgpack.encode(msgspec.msgpack.decode(saved, type=Openings))


def test_due_times_come_in_order_of_time_then_name() -> None:
    """And are forgotten when they have come."""
    deadlines = Deadlines()
    for key, due_ms in (("b", 5), ("a", 5), ("c", 3), ("d", 9)):
        deadlines.set(key, due_ms)

    assert 3 == deadlines.next_ms()
    assert ["c", "a", "b"] == deadlines.pop(5)
    assert 9 == deadlines.next_ms()


actions = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.sampled_from(("set", "drop", "pop"))))


@given(actions)
def test_deadlines_are_a_map_of_due_times(steps: list[tuple[str, int, str]]) -> None:
    """Equal to a plain dictionary looked through each time; and what is left behind has a bound."""
    deadlines, plain = Deadlines(), dict[str, int]()
    for key, at_ms, what in steps * 5:
        if what == "set":
            deadlines.set(key, at_ms)
            plain[key] = at_ms
        elif what == "drop":
            deadlines.drop(key)
            plain.pop(key, None)
        else:
            due = sorted((due_ms, known) for known, due_ms in plain.items() if due_ms <= at_ms)
            assert [known for _, known in due] == deadlines.pop(at_ms)
            for _, known in due:
                del plain[known]
        assert min(plain.values(), default=None) == deadlines.next_ms()
        assert len(deadlines.heap) <= 65 + 4 * 3


def test_the_registry_finds_detectors_by_their_modules_names() -> None:
    """In order of folder and name."""
    places = [(FOLDERS.index(kind.__module__.split(".")[1]), name) for name, kind in registry().items()]

    assert sorted(places) == places
    assert all(kind.name() == name for name, kind in registry().items())


def test_followers_come_after_those_they_follow() -> None:
    """Whatever order they are named in."""
    ordered = in_order(sorted(registry(), reverse=True))

    assert sorted(registry()) == sorted(ordered)
    for name in ordered:
        followed = [known for known in registry()[name].follows if known in ordered]
        assert all(ordered.index(known) < ordered.index(name) for known in followed)


def test_a_circle_of_followers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming it."""
    monkeypatch.setattr(registry()["guest_timeout"], "follows", ("hi_forecast",))

    with pytest.raises(ValueError, match=r"follow each other in a circle: .*guest_timeout"):
        in_order(["guest_timeout", "server_hi", "hi_threshold", "hi_forecast"])
