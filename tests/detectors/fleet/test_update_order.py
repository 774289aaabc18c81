"""update_order: images, then the host OS, then the guest OS; one pass at a time (seed 002)."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.fleet import update_order
from detectors.fleet.update_order import State
from schemas.inventory import Service
from schemas.outputs import Finding, Severity
from streams.engine.runner import Runner
from tests.detectors.fleet.stories import FleetLog, run
from tests.kit import short


def say(log: FleetLog, at_s: float, cluster: str, kind: str, rollout: str = "u-host", **fields: Any) -> FleetLog:
    """Let a cluster of dc1 tell of a pass."""
    system = fields.pop("system", "guest-os" if "guest" in rollout else "host-os")
    known = {"datacenter": "dc1", "to_version": "9", **fields}
    return log.event(at_s, cluster, kind, rollout=rollout, system=system, **known)


def start(log: FleetLog, at_s: float, cluster: str = "a", rollout: str = "u-host", **fields: Any) -> FleetLog:
    return say(log, at_s, cluster, "ROLLOUT_STARTED", rollout, **fields)


def end(log: FleetLog, at_s: float, cluster: str = "a", rollout: str = "u-host", **fields: Any) -> FleetLog:
    return say(log, at_s, cluster, "ROLLOUT_COMPLETED", rollout, **fields)


def copied(log: FleetLog, at_s: float, cluster: str = "a", rollout: str = "u-host", **fields: Any) -> FleetLog:
    return say(log, at_s, cluster, "IMAGE_COPY_COMPLETED", rollout, **fields)


def found(log: FleetLog) -> list[Finding]:
    return run(log, ["update_order"])


def rules(log: FleetLog) -> list[str]:
    return [f"{finding.subject.signature} {finding.state}" for finding in found(log)]


def test_a_clean_upgrade_of_two_clusters_is_silent() -> None:
    """Images, hosts of both clusters, guests of both, agents beside the guests."""
    log = FleetLog()
    for n, rollout in enumerate(("u-host", "u-guest")):
        copied(copied(log, n * 1000, "a", rollout), n * 1000, "b", rollout)
        start(start(log, n * 1000 + 10, "a", rollout), n * 1000 + 400, "b", rollout)
        end(end(log, n * 1000 + 500, "a", rollout), n * 1000 + 900, "b", rollout)
    log.event(1500, "a", "ROLLOUT_STARTED", rollout="u-agent", system="guest-agent", component="ga", datacenter="dc1")

    assert [] == found(log.clocks(3000))


@pytest.mark.parametrize(("ended_s", "opens"), [(500, False), (500.001, True)])
def test_guests_wait_until_the_host_pass_of_the_datacenter_is_complete(ended_s: float, opens: bool) -> None:
    """Its last cluster ends late, and is told of from another partition."""
    log = end(start(start(FleetLog().clocks(-1, lanes=(0, 1)), 0), 100, "b"), 200)
    start(log, 500, "a", "u-guest").clocks(600).clocks(400, lanes=(1,))
    end(log, ended_s, "b").clocks(700, lanes=(1,)).clocks(700)

    expected = ["guest-before-host OPEN", "guest-before-host CLOSED"] if opens else []
    assert expected == rules(log)


def test_it_tells_where_and_which() -> None:
    log = FleetLog().facts(-5, "a", region="north", datacenter="dc1")
    [finding] = found(start(start(log, 0), 500, "a", "u-guest").clocks(501))

    assert ["update_order north/u-guest/guest-before-host OPEN 500s"] == short([finding])
    assert Severity.WARNING == finding.severity
    assert (
        "guest OS updates (u-guest) started in datacenter dc1 at 2012-02-29 00:08:20Z before the host OS pass u-host "
        "was complete"
    ) == finding.title
    assert "guest-os pass u-guest, host-os pass u-host" == finding.facts["passes"]


def test_other_datacenters_go_at_their_own_pace() -> None:
    log = start(start(FleetLog(), 0), 500, "b", "u-guest", datacenter="dc2")

    assert [] == found(log.clocks(600))


@pytest.mark.parametrize(("first", "second"), [("u-guest", "u-host"), ("u-host", "v-host"), ("u-guest", "v-guest")])
def test_two_passes_at_once_are_wrong_in_any_order(first: str, second: str) -> None:
    log = start(start(FleetLog(), 0, "a", first, to_version="8"), 500, "b", second).clocks(600)
    finding = found(log)[0]

    assert "two-passes" == finding.subject.signature
    assert finding.title.startswith("two passes at once in datacenter dc1 since 2012-02-29 00:08:20Z: ")


def test_one_image_in_two_clusters_is_one_pass_whatever_it_is_called() -> None:
    assert [] == rules(start(start(FleetLog(), 0, "a", "host-a"), 50, "b", "host-b").clocks(60))
    assert ["two-passes OPEN"] == rules(start(start(FleetLog(), 0, "a", "host-a"), 50, "a", "host-b").clocks(60))


def test_it_closes_when_one_of_them_has_ended_in_all_clusters() -> None:
    log = start(start(start(FleetLog(), 0), 10, "b"), 500, "a", "u-guest").clocks(501)
    end(log, 600, "a")
    assert ["guest-before-host OPEN"] == rules(log)

    assert "one of the passes has ended" == found(say(log, 700, "b", "ROLLOUT_ABORTED"))[-1].close_reason


@pytest.mark.parametrize("opens", [True, False])
def test_a_pass_starts_when_its_images_are_copied(opens: bool) -> None:
    log = start(FleetLog(), 100).clocks(99)
    copied(log, 100.001 if opens else 100).clocks(200)

    assert (["images-not-copied OPEN"] if opens else []) == rules(log)


def test_a_copy_that_is_known_before_its_time_is_told_all_the_same() -> None:
    """The copy of the same datacenter comes first in the log, and is stamped later."""
    log = start(copied(FleetLog(), 110, "b"), 100)
    [finding] = found(log.clocks(200))

    assert (
        "host-os pass u-host started in datacenter dc1 at 2012-02-29 00:01:40Z before its images were copied there"
        == (finding.title)
    )


@pytest.mark.parametrize(("copied_days", "opens"), [(-90, True), (-90.001, False)])
def test_a_copy_that_is_never_told_counts_where_copies_are_told_of(copied_days: float, opens: bool) -> None:
    log = start(copied(FleetLog(), copied_days * 86_400, "z", "t-host", datacenter="dc9"), 0)

    assert (["images-not-copied OPEN"] if opens else []) == rules(log.clocks(5))


def test_where_nobody_tells_of_copies_nothing_is_held_against_a_pass() -> None:
    assert [] == found(start(FleetLog(), 0).clocks(5))


def test_a_pass_without_images_closes_with_it() -> None:
    log = copied(start(FleetLog(), 0).clocks(1), 50)
    copied(log, 60, "b")

    assert ["images-not-copied OPEN", "images-not-copied CLOSED"] == rules(end(log, 90).clocks(100))


def test_a_copy_after_the_pass_is_another_story() -> None:
    assert [] == rules(copied(end(start(FleetLog(), 0), 40).clocks(41), 50))


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "guest-agent", "component": "ga"},
        {"system": "fc", "component": "ha"},
        {"system": "host-os", "wave": "w1"},
        {"system": "guest-os", "group": "fixed"},
        {"system": "customer", "component": "guest_os"},
    ],
)
def test_what_is_no_pass_may_go_at_any_time(fields: dict[str, Any]) -> None:
    log = FleetLog().told(-5, Service("fixed", guest_os="4.1"), Service("web"))
    log = start(start(log, 0), 10, "a", "other", **fields)

    assert [] == found(log.clocks(20))


def test_services_with_automatic_versions_are_of_a_pass() -> None:
    log = start(FleetLog().told(-5, Service("web")), 0)
    say(log, 10, "a", "UD_STARTED", "u-guest", group="web").clocks(20)

    assert ["guest-before-host OPEN"] == rules(log)


def test_a_cluster_whose_datacenter_nobody_knows_is_its_own() -> None:
    log = start(start(FleetLog(), 0, datacenter=None), 10, "a", "u-guest", datacenter=None).clocks(20)

    assert ["update_order a/u-guest/guest-before-host OPEN 10s"] == short(found(log))


def state_after(log: FleetLog) -> State:
    """Return what the detector remembers after a log."""
    runner = Runner(0, only=["update_order"], fleet=True)
    runner.feed(log.frames)
    state = runner.clusters["*"].detectors["update_order"].state
    assert isinstance(state, State)
    return state


def test_passes_and_images_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended goes first; a pass that is forgotten is not judged."""
    monkeypatch.setattr(update_order, "PASSES_MOST", 1)
    monkeypatch.setattr(update_order, "IMAGES_MOST", 1)
    log = copied(copied(FleetLog(), 0, rollout="x"), 1, rollout="y")
    end(start(log, 5, "a", "y"), 6, "a", "y")
    state = state_after(start(log, 7, "a", "z").clocks(9))

    assert (["a/z"], ["y/dc1"]) == (list(state.passes), list(state.images))
