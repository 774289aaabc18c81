"""What an import of the inventory must write: the difference, in the order that keeps every cluster whole. Pure.

A file states the whole of each cluster that it names (an InventoryComplete alone names one that is now empty). Clusters
that it does not name, services, subscriptions and regions stay as they are. What moved to another cluster is first
removed where it was: two clusters in two lanes would else both count it. Each cluster that is written ends with
InventoryComplete, so that the engine knows when the denominators hold.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas import json_source
from schemas.errors import CodecError
from schemas.inventory import (
    INVENTORY,
    NO_GUEST_AGENT,
    InventoryComplete,
    InventoryState,
    Region,
    Server,
    Service,
    Subscription,
    Vm,
)
from schemas.records import FEEDS

Placed = Server | Vm | InventoryComplete
Everywhere = Service | Subscription | Region
Item = Placed | Everywhere

SHRINK_MOST = 0.10
"""Share of a cluster's servers, or of its VMs, that an import may take away without `--force`."""
PROBLEMS_SHOWN = 100

_ID = {Server: "server", Vm: "vm", Service: "service", Subscription: "subscription", Region: "region"}
_TAKEN = tuple(kind for kind in FEEDS[INVENTORY] if kind in _ID or kind is InventoryComplete)
_GA = ("present", NO_GUEST_AGENT)
_STATES = tuple(state.value for state in InventoryState if state is not InventoryState.UNKNOWN)


class InventoryError(ValueError):
    """A file that must not be imported; `problems` has every line that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        shown = problems[:PROBLEMS_SHOWN]
        if len(problems) > len(shown):
            shown = [*shown, f"... and {len(problems) - len(shown)} more"]
        super().__init__("\n".join(shown))


@dataclass(frozen=True, slots=True)
class Change:
    """One record to write: `cluster` None means into every lane; `record` None is a tombstone."""

    key: str
    cluster: str | None
    record: Item | None


@dataclass(slots=True)
class Plan:
    """What an import comes to."""

    changes: list[Change] = field(default_factory=list)
    """In the order in which they must be written; each stage is acknowledged before the next begins."""
    added: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    shrunk: list[str] = field(default_factory=list)
    """Clusters that lose more than SHRINK_MOST, in words."""
    moves: int = 0
    """How many of `changes`, from the first, are tombstones of what moves between clusters."""


def key_of(record: Item) -> str:
    """Return the record's key on the topic: `kind:id`; `complete:CLUSTER` for the end of an import."""
    if isinstance(record, InventoryComplete):
        return f"complete:{record.cluster}"
    name = _ID[type(record)]
    return f"{name}:{getattr(record, name)}"


def cluster_of(record: Item) -> str | None:
    """Return the cluster in whose lane the record belongs; None: in every lane."""
    return record.cluster if isinstance(record, Server | Vm | InventoryComplete) else None


def read_lines(lines: Iterable[bytes]) -> list[Item]:
    """Return the records of a file of JSON lines, or raise InventoryError with every line that is wrong."""
    records: list[Item] = []
    stands: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json_source.parse(line.strip(), _TAKEN)
        except CodecError as error:
            problems.append(f"line {number}: {error.detail}")
            continue
        faults = list(_faults(record))
        key = key_of(record)
        if key in stands:
            faults.append(f"{key} stands in line {stands[key]} already")
        stands.setdefault(key, number)
        problems += [f"line {number}: {fault}" for fault in faults]
        records.append(record)
    problems += _homeless(records, stands)
    problems += _miscounted(records, stands)
    if not records and not problems:
        problems.append(
            "no records: a file that says nothing would remove nothing; name at least one cluster's servers"
        )
    if problems:
        raise InventoryError(problems)
    return records


def difference(present: Mapping[tuple[str, str | None], Item], wanted: Iterable[Item]) -> Plan:
    """Return what must be written so that what is `present` becomes what is `wanted`.

    `present` is the topic as it stands: (key, cluster) to record, with a record that is in two clusters' lanes twice.
    """
    plan = Plan()
    stated = list(wanted)
    target = {
        (key_of(record), cluster_of(record)): record for record in stated if not isinstance(record, InventoryComplete)
    }
    clusters = sorted({cluster for cluster in map(cluster_of, stated) if cluster is not None})
    wanted_keys = {key for key, _ in target}
    gone: list[tuple[str, str | None]] = [
        (key, cluster)
        for key, cluster in sorted(present, key=_order)
        if cluster is not None
        and not key.startswith("complete:")
        and (key, cluster) not in target
        and (cluster in clusters or key in wanted_keys)
    ]
    for key, cluster in gone:
        if key in wanted_keys:
            plan.changes.append(Change(key, cluster, None))
            plan.moved[key.partition(":")[0]] += 1
    plan.moves = len(plan.changes)
    touched = {cluster for _, cluster in gone}
    for place in sorted((place for place in target if place[1] is None), key=_order):
        _put(plan, present, place, target[place])
    for cluster in sorted({*clusters, *(name for name in touched if name is not None)}):
        if cluster in clusters or (f"complete:{cluster}", cluster) in present:
            _cluster(plan, present, target, cluster, gone)
    return plan


def present_of(held: Mapping[tuple[int, str], Item], lanes: int) -> dict[tuple[str, str | None], Item]:
    """Return what the topic states, from the newest record of each (lane, key).

    What belongs into every lane counts only where every lane has the same of it: else it is written again.
    """
    present: dict[tuple[str, str | None], Item] = {}
    everywhere: dict[str, list[Item]] = {}
    for (_, key), record in held.items():
        if cluster_of(record) is None:
            everywhere.setdefault(key, []).append(record)
        else:
            present[key, cluster_of(record)] = record
    for key, copies in everywhere.items():
        if len(copies) == lanes and all(copy == copies[0] for copy in copies):
            present[key, None] = copies[0]
    return present


def _cluster(
    plan: Plan,
    present: Mapping[tuple[str, str | None], Item],
    target: Mapping[tuple[str, str | None], Item],
    cluster: str,
    gone: list[tuple[str, str | None]],
) -> None:
    """Plan one cluster: what is new or changed, then what went away, then its end."""
    before = len(plan.changes)
    left = {place for place in gone if place[1] == cluster}
    moved = {change.key for change in plan.changes[: plan.moves] if change.cluster == cluster}
    for place in sorted((place for place in target if place[1] == cluster), key=_order):
        _put(plan, present, place, target[place])
    for key, _ in sorted(left, key=_order):
        if key not in moved:
            plan.changes.append(Change(key, cluster, None))
            plan.removed[key.partition(":")[0]] += 1
    was = [key for key, home in present if home == cluster and not key.startswith("complete:")]
    stay = {key for key, home in present if home == cluster} - {key for key, _ in left}
    stay |= {key for key, home in target if home == cluster}
    _measure(plan, cluster, was, left)
    end = InventoryComplete(cluster, _count(stay, "server"), _count(stay, "vm"))
    if len(plan.changes) > before or moved or present.get((key_of(end), cluster)) != end:
        plan.changes.append(Change(key_of(end), cluster, end))


def _put(
    plan: Plan, present: Mapping[tuple[str, str | None], Item], place: tuple[str, str | None], record: Item
) -> None:
    known = present.get(place)
    if known == record:
        return
    kind = place[0].partition(":")[0]
    (plan.added if known is None else plan.changed)[kind] += 1
    plan.changes.append(Change(place[0], place[1], record))


def _measure(plan: Plan, cluster: str, was: list[str], left: set[tuple[str, str | None]]) -> None:
    for kind in ("server", "vm"):
        had = _count(was, kind)
        loses = _count([key for key, _ in left], kind)
        if had and loses / had > SHRINK_MOST:
            plan.shrunk.append(f"cluster {cluster} loses {loses} of its {had} {kind}s")


def _count(keys: Iterable[str], kind: str) -> int:
    return sum(key.startswith(f"{kind}:") for key in keys)


def _order(place: tuple[str, str | None]) -> tuple[str, int, str]:
    """Servers before the VMs that stand on them."""
    key, cluster = place
    return cluster or "", list(_ID.values()).index(key.partition(":")[0]) if not key.startswith("complete:") else 9, key


def _faults(record: Item) -> Iterable[str]:
    """Yield what is wrong with one record by itself."""
    for each in dataclasses.fields(record):
        value = getattr(record, each.name)
        if each.name in {"cluster", "server", "vm", "service", "subscription", "region"} and not value:
            if _demanded(record, each.name):
                yield f"{type(record).__name__}.{each.name} is empty"
        elif isinstance(value, int) and value < 0:
            yield f"{type(record).__name__}.{each.name} is negative ({value})"
    if isinstance(record, Server):
        if record.ga not in _GA:
            yield f"Server.ga is `{record.ga}`; it can be {' or '.join(_GA)}"
        if record.state not in _STATES:
            yield f"Server.state is `{record.state}`; it can be {', '.join(_STATES)}"
    if getattr(record, "cluster", "") == "*":
        yield f"{type(record).__name__}.cluster is `*`, which means every cluster and cannot be the name of one"


def _demanded(record: Item, name: str) -> bool:
    if isinstance(record, Vm):
        return name in {"vm", "cluster", "server"}
    return name == _ID.get(type(record)) or (isinstance(record, Server) and name == "cluster")


def _homeless(records: list[Item], stands: dict[str, int]) -> list[str]:
    """Return the VMs whose server is not in their cluster."""
    homes = {record.server: record.cluster for record in records if isinstance(record, Server)}
    problems = []
    for record in records:
        if isinstance(record, Vm) and record.server and homes.get(record.server) != record.cluster:
            number = stands[key_of(record)]
            if record.server in homes:
                where = f"is in cluster {homes[record.server]}"
            else:
                where = "is not in this file (state a cluster's servers and VMs together)"
            problems.append(
                f"line {number}: vm {record.vm} of cluster {record.cluster}: its server {record.server} {where}"
            )
    return problems


def _miscounted(records: list[Item], stands: dict[str, int]) -> list[str]:
    """Return the InventoryComplete lines whose counts are not those of the file: it may have been cut."""
    problems = []
    for end in records:
        if not isinstance(end, InventoryComplete):
            continue
        servers = sum(isinstance(record, Server) and record.cluster == end.cluster for record in records)
        vms = sum(isinstance(record, Vm) and record.cluster == end.cluster for record in records)
        if (end.servers, end.vms) != (servers, vms):
            problems.append(
                f"line {stands[key_of(end)]}: says {end.servers} servers and {end.vms} VMs of cluster {end.cluster}, "
                f"the file has {servers} and {vms}"
            )
    return problems
