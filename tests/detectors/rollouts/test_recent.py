"""Tests of what is told of recent changes."""

from __future__ import annotations

from detectors.rollouts.recent import recent
from tests.detectors.pictured import pictured
from tests.kit import Log


def changed(servers: int = 3) -> Log:
    """Return servers whose netplugin changes at second 100, that of s1 again at 200."""
    log = Log().inventory(servers)
    for at_s, version in ((0, "1.6"), (100, "1.7")):
        for n in range(servers):
            log.host(at_s, f"s{n + 1}", vms=[], versions={"netplugin": version})
    return log.host(200, "s1", vms=[], versions={"netplugin": "1.8"})


def test_versions_are_counted_by_server_the_most_widespread_first() -> None:
    log = changed()
    told = recent(pictured(log), ["s1", "s2", "s3"], log.ms(100))

    assert ("netplugin 1.6 -> 1.7 on 3 servers", "netplugin 1.7 -> 1.8 on 1 server") == told.versions
    assert ("netplugin 1.7 -> 1.8 on 1 server",) == recent(pictured(log), ["s1"], log.ms(100.001)).versions
    assert {"changes": "; ".join(told.versions)} == told.facts()


def test_of_many_the_rest_is_counted() -> None:
    log = Log().inventory(1).host(0, "s1", vms=[], versions={f"c{n}": "1" for n in range(9)})
    log.host(10, "s1", vms=[], versions={f"c{n}": "2" for n in range(9)})

    assert ("c5 1 -> 2 on 1 server", "3 more") == recent(pictured(log), ["s1"], log.ms(0)).versions[-2:]


def test_rollouts_that_reached_them_are_named_with_their_state() -> None:
    log = changed()
    log.maintenance(90, "ROLLOUT_STARTED", rollout="r1", component="netplugin", to_version="1.7", mode="ud")
    log.maintenance(91, "SERVER_UPDATE_STARTED", rollout="r1", server="s2")
    log.maintenance(92, "SERVER_UPDATE_STARTED", rollout="r2", server="s9")
    log.maintenance(93, "SERVER_UPDATE_STARTED", rollout="r3", server="s3")
    told = recent(pictured(log), ["s2", "s3"], log.ms(91))

    assert ("rollout r1 (netplugin ? -> 1.7, ud, started) on 1 server", "rollout r3 on 1 server") == told.rollouts
    assert told.under_way

    log.maintenance(95, "ROLLOUT_COMPLETED", rollout="r1")
    log.maintenance(96, "ROLLOUT_ABORTED", rollout="r3")
    assert not recent(pictured(log), ["s2", "s3"], log.ms(91)).under_way
    assert () == recent(pictured(log), ["s2"], log.ms(91.001)).rollouts


def test_updates_under_way_or_ended_since_are_told_with_their_impact() -> None:
    log = changed()
    log.maintenance(
        50, "COMPONENT_UPDATE_STARTED", system="nmagent", server="s1", component="nmagent", impact="network"
    )
    log.maintenance(60, "NODE_REBOOT_STARTED", server="s2", planned=True)
    log.maintenance(99, "NODE_REBOOT_COMPLETED", server="s2", planned=True)

    assert ("update of a component by nmagent, announced impact network under way on 1 server",) == recent(
        pictured(log), ["s1", "s2", "s9"], log.ms(99.001)
    ).upkeep
    assert "reboot by fc on 1 server" in recent(pictured(log), ["s1", "s2"], log.ms(99)).upkeep


def test_nothing_is_said_to_be_known_where_nothing_is() -> None:
    told = recent(pictured(changed()), ["s9"], 0)

    assert "Nothing is known to have been changed on them in the 90 s before." == told.sentence(90)
