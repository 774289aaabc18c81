"""The parts of unavailability: what a report shows of a VM, and when a guest's word tells that its server lives."""

import pytest

from detectors.causes.intervals import available, guests_speak, last_word, sign_of
from detectors.views import Start, VmView, Word
from schemas.outputs import Evidence
from tests.kit import vm

HERE = Evidence(0, 1)


@pytest.mark.parametrize(
    ("ga", "network", "guests", "up", "sign"),
    [
        ("READY", "UP", True, True, ""),
        ("READY", "UNKNOWN", True, True, ""),
        ("READY", "DOWN", True, False, "network down"),
        ("BUSY", "UP", True, False, ""),
        ("BUSY", "DOWN", True, False, "network down"),
        ("WAITING_FOR_HOST", "DOWN", True, False, "waiting for its host"),
        ("UNKNOWN", "UP", True, False, ""),
        ("UNKNOWN", "UP", False, True, ""),
        ("UNKNOWN", "DOWN", False, False, "network down"),
    ],
)
def test_what_a_report_shows(ga: str, network: str, guests: bool, up: bool, sign: str) -> None:
    report = vm("v1", ga=ga, network=network)

    assert (up, sign) == (available(report, guests=guests), sign_of(report, guests=guests))


@pytest.mark.parametrize(("word_ms", "speaks"), [(75_000, False), (75_001, True)])
def test_a_guest_speaks_when_a_living_host_would_have_reported_again(word_ms: int, speaks: bool) -> None:
    assert speaks is guests_speak(VmView("v1", "s1", guest_ms=word_ms), 0, 60)


def test_a_guest_that_started_anew_proves_nothing() -> None:
    view = VmView("v1", "s1", [Start(2, "s1", 50_000, "x", HERE)], guest_ms=100_000)

    assert not guests_speak(view, 0, 60)


def test_the_first_word_of_an_ending_counts() -> None:
    words = [Word(at_ms, kind, 1, "e", HERE) for at_ms, kind in ((5, "READY"), (7, "STOPPING"), (9, "SHUTDOWN"))]
    view = VmView("v1", "s1", words=words)

    assert (7, HERE) == last_word(view, 1, 5, 9)
    assert (9, HERE) == last_word(view, 1, 7, 9)
    assert last_word(view, 2, 5, 9) is None
