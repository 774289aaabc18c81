"""Foreign JSON made ours, as a mapping says: pure, with a bounded memory of each machine.

    mapper = Mapper(preset("waagent-journald"), "machine-logs", lane)
    mapper.rows(raw)                 # (cluster, row) of each record of ours that this one holds

The memory lives as long as a lane is read: whoever reads it next knows no machine, takes its first sight of each for
no reboot, and begins a new `run`, so that no `seq` is ever missed that was not sent.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

from schemas import json_source
from schemas.errors import CodecError
from schemas.outputs import DeadReason
from schemas.records import with_known_symbols
from schemas.telemetry import EVERYONE, Row
from streams.intake.checks import RawRecord, cluster_of, row_of
from streams.intake.fields import check_fields
from streams.intake.mapping_file import NAME, RECORDS, Mapping_, Rule, Unwrap, Value, When

RECORDS_MAX = 1_000
"""Records that one may hold."""
MS_PER = {"s": 1_000.0, "ms": 1.0, "us": 0.001, "ns": 0.000_001}

_compiled = lru_cache(maxsize=1_024)(re.compile)


@dataclass(slots=True)
class Machine:
    """What is remembered of one machine."""

    since_offset: int
    boot: str = ""
    incarnation: int = 1
    shutdown: bool = False
    """A shutdown was begun, and no boot has been seen since."""
    run: str = ""
    seq: int = -1
    values: dict[str, Any] = field(default_factory=dict)


class Mapper:
    """A mapping at work on one lane."""

    def __init__(self, mapping: Mapping_, topic: str, lane: int) -> None:
        self.mapping = mapping
        self.feeds = mapping.feeds
        self.topic = topic
        self.lane = lane
        self.machines: OrderedDict[str, Machine] = OrderedDict()

    def rows(self, raw: RawRecord) -> Sequence[tuple[str, Row]]:
        """Return (cluster, row) of each of our records that this one holds; a CodecError says why it holds none."""
        rows: list[tuple[str, Row]] = []
        for place, record in enumerate(self._records(raw)):
            if place >= RECORDS_MAX:
                raise CodecError(DeadReason.BAD_VALUE, f"more than {RECORDS_MAX} records in one; send them apart")
            rows += self._mapped(raw, record, len(rows))
        if not rows and self.mapping.head.otherwise == "dead-letter":
            raise CodecError(
                DeadReason.NO_MAPPING,
                f"no rule of the mapping `{self.mapping.name}` applies; add one, or set `otherwise` to skip",
            )
        return rows

    def _records(self, raw: RawRecord) -> Iterator[Any]:
        if raw.value is None:
            raise CodecError(DeadReason.EMPTY, "the value is null")
        records: list[Any] = [_json(raw.value)]
        for step in self.mapping.unwrap:
            records = [part for record in records for part in _unwrapped(step, record)]
        yield from records

    def _mapped(self, raw: RawRecord, record: Any, index: int) -> list[tuple[str, Row]]:
        scope = _Scope(self.mapping, record, {**self.mapping.parameters, **self._given(raw)})
        self._remember(scope, raw)
        rows: list[tuple[str, Row]] = []
        for number, rule in enumerate(self.mapping.rules):
            if scope.holds(rule.when):
                scope.given["index"] = index + len(rows)
                rows.append(self._row(scope, rule, number))
        if scope.machine is not None:
            scope.machine.values |= {
                name: scope.found[name]
                for name, value in self.mapping.values.items()
                if value.remember and scope.get(name) is not None
            }
        return rows

    def _given(self, raw: RawRecord) -> dict[str, Any]:
        return {"topic": self.topic, "lane": self.lane, "offset": raw.offset, "at_ms": raw.at_ms, "index": 0}

    def _remember(self, scope: _Scope, raw: RawRecord) -> None:
        """Bring what is known of the record's machine up to this record, and give the record what is known."""
        memory = self.mapping.memory
        if memory is None or (key := scope.get(memory.key)) is None:
            return
        machine = self.machines.get(str(key))
        if machine is None:
            machine = self.machines[str(key)] = Machine(raw.offset)
            if len(self.machines) > memory.machines:
                self.machines.popitem(last=False)
        self.machines.move_to_end(str(key))
        scope.remembering(machine)
        boot = scope.get(memory.boot) if memory.boot else None
        new_boot = expected = False
        if boot is not None and str(boot) != machine.boot:
            new_boot = machine.boot != ""
            expected = machine.shutdown
            machine.boot = str(boot)
            machine.shutdown = False
            machine.incarnation += new_boot
        if memory.shutdown and scope.holds(memory.shutdown):
            machine.shutdown = True
        run = scope.get(memory.run) if memory.run else None
        # Our own beginning is part of it: without what came before, `seq` begins anew.
        known = f"{machine.boot}:{run if run is not None else ''}@{machine.since_offset}"
        if known != machine.run:
            machine.run, machine.seq = known, -1
        scope.given |= {
            "boot": machine.boot or None,
            "new_boot": new_boot,
            "expected_boot": expected,
            "incarnation": machine.incarnation,
            "run": machine.run,
        }

    def _row(self, scope: _Scope, rule: Rule, number: int) -> tuple[str, Row]:
        if scope.machine is not None and rule.kind == "HostReport":
            scope.machine.seq += 1
            scope.given["seq"] = scope.machine.seq
        made = {}
        texts = _text_fields(rule.kind)
        for name, stated in rule.fields.items():
            value = scope.filled(stated)
            if value is not None:
                # A version may be a number, an id too: in a field of text they are what they look like.
                made[name] = _text(value) if name in texts and isinstance(value, int | float) else value
        try:
            record = msgspec.convert(made, RECORDS[rule.kind], strict=False)
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            refused = json_source.refused(b"", f"records[{number}]", error)
            detail = f"{refused.detail}; see the mapping `{self.mapping.name}`"
            raise CodecError(refused.reason, detail) from error
        record = with_known_symbols(record)
        json_source.check_integers(record, rule.kind)
        check_fields(record)
        cluster = cluster_of(record)
        if cluster == EVERYONE:
            raise CodecError(DeadReason.BAD_VALUE, f"cluster {EVERYONE!r} may not be made by a mapping")
        return cluster, row_of(record)


class _Scope:
    """The values of one record, each found when it is first asked for."""

    def __init__(self, mapping: Mapping_, record: Any, given: dict[str, Any]) -> None:
        self.mapping = mapping
        self.record = record
        self.given = given
        self.found: dict[str, Any] = {}
        self.machine: Machine | None = None

    def remembering(self, machine: Machine) -> None:
        """Use what is known of the machine; values found before it was known are looked for again."""
        self.machine = machine
        self.found.clear()

    def get(self, name: str) -> Any:
        """Return a value by name, None where there is none."""
        if name in self.mapping.values:
            if name not in self.found:
                self.found[name] = self._value(name, self.mapping.values[name])
            return self.found[name]
        return self.given.get(name)

    def holds(self, conditions: Iterable[When]) -> bool:
        """Return whether all conditions hold."""
        return all(self._holds(when) for when in conditions)

    def _holds(self, when: When) -> bool:
        value = self.get(when.value)
        if when.present is not None and when.present != (value is not None):
            return False
        if when.equals is None and when.matches is None and not when.one_of:
            return True
        if value is None:
            return False
        text = _text(value)
        return (
            (when.equals is None or text == when.equals)
            and (when.matches is None or _compiled(when.matches).search(text) is not None)
            and (not when.one_of or text in when.one_of)
        )

    def filled(self, stated: Any) -> Any:
        """Return a field's value: what is stated, with `$names` replaced; None where one of them is missing."""
        if isinstance(stated, dict):
            made = {key: self.filled(item) for key, item in stated.items()}
            return {key: _text(item) for key, item in made.items() if item is not None} or None
        if isinstance(stated, list):
            return [_text(item) for item in map(self.filled, stated) if item is not None]
        if not isinstance(stated, str):
            return stated
        if (whole := NAME.fullmatch(stated)) is not None:
            return self.get(whole[1])
        parts = {name: self.get(name) for name in NAME.findall(stated)}
        if any(value is None for value in parts.values()):
            return None
        return NAME.sub(lambda found: _text(parts[found[1]]), stated)

    def _value(self, name: str, stated: Value) -> Any:
        value = self.filled(stated.template) if stated.template else self._at(stated.paths)
        if value is not None and stated.regex:
            found = _compiled(stated.regex).search(_text(value))
            value = found[1] if found is not None else None
        if value is not None and stated.table:
            value = stated.table.get(_text(value))
        if value is not None and stated.unit:
            value = _ms(value, stated.unit, name)
        if value is None and stated.remember and self.machine is not None:
            value = self.machine.values.get(name)
        if value is None and stated.default is not None:
            value = self.filled(stated.default)
        return value

    def _at(self, paths: Iterable[str]) -> Any:
        for path in paths:
            value = _look(self.record, path)
            if value is not None and value != "":
                return value
        return None


@lru_cache(maxsize=8)
def _text_fields(kind: str) -> frozenset[str]:
    hints = get_type_hints(RECORDS[kind])
    return frozenset(name for name, hint in hints.items() if hint in {str, str | None})


def _json(text: bytes) -> Any:
    json_source.check_text(text)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise json_source.refused(text, "a record", error) from error


def _unwrapped(step: Unwrap, record: Any) -> list[Any]:
    """Return what one step makes of a record; one that it does not fit stays as it is."""
    if step.each is not None:
        found = _look(record, step.each) if step.each else record
        return found if isinstance(found, list) else [record]
    path = step.json or ""
    found = _look(record, path)
    if not isinstance(found, str) or not found.lstrip().startswith(("{", "[")):
        return [record]
    try:
        inner = _json(found.encode())
    except (CodecError, UnicodeEncodeError):
        return [record]
    *way, last = path.split("/")
    holder = _look(record, "/".join(way)) if way else record
    return [record] if not isinstance(holder, dict) else [_with(record, way, last, inner)]


def _with(record: Any, way: list[str], last: str, inner: Any) -> Any:
    """Return a copy of the record with `inner` in the place of the text that held it."""
    if not way:
        return {**record, last: inner}
    return {**record, way[0]: _with(record[way[0]], way[1:], last, inner)}


def _look(record: Any, path: str) -> Any:
    """Return what stands at a path, None where nothing does; a number is a place in an array."""
    for part in path.split("/") if path else ():
        if isinstance(record, dict):
            record = record.get(part)
        elif isinstance(record, list) and part.isdecimal() and int(part) < len(record):
            record = record[int(part)]
        else:
            return None
    return record


def _ms(value: Any, unit: str, name: str) -> int | None:
    """Return a time in milliseconds."""
    try:
        if unit == "iso":
            stamp = datetime.fromisoformat(_text(value))
            return int((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1_000)
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            value = int(value)
        if isinstance(value, int) and unit in {"us", "ns"}:
            # Whole numbers stay whole: a double has no room for nanoseconds.
            return value // (1_000 if unit == "us" else 1_000_000)
        return int(float(value) * MS_PER[unit])
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(DeadReason.BAD_TIME, f"${name}: {_text(value)[:80]!r} is no time in {unit}") from error


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # orjson refuses integers beyond 64 bits
        if isinstance(value, dict | list)
        else str(value)
    )
