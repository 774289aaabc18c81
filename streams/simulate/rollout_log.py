"""The log of a world of rollouts, as an intake would have written it: frames, without a broker and without a codec."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.frames import BatchFrame, ClocksFrame
from schemas.inventory import InventoryComplete, Server
from schemas.source import TELEMETRY_FEEDS
from schemas.telemetry import Batch, Clocks, Row, Stretch
from streams.engine.runner import TelemetryFrame
from streams.simulate.rollout_worlds import CLUSTER, HOUR_S, World

START_MS = 1_767_571_200_000
"""2026-01-05T00:00:00Z."""
_COARSE_S = 3600.0
_FINE_S = 300.0


def frames(world: World) -> Iterator[TelemetryFrame]:
    """Yield the log: a batch of each feed and a turn of the clocks each hour, near changes each five minutes."""
    offset, offsets = 0, dict.fromkeys((*TELEMETRY_FEEDS, "inventory"), 0)
    rows: list[Row] = [
        Server(CLUSTER, name, n % 5, world.rack[name], "dc", "region") for n, name in enumerate(world.names)
    ]
    if not world.trial.lost.inventory:
        rows.append(InventoryComplete(CLUSTER, len(world.names), 0))
    yield _batch(offset, "inventory", offsets, [(-1.0, row) for row in rows])
    places = dict.fromkeys(TELEMETRY_FEEDS, 0)
    before, turned = -60.0, dict.fromkeys(TELEMETRY_FEEDS, 0)
    for until in _turns(world):
        for feed in TELEMETRY_FEEDS:
            held, place = world.rows[feed], places[feed]
            end = place
            while end < len(held) and held[end][0] < until:
                end += 1
            if end > place:
                offset += 1
                yield _batch(offset, feed, offsets, held[place:end])
                places[feed] = end
        offset += 1
        yield _clocks(offset, offsets, turned, before, until)
        before = until


def _turns(world: World) -> Iterator[float]:
    near = [(plan.begins_s, plan.begins_s + plan.spread_s + 6 * HOUR_S) for plan in world.trial.plans]
    near += [(plan.first_harm_s - HOUR_S, plan.first_harm_s + 6 * HOUR_S) for plan in world.trial.plans if plan.harmed]
    at = 0.0
    while at < world.end_s:
        at += _FINE_S if any(start <= at <= end for start, end in near) else _COARSE_S
        yield at


def _ms(at_s: float) -> int:
    return START_MS + round(at_s * 1000)


def _batch(offset: int, feed: str, offsets: dict[str, int], rows: list[tuple[float, Row]]) -> BatchFrame:
    first = offsets[feed]
    offsets[feed] += len(rows)
    stamps = tuple(_ms(at) for at, _ in rows)
    numbers = tuple(range(first, offsets[feed]))
    batch = Batch(CLUSTER, feed, feed, f"id-{feed}", 0, numbers, stamps, tuple(row for _, row in rows))
    return BatchFrame(0, offset, stamps[-1], batch)


def _clocks(offset: int, offsets: dict[str, int], turned: dict[str, int], before: float, until: float) -> ClocksFrame:
    stretches = []
    for feed in TELEMETRY_FEEDS:
        number = offsets[feed]
        offsets[feed] += 1
        from_ms = _ms(before) + 1000
        stretches.append(Stretch(feed, feed, f"id-{feed}", 0, turned[feed], number, from_ms, _ms(until), (), 0))
        turned[feed] = number + 1
    return ClocksFrame(0, offset, _ms(until), Clocks(0, tuple(stretches)))
