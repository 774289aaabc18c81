"""The words for people."""

import pytest

from detectors.hosts.absence import Absence
from detectors.hosts.telling import clock_time, span, words
from schemas.outputs import Evidence
from tests.kit import START_MS


def absent(**fields: object) -> Absence:
    absence = Absence(START_MS, START_MS, 180_000, 60, "s1/b1/r1/4", Evidence(0, 0))
    for name, value in fields.items():
        setattr(absence, name, value)
    return absence


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [
        (0, "0 s"),
        (1500, "1.5 s"),
        (120_000, "120 s"),
        (120_060, "2 min"),
        (180_000, "3 min"),
        (7_199_000, "120 min"),
        (7_200_000, "2 h"),
        (12_600_000, "3.5 h"),
    ],
)
def test_a_length_is_told_in_seconds_up_to_two_minutes_and_in_hours_from_two_on(length_ms: int, text: str) -> None:
    assert text == span(length_ms)


def test_a_stamp_is_told_in_utc() -> None:
    assert "2012-02-29 00:00:01 UTC" == clock_time(START_MS + 1999)


def test_a_silence_that_nothing_explains_names_the_limit_and_the_last_report() -> None:
    title, text, facts = words("s1", absent(), unseen=False)

    assert "server s1 is silent: no report for more than 3 min" == title
    assert "reports every 60 s; the last report came at 2012-02-29 00:00:00 UTC" in text
    assert {"last_heard": "2012-02-29 00:00:00 UTC"} == facts


def test_a_reboot_is_not_ruled_out_where_the_maintenance_feed_was_blind() -> None:
    _, text, facts = words("s1", absent(), unseen=True)

    assert text.endswith("a planned reboot cannot be ruled out.")
    assert "blind" == facts["maintenance"]


def test_an_overdue_update_names_what_was_announced() -> None:
    explained = "planned update (r7) from 2012-02-29 00:00:10 UTC"
    title, text, facts = words("s1", absent(explained=explained, limit_ms=1_800_000), unseen=True)

    assert "server s1 has not come back for more than 30 min from a planned update (r7)" == title
    assert explained in text
    assert explained == facts["explained_by"]


def test_a_server_that_stays_away_when_its_cluster_is_back_is_told_so_whatever_explained_it_before() -> None:
    title, _, facts = words("s1", absent(dark_ms=1, limit_ms=1_800_000, explained="planned reboot from"), unseen=True)

    assert "server s1 has not come back 30 min after its cluster did" == title
    assert ["last_heard"] == list(facts)
