"""Reading the `[truth]` of a scenario file."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from streams.simulate import reading as read
from streams.simulate.ledger import FACTS
from streams.simulate.outages import CAUSES
from streams.simulate.quantity import duration_ms, moment_ms, number, size_names
from streams.simulate.reading import Table
from streams.simulate.scenario import ClusterPlan
from streams.simulate.truth import Decide, Find, Intervals, Moment, Not, Truth

_SUBJECT = ("server", "vm", "rollout", "component", "version", "feed", "signature", "region")
_SEVERITY = read.one_of("INFO", "WARNING", "CRITICAL")
_ONE: float | str = 1
EVERYWHERE = "everywhere"
"""The widest scope of a decision."""
_COUNTS = ("reboot_planned", "reboot_unplanned")


class _Lines:
    """The parsers of a truth, which know the start of the scenario, its clusters and the names of its faults."""

    def __init__(self, start_ms: int, clusters: Sequence[ClusterPlan], faults: set[str]) -> None:
        self.start_ms = start_ms
        self.instances = [f"{plan.name}-{k + 1}" for plan in clusters for k in range(plan.count)]
        self.faults = faults

    def moment(self, value: Any) -> Moment:
        """Return a time, or `{ moment = "start_failed", vms = 3, servers = 2, plus = "1s" }`."""
        if not isinstance(value, dict):
            return Moment(at_ms=moment_ms(value, self.start_ms))
        errors: list[str] = []
        table = Table(value, "", errors)
        moment = Moment(
            kind=table.take("moment", read.one_of(*FACTS), ""),
            vms=table.take("vms", _amount, _ONE),
            servers=table.take("servers", _amount, _ONE),
            window_ms=table.take("window", duration_ms, 600_000),
            plus_ms=table.take("plus", duration_ms, 0),
            from_ms=table.take("from", lambda given: moment_ms(given, self.start_ms), None),
            of=table.take("of", read.text, "*"),
            clusters=table.take("clusters", _amount, _ONE),
        )
        if "moment" not in table:
            table.error("moment", f"is missing; one of {', '.join(FACTS)}")
        table.close()
        if errors:
            raise ValueError("; ".join(errors))
        return moment

    def pair(self, value: Any) -> tuple[Moment, Moment]:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError(f"is {read.shown(value)}; must be two times")
        return self.moment(value[0]), self.moment(value[1])

    def names(self, value: Any) -> tuple[str, ...]:
        patterns = read.texts(value)
        for pattern in patterns:
            if pattern.startswith("@") and pattern[1:] not in self.faults:
                raise ValueError(f"{pattern!r} names no fault; there are {', '.join(sorted(self.faults)) or 'none'}")
        return patterns

    def clusters(self, value: Any) -> tuple[str, ...]:
        patterns = self.names(value)
        for pattern in patterns:
            if not pattern.startswith("@") and not any(fnmatchcase(name, pattern) for name in self.instances):
                raise ValueError(f"no cluster is named {pattern!r}; there are {', '.join(self.instances[:8])}")
        return patterns

    def subject(self, table: Table) -> dict[str, tuple[str, ...]]:
        return {key: given for key in _SUBJECT if (given := table.take(key, self.names, None)) is not None}


def load_truth(table: Table, start_ms: int, clusters: Sequence[ClusterPlan], faults: set[str]) -> Truth:
    """Return what a scenario says is true."""
    lines = _Lines(start_ms, clusters, faults)
    truth = Truth(
        tuple(_find(item, lines) for item in table.tables("find")),
        tuple(_not(item, lines) for item in table.tables("not")),
        tuple(_decide(item, lines) for item in table.tables("decide")),
        tuple(_intervals(item, lines) for item in table.tables("intervals")),
        table.take("count", _counts, {}),
    )
    table.close()
    return truth


def _amount(value: Any) -> float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is {read.shown(value)}; must be a number or a formula")
    number(value, {**size_names(1000, 20), "clusters": 5})
    return value


def _between(value: Any) -> tuple[float | str, float | str]:
    """Return least and most of `3`, `"brake"` or `[1, "brake"]`."""
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError(f"is {read.shown(value)}; must be a number, or the least and the most")
        return _amount(value[0]), _amount(value[1])
    return _amount(value), _amount(value)


def _ranges(value: Any) -> dict[str, tuple[float | str, float | str]]:
    if not isinstance(value, dict):
        raise ValueError(f"is {read.shown(value)}; must be a table of numbers")
    return {key: _between(item) for key, item in value.items()}


def _counts(value: Any) -> dict[str, int | str]:
    if not isinstance(value, dict):
        raise ValueError(f"is {read.shown(value)}; must be a table of counts")
    for key, item in value.items():
        if key not in _COUNTS:
            raise ValueError(f"{key!r} is no count; there are {', '.join(_COUNTS)}")
        if item != "injected" and (isinstance(item, bool) or not isinstance(item, int)):
            raise ValueError(f"{key} is {read.shown(item)}; must be a whole number or 'injected'")
    return dict(value)


def _find(table: Table, lines: _Lines) -> Find:
    find = Find(
        label=table.take("label", read.text, ""),
        detector=table.take("detector", read.text, ""),
        clusters=table.take("clusters", lines.clusters, ("*",)),
        subject=lines.subject(table),
        severity=table.take("severity", _SEVERITY, ""),
        verdict=table.take("verdict", read.text, ""),
        trigger=table.take("trigger", read.text, ""),
        says=table.take("says", read.texts, ()),
        facts=table.take("facts", read.text_map, {}),
        numbers=table.take("numbers", _ranges, {}),
        opened_at=table.take("opened_at", lines.moment, None),
        within_ms=table.take("within", duration_ms, 2000),
        opened_by=table.take("opened_by", lines.moment, None),
        opened_from=table.take("opened_from", lines.moment, None),
        seen_by=table.take("seen_by", lines.moment, None),
        before=table.take("before", lines.moment, None),
        throughout=table.take("throughout", lines.pair, None),
        count=table.take("count", _between, None),
        fleet=table.take("fleet", read.flag, False),
    )
    if "detector" not in table:
        table.error("detector", "is missing")
    table.close()
    return find


def _not(table: Table, lines: _Lines) -> Not:
    never = Not(
        label=table.take("label", read.text, ""),
        detectors=table.take("detectors", read.texts, ("*",)),
        clusters=table.take("clusters", lines.clusters, ("*",)),
        subject=lines.subject(table),
        severity_at_least=table.take("severity_at_least", _SEVERITY, ""),
        verdict=table.take("verdict", read.text, ""),
        unless=table.take("unless", read.texts, ()),
        from_at=table.take("from", lines.moment, None),
        until=table.take("until", lines.moment, None),
        fleet=table.take("fleet", read.flag, False),
    )
    if "detectors" not in table and "severity_at_least" not in table:
        table.error("detectors", "is missing; name detectors, or severity_at_least")
    table.close()
    return never


def _causes(value: Any) -> tuple[str, ...]:
    """Return patterns of causes, each of which fits one that is known."""
    patterns = read.texts(value)
    for pattern in patterns:
        if not any(fnmatchcase(cause, pattern) for cause in CAUSES):
            raise ValueError(f"{pattern!r} is no cause; there are {', '.join(CAUSES)}")
    return patterns


def _intervals(table: Table, lines: _Lines) -> Intervals:
    subject = {key: given for key in ("vm", "server") if (given := table.take(key, lines.names, None)) is not None}
    intervals = Intervals(
        label=table.take("label", read.text, ""),
        detector=table.take("detector", read.text, "unavailability"),
        clusters=table.take("clusters", lines.clusters, ("*",)),
        cause=table.take("cause", _causes, ("*",)),
        subject=subject,
        within_ms=table.take("within", duration_ms, 60_000),
        during=table.take("during", read.flag, False),
        facts=table.take("facts", read.text_map, {}),
        least=table.take("least", _amount, None),
    )
    table.close()
    return intervals


def _scope(value: Any) -> str:
    """Return a pattern of scopes, such as `everywhere`, `region:north` or `cluster:started-*`."""
    scope = read.text(value)
    if scope != EVERYWHERE and scope.partition(":")[0] not in {"region", "cluster", "*"}:
        raise ValueError(f"is {read.shown(value)}; must be everywhere, region:NAME or cluster:NAME")
    return scope


def _decisions(value: Any) -> tuple[int, int]:
    """Return least and most of `1` or `[1, 3]`."""
    amount = read.whole_between(0, 1000)
    if not isinstance(value, list):
        return amount(value), amount(value)
    if len(value) != 2:
        raise ValueError(f"is {read.shown(value)}; must be a number, or the least and the most")
    least, most = amount(value[0]), amount(value[1])
    if least > most:
        raise ValueError(f"is {read.shown(value)}; the least comes first")
    return least, most


def _decide(table: Table, lines: _Lines) -> Decide:
    scope = table.take("scope", _scope, "")
    wide = scope == EVERYWHERE or scope.startswith("region:")
    decide = Decide(
        label=table.take("label", read.text, ""),
        action=table.take("action", read.text, ""),
        clusters=table.take("clusters", lines.clusters, ("*",)),
        count=table.take("count", _decisions, (1, 1)),
        seen_by=table.take("seen_by", lines.moment, None),
        scope=scope,
        target=table.take("target", read.text, ""),
        fleet=table.take("fleet", read.flag, wide),
    )
    if wide and not decide.fleet:
        table.error("fleet", f"is false; {scope!r} is wider than a cluster, and decided by the fleet engine")
    if "action" not in table:
        table.error("action", "is missing")
    table.close()
    return decide
