"""Reading the faults of a scenario file."""

from __future__ import annotations

from typing import Any

from streams.simulate import reading as read
from streams.simulate.kinds import KINDS, RESULTS, FaultKind
from streams.simulate.load_fleet import scope_of, versions_of
from streams.simulate.quantity import DAY_MS, Clock, duration_ms, moment_ms
from streams.simulate.reading import Table
from streams.simulate.scenario import ClusterPlan, Fault

_FEEDS = ("host-agent", "guest-agent", "maintenance")


def _dates(value: Any) -> tuple[str, ...]:
    days = value if isinstance(value, list) else [value]
    return tuple(_day(day) for day in days)


def _day(value: Any) -> str:
    at = moment_ms(f"{value}T00:00:00Z" if isinstance(value, str) else f"{value!s}T00:00:00Z", 0)
    if at % DAY_MS:
        raise ValueError(f"is {read.shown(value)}; must be UTC days, such as '2012-02-29'")
    return str(value)


def _ms_span(value: Any) -> tuple[int, int]:
    low, high = read.span(value)
    return round(low * 1000), round(high * 1000)


def _skew(value: Any) -> tuple[float, float]:
    values = value if isinstance(value, list) else [value, value]
    if len(values) != 2 or read.real(values[0]) > read.real(values[1]):
        raise ValueError(f"is {read.shown(value)}; must be seconds, or the least and the most of them")
    return read.real(values[0]), read.real(values[1])


def _feeds(value: Any) -> tuple[str, ...]:
    return tuple(read.one_of(*_FEEDS)(feed) for feed in read.texts(value))


def _per_day(value: Any) -> float:
    rate = read.real(value)
    if not 0 < rate <= 1000:
        raise ValueError(f"is {read.shown(value)}; must be a share of the servers a day, > 0")
    return rate


def _rate(value: Any) -> float:
    rate = read.fraction(value)
    if not rate:
        raise ValueError("is 0; must be a share above 0, at most 1")
    return rate


_FAULT_KEYS: dict[str, Any] = {
    "agent": read.one_of("guest", "host"),
    "effect": read.one_of("error", "silent", "network_down", "reboot"),
    "step": read.text,
    "error_code": read.any_text,
    "message": read.any_text,
    "dates": _dates,
    "versions": versions_of,
    "feeds": _feeds,
    "mode": read.one_of("stamped", "read"),
    "delay": duration_ms,
    "skew_s": _skew,
    "fraction": read.fraction,
    "copies": read.whole_between(1, 100),
    "restart": read.flag,
    "planned": read.flag,
    "down_s": _ms_span,
    "reason": read.text,
    "cause": read.text,
    "workflow": read.text,
    "per_day": _per_day,
    "rate": _rate,
    "after": duration_ms,
    "startup_s": read.span,
    "onstop_s": read.span,
    "initiator": read.text,
    "wave": read.text,
    "to": read.one_of("updated", "old"),
    "result": read.one_of(*RESULTS),
    "times": read.whole_between(1, 10),
    "spacing": duration_ms,
}
_FIELDS = {"delay": "delay_ms", "after": "after_ms", "down_s": "down_ms", "spacing": "spacing_ms"}


def load_fault(table: Table, clock: Clock, clusters: tuple[ClusterPlan, ...]) -> Fault:
    """Return one `[[fault]]`; what is wrong in it is noted."""
    kind_name = table.take("kind", read.one_of(*KINDS), "")
    if "kind" not in table:
        table.error("kind", f"is missing; one of {', '.join(KINDS)}")
    kind = KINDS.get(kind_name, FaultKind("", tuple(_FAULT_KEYS)))
    name = table.take("name", read.text, kind_name)
    scope = scope_of(table.table("scope"), clusters)
    at = table.take("at", clock.moment, clock.start_ms)
    for_ms = table.take("for", duration_ms, None)
    values = dict(kind.defaults)
    for key, parser in _FAULT_KEYS.items():
        if key in kind.keys:
            if key in table or key not in values:
                given = table.take(key, parser, None)
                if given is not None:
                    values[_FIELDS.get(key, key)] = given
            else:
                table.take(key, parser, None)
        elif key in table and kind.doc:
            table.take(key, parser, None)
            table.error(key, f"is no key of {kind_name!r}; it takes {', '.join(kind.keys) or 'none of its own'}")
    for key in kind.required:
        if key not in table:
            table.error(key, f"is missing; {kind_name!r} needs it")
    if values.get("effect") == "reboot" and kind_name != "bug":
        table.error("effect", f"is 'reboot'; only a bug has that effect, {kind_name!r} has not")
    elif values.get("effect") == "reboot" and "rate" not in table:
        table.error("rate", "is missing; say how many reboots a server and hour")
    if "after" in table and not values.get("versions"):
        table.error("after", "needs versions: it counts from the change to them")
    table.close()
    return Fault(name=name, kind=kind_name, scope=scope, at_ms=at, for_ms=for_ms, **values)
