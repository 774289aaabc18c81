"""Tests of the losses that are kept of a cluster."""

from __future__ import annotations

from detectors.rollouts.losses import Losses
from tests.detectors.pictured import pictured
from tests.kit import START_MS, Log, vm


def down(*names: str) -> Log:
    return Log().inventory(2).host(10, "s1", vms=[vm(name, network="DOWN") for name in names])


def test_a_loss_is_seen_once_with_the_report_that_showed_it() -> None:
    losses, picture = Losses(), pictured(down("v1"))
    loss = losses.see(picture, "v1")

    assert loss is not None
    assert ("s1", START_MS + 10_000, "s1/b1/r1/0") == (loss.server, loss.at_ms, loss.source)
    assert 0 == loss.evidence.source_offset
    assert losses.see(picture, "v1") is None


def test_it_counts_from_when_the_guest_agent_reports_well_too() -> None:
    log = Log().inventory(1).host(10, "s1", vms=[vm("v1", ga="STARTING", network="DOWN")])
    log.host(40, "s1", vms=[vm("v1", network="DOWN")])
    loss = Losses().see(pictured(log), "v1")

    assert loss is not None
    assert START_MS + 40_000 == loss.at_ms


def test_what_is_over_leaves_no_trace() -> None:
    losses, log = Losses(), down("v1", "v2")
    for name in ("v1", "v2"):
        losses.see(pictured(log), name)
    log.host(20, "s1", vms=[vm("v1", network="UP"), vm("v2", network="UP")])
    for name in ("v1", "v2", "v3"):
        losses.see(pictured(log), name)
        losses.drop(name)

    assert Losses() == losses


def test_losses_since_a_time_come_in_order() -> None:
    losses, log = Losses(), down("v1", "v2")
    log.host(20, "s2", vms=[vm("v3", network="DOWN")])
    for name in ("v3", "v2", "v1"):
        losses.see(pictured(log), name)

    assert ["v1", "v2", "v3"] == [loss.vm for loss in losses.since(START_MS + 10_000)]
    assert ["v3"] == [loss.vm for loss in losses.since(START_MS + 10_001)]


def test_a_vm_that_its_server_does_not_name_yet_waits_for_its_next_report() -> None:
    losses = Losses()
    log = down("v1").guest(20, "v1", "START", incarnation=2)
    assert losses.see(pictured(log), "v1") is None

    assert ["v1"] == losses.due("s1")
    assert [] == losses.due("s1")


def test_a_vm_unknown_or_ended_has_none() -> None:
    losses = Losses()
    log = down("v1").host(20, "s1", vms=[])

    assert losses.see(pictured(log), "v1") is None
    assert losses.see(pictured(log), "v9") is None
