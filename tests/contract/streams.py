"""The telemetry of a story, lane by lane, so that tests can interleave the lanes as they like."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from detectors.frames import BatchFrame, ClocksFrame
from schemas.inventory import InventoryComplete, Server, Vm
from schemas.telemetry import Batch, Clocks, Gap, Row, Stretch
from streams.engine.runner import TelemetryFrame
from tests.contract.story import CLUSTER, Story
from tests.kit import START_MS

TURN_S = 15
"""Seconds of source time between two turns of a lane's clock."""


@dataclass(slots=True)
class Item:
    """One record of `telemetry` in the making: a batch of one lane, or a turn of that lane's clock."""

    at_s: float
    feed: str
    rows: list[tuple[float, Row]] = field(default_factory=list)
    gaps: tuple[Gap, ...] = ()
    offset: int = 0
    """Of its first row in the source, or of the pulse that the turn stands on."""
    before: tuple[int, int] = (0, 0)
    """A turn's first offset and first stamp."""


def lanes(story: Story) -> dict[str, list[Item]]:
    """Return each lane's items in its own order: batches of one second, and a turn of its clock every 15 s."""
    found: dict[str, list[Item]] = {}
    for feed, rows in story.rows.items():
        items = [
            Item(group[0][0], feed, group)
            for _, members in itertools.groupby(rows, key=lambda row: int(row[0]))
            if (group := list(members))
        ]
        turn_s = -1.0
        while turn_s < story.until_s + 60:
            turn_s += TURN_S
            if not any(start <= turn_s <= end for start, end in story.gaps):
                items.append(Item(turn_s, feed))
        items.sort(key=lambda item: (item.rows[-1][0] if item.rows else item.at_s, not item.rows))
        found[feed] = items
        _number(items, story.gaps)
    return found


def _number(items: list[Item], gaps: Iterable[tuple[float, float]]) -> None:
    """Give each item its offsets, and each turn what was read since the last: a pulse a second stood in between."""
    offset, from_offset, from_s = 0, 0, -60.0
    for item in items:
        item.offset = offset
        if item.rows:
            offset += len(item.rows)
            continue
        item.before = (from_offset, START_MS + round(from_s * 1000))
        item.gaps = tuple(
            Gap(START_MS + round(start * 1000), START_MS + round(end * 1000))
            for start, end in gaps
            if from_s <= start and end <= item.at_s and end - start > 10
        )
        offset += 1
        from_offset, from_s = offset, item.at_s


def inventory(story: Story) -> Batch:
    """Return the import that stands before all."""
    servers = [
        Server(CLUSTER, name, n % 3, f"r{n % 2}", "dc1", "region1") for n, name in enumerate(sorted(story.hosts))
    ]
    vms = [
        Vm(vm.name, CLUSTER, vm.server, group=vm.group, update_domain=vm.update_domain, service=vm.service)
        for vm in story.vms.values()
    ]
    rows: tuple[Row, ...] = (*servers, *vms, InventoryComplete(CLUSTER, len(servers), len(vms)))
    before_ms = START_MS - 1000
    return Batch(CLUSTER, "inventory", "inventory", "id", 0, tuple(range(len(rows))), (before_ms,) * len(rows), rows)


def frames(story: Story, order: Iterable[Item] | None = None) -> list[TelemetryFrame]:
    """Return the log: the inventory, then the items of all lanes in order of time, or in the order given."""
    found: list[TelemetryFrame] = [BatchFrame(0, 0, START_MS - 1000, inventory(story))]
    if order is None:
        every = [item for items in lanes(story).values() for item in items]
        order = sorted(every, key=lambda item: (item.rows[-1][0] if item.rows else item.at_s, not item.rows))
    for place, item in enumerate(order, start=1):
        at_ms = START_MS + round((item.rows[-1][0] if item.rows else item.at_s) * 1000)
        if item.rows:
            stamps = tuple(START_MS + round(at_s * 1000) for at_s, _ in item.rows)
            offsets = tuple(range(item.offset, item.offset + len(item.rows)))
            rows = tuple(row for _, row in item.rows)
            batch = Batch(CLUSTER, item.feed, item.feed, f"id-of-{item.feed}", 0, offsets, stamps, rows)
            found.append(BatchFrame(0, place, at_ms, batch))
        else:
            from_offset, from_ms = item.before
            stretch = Stretch(
                item.feed,
                item.feed,
                f"id-of-{item.feed}",
                0,
                from_offset,
                item.offset,
                min(at_ms, from_ms + 1000),
                at_ms,
                item.gaps,
            )
            found.append(ClocksFrame(0, place, at_ms, Clocks(0, (stretch,))))
    return found


def interleaved(story: Story, seed: int, slack_s: float) -> list[TelemetryFrame]:
    """Return the log with its lanes interleaved by chance, each in its own order, up to `slack_s` apart."""
    chance = random.Random(seed)
    left = {feed: list(reversed(items)) for feed, items in lanes(story).items()}
    order: list[Item] = []
    while left:
        least_s = min(items[-1].at_s for items in left.values())
        feed = chance.choice(sorted(feed for feed, items in left.items() if items[-1].at_s <= least_s + slack_s))
        count = chance.randint(1, 12)
        order += reversed(left[feed][-count:])
        del left[feed][-count:]
        if not left[feed]:
            del left[feed]
    return frames(story, order)
