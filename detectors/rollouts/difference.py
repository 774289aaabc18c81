"""The smallest difference that tells failing combinations of versions from healthy ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

Versions = Mapping[str, str]

NETWORK_FAR = ("ga", "fc")
"""Components that a VM's network does not hang on, so that they are named last: the network is configured by the
plugin and the host agent (seed 004, "The networking plugin is responsible for configuring a VM's virtual network")."""
START_FAR = ("fc", "netplugin", "nmagent")
"""The same of starts: guest agent and host agent connect before there is a network of the VM's (seed 004)."""
FAR_COST, NEAR_COST = 3, 1
MOST_PARTS = 3
"""Components of which a difference is made at most: more than three nobody can act on."""


def text_of(versions: Versions) -> str:
    """Return a combination as text, components in the order of the alphabet: `ha=1.6,netplugin=1.7`."""
    return ",".join(f"{component}={versions[component]}" for component in sorted(versions))


def parse(text: str) -> dict[str, str]:
    """Return a combination, or a pattern of one, out of its text; ValueError where it is none."""
    found: dict[str, str] = {}
    for part in text.split(","):
        component, equals, version = (piece.strip() for piece in part.partition("="))
        if not (component and equals and version) or component in found:
            msg = f'a combination reads like "ha=1.6,netplugin=1.7", not {text!r}'
            raise ValueError(msg)
        found[component] = version
    return found


def matches(pattern: Versions, versions: Versions) -> bool:
    """Tell whether a combination has all versions of a pattern; a version may end in `*`."""
    for component, wanted in pattern.items():
        version = versions.get(component)
        if version is None:
            return False
        if version != wanted and not (wanted.endswith("*") and version.startswith(wanted[:-1])):
            return False
    return True


def difference(guilty: Sequence[Versions], healthy: Sequence[Versions], far: tuple[str, ...]) -> dict[str, str] | None:
    """Return the fewest versions that all guilty combinations have and no healthy one has; None: there are none.

    Nor can it be told where no healthy one is known. `far`: components that the signature hardly hangs on; each counts
    as several others.
    """
    if not healthy:
        return None
    common = {
        component: version
        for component, version in guilty[0].items()
        if all(other.get(component) == version for other in guilty)
    }
    names = sorted(common)
    choices = [choice for size in range(1, MOST_PARTS + 1) for choice in combinations(names, size)]
    choices.sort(key=lambda choice: (sum(FAR_COST if name in far else NEAR_COST for name in choice), choice))
    for choice in choices:
        found = {name: common[name] for name in choice}
        if not any(matches(found, other) for other in healthy):
            return found
    return None


def named_first(found: Versions, rarity: Mapping[str, int]) -> list[str]:
    """Return the components of a difference, the one to be named first.

    Where their versions are numbers of one scheme and differ, the newest: what was written for newer ones is put
    against the older (seed 004: the plugin "was written for the newer HA"). Else the one that fewest VMs run.
    `rarity`: component to the VMs of other combinations that run its version.
    """
    numbers = {name: _number(version) for name, version in found.items()}
    if len({len(number) for number in numbers.values()}) == 1 and all(numbers.values()):
        return sorted(found, key=lambda name: (tuple(-part for part in numbers[name]), rarity.get(name, 0), name))
    return sorted(found, key=lambda name: (rarity.get(name, 0), name))


def _number(version: str) -> tuple[int, ...]:
    """Return a version as numbers: (1, 7); empty where it is something else."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def words(found: Versions, order: Sequence[str]) -> str:
    """Return a difference as people say it: `netplugin 1.7 with ha 1.6`."""
    return " with ".join(f"{name} {found[name]}" for name in order)
