"""Tests of waits: what is said of a time-out, and what breaks a row of them."""

from __future__ import annotations

from detectors.failfast.waits import Case, Chain, Silence, explanation, facts_of, in_contact_since, title
from detectors.picture import Start, VmView
from schemas.outputs import Evidence
from tests.kit import START_MS

NOWHERE = Evidence(0, 0)


def case(incarnation: int = 3, *, clean: bool = True, contact_in: int | None = None, silent: bool = False) -> Case:
    starts = [Start(n, "s1", START_MS + n, "source", NOWHERE, clean) for n in range(1, incarnation + 1)]
    if contact_in is not None:
        starts[contact_in - 1].contact_ms = START_MS + 9
    silence = Silence("v1", incarnation, "s1", START_MS, "source", None) if silent else None
    return Case(VmView("v1", "s1", starts), starts[-1], START_MS, None, None, False, silence)


def test_contact_between_two_time_outs_breaks_their_row() -> None:
    chain = Chain("s1", 1, 1, 1)

    assert not in_contact_since(chain, case())
    assert in_contact_since(chain, case(contact_in=1))
    assert in_contact_since(chain, case(contact_in=2))
    assert not in_contact_since(chain, case(contact_in=3))
    assert in_contact_since(Chain("s1", 1, 1, 1, touched=2), case())


def test_titles_say_where_how_long_and_how_often() -> None:
    assert "VM v1 on s1: no contact of its guest agent within 25 min of its start" == title(case(), 1, 1500)
    assert title(case(), 3, 1500).endswith(", 3 times in a row")
    assert "VM v1 on s1: its guest agent has been silent for 25 min" == title(case(silent=True), 1, 1500)


def test_what_does_not_count_towards_hi_says_so() -> None:
    assert "counts_towards_hi" not in facts_of(case())
    assert ["no", "no"] == [facts_of(known)["counts_towards_hi"] for known in (case(clean=False), case(silent=True))]
    assert ["Cause open" in explanation(known, START_MS, 1500) for known in (case(clean=False), case(silent=True))] == [
        True,
        True,
    ]
