"""What of a batch the fleet engine must know too. Pure."""

from __future__ import annotations

from schemas.commands import OPERATOR
from schemas.inventory import INVENTORY, Region, Removed, Service
from schemas.telemetry import Batch

FLEET_KINDS = frozenset({"service", "region"})
"""Tombstones that concern the fleet."""


def for_fleet(batch: Batch) -> Batch | None:
    """Return what of a batch the fleet engine must know too: commands, configurations, services and regions."""
    if batch.feed == OPERATOR:
        return batch
    if batch.feed != INVENTORY:
        return None
    kept = [
        index
        for index, row in enumerate(batch.rows)
        if isinstance(row, Service | Region) or (isinstance(row, Removed) and row.kind in FLEET_KINDS)
    ]
    if not kept:
        return None
    return Batch(
        batch.cluster,
        batch.feed,
        batch.topic,
        batch.topic_id,
        batch.lane,
        tuple([batch.offsets[index] for index in kept]),
        tuple([batch.at_ms[index] for index in kept]),
        tuple([batch.rows[index] for index in kept]),
    )
