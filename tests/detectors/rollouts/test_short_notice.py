"""short_notice: thirty days for a wave, each type's minimum for a scheduled event (seed 003)."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rollouts import short_notice
from detectors.rollouts.short_notice import State
from detectors.upkeep import WAVES_MEMORY_MS
from schemas.outputs import Finding, Severity
from streams.engine.runner import Runner
from tests.kit import Log, run, short

DAY_S = 86_400


def found(log: Log) -> list[Finding]:
    return run(log.frames, only=["short_notice"])


def states(log: Log) -> list[str]:
    return [str(finding.state) for finding in found(log)]


def wave(log: Log, at_s: float, start_s: float, name: str = "w1", **fields: Any) -> Log:
    """Announce a wave whose scheduled window lasts a day."""
    windows = {"scheduled_start_ms": log.ms(start_s), "scheduled_end_ms": log.ms(start_s + DAY_S)}
    return log.maintenance(at_s, "WAVE_ANNOUNCED", wave=name, **{"vms": ("v1", "v2"), **windows, **fields})


def scheduled(log: Log, at_s: float, lead_s: float, kind: str = "Reboot", name: str = "n1", **fields: Any) -> Log:
    """Schedule an event."""
    known = {"vms": ("v1",), "not_before_ms": log.ms(at_s + lead_s), **fields}
    return log.maintenance(at_s, "SCHEDULED", notice_id=name, event_type=kind, **known)


# -- waves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lead_s", "opens"), [(30 * DAY_S - 2.001, 1), (30 * DAY_S - 2, 0), (30 * DAY_S, 0)])
def test_thirty_days_less_two_seconds_on_the_way_are_enough(lead_s: float, opens: int) -> None:
    assert opens == len(found(wave(Log(), 5, 5 + lead_s)))


def test_it_tells_promised_and_real_lead() -> None:
    finding = found(wave(Log(), 10, 20 * DAY_S + 10, region="north"))[0]

    assert ["short_notice c1/w1 OPEN 10s"] == short([finding])
    assert {"promised_lead_s": 30 * DAY_S, "real_lead_s": 20 * DAY_S, "vms": 2} == finding.numbers
    assert (
        "maintenance wave w1 restarts 2 VMs in c1 from 2012-03-20 00:00:10Z on, announced 20 days ahead: "
        "30 days are promised"
    ) == finding.title
    assert Severity.WARNING == finding.severity


def test_vms_that_are_added_later_count_from_then_on() -> None:
    log = wave(Log(), 0, 31 * DAY_S)
    wave(log, 2 * DAY_S, 31 * DAY_S, vms=("v2", "v3"))
    finding = found(log)[0]

    assert {"promised_lead_s": 30 * DAY_S, "real_lead_s": 29 * DAY_S, "vms": 1} == finding.numbers


def test_an_announcement_that_is_said_again_is_none() -> None:
    assert [] == found(wave(wave(Log(), 0, 31 * DAY_S), 20 * DAY_S, 31 * DAY_S))


def test_a_window_moved_to_later_needs_no_more_notice() -> None:
    assert [] == found(wave(wave(Log(), 0, 31 * DAY_S), 20 * DAY_S, 33 * DAY_S))


def test_a_window_moved_to_sooner_is_told_anew() -> None:
    log = wave(wave(Log(), 0, 60 * DAY_S), 20 * DAY_S, 45 * DAY_S)

    assert [25 * DAY_S] == [finding.numbers["real_lead_s"] for finding in found(log)]


def test_a_start_that_moves_the_window_to_sooner_tells_it_anew() -> None:
    log = wave(Log(), 0, 60 * DAY_S)
    log.maintenance(10 * DAY_S, "WAVE_STARTED", wave="w1", scheduled_start_ms=log.ms(20 * DAY_S))

    assert [10 * DAY_S] == [finding.numbers["real_lead_s"] for finding in found(log)]


def test_a_window_moved_far_enough_closes_it() -> None:
    log = wave(wave(Log(), 0, 20 * DAY_S), 60, 31 * DAY_S)

    assert "its window was moved: there is notice enough" == found(log)[-1].close_reason


@pytest.mark.parametrize(("kind", "word"), [("WAVE_ABORTED", "aborted"), ("WAVE_COMPLETED", "completed")])
def test_a_wave_that_ends_closes_it(kind: str, word: str) -> None:
    log = wave(Log(), 0, 20 * DAY_S).maintenance(60, kind, wave="w1")

    assert f"the wave was {word}" == found(log)[-1].close_reason


@pytest.mark.parametrize(("until_s", "state"), [(21 * DAY_S + 3600, "OPEN"), (21 * DAY_S + 3600.001, "CLOSED")])
def test_it_ends_an_hour_after_the_window(until_s: float, state: str) -> None:
    assert state == states(wave(Log(), 0, 20 * DAY_S).clocks(until_s))[-1]


def test_a_start_of_the_wave_changes_nothing() -> None:
    log = wave(Log(), 0, 20 * DAY_S).maintenance(60, "WAVE_STARTED", wave="w1")

    assert ["OPEN"] == states(log)


def test_a_wave_whose_announcement_was_never_seen_is_not_judged() -> None:
    log = Log().maintenance(0, "WAVE_STARTED", wave="w1", scheduled_start_ms=1, vms=("v1",))

    assert [] == found(log.maintenance(1, "WAVE_ANNOUNCED", wave="w2", vms=("v1",)))


def test_a_wave_that_names_no_vms_has_them_all_the_same() -> None:
    assert "restarts its VMs in c1" in found(wave(Log(), 0, DAY_S, vms=()))[0].title


def test_what_may_not_be_said_yet_is_said_when_its_time_has_come() -> None:
    log = wave(wave(Log(), 0, 20 * DAY_S), 5, 20 * DAY_S, vms=("v3",))
    assert [2] == [finding.numbers["vms"] for finding in found(log)]

    assert [2, 3] == [finding.numbers["vms"] for finding in found(log.clocks(11))]


def state_after(log: Log) -> State:
    """Return what the detector remembers after a log."""
    runner = Runner(0, only=["short_notice"])
    run(log.frames, runner=runner)
    state = runner.clusters["c1"].detectors["short_notice"].state
    assert isinstance(state, State)
    return state


def test_announcements_of_one_wave_have_a_bound() -> None:
    log = Log()
    for n in range(short_notice.TELLINGS_KEPT + 5):
        wave(log, n, 31 * DAY_S)
    tellings = state_after(log).waves["w1"]

    assert (short_notice.TELLINGS_KEPT, log.ms(0)) == (len(tellings), tellings[0].at_ms)


def test_a_wave_that_the_picture_forgot_is_forgotten() -> None:
    later_s = WAVES_MEMORY_MS / 1000 + 100
    log = wave(wave(Log(), 0, DAY_S), later_s, later_s + DAY_S, "w2")

    assert ["w2"] == list(state_after(log).named)


# -- scheduled events --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "least_s"), [("Freeze", 900), ("Reboot", 900), ("Redeploy", 600), ("Preempt", 30), ("Terminate", 300)]
)
def test_each_type_has_its_minimum_less_two_seconds_on_the_way(kind: str, least_s: float) -> None:
    def opens(lead_s: float) -> int:
        return len(found(scheduled(Log(), 5, lead_s, kind)))

    assert (1, 0, 0) == (opens(least_s - 2.001), opens(least_s - 2), opens(least_s))


def test_it_tells_which_type_and_how_short() -> None:
    log = scheduled(scheduled(Log(), 0, 800), 20, 600, name="n2", vms=("v2", "v3"))
    findings = found(log)

    assert ["short_notice c1/Reboot OPEN 0s", "short_notice c1/Reboot UPDATED 0s"] == short(findings)
    assert {"promised_lead_s": 900, "real_lead_s": 600, "events": 2, "vms": 3} == findings[-1].numbers
    assert "2 Reboot events for 3 VMs of c1 told 10 min ahead: 15 min are promised" == findings[-1].title


def test_no_notice_at_all_is_said_so() -> None:
    assert "told not at all ahead" in found(scheduled(Log(), 0, -5, vm="v1", vms=None))[0].title


@pytest.mark.parametrize("fields", [{"not_before_ms": None}, {"event_type": "Teleport"}, {"event_type": None}])
def test_what_promises_nothing_is_not_judged(fields: dict[str, Any]) -> None:
    known = {"not_before_ms": 5, "event_type": "Reboot", "vms": ("v1",), **fields}

    assert [] == found(Log().maintenance(0, "SCHEDULED", notice_id="n1", **known))


def test_an_event_said_again_keeps_its_first_telling() -> None:
    log = scheduled(scheduled(Log(), 0, 1000), 500, 500)

    assert [] == found(log)


def test_an_event_moved_to_sooner_is_told_anew() -> None:
    log = scheduled(scheduled(Log(), 0, 2000), 500, 500)

    assert [500] == [finding.numbers["real_lead_s"] for finding in found(log)]


def test_an_event_of_another_type_is_another() -> None:
    log = scheduled(scheduled(Log(), 0, 100), 10, 700, "Redeploy")

    assert ["OPEN", "CLOSED"] == states(log)


def test_a_cancelled_event_closes_it_if_it_was_the_last() -> None:
    log = scheduled(scheduled(Log(), 0, 100), 1, 100, name="n2").maintenance(20, "CANCELLED", notice_id="n1")
    assert "OPEN" == found(log)[0].state
    assert "CLOSED" not in states(log)
    log.maintenance(25, "CANCELLED", notice_id="n2").maintenance(26, "CANCELLED", notice_id="n3")

    assert "cancelled" == found(log)[-1].close_reason


@pytest.mark.parametrize(("until_s", "state"), [(3700, "OPEN"), (3700.001, "CLOSED")])
def test_it_ends_an_hour_after_the_event(until_s: float, state: str) -> None:
    assert state == states(scheduled(Log(), 0, 100).clocks(until_s))[-1]


def test_events_added_within_ten_seconds_are_said_then() -> None:
    log = scheduled(scheduled(Log(), 0, 100), 5, 100, name="n2").clocks(11)

    assert [1, 2] == [finding.numbers["events"] for finding in found(log)]


def test_events_remembered_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_notice, "NOTICES_MOST", 1)
    log = scheduled(scheduled(Log(), 0, 100), 5, 100, name="n2")

    assert ["n2"] == list(state_after(log).notices)


@pytest.mark.parametrize(
    ("of_s", "words"), [(90, "90 s"), (60, "1 min"), (150, "2.5 min"), (9000, "2.5 h"), (200_000, "2.3 days")]
)
def test_lengths_are_said_as_people_say_them(of_s: float, words: str) -> None:
    assert f"announced {words} ahead" in found(wave(Log(), 0, of_s))[0].title
