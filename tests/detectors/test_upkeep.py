"""What maintenance did, as it is remembered."""

from detectors.upkeep import WAVES_KEPT
from schemas.source import MaintenanceEvent
from tests.detectors.pictured import pictured
from tests.kit import START_MS, Log

DAY_S = 86_400


def test_a_version_that_changed_is_remembered_with_its_record_and_is_news() -> None:
    log = Log().host(0, "s1", [], versions={"ha": "1", "fc": "1"}).host(60, "s1", [], versions={"ha": "2"})
    picture = pictured(log)

    [change] = picture.servers["s1"].changes
    assert ("ha", "1", "2", "s1/b1/r1/1") == (change.component, change.from_version, change.to_version, change.source)
    assert [("s1", change)] == picture.news.changes


def test_a_wave_keeps_its_windows_and_vms_from_announcement_to_abort() -> None:
    log = Log().maintenance(0, "WAVE_ANNOUNCED", wave="w", vms=("v1", "v2"), scheduled_start_ms=START_MS + 1)
    log.maintenance(DAY_S, "WAVE_STARTED", wave="w").maintenance(DAY_S + 5, "WAVE_ABORTED", wave="w")
    wave = pictured(log).state.waves["w"]

    assert ("ABORTED", ("v1", "v2"), START_MS + 1) == (wave.state, wave.vms, wave.scheduled_start_ms)
    assert (log.ms(0), log.ms(DAY_S), log.ms(DAY_S + 5)) == (wave.announced_ms, wave.started_ms, wave.ended_ms)


def test_waves_are_bounded_the_longest_quiet_goes_first() -> None:
    log = Log()
    for n in range(WAVES_KEPT + 1):
        log.maintenance(n, "WAVE_ANNOUNCED", wave=f"w{n}")
    waves = pictured(log).state.waves

    assert WAVES_KEPT == len(waves)
    assert "w0" not in waves


def test_an_update_of_a_vm_ends_with_its_completion_or_failure() -> None:
    log = (
        Log()
        .maintenance(0, "VM_UPDATE_STARTED", vm="v1", rollout="r")
        .maintenance(9, "VM_UPDATE_FAILED", vm="v1", rollout="r", error_code="E")
    )
    log.maintenance(10, "VM_UPDATE_STARTED", vm="v1", rollout="q")
    picture = pictured(log)

    assert [("r", log.ms(9), True, "E"), ("q", None, False, "")] == [
        (known.rollout, known.until_ms, known.failed, known.error_code) for known in picture.vms["v1"].updates
    ]
    assert [] == list(picture.state.rollouts["r"].vms)
    assert ["v1"] == list(picture.state.rollouts["q"].vms)


def test_update_domains_under_way_are_those_started_and_not_completed() -> None:
    log = (
        Log()
        .maintenance(0, "UD_STARTED", rollout="r", update_domain=1)
        .maintenance(1, "UD_STARTED", rollout="r", update_domain=2, group="g")
    )
    log.maintenance(2, "UD_COMPLETED", rollout="r", update_domain=1)

    assert ["g/2"] == list(pictured(log).state.rollouts["r"].domains)


def test_redeploys_and_deallocations_are_kept_in_order_of_stamps() -> None:
    log = Log().maintenance(5, "VM_REDEPLOYED", vm="v1", to_server="s2", result_code="None", message="")
    log.maintenance(1, "VM_REDEPLOYED", vm="v1", to_server="s3", result_code="RetryLater", message="later")
    log.maintenance(7, "VM_DEALLOCATED", vm="v1", server="s2")
    picture = pictured(log)

    assert ["s3", "s2"] == [known.to_server for known in picture.vms["v1"].redeploys]
    assert ["v1"] == [known.vm for known in picture.servers["s2"].deallocations]


def test_a_word_of_a_guest_agent_is_kept_and_heartbeats_are_not() -> None:
    log = Log().guest(2, "v1", "SHUTDOWN", initiator="WaAppAgent.exe", reason="Legacy API shutdown")
    log.guest(1, "v1", "STOPPING").guest(3, "v1", "HEARTBEAT")
    picture = pictured(log)

    assert ["STOPPING", "SHUTDOWN"] == [word.kind for word in picture.vms["v1"].words]
    assert "WaAppAgent.exe" == picture.vms["v1"].words[-1].initiator


def test_a_reboot_remembers_workflow_and_cause() -> None:
    reboot = MaintenanceEvent(
        "e", "c1", 0, "fc", "NODE_REBOOT_STARTED", server="s1", planned=False, workflow="W", cause="BLOB_CACHE_RACE"
    )
    [upkeep] = pictured(Log().batch("maintenance", [(0, reboot)])).servers["s1"].upkeep

    assert ("W", "BLOB_CACHE_RACE", "e", "fc") == (upkeep.workflow, upkeep.cause, upkeep.event_id, upkeep.system)


def test_updates_remember_the_wave_that_they_name() -> None:
    log = Log().inventory(1).maintenance(0, "NODE_REBOOT_STARTED", server="s1", wave="w", planned=True)
    log.maintenance(1, "VM_UPDATE_STARTED", vm="v1", wave="w").maintenance(2, "VM_UPDATE_STARTED", vm="v1", rollout="r")
    picture = pictured(log)

    assert ["w"] == [work.wave for work in picture.servers["s1"].upkeep]
    assert ["w", ""] == [work.wave for work in picture.vms["v1"].updates]
