"""Detectors made for the tests of the engine, and logs for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.contract import Detector, State
from detectors.frames import BatchFrame, ClocksFrame, DueFrame, FindingFrame, Frame
from detectors.lanes import Lanes
from detectors.picture import Picture
from schemas.outputs import Finding, Severity, Subject
from schemas.source import HOST_AGENT
from schemas.telemetry import EVERYONE, Batch, Clocks, Row, Stretch
from streams.engine.cluster import Cluster
from streams.engine.runner import Runner, default_thresholds
from tests.kit import START_MS, Log


@dataclass(frozen=True)
class NoConfig:
    """Nothing to configure."""


class Asks(Detector[NoConfig, State]):
    """Wants to be asked at given times, and notes when it is: (its name, due time, the frame's stamp)."""

    Config = NoConfig
    feeds = (HOST_AGENT,)

    def __init__(self, label: str, asked: list[tuple[str, int, int]], *due_ms: int) -> None:
        super().__init__(NoConfig())
        self.label = label
        self.asked = asked
        for at_ms in due_ms:
            self.state.deadlines.set(str(at_ms), at_ms)

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Note that it is asked."""
        if isinstance(frame, DueFrame):
            self.asked.append((self.label, frame.due_ms, frame.at_ms))
            self.state.deadlines.pop(frame.due_ms)
        return []


class AsksForEver(Asks):
    """Names the time at which it is asked again and again."""

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Name the same time again."""
        found = super().step(frame, picture)
        if isinstance(frame, DueFrame):
            self.state.deadlines.set("again", frame.due_ms)
        return found


class Throttled(Asks):
    """Says something at most every 10 s of the frames' stamps, and asks for the next moment until it may."""

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Ask for the next millisecond where the frame's stamp is before the time for which it asked."""
        found = super().step(frame, picture)
        if isinstance(frame, DueFrame) and frame.at_ms < frame.due_ms:
            self.state.deadlines.set("again", frame.due_ms + 1)
        return found


class Raises(Detector[NoConfig, State]):
    """Fails at every frame."""

    Config = NoConfig

    def __init__(self) -> None:
        super().__init__(NoConfig())
        self.steps = 0

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Fail."""
        self.steps += 1
        msg = "it cannot be"
        raise ZeroDivisionError(msg)


class Says(Detector[NoConfig, State]):
    """Opens one finding for each row, by its stamp; notes the findings that it is given."""

    Config = NoConfig

    def __init__(self, follows: tuple[str, ...] = (), *, name: str = "says") -> None:
        super().__init__(NoConfig())
        self.follows = follows  # type: ignore[misc]
        self.label = name
        self.heard: list[str] = []
        self.frames: list[Frame] = []

    def step(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Open what a batch brings."""
        self.frames.append(frame)
        if isinstance(frame, FindingFrame):
            self.heard.append(frame.finding.id)
            return []
        if not isinstance(frame, BatchFrame):
            return []
        return [
            found
            for at_ms in frame.batch.at_ms
            for found in self.state.openings.start(
                f"{self.label}/{at_ms}",
                frame,
                self.label,
                Subject(cluster=picture.cluster),
                str(at_ms),
                opened_ms=at_ms,
                severity=Severity.WARNING,
                title=f"at {at_ms}",
            )
        ]


def cluster_with(**detectors: Any) -> Cluster:
    """Return a cluster with these detectors alone."""
    made = Cluster(Picture("c1", Lanes()), default_thresholds(), "code")
    made.detectors.update(detectors)
    return made


def runner_with(clusters: dict[str, dict[str, Any]], **settings: Any) -> tuple[Runner, Log]:
    """Return a runner of these clusters with their detectors alone, and the log that it has read so far."""
    log = Log()
    for name in clusters:
        log.cluster = name
        log.inventory(["s1"], complete=False, at_s=-100)
    log.cluster = next(iter(clusters), "c1")
    runner = Runner(0, only=(), **settings)
    runner.feed(log.frames)
    for name, detectors in clusters.items():
        runner.clusters[name].detectors.update(detectors)
    return runner, log


def batch(
    rows: Mapping[int, Row],
    cluster: str = "c1",
    feed: str = "operator",
    *,
    lane: int = 0,
    topic_id: str = "t",
    at_s: float = 0,
) -> Batch:
    """Return a batch of rows by source offset."""
    at_ms = START_MS + round(at_s * 1000)
    return Batch(cluster, feed, feed, topic_id, lane, tuple(rows), tuple(at_ms for _ in rows), tuple(rows.values()))


def engine_clocks(offset: int, lane: int, from_s: float, to_s: float, offsets: tuple[int, int]) -> ClocksFrame:
    """Return an engine's Clocks as they stand in `fleet`."""
    from_ms, to_ms = START_MS + round(from_s * 1000), START_MS + round(to_s * 1000)
    stretch = Stretch("engine", "telemetry", "telemetry", lane, *offsets, from_ms, to_ms)
    return ClocksFrame(0, offset, to_ms, Clocks(lane, (stretch,)))


__all__ = ["EVERYONE", "Asks", "AsksForEver", "NoConfig", "Raises", "Says", "Throttled", "batch", "cluster_with"]


@dataclass
class Fleet:
    """A log of `fleet` in the making."""

    runner: Runner = field(default_factory=lambda: Runner(0, only=(), fleet=True))
    offset: int = 0

    def give(self, *batches: Batch) -> list[Any]:
        """Feed batches, each as one frame; return what comes of them."""
        outputs: list[Any] = []
        for each in batches:
            outputs += self.runner.feed([BatchFrame(0, self.offset, each.at_ms[-1], each)])
            self.offset += 1
        return outputs
