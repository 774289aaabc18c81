"""What an engine tells Prometheus."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from schemas.commands import ConfigChanged
from schemas.outputs import Decision, DecisionState, Finding, FindingState, Progress, Severity, Subject
from schemas.telemetry import EVERYONE
from streams.engine.runner import Counts, Runner
from streams.engine.told import Told, gauge
from tests.detectors.fleet.stories import FleetLog
from tests.kit import START_MS, Log

ROLE = "told-test"


def value(sample: str, **labels: str) -> float:
    """Return a sample, 0 where it is not exported."""
    return REGISTRY.get_sample_value(sample, labels) or 0.0


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """Leave no gauge of a test to the next."""
    yield
    gauge(ROLE, [])


def finding(name: str = "d-told", state: str = FindingState.OPEN, /, **facts: str) -> Finding:
    """Return a record of a finding."""
    return Finding("f", name, Subject(cluster="c1"), state, Severity.INFO, 1, 2, "title", facts=facts)


def braked(servers: int = 4) -> Runner:
    """Return an engine with a cluster of which three servers are in HI."""
    log = Log().inventory(servers)
    for n in range(3):
        log.maintenance(60 + n, "SERVER_STATE", server=f"s{n + 1}", state="HI")
    log.clocks(70)
    runner = Runner(0)
    runner.feed(log.frames)
    return runner


def test_counting_begins_where_the_runner_stands() -> None:
    """Frames of a silent re-run are no news, nor are its reboots."""
    counts = Counts(frames=100, clocks=40, rows=500, repeats=3, reboots={("told-c", False): 2})
    told = Told("told-counting", counts)
    counts.frames, counts.clocks, counts.rows, counts.findings = 110, 42, 510, 1
    counts.decisions, counts.others = 2, 1
    counts.reboots["told-c", False] = 3
    counts.reboots["told-c", True] = 1
    told.counts(counts)
    told.counts(counts)

    kinds = ("batch", "clocks", "finding", "decision", "other")
    role = "told-counting"
    frames = {kind: value("leapwatch_frames_total", role=role, kind=kind) for kind in kinds}
    assert {"batch": 4.0, "clocks": 2.0, "finding": 1.0, "decision": 2.0, "other": 1.0} == frames
    assert 10.0 == value("leapwatch_rows_total", role="told-counting")
    assert 1.0 == value("leapwatch_host_reboots_total", cluster="told-c", expected="false")
    assert 1.0 == value("leapwatch_host_reboots_total", cluster="told-c", expected="true")


def test_a_configuration_that_was_refused_is_counted() -> None:
    runner = Runner(0, only=())
    told = Told("told-refused", runner.counts)
    runner.feed(Log().everyone(1, ConfigChanged("x", EVERYONE, "[policy", "", "alice")).frames)
    told.counts(runner.counts)

    assert 1.0 == value("leapwatch_configs_refused_total", role="told-refused")


def test_what_was_committed_is_counted_and_openings_are_timed() -> None:
    decision = Decision("d", "told-action", "cluster:c1", DecisionState.PROPOSED, "advise", "r", ("f",), 1)
    progress = Progress(0, 5, START_MS, {})
    timed = "leapwatch_event_delay_seconds_count"
    before = value(timed, severity="INFO")
    told = Told("told-outputs", Counts())
    told.outputs([finding(), finding("d-told", FindingState.CLOSED), decision, progress])

    assert 1.0 == value("leapwatch_findings_total", detector="d-told", state="OPEN", severity="INFO")
    assert 1.0 == value("leapwatch_findings_total", detector="d-told", state="CLOSED", severity="INFO")
    assert 1.0 == value("leapwatch_decisions_total", action="told-action", state="PROPOSED")
    assert 1.0 == value(timed, severity="INFO") - before
    assert START_MS / 1000 == value(
        "leapwatch_stage_last_processed_timestamp_seconds", role="told-outputs", stage="flushed"
    )


def test_a_detector_taken_out_of_service_is_counted_by_its_name() -> None:
    Told(ROLE, Counts()).outputs([finding("engine", detector="told-broken"), finding("engine", FindingState.CLOSED)])

    assert 1.0 == value("leapwatch_detector_errors_total", detector="told-broken")


def test_gauges_say_what_is_open_and_how_near_the_brake_is() -> None:
    gauge(ROLE, [braked()])

    assert 3.0 == value("leapwatch_hosts_human_investigate", cluster="c1")
    assert 1.0 == value("leapwatch_hi_threshold_ratio", cluster="c1")
    assert 1.0 == value("leapwatch_latches_open", action="disable-healing")
    assert 1.0 == value("leapwatch_findings_open", detector="hi_threshold", severity="CRITICAL")
    assert (START_MS + 70_000) / 1000 == value("leapwatch_watermark_timestamp_seconds", role=ROLE)


def test_what_somebody_else_owns_now_is_gone() -> None:
    gauge(ROLE, [braked()])
    gauge(ROLE, [])

    assert REGISTRY.get_sample_value("leapwatch_hi_threshold_ratio", {"cluster": "c1"}) is None
    assert REGISTRY.get_sample_value("leapwatch_latches_open", {"action": "stop-updates"}) is None


def test_a_cluster_too_small_for_a_brake_has_no_ratio() -> None:
    gauge(ROLE, [braked(servers=2)])

    assert REGISTRY.get_sample_value("leapwatch_hi_threshold_ratio", {"cluster": "c1"}) is None


def test_incidents_that_go_on_are_counted_and_those_that_are_over_are_not() -> None:
    runner = Runner(0, only=(), fleet=True)
    log = FleetLog().finding(0, "f", "network_loss", "a").finding(1, "g", "cluster_dark", "b")
    runner.feed(log.closed(2, "g", "cluster_dark", "b").frames)
    gauge(ROLE, [runner])

    assert 1.0 == value("leapwatch_incidents_open", severity="CRITICAL")


def lead_count(event_type: str) -> float:
    return value("leapwatch_maintenance_lead_seconds_count", event_type=event_type)


def test_real_leads_of_announced_maintenance_are_told_once() -> None:
    """By type, without a VM; what names no time, and what a fleet engine hears again, is not counted."""
    log = Log().maintenance(0, "SCHEDULED", event_type="freeze", not_before_ms=START_MS + 60_000, vms=("v",))
    runner, fleet = Runner(0), Runner(0, fleet=True)
    told, whole = Told(ROLE, runner.counts), Told(ROLE, fleet.counts)
    before = [lead_count(name) for name in ("Freeze", "Wave", "other")]
    log.maintenance(1, "WAVE_ANNOUNCED", wave="w", scheduled_start_ms=START_MS + 86_400_000)
    log.maintenance(2, "SCHEDULED", event_type="Teleport", not_before_ms=START_MS + 5).maintenance(3, "SCHEDULED")
    runner.feed(log.frames)
    fleet.feed(log.frames)
    told.counts(runner.counts)
    told.counts(runner.counts)
    whole.counts(fleet.counts)

    after = [lead_count(name) for name in ("Freeze", "Wave", "other")]
    assert [1.0, 1.0, 1.0] == [now - then for now, then in zip(after, before, strict=True)]
    assert 60.0 <= value("leapwatch_maintenance_lead_seconds_sum", event_type="Freeze")
