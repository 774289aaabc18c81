"""Events of rollouts and waves, folded."""

from detectors.announced import fold_rollout, fold_wave
from detectors.upkeep import CHANGES_KEPT, RolloutView, WaveView
from schemas.outputs import Evidence
from schemas.source import MaintenanceEvent

HERE = Evidence(0, 0)


def event(kind: str, **fields: object) -> MaintenanceEvent:
    return MaintenanceEvent(f"e-{kind}", "c1", 0, "fc", kind, **fields)  # type: ignore[arg-type]


def test_the_newest_word_by_stamp_is_the_state_of_a_rollout() -> None:
    rollouts: dict[str, RolloutView] = {}
    fold_rollout(rollouts, event("ROLLOUT_PAUSED", rollout="r"), "r", 200, HERE)
    fold_rollout(rollouts, event("ROLLOUT_STARTED", rollout="r", to_version="2", mode="ud"), "r", 100, HERE)

    assert ("PAUSED", "2", "ud") == (rollouts["r"].state, rollouts["r"].to_version, rollouts["r"].mode)


def test_a_rollout_begins_when_it_says_so_and_not_when_its_images_are_copied() -> None:
    rollouts: dict[str, RolloutView] = {}
    for kind, at_ms in (("IMAGE_COPY_COMPLETED", 100), ("ROLLOUT_STARTED", 200), ("ROLLOUT_PAUSED", 300)):
        fold_rollout(rollouts, event(kind, rollout="r"), "r", at_ms, HERE)

    assert 200 == rollouts["r"].started_ms


def test_the_oldest_rollout_makes_room() -> None:
    rollouts: dict[str, RolloutView] = {}
    for n in range(CHANGES_KEPT + 1):
        fold_rollout(rollouts, event("ROLLOUT_STARTED", rollout=f"r{n}"), f"r{n}", n + 1, HERE)

    assert CHANGES_KEPT == len(rollouts)
    assert "r0" not in rollouts


def test_a_wave_started_before_its_announcement_was_read_is_still_started() -> None:
    waves: dict[str, WaveView] = {}
    fold_wave(waves, event("WAVE_STARTED", wave="w"), "w", 50, HERE)
    fold_wave(waves, event("WAVE_ANNOUNCED", wave="w", vms=("v1",)), "w", 10, HERE)

    assert ("STARTED", 10, 50, ("v1",)) == (
        waves["w"].state,
        waves["w"].announced_ms,
        waves["w"].started_ms,
        waves["w"].vms,
    )
