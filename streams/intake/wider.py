"""What of a batch the fleet engine must know too. Pure."""

from __future__ import annotations

from schemas.commands import OPERATOR
from schemas.inventory import INVENTORY, Region, Removed, Service
from schemas.telemetry import Batch, rows_of

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
    return rows_of(batch, kept) if kept else None
