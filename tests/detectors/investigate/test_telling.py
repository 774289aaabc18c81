"""Updates that wait for their time."""

from detectors.contract import State
from detectors.frames import DueFrame
from detectors.investigate.telling import tell, too_early
from schemas.outputs import Severity, Subject


def opened(at_ms: int = 0) -> State:
    """Return a state with one open finding, `k`."""
    state = State()
    state.openings.start(
        "k", DueFrame(0, 0, at_ms, at_ms), "d", Subject(), "x", opened_ms=0, severity=Severity.INFO, title="one"
    )
    return state


def test_what_comes_too_early_is_asked_for_again_ten_seconds_later() -> None:
    """At 9.999 s nothing is said and a due time is named; at 10 s it is said."""
    state = opened()
    early = tell(state, "k", DueFrame(0, 1, 9_999, 5_000), title="two")

    assert [] == early
    assert 10_000 == state.deadlines.next_ms()

    assert ["two"] == [found.title for found in tell(state, "k", DueFrame(0, 2, 10_000, 10_000), title="two")]
    assert state.deadlines.next_ms() is None


def test_what_went_back_is_not_said() -> None:
    """A change that is undone before its time leaves nothing to say and no due time."""
    state = opened()
    tell(state, "k", DueFrame(0, 1, 5_000, 5_000), title="two")

    assert [] == tell(state, "k", DueFrame(0, 2, 6_000, 6_000), title="one")
    assert state.deadlines.next_ms() is None


def test_a_due_time_is_never_named_again_at_itself() -> None:
    """Asked at a due time beyond the frame's own stamp, it names a later one: the engine would ask for ever."""
    state = opened()
    tell(state, "k", DueFrame(0, 1, 5_000, 12_000), title="two")

    assert 12_001 == state.deadlines.next_ms()


def test_what_is_said_at_once_does_not_wait() -> None:
    """A changed conclusion is told in its frame."""
    assert 1 == len(tell(opened(), "k", DueFrame(0, 1, 1, 1), at_once=True, title="two"))


def test_nothing_is_told_of_what_is_not_open() -> None:
    """No finding, no update, no due time."""
    state = State()

    assert [] == tell(state, "k", DueFrame(0, 0, 0, 0), title="two")
    assert not too_early(state, "k", DueFrame(0, 0, 0, 0))
    assert state.deadlines.next_ms() is None


def test_too_early_names_the_time() -> None:
    """Within ten seconds it is too early, at ten it is not."""
    state = opened()

    assert too_early(state, "k", DueFrame(0, 1, 9_999, 1))
    assert 10_000 == state.deadlines.next_ms()
    assert not too_early(state, "k", DueFrame(0, 1, 10_000, 1))
