"""One fault in several clusters at once."""

from __future__ import annotations

import pytest

from schemas.outputs import Action, Finding, Severity, Verdict
from tests.detectors.fleet.stories import FleetLog, run
from tests.kit import START_MS

CERT = {"signature": "transfer-certificate:E"}
DAY_S = 86_400


def leap(*, start_ms: int = START_MS) -> FleetLog:
    """Two clusters, one in rollout and one not."""
    log = FleetLog(start_ms).facts(0, "new", region="north", versions={"ga=1.7": 4, "host_os=8": 2})
    log.facts(0, "old", region="south", versions={"ga=1.6": 4, "host_os=8": 2})
    log.event(0, "new", "ROLLOUT_STARTED", rollout="platform-1.7", component="ga", to_version="1.7")
    return log.finding(60, "f1", "start_failure", "new", subject=CERT)


def common(log: FleetLog) -> list[Finding]:
    return run(log, ["common_cause"])


def test_the_second_cluster_makes_it_one_fault_and_clears_the_rollout_that_it_has_not() -> None:
    whole, cleared = common(leap().finding(300, "f2", "start_failure", "old", subject=CERT))

    assert (Severity.CRITICAL, Verdict.SOFTWARE, "clock", START_MS + 300_000) == (
        whole.severity,
        whole.verdict,
        whole.trigger,
        whole.opened_ms,
    )
    assert {"clusters": "new, old", "versions_all": "host_os=8", "versions_some": "ga=1.6, ga=1.7"}.items() <= (
        whole.facts.items()
    )
    assert (Action.PAUSE_CREATE, Action.PAUSE_SCALE_OUT, Action.PAUSE_CUSTOMER_UPDATES) == whole.advised
    assert ("f1", "f2") == whole.supersedes
    assert ("platform-1.7", Verdict.CLEARED, Severity.INFO, "old") == (
        cleared.subject.rollout,
        cleared.verdict,
        cleared.severity,
        cleared.facts["without"],
    )


def test_one_cluster_alone_or_two_signatures_are_no_common_fault() -> None:
    assert [] == common(leap())
    assert [] == common(leap().finding(300, "f2", "start_failure", "old", subject={"signature": "other:E"}))


@pytest.mark.parametrize(("apart_s", "found"), [(7200, 1), (7201, 0)])
def test_two_hours_apart_is_still_one_fault(apart_s: int, found: int) -> None:
    log = FleetLog().finding(0, "f1", "network_loss", "a").finding(apart_s, "f2", "network_loss", "b")

    assert found == len(common(log))


def test_a_cluster_that_has_the_version_has_the_rollout_whatever_its_events_say() -> None:
    log = leap().facts(90, "old", region="south", versions={"ga=1.7": 9})
    findings = common(log.finding(300, "f2", "start_failure", "old", subject=CERT))

    assert ["platform-1.7"] == [found.facts["rollouts_all"] for found in findings]


@pytest.mark.parametrize(("began_s", "trigger"), [(600, "clock"), (601, "")])
def test_the_clock_is_to_blame_within_ten_minutes_of_an_edge(began_s: int, trigger: str) -> None:
    log = FleetLog()
    for cluster, version in (("a", "1"), ("b", "2")):
        log.facts(0, cluster, versions={f"ga={version}": 3})
        log.finding(began_s, f"f{cluster}", "start_failure", cluster, subject=CERT)

    assert [trigger] == [found.trigger for found in common(log)]


def test_one_version_everywhere_does_not_blame_the_clock_unless_a_cluster_says_so() -> None:
    log = FleetLog()
    for cluster in ("a", "b"):
        log.facts(0, cluster, versions={"ga=1": 3}).finding(60, f"f{cluster}", "start_failure", cluster, subject=CERT)
    assert [""] == [found.trigger for found in common(log)]

    log.finding(90, "k", "fault_class", "b", trigger="clock")
    assert ["", "clock"] == [found.trigger for found in common(log)]


def test_a_fault_that_a_cluster_lays_to_its_hardware_is_inconclusive_and_pauses_nothing() -> None:
    log = FleetLog().finding(700, "f1", "start_failure", "a", subject=CERT)
    log.finding(701, "k", "fault_class", "a", verdict=Verdict.HARDWARE)
    [hardware] = common(log.finding(800, "f2", "start_failure", "b", subject=CERT))
    assert (Verdict.INCONCLUSIVE, ()) == (hardware.verdict, hardware.advised)

    log.finding(900, "k", "fault_class", "a", verdict=Verdict.SOFTWARE)
    assert Verdict.SOFTWARE == common(log)[-1].verdict


def test_dark_clusters_are_one_fault_that_pauses_nothing() -> None:
    [dark] = common(FleetLog().finding(0, "d1", "cluster_dark", "a").finding(9, "d2", "cluster_dark", "b"))

    assert (Severity.WARNING, Verdict.INCONCLUSIVE, ()) == (dark.severity, dark.verdict, dark.advised)


def test_info_is_no_fault() -> None:
    log = FleetLog().finding(0, "n1", "network_loss", "a", severity=Severity.INFO)

    assert [] == common(log.finding(9, "n2", "network_loss", "b", severity=Severity.INFO))


def test_it_closes_with_the_last_cluster_and_keeps_its_id_until_then() -> None:
    log = leap().finding(300, "f2", "start_failure", "old", subject=CERT)
    log.closed(400, "f1", "start_failure", "new", subject=CERT).finding(
        500, "f3", "start_failure", "third", subject=CERT
    )
    log.closed(600, "f2", "start_failure", "old", subject=CERT).closed(
        700, "f3", "start_failure", "third", subject=CERT
    )
    findings = [found for found in common(log) if found.subject.rollout is None]

    assert ["OPEN", "UPDATED", "CLOSED"] == [found.state for found in findings]
    assert "new, old, third" == findings[1].facts["clusters"]
    assert 1 == len({found.id for found in findings})


def test_a_rollout_of_long_ago_is_not_asked_about() -> None:
    log = FleetLog().event(0, "a", "ROLLOUT_STARTED", rollout="ancient", component="ga", to_version="1")
    log.finding(31 * DAY_S, "f1", "start_failure", "a", subject=CERT)

    assert [None] == [
        found.subject.rollout for found in common(log.finding(31 * DAY_S, "f2", "start_failure", "b", subject=CERT))
    ]
