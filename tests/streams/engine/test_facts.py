"""What a cluster's engine tells the fleet engine beside its findings."""

from schemas.fleet import ClusterFacts, ServiceCount
from schemas.inventory import Vm
from schemas.telemetry import Batch
from streams.engine.cluster import decode_saved, encode_saved
from streams.engine.facts import FACTS_EVERY_MS, facts_of
from streams.engine.runner import Runner
from tests.detectors.pictured import pictured
from tests.kit import Log, vm


def instances(*names: str) -> list[Vm]:
    return [Vm(name, "c1", "s1", service="acs") for name in names]


def facts(log: Log, runner: Runner | None = None) -> list[tuple[int, ClusterFacts]]:
    """Return the facts told over a log, with their stamps in seconds."""
    runner = runner or Runner(0, only=())
    told = [told for told in runner.tell(log.frames) if isinstance(told, Batch) and told.feed == "facts"]
    return [((batch.at_ms[0] - log.start_ms) // 1000, row) for batch in told for row in batch.rows]  # type: ignore[misc]


def test_a_cluster_is_counted_by_its_inventory() -> None:
    log = Log().inventory(2, vms=instances("v1", "v2", "v3"))
    log.host(0, "s1", [vm("v1"), vm("v2", ga="BUSY"), vm("v3", network="DOWN")], versions={"ha": "1.7"})
    log.host(0, "stranger", [vm("x")], versions={"ha": "9"})
    log.maintenance(1, "SERVER_STATE", server="s2", state="HI")

    assert ClusterFacts(
        "c1", "region1", "dc1", 2, 1, 3, 1, 1, versions={"ha=1.7": 1}, services=(ServiceCount("acs", 3, 1),)
    ) == facts_of(pictured(log))


def test_before_a_complete_import_nothing_is_counted() -> None:
    assert ClusterFacts("c1") == facts_of(pictured(Log().inventory(2, complete=False)))


def test_facts_are_told_when_they_change_and_not_too_often() -> None:
    log = Log().inventory(1, vms=instances("v1")).host(0, "s1", [vm("v1")]).clocks(1)
    log.host(2, "s1", [vm("v1", ga="BUSY")]).clocks(3).clocks(1 + FACTS_EVERY_MS / 1000).clocks(90).clocks(200)

    assert [(1, 1), (31, 0)] == [(at_s, known.vms_ready) for at_s, known in facts(log)]


def test_a_restored_engine_tells_nothing_twice() -> None:
    runner = Runner(0, only=())
    log = Log().inventory(1, vms=instances("v1")).host(0, "s1", [vm("v1")]).clocks(1)
    assert 1 == len(facts(log, runner))
    again = Runner(0, only=())
    for name in ("*", "c1"):
        again.restore(name, decode_saved(encode_saved(runner.save(name))), len(log.frames))

    more = log.host(99, "s1", [vm("v1")]).clocks(100)
    assert [] == facts(more, again)


def test_events_of_rollouts_and_waves_are_passed_on_and_those_of_servers_are_not() -> None:
    log = Log().maintenance(0, "ROLLOUT_STARTED", rollout="r").maintenance(1, "NODE_REBOOT_STARTED", server="s1")
    log.maintenance(2, "WAVE_STARTED", wave="w").maintenance(3, "WAVE_STARTED", wave="w", event_id="m1")
    told = [told for told in Runner(0, only=()).tell(log.frames) if isinstance(told, Batch)]

    assert [("maintenance", "ROLLOUT_STARTED"), ("maintenance", "WAVE_STARTED")] == [
        (batch.feed, getattr(row, "kind", "")) for batch in told for row in batch.rows
    ]
