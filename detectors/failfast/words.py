"""How the detectors of this folder put times, places and lists into sentences."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from detectors.picture import Picture

NAMES_SHOWN = 8
"""Names that a sentence lists before it counts the rest: what a person takes in at a glance."""


def utc(at_ms: int) -> str:
    """Return a stamp as a person reads it, in UTC, to the second."""
    return f"{datetime.fromtimestamp(at_ms // 1000, tz=UTC):%Y-%m-%d %H:%M:%S}Z"


def listed(names: Iterable[str], most: int = NAMES_SHOWN) -> str:
    """Return distinct names in order, the first ones by name and the rest by number."""
    known = sorted(set(names))
    rest = len(known) - most
    return ", ".join(known) if rest <= 0 else f"{', '.join(known[:most])} and {rest} more"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is not one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def minutes(of_s: float) -> str:
    """Return a length of time in minutes, or in seconds where it is no whole number of minutes."""
    return f"{of_s / 60:g} min" if of_s % 60 == 0 else f"{of_s:g} s"


def rack_of(picture: Picture, server: str) -> str:
    """Return the rack of a server; empty where the inventory names none."""
    known = picture.servers.get(server)
    return "" if known is None or known.inventory is None else known.inventory.rack


def racks_of(picture: Picture, servers: Iterable[str]) -> list[str]:
    """Return the distinct racks of these servers in order, as far as the inventory names them."""
    return sorted({rack for server in servers if (rack := rack_of(picture, server))})


def domains_of(picture: Picture, servers: Iterable[str]) -> list[int]:
    """Return the distinct update domains of these servers in order, as far as the inventory names them."""
    known = (picture.servers.get(server) for server in servers)
    return sorted({view.inventory.update_domain for view in known if view is not None and view.inventory is not None})
