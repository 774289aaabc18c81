"""Findings of one cause, folded."""

from __future__ import annotations

import dataclasses

import pytest

from detectors.incidents import AGAIN_MS, DECISIONS_KEPT, INCIDENTS_KEPT, Incidents, cause_of, family_of
from schemas.outputs import Decision, Finding, FindingState, Severity, Subject, Verdict


def finding(
    name: str, detector: str = "start_failure", cluster: str = "c1", at_ms: int = 1_000, **more: object
) -> Finding:
    made = Finding(
        name,
        detector,
        Subject(cluster=cluster or None),
        FindingState.OPEN,
        Severity.CRITICAL,
        at_ms,
        at_ms,
        f"of {name}",
    )
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def closed(name: str, at_ms: int, detector: str = "start_failure", cluster: str = "c1") -> Finding:
    return finding(name, detector, cluster, at_ms, state=FindingState.CLOSED)


def taken(*findings: Finding) -> Incidents:
    incidents = Incidents()
    for each in findings:
        incidents.take(each)
    return incidents


def test_what_tells_of_one_trouble_in_a_cluster_is_one_incident() -> None:
    incidents = taken(finding("a"), *(finding(f"hi{n}", "server_hi") for n in range(100)))
    [incident] = incidents.known.values()

    assert (101, "of a", ["c1"]) == (incident.total, incident.title, list(incident.clusters))
    assert [incident.id] == incidents.changed


@pytest.mark.parametrize(("detector", "cluster"), [("cluster_dark", "c1"), ("start_failure", "c2")])
def test_another_trouble_or_another_cluster_is_another_incident(detector: str, cluster: str) -> None:
    assert 2 == len(taken(finding("a"), finding("b", detector, cluster)).known)


def test_info_opens_no_incident_and_joins_one() -> None:
    quiet = finding("q", severity=Severity.INFO)
    assert {} == taken(quiet).known

    [incident] = taken(finding("a"), quiet).known.values()
    assert {"a", "q"} == set(incident.open)


def test_it_is_over_when_nothing_loud_is_open_and_back_within_the_hour_it_is_the_same() -> None:
    incidents = taken(finding("a"), finding("q", severity=Severity.INFO), closed("a", 5_000))
    [incident] = incidents.known.values()
    assert 5_000 == incident.resolved_ms

    incidents.take(finding("b", at_ms=5_000 + AGAIN_MS))
    assert ([incident], 0) == (list(incidents.known.values()), incident.resolved_ms)
    incidents.take(closed("b", 5_001 + AGAIN_MS))
    incidents.take(finding("c", at_ms=5_002 + 2 * AGAIN_MS))
    assert 2 == len(incidents.known)


def test_the_gravest_speaks_for_all_and_a_verdict_is_kept() -> None:
    warning = finding("a", severity=Severity.WARNING)
    [incident] = taken(warning, finding("b"), finding("c", verdict=Verdict.SOFTWARE, trigger="clock")).known.values()

    assert ("of b", Severity.CRITICAL, Verdict.SOFTWARE, "clock") == (
        incident.title,
        incident.severity,
        incident.verdict,
        incident.trigger,
    )


def test_a_common_cause_makes_one_of_the_incidents_of_its_clusters() -> None:
    common = finding(
        "w",
        "common_cause",
        "",
        3_000,
        facts={"family": "starts", "clusters": "c1, c2"},
        subject=Subject(signature="s:E"),
    )
    incidents = taken(finding("a"), finding("b", cluster="c2", at_ms=2_000), common)
    whole, part = incidents.known.values()
    assert (["c1", "c2"], "of w", "s:E") == (list(whole.clusters), whole.title, whole.cause)
    assert (True, {}) == (part.resolved_ms > 0, part.open)

    incidents.take(finding("later", "server_hi", "c2", 4_000))
    assert {"a", "b", "w", "later"} == set(whole.open)
    for name, cluster in (("a", "c1"), ("b", "c2"), ("later", "c2")):
        incidents.take(closed(name, 9_000, cluster=cluster))
    assert 0 == whole.resolved_ms
    incidents.take(closed("w", 9_001, "common_cause", ""))
    assert 9_001 == whole.resolved_ms


def test_the_words_are_those_of_the_first_common_cause_while_it_is_open() -> None:
    """What agents report is soon seen as silence too, and its name says more."""

    def common(name: str, at_ms: int, clusters: str, signature: str) -> Finding:
        facts = {"family": "starts", "clusters": clusters}
        return finding(name, "common_cause", "", at_ms, facts=facts, subject=Subject(signature=signature))

    reported, silent = common("w", 3_000, "c1, c2", "s:E"), common("n", 4_000, "c1, c2, c3", "no contact")
    incidents = taken(finding("a"), finding("b", cluster="c2"), finding("c", cluster="c3"), reported, silent)
    whole = next(iter(incidents.known.values()))
    assert ("of w", ["c1", "c2", "c3"]) == (whole.title, list(whole.clusters))

    incidents.take(dataclasses.replace(reported, state=FindingState.UPDATED, at_ms=5_000, title="of w, worse"))
    incidents.take(dataclasses.replace(silent, state=FindingState.UPDATED, at_ms=6_000))
    assert "of w, worse" == whole.title
    incidents.take(closed("w", 7_000, "common_cause", ""))
    incidents.take(dataclasses.replace(silent, state=FindingState.UPDATED, at_ms=8_000))
    assert ("of n", "no contact") == (whole.title, whole.cause)


def decision(name: str, *finding_ids: str, state: str = "PROPOSED", at_ms: int = 1_500) -> Decision:
    return Decision(name, "stop-updates", "cluster:c1", state, "advise", "why", finding_ids, at_ms)


def test_a_decision_is_of_the_incident_of_its_finding_and_stays_so_when_that_has_closed() -> None:
    incidents = taken(finding("a"), finding("b", "network_loss"))
    incidents.decided(decision("d", "a"))
    incidents.decided(decision("x", "nobody's"))
    incidents.take(closed("a", 5_000))
    incidents.changed.clear()
    incidents.decided(decision("d", "a", state="RELEASED", at_ms=6_000))
    starts, network = incidents.known.values()

    assert (["d"], [], [starts.id], 6_000) == (starts.decisions, network.decisions, incidents.changed, starts.at_ms)


def test_incidents_that_become_one_bring_what_was_decided_and_a_forgotten_one_takes_it_along() -> None:
    incidents = taken(finding("a"), finding("b", cluster="c2", at_ms=2_000))
    for name, of in (("d", "a"), ("e", "b")):
        incidents.decided(decision(name, of))
    common = {"family": "starts", "clusters": "c1, c2"}
    incidents.take(finding("w", "common_cause", "", 3_000, facts=common, subject=Subject(signature="s:E")))
    whole, part = incidents.known.values()
    assert (["d", "e"], []) == (whole.decisions, part.decisions)
    assert {"d": whole.id, "e": whole.id} == incidents.by_decision

    for n in range(INCIDENTS_KEPT):
        incidents.take(finding(f"f{n}", "network_loss", cluster=f"c{n}"))
    assert {} == incidents.by_decision


def test_decisions_of_an_incident_are_bounded() -> None:
    incidents = taken(finding("a"))
    for n in range(DECISIONS_KEPT + 1):
        incidents.decided(decision(f"d{n}", "a"))

    assert DECISIONS_KEPT == len(incidents.by_decision)


def test_incidents_are_bounded_what_is_over_goes_first() -> None:
    incidents = taken(finding("a", cluster="first"), closed("a", 2_000, cluster="first"))
    for n in range(INCIDENTS_KEPT):
        incidents.take(finding(f"f{n}", cluster=f"c{n}"))

    assert INCIDENTS_KEPT == len(incidents.known)
    assert None is incidents.find("starts", "first")


def test_recovery_makes_no_incident() -> None:
    assert {} == taken(finding("r", "recovery_progress")).known


def test_cause_and_family_are_told_by_the_finding() -> None:
    subject = Subject(component="ga", version="1.7", rollout="r")

    assert "ga 1.7" == cause_of(finding("a", subject=subject))
    assert "rollout r" == cause_of(finding("a", subject=Subject(rollout="r")))
    assert ("silence", "maintenance") == (family_of(finding("a", "host_silence")), family_of(finding("a", "new_one")))
