"""What is true of a scenario: what must be found, when at the latest, and what must not be found.

Truth speaks of what was injected. It names detectors by their fixed names, as the catalogue does, and knows nothing of
how they work. Its limits are times, or moments of the simulation itself (`Moment`): the third failed start that was
sent, say. Before a run is judged, `resolve` turns every line into plain numbers for each cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from streams.simulate.ledger import Interval, Ledger
from streams.simulate.quantity import number, size_names


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, or a moment of the simulation in the cluster that is judged, plus a while."""

    at_ms: int | None = None
    kind: str = ""
    """A kind of fact of the ledger; empty: `at_ms` stands."""
    vms: float | str = 1
    """The moment is the fact that completes so many VMs ..."""
    servers: float | str = 1
    """... on so many servers ..."""
    window_ms: int = 600_000
    """... within this long, of one signature."""
    plus_ms: int = 0
    from_ms: int | None = None
    """Facts before this time do not count."""
    of: str = "*"
    """Only facts of this signature, fault or rollout (a pattern) count."""
    clusters: float | str = 1
    """For a line about the fleet: the moment has come in so many of its clusters."""


@dataclass(frozen=True, slots=True)
class Find:
    """A finding that must be there, in each cluster that the pattern names."""

    label: str
    detector: str
    clusters: tuple[str, ...]
    subject: dict[str, tuple[str, ...]]
    """Field of the subject to patterns; `@name` stands for what the fault of that name hit."""
    severity: str = ""
    verdict: str = ""
    trigger: str = ""
    says: tuple[str, ...] = ()
    """Texts, each of which title, explanation or a fact must hold."""
    facts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, tuple[float | str, float | str]] = field(default_factory=dict)
    opened_at: Moment | None = None
    within_ms: int = 2000
    opened_by: Moment | None = None
    opened_from: Moment | None = None
    """What opened before it is something else."""
    seen_by: Moment | None = None
    before: Moment | None = None
    throughout: tuple[Moment, Moment] | None = None
    """From the first to the second of these it must stand, and say so, without a break."""
    count: tuple[float | str, float | str] | None = None
    """Least and most; None: at least one."""
    fleet: bool = False
    """Judged once, against what the fleet engine found; `clusters` says where its moments come from."""


@dataclass(frozen=True, slots=True)
class Not:
    """Findings that must not be there."""

    label: str
    detectors: tuple[str, ...]
    clusters: tuple[str, ...]
    subject: dict[str, tuple[str, ...]]
    severity_at_least: str = ""
    verdict: str = ""
    unless: tuple[str, ...] = ()
    """Detectors that are exempt."""
    from_at: Moment | None = None
    until: Moment | None = None
    fleet: bool = False


@dataclass(frozen=True, slots=True)
class Decide:
    """Decisions that must be there, so many for each cluster; 0: none may be."""

    label: str
    action: str
    clusters: tuple[str, ...]
    count: tuple[int, int] = (1, 1)
    """Least and most."""
    seen_by: Moment | None = None
    scope: str = ""
    """A pattern of scopes; empty: that of the cluster which is judged."""
    target: str = ""
    """A pattern of what is stopped, `rollout:NAME` or `COMPONENT=VERSION`; empty: whatever it is."""
    fleet: bool = False


@dataclass(frozen=True, slots=True)
class Intervals:
    """Each time in which a VM was not available has a finding of that VM."""

    label: str
    detector: str
    clusters: tuple[str, ...]
    cause: tuple[str, ...]
    """Patterns of the causes for which the simulation took VMs away; only these times count."""
    subject: dict[str, tuple[str, ...]]
    """Only VMs (`vm`) or servers (`server`) of these names, or that a fault hit."""
    within_ms: int = 60_000
    """By how much opening and closing may differ from what was injected."""
    during: bool = False
    """The finding need not last as long: it opens between the beginning and 5 min after the end."""
    facts: dict[str, str] = field(default_factory=dict)
    """What its last word must say."""
    least: float | str | None = None
    """How many such times there must be at least; None: one."""


@dataclass(frozen=True, slots=True)
class Truth:
    """All that is true of a scenario."""

    find: tuple[Find, ...] = ()
    never: tuple[Not, ...] = ()
    decide: tuple[Decide, ...] = ()
    intervals: tuple[Intervals, ...] = ()
    count: dict[str, int | str] = field(default_factory=dict)
    """Name of a count to a number, or to `injected`: as many as the simulation made."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of truth for one cluster, in plain numbers: what the judge compares with."""

    kind: str
    """find, not, decide, intervals or count."""
    label: str
    cluster: str
    detectors: tuple[str, ...] = ()
    subject: dict[str, frozenset[str] | tuple[str, ...]] = field(default_factory=dict)
    """A set: one of these names; a tuple: one of these patterns."""
    severity: str = ""
    verdict: str = ""
    trigger: str = ""
    says: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, tuple[float, float]] = field(default_factory=dict)
    opened_at_ms: int | None = None
    within_ms: int = 0
    opened_by_ms: int | None = None
    opened_from_ms: int | None = None
    seen_by_ms: int | None = None
    before_ms: int | None = None
    throughout_ms: tuple[int, int] | None = None
    least: float = 1
    most: float = float("inf")
    action: str = ""
    scope: str = ""
    target: str = ""
    fleet: bool = False
    """Of the fleet engine's findings and decisions, not of one cluster's; `cluster` is empty."""
    severity_at_least: str = ""
    unless: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    during: bool = False
    from_ms: int | None = None
    until_ms: int | None = None
    broken: str = ""
    """Why the line cannot be judged: its moment never came. Counts as missed."""


def resolve(
    truth: Truth, clusters: Iterable[tuple[str, int, int]], ledger: Ledger, counted: Iterable[str] = ()
) -> list[Expected]:
    """Return the truth of a run in plain numbers, for `clusters` given as (name, servers, VMs a server).

    `ledger` holds what was injected; `counted` names the counts that the run can tell (others are left out, so that
    a run which counts nothing is not blamed for it).
    """
    expected: list[Expected] = []
    sizes = {name: size_names(servers, vms) for name, servers, vms in clusters}
    for find in truth.find:
        expected += [_find(find, where) for where in _places(find.clusters, find.subject, sizes, ledger, find.fleet)]
    for never in truth.never:
        expected += [_not(never, where) for where in _places(never.clusters, never.subject, sizes, ledger, never.fleet)]
    for decide in truth.decide:
        expected += [_decide(decide, where) for where in _places(decide.clusters, {}, sizes, ledger, decide.fleet)]
    for line in truth.intervals:
        expected += [_intervals(line, where) for where in _places(line.clusters, line.subject, sizes, ledger, False)]
    known = set(counted)
    for name, value in truth.count.items():
        if name in known:
            amount = ledger.count(name) if isinstance(value, str) else value
            expected.append(Expected("count", name, "", least=amount, most=amount))
    return expected


def _named(
    patterns: tuple[str, ...], subject: dict[str, tuple[str, ...]], sizes: dict[str, dict[str, float]], ledger: Ledger
) -> list[str]:
    """Return the clusters that a line speaks of; one about a fault speaks of the clusters that the fault hit."""
    hit: set[str] | None = None
    for values in subject.values():
        for value in values:
            if value.startswith("@"):
                hit = (hit or set()) | ledger.hit(value[1:], "cluster")
    named = []
    for name in sizes:
        for pattern in patterns:
            if pattern.startswith("@"):
                if name in ledger.hit(pattern[1:], "cluster"):
                    named.append(name)
                    break
            elif fnmatchcase(name, pattern) and (hit is None or name in hit):
                named.append(name)
                break
    return named


def _places(
    patterns: tuple[str, ...],
    subject: dict[str, tuple[str, ...]],
    sizes: dict[str, dict[str, float]],
    ledger: Ledger,
    fleet: bool,
) -> list[_Resolver]:
    """Return where a line is judged: in each cluster that it names, or once, for the fleet of these clusters."""
    named = _named(patterns, {} if fleet else subject, sizes, ledger)
    if not fleet:
        return [_Resolver(name, [name], sizes[name], ledger) for name in named]
    return [_Resolver("", named, {**sizes[named[0]], "clusters": len(named)}, ledger)] if named else []


class _Resolver:
    """Turns moments into times for one cluster, or for the fleet, and remembers what never came."""

    def __init__(self, cluster: str, clusters: list[str], names: dict[str, float], ledger: Ledger) -> None:
        self.cluster = cluster
        """Empty: the fleet."""
        self.clusters = clusters
        self.names = names
        self.ledger = ledger
        self.broken = ""

    def time(self, moment: Moment | None) -> int | None:
        if moment is None:
            return None
        if moment.at_ms is not None:
            return moment.at_ms + moment.plus_ms
        vms, servers = int(number(moment.vms, self.names)), int(number(moment.servers, self.names))
        wanted = int(number(moment.clusters, self.names))
        came = [
            self.ledger.completed_ms(name, moment.kind, vms, servers, moment.window_ms, moment.from_ms, moment.of)
            for name in self.clusters
        ]
        times = sorted(at_ms for at_ms in came if at_ms is not None)
        if len(times) < wanted:
            where = self.cluster or f"{wanted} clusters (in {len(times)})"
            self.broken = f"{moment.kind}: {vms} VMs on {servers} servers never came in {where}"
            return None
        return times[max(0, wanted - 1)] + moment.plus_ms

    def subject(self, subject: dict[str, tuple[str, ...]]) -> dict[str, frozenset[str] | tuple[str, ...]]:
        result: dict[str, frozenset[str] | tuple[str, ...]] = {}
        for key, patterns in subject.items():
            faults = [pattern[1:] for pattern in patterns if pattern.startswith("@")]
            if faults:
                names = frozenset().union(
                    *(self.ledger.hit(fault, key, name) for fault in faults for name in self.clusters)
                )
                if not names:
                    self.broken = f"fault {', '.join(faults)} hit no {key} of {self.cluster or 'the fleet'}"
                result[key] = names
            else:
                result[key] = patterns
        return result


def _find(find: Find, resolver: _Resolver) -> Expected:
    names = resolver.names
    through = None
    if find.throughout is not None:
        first, last = resolver.time(find.throughout[0]), resolver.time(find.throughout[1])
        through = None if first is None or last is None else (first, last)
    least, most = find.count if find.count is not None else (1, float("inf"))
    return Expected(
        "find",
        find.label or find.detector,
        resolver.cluster,
        detectors=(find.detector,),
        subject=resolver.subject(find.subject),
        severity=find.severity,
        verdict=find.verdict,
        trigger=find.trigger,
        says=find.says,
        facts=find.facts,
        numbers={key: (number(low, names), number(high, names)) for key, (low, high) in find.numbers.items()},
        opened_at_ms=resolver.time(find.opened_at),
        within_ms=find.within_ms,
        opened_by_ms=resolver.time(find.opened_by),
        opened_from_ms=resolver.time(find.opened_from),
        seen_by_ms=resolver.time(find.seen_by),
        before_ms=resolver.time(find.before),
        throughout_ms=through,
        least=number(least, names),
        most=number(most, names),
        fleet=find.fleet,
        broken=resolver.broken,
    )


def _not(never: Not, resolver: _Resolver) -> Expected:
    return Expected(
        "not",
        never.label or _forbids(never),
        resolver.cluster,
        detectors=never.detectors,
        subject=resolver.subject(never.subject),
        severity_at_least=never.severity_at_least,
        verdict=never.verdict,
        unless=never.unless,
        from_ms=resolver.time(never.from_at),
        until_ms=resolver.time(never.until),
        fleet=never.fleet,
        least=0,
        most=0,
        broken=resolver.broken,
    )


def _forbids(never: Not) -> str:
    """Return what a line forbids, for one that has no label."""
    what = "nothing" if never.detectors == ("*",) else f"no {', '.join(never.detectors)}"
    return f"{what} at {never.severity_at_least} or above" if never.severity_at_least else what


def _intervals(line: Intervals, resolver: _Resolver) -> Expected:
    subject = resolver.subject(line.subject)
    chosen = tuple(
        one
        for one in resolver.ledger.intervals(resolver.cluster)
        if any(fnmatchcase(one.cause, pattern) for pattern in line.cause)
        and all(_named_so(getattr(one, key), wanted) for key, wanted in subject.items())
    )
    least = number(line.least, resolver.names) if line.least is not None else 1
    broken = resolver.broken
    if len(chosen) < least:
        broken = f"{len(chosen)} such times of {resolver.cluster}, not {least:g}"
    return Expected(
        "intervals",
        line.label or f"{line.detector} for each {', '.join(line.cause)}",
        resolver.cluster,
        detectors=(line.detector,),
        facts=line.facts,
        within_ms=line.within_ms,
        intervals=chosen,
        during=line.during,
        broken=broken,
    )


def _named_so(name: str, wanted: frozenset[str] | tuple[str, ...]) -> bool:
    return name in wanted if isinstance(wanted, frozenset) else any(fnmatchcase(name, each) for each in wanted)


def _decide(decide: Decide, resolver: _Resolver) -> Expected:
    return Expected(
        "decide",
        decide.label or decide.action,
        resolver.cluster,
        action=decide.action,
        scope=decide.scope,
        target=decide.target,
        fleet=decide.fleet,
        seen_by_ms=resolver.time(decide.seen_by),
        least=decide.count[0],
        most=decide.count[1],
        broken=resolver.broken,
    )
