"""One cluster: who is asked and told, in which order; failing detectors; commands; saving."""

from collections.abc import Iterable

import pytest

from detectors.contract import registry
from detectors.frames import BatchFrame
from schemas.commands import Close, Release
from schemas.outputs import Decision, DecisionState, Finding, FindingState, Severity
from streams.engine.cluster import Output, Told, decode_saved, encode_saved, scopes_of
from streams.engine.runner import Runner
from tests.kit import START_MS, Log
from tests.streams.engine.made import Raises, Says, batch, cluster_with

CAUGHT = Release("r", "c1", "nothing", "alice", "why")


def frame(offset: int = 7, at_s: float = 1) -> BatchFrame:
    """Return a frame with one row."""
    return BatchFrame(0, offset, START_MS + round(at_s * 1000), batch({offset: CAUGHT}, at_s=at_s))


def findings(outputs: Iterable[Told]) -> list[Finding]:
    """Return the findings among outputs."""
    return [output for output in outputs if isinstance(output, Finding)]


# -- detectors that fail -----------------------------------------------------------------------------------------


def test_a_detector_that_raises_becomes_a_finding_and_its_neighbours_run() -> None:
    bad, good = Raises(), Says()
    cluster = cluster_with(bad=bad, good=good)
    told = findings(cluster.batch(frame()))

    assert ["engine", "says"] == [finding.detector for finding in told]
    broken = told[0]
    assert (FindingState.OPEN, Severity.CRITICAL, "c1") == (broken.state, broken.severity, broken.subject.cluster)
    assert {"detector": "bad", "error": "ZeroDivisionError: it cannot be"} == broken.facts
    assert (0, 7) == (broken.evidence[0].partition, broken.evidence[0].offset)


def test_a_detector_in_quarantine_is_not_asked_again_and_told_once() -> None:
    bad = Raises()
    cluster = cluster_with(bad=bad)
    cluster.batch(frame())

    assert [] == cluster.batch(frame(8))
    assert 1 == bad.steps
    assert {"bad": "ZeroDivisionError: it cannot be"} == cluster.save().broken


def test_the_same_failure_has_the_same_id_in_every_run() -> None:
    """And another one at another frame, or of another detector."""
    first = findings(cluster_with(bad=Raises()).batch(frame()))[0].id

    assert first == findings(cluster_with(bad=Raises()).batch(frame()))[0].id
    assert first != findings(cluster_with(bad=Raises()).batch(frame(8)))[0].id
    assert first != findings(cluster_with(other=Raises()).batch(frame()))[0].id


# -- who hears whom ----------------------------------------------------------------------------------------------


def test_a_follower_is_given_what_was_found_in_the_same_frame() -> None:
    first, second, third = Says(name="first"), Says(("first",), name="second"), Says(("first", "second"), name="third")
    cluster = cluster_with(first=first, second=second, third=third)
    told = findings(cluster.batch(frame()))

    assert ["first", "second", "third"] == [finding.detector for finding in told]
    assert [told[0].id] == second.heard
    assert [told[0].id, told[1].id] == third.heard


def test_every_finding_bears_the_digests_in_force() -> None:
    cluster = cluster_with(says=Says())
    (finding,) = findings(cluster.batch(frame()))

    assert (cluster.thresholds.digest, "code") == (finding.config_digest, finding.code_digest)


# -- commands ----------------------------------------------------------------------------------------------------


def close(target: str, name: str = "k") -> BatchFrame:
    """Return a person's Close."""
    row = Close(name, "c1", target, "bob", "seen to")
    return BatchFrame(0, 9, START_MS + 9_000, batch({9: row}))


def test_a_person_closes_a_finding_and_followers_hear_of_it() -> None:
    says, hears = Says(), Says(("says",), name="hears")
    cluster = cluster_with(says=says, hears=hears)
    opened = findings(cluster.batch(frame()))[0]
    closed = [found for found in findings(cluster.batch(close(opened.id))) if found.id == opened.id]

    assert [FindingState.CLOSED] == [found.state for found in closed]
    assert "closed by bob: seen to" == closed[0].close_reason
    assert 2 == hears.heard.count(opened.id)


def test_a_second_close_and_one_of_nothing_say_nothing() -> None:
    cluster = cluster_with()
    says = Says()
    cluster.detectors["says"] = says
    opened = findings(cluster.batch(frame()))[0]
    cluster.batch(close(opened.id))
    again = cluster.batch(close(opened.id, "k2"))

    assert [] == [found for found in findings(again) if found.state == FindingState.CLOSED]
    assert [] == [found for found in findings(cluster.batch(close("f" * 32))) if found.state == FindingState.CLOSED]


def braked() -> tuple[Runner, Log]:
    """Return the real engine with a cluster of four servers in which three, its brake, are in HI."""
    log = Log().inventory(4)
    for n in range(3):
        log.maintenance(60 + n, "SERVER_STATE", server=f"s{n + 1}", state="HI")
    return Runner(0, only=("server_hi", "hi_threshold")), log


def give(runner: Runner, log: Log, at_s: float, row: Release | Close) -> list[Output]:
    """Feed one command."""
    log.batch("operator", [(at_s, row)])
    return runner.feed(log.frames[-1:])


def test_the_brake_decides_each_action_once() -> None:
    runner, log = braked()
    made = [output for output in runner.feed(log.frames) if isinstance(output, Decision)]

    assert ["stop-updates", "disable-healing"] == [decision.action for decision in made]
    assert {DecisionState.PROPOSED} == {decision.state for decision in made}
    assert {"cluster:c1"} == {decision.scope for decision in made}


def test_a_latch_goes_with_the_last_decision_made_for_it() -> None:
    runner, log = braked()
    made = [output for output in runner.feed(log.frames) if isinstance(output, Decision)]
    first = give(runner, log, 70, Release("a", "c1", made[0].id, "alice", "known"))
    assert [(Decision, "stop-updates")] == [(type(output), getattr(output, "action", "")) for output in first]

    second = give(runner, log, 71, Release("b", "c1", made[1].id, "bob", "mended"))
    closed = findings(second)
    assert ["hi_threshold"] == [finding.detector for finding in closed]
    assert "released by bob: mended" == closed[0].close_reason


def test_a_close_of_the_brake_is_refused_while_its_decisions_stand_and_says_so() -> None:
    """Nothing is lifted by it; after the release of one decision it is refused for the other's sake."""
    runner, log = braked()
    outputs = runner.feed(log.frames)
    brake = next(found for found in findings(outputs) if found.detector == "hi_threshold")
    made = [output for output in outputs if isinstance(output, Decision)]
    (refused,) = findings(give(runner, log, 70, Close("a", "c1", brake.id, "ada", "a drill")))
    assert (FindingState.UPDATED, "ada: a drill; stop-updates, disable-healing stand: release them") == (
        refused.state,
        refused.facts["close_refused"],
    )

    give(runner, log, 71, Release("b", "c1", made[0].id, "bob", "known"))
    (refused,) = findings(give(runner, log, 72, Close("c", "c1", brake.id, "ada", "a drill")))
    assert "ada: a drill; disable-healing stand: release them" == refused.facts["close_refused"]
    assert {"RELEASED", "PROPOSED"} == {each.state for each in runner.clusters["c1"].policy.decisions.values()}


def test_a_latched_finding_for_which_nothing_was_decided_may_be_closed() -> None:
    runner, log = braked()
    server = next(found for found in findings(runner.feed(log.frames)) if found.detector == "server_hi")
    (closed,) = findings(give(runner, log, 70, Close("a", "c1", server.id, "ada", "back")))

    assert (True, FindingState.CLOSED, "closed by ada: back") == (closed.latched, closed.state, closed.close_reason)


def test_a_latched_finding_for_which_nothing_was_decided_is_released_by_its_id() -> None:
    runner, log = braked()
    server = next(found for found in findings(runner.feed(log.frames)) if found.detector == "server_hi")
    (closed,) = findings(give(runner, log, 70, Release("a", "c1", server.id, "ada", "back")))

    assert (server.id, FindingState.CLOSED, "released by ada: back") == (closed.id, closed.state, closed.close_reason)


def test_of_two_releases_the_first_in_the_log_wins() -> None:
    runner, log = braked()
    made = [output for output in runner.feed(log.frames) if isinstance(output, Decision)]
    (first,) = give(runner, log, 70, Release("a", "c1", made[0].id, "alice", "known"))
    assert [] == give(runner, log, 71, Release("b", "c1", made[0].id, "bob", "no, me"))

    assert isinstance(first, Decision)
    assert ("alice", "known", "a") == (first.by, first.reason, first.request_id)
    assert "alice" == runner.clusters["c1"].policy.decisions[made[0].id].by


def test_a_released_latch_opens_again_only_without_what_was_released() -> None:
    """Two that went out since are not enough for the brake of three; the third is, and decides anew."""
    runner, log = braked()
    opened = [output for output in runner.feed(log.frames) if isinstance(output, Finding)][-1]
    released = give(runner, log, 70, Release("a", "c1", opened.id, "alice", "mended"))
    assert 2 == sum(isinstance(output, Decision) for output in released)

    log.maintenance(80, "SERVER_STATE", server="s4", state="HI")
    log.maintenance(81, "SERVER_STATE", server="s1", state="READY")
    log.maintenance(82, "SERVER_STATE", server="s1", state="HI")
    assert "hi_threshold" not in {found.detector for found in findings(runner.feed(log.frames[-3:]))}

    log.maintenance(90, "SERVER_STATE", server="s2", state="READY")
    log.maintenance(91, "SERVER_STATE", server="s2", state="HI")
    again = runner.feed(log.frames[-2:])
    assert 1 == sum(found.detector == "hi_threshold" for found in findings(again))
    assert 2 == sum(isinstance(output, Decision) for output in again)
    assert opened.id not in {found.id for found in findings(again)}


# -- saving ------------------------------------------------------------------------------------------------------


def test_a_saved_cluster_is_the_same_bytes_again() -> None:
    runner, log = braked()
    runner.feed(log.frames)
    data = encode_saved(runner.save("c1"))

    assert data == encode_saved(decode_saved(data))


def test_a_state_of_another_version_is_not_taken_and_is_told() -> None:
    runner, log = braked()
    runner.feed(log.frames)
    saved = decode_saved(encode_saved(runner.save("c1")))
    _, data = saved.detectors["server_hi"]
    saved.detectors["server_hi"] = (registry()["server_hi"].state_version + 1, data)
    other = Runner(0, only=("server_hi", "hi_threshold"))

    assert ["server_hi"] == other.restore("c1", saved, 5)
    assert [] == list(other.clusters["c1"].detectors["server_hi"].state.openings)
    assert 1 == len(list(other.clusters["c1"].detectors["hi_threshold"].state.openings))


@pytest.mark.parametrize(
    ("name", "fleet", "scopes"),
    [
        ("c1", False, ("cluster", "both")),
        ("*", False, ("partition", "both")),
        ("*", True, ("fleet",)),
        ("c1", True, ("fleet",)),
    ],
)
def test_who_runs_where(name: str, fleet: bool, scopes: tuple[str, ...]) -> None:
    assert scopes == scopes_of(name, fleet=fleet)
