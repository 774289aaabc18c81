"""rollout_log: whole, in order, and the same for the same world."""

from __future__ import annotations

from detectors.frames import BatchFrame, ClocksFrame
from streams.engine.runner import Runner
from streams.simulate.rollout_log import frames
from streams.simulate.rollout_trials import draw
from streams.simulate.rollout_worlds import CLUSTER, World


def test_the_same_world_gives_the_same_log() -> None:
    assert list(frames(World(draw(5, 1)))) == list(frames(World(draw(5, 1))))


def test_the_engine_takes_the_log_without_gap_or_repeat() -> None:
    runner = Runner(0, only=["rollout_regression"])
    log = list(frames(World(draw(5, 1))))
    runner.feed(log)

    assert isinstance(log[0], BatchFrame)
    assert isinstance(log[-1], ClocksFrame)
    assert 0 == runner.counts.repeats
    assert {} == runner.clusters[CLUSTER].broken
    assert all(lane.hole is None and len(lane.gaps) <= 1 for lane in runner.lanes.lanes.values())
