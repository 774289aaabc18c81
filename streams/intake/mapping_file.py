"""A field mapping as its TOML file states it, checked whole: every error at once, with its line and its reason.

What the tables mean is written in MAPPING.md; what they do with a record in mapping.py.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from schemas.source import GUEST_AGENT, HOST_AGENT, MAINTENANCE, GuestEvent, HostReport, MaintenanceEvent
from streams.config.lines import KeyPath, key_lines
from streams.config.model import Config, Foreign
from streams.config.problems import ConfigError, Problem, Problems, did_you_mean
from streams.config.thresholds import syntax_problem
from streams.config.typed import Between, read

Kind = Literal["HostReport", "GuestEvent", "MaintenanceEvent"]
RECORDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (HostReport, GuestEvent, MaintenanceEvent)}
FEED_OF = {"HostReport": HOST_AGENT, "GuestEvent": GUEST_AGENT, "MaintenanceEvent": MAINTENANCE}

GIVEN = ("topic", "lane", "offset", "at_ms", "index")
"""Values that every record has: its place, its broker's stamp, and which of the records made of it this one is."""
REMEMBERED = ("boot", "new_boot", "expected_boot", "incarnation", "run", "seq")
"""Values that there are only with a `[memory]`."""
NAME = re.compile(r"\$([a-z][a-z0-9_]*)")
FILE_MAX_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Unwrap:
    """One step before the rules: go through an array, or read JSON out of a text."""

    each: str | None = None
    """Path of an array, of which each entry is a record; empty for the record itself."""
    json: str | None = None
    """Path of a text that holds JSON, which takes its place; where it does not, the record stays as it is."""

    def __post_init__(self) -> None:
        if (self.each is None) == (self.json is None):
            message = "needs either `each` or `json`"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Value:
    """One named value: where it is found, and what is made of it, in the order of these fields."""

    paths: tuple[str, ...] = ()
    """Places in the record, parted by `/`; the first that holds something other than null or an empty text counts."""
    template: str = ""
    """In place of paths: a text with `$names` of other values; nothing where one of them is missing."""
    regex: str = ""
    """What is found must hold this; its first group is the value."""
    table: dict[str, str] = field(default_factory=dict)
    """What is found becomes what stands beside it here; what does not stand here is missing."""
    unit: Literal["", "s", "ms", "us", "ns", "iso"] = ""
    """It is a time in this unit (numbers, also as text), or in ISO 8601; it becomes milliseconds."""
    remember: bool = False
    """Where a record has none, the last one of the same machine is taken."""
    default: str | None = None
    """Where there is nothing else; may name another value."""


@dataclass(frozen=True, slots=True)
class When:
    """A condition on one value; all that is stated must hold."""

    value: str
    equals: str | None = None
    matches: str | None = None
    one_of: tuple[str, ...] = ()
    present: bool | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of each machine, and of how many."""

    key: str
    """The value that names the machine."""
    boot: str = ""
    """The value that changes with each boot."""
    run: str = ""
    """The value that changes with each start of the agent."""
    shutdown: tuple[When, ...] = ()
    """A record to which this applies says that a shutdown was begun: the boot behind it is expected."""
    machines: Annotated[int, Between(1, 1_000_000)] = 10_000
    """Of more machines, the one not heard for the longest is forgotten."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes a record of ours: its kind, when, and its fields."""

    kind: Kind
    when: tuple[When, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict, metadata={"computed": True})


@dataclass(frozen=True, slots=True)
class Head:
    """The table `[mapping]`."""

    doc: str = ""
    based_on: str = ""
    """A preset of which this file states only the differences."""
    otherwise: Literal["dead-letter", "skip"] = "dead-letter"
    """What becomes of a record to which no rule applies."""


@dataclass(frozen=True, slots=True)
class Mapping_:  # noqa: N801 - `Mapping` is taken
    """A whole mapping, as checked."""

    name: str
    head: Head
    unwrap: tuple[Unwrap, ...]
    parameters: dict[str, str | int | bool]
    values: dict[str, Value]
    memory: Memory | None
    rules: tuple[Rule, ...]

    @property
    def feeds(self) -> tuple[str, ...]:
        """Return the feeds of what it makes, in their own order."""
        kinds = {rule.kind for rule in self.rules}
        return tuple(feed for kind, feed in FEED_OF.items() if kind in kinds)


def presets() -> dict[str, str]:
    """Return the text of each mapping that comes with the program."""
    folder = files("streams.intake").joinpath("presets")
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def load_mapping(path: Path) -> Mapping_:
    """Return the mapping of a file, or raise ConfigError with all that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Problem(0, "", f"cannot be read: {error}")]) from error
    return parse_mapping(text, path.stem, source=str(path))


def preset(name: str) -> Mapping_:
    """Return a mapping that comes with the program; ConfigError where there is none of this name."""
    known = presets()
    if name not in known:
        raise ConfigError("presets", [Problem(0, name, f"no such preset{did_you_mean(name, list(known))}")])
    return parse_mapping(known[name], name, source=f"{name}.toml")


def mapping_of(config: Config, foreign: Foreign) -> Mapping_:
    """Return a foreign topic's mapping: a preset, or a file of `[paths] mappings`; ConfigError if it is wrong."""
    if foreign.preset:
        return preset(foreign.preset)
    return load_mapping(config.paths.mappings / f"{foreign.mapping}.toml")


def parse_mapping(text: str, name: str, *, source: str) -> Mapping_:
    """Return the mapping that `text` states, or raise ConfigError with all that is wrong with it."""
    if len(text) > FILE_MAX_BYTES:
        raise ConfigError(source, [Problem(0, "", f"a mapping has at most {FILE_MAX_BYTES} characters")])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [syntax_problem(error)]) from None
    problems = Problems(key_lines(text))
    made = _Reader(document, problems).read(name)
    if problems.found or made is None:
        raise ConfigError(source, problems.found)
    return made


class _Reader:
    """Reads the tables of one document, and tells everything that is wrong with them."""

    TABLES = ("mapping", "unwrap", "parameters", "values", "memory", "records")

    def __init__(self, document: dict[str, Any], problems: Problems) -> None:
        self.document = document
        self.problems = problems

    def read(self, name: str) -> Mapping_ | None:
        for table in self.document:
            if table not in self.TABLES:
                self.problems.unknown((table,), list(self.TABLES))
        head = read(Head, self.document.get("mapping", {}), ("mapping",), self.problems) or Head()
        base = self._base(head)
        unwrap = self._list("unwrap", Unwrap) if "unwrap" in self.document else (base.unwrap if base else ())
        parameters = {**(base.parameters if base else {}), **self._parameters()}
        values = {**(base.values if base else {}), **self._values()}
        memory = base.memory if base else None
        if "memory" in self.document:
            memory = read(Memory, self.document["memory"], ("memory",), self.problems)
        rules = self._rules() if "records" in self.document or base is None else base.rules
        if not rules:
            self.problems.add(("records",), "no rule: a mapping that makes no records would only throw away")
        if base is not None and "otherwise" not in self.document.get("mapping", {}):
            head = Head(head.doc or base.head.doc, head.based_on, base.head.otherwise)
        made = Mapping_(name, head, unwrap, parameters, values, memory, rules)
        _Names(made, self.problems).check()
        return made

    def _base(self, head: Head) -> Mapping_ | None:
        if not head.based_on:
            return None
        known = presets()
        if head.based_on not in known:
            near = did_you_mean(head.based_on, list(known))
            self.problems.add(("mapping", "based_on"), f"no preset `{head.based_on}`{near}")
            return None
        return preset(head.based_on)

    def _list(self, name: str, kind: type[Any]) -> tuple[Any, ...]:
        entries = self.document[name]
        if not isinstance(entries, list):
            self.problems.add((name,), f"must be an array of tables: [[{name}]]")
            return ()
        made = [read(kind, entry, (name, place), self.problems) for place, entry in enumerate(entries)]
        return tuple(entry for entry in made if entry is not None)

    def _parameters(self) -> dict[str, str | int | bool]:
        table = self.document.get("parameters", {})
        if not isinstance(table, dict):
            self.problems.add(("parameters",), "must be a table")
            return {}
        for name, value in table.items():
            self._named(("parameters", name), name)
            if not isinstance(value, str | int):
                self.problems.add(("parameters", name), "must be a text, a whole number, true or false")
        return {name: value for name, value in table.items() if isinstance(value, str | int)}

    def _values(self) -> dict[str, Value]:
        table = self.document.get("values", {})
        if not isinstance(table, dict):
            self.problems.add(("values",), "must be a table of tables: [values.NAME]")
            return {}
        made: dict[str, Value] = {}
        for name, entry in table.items():
            path = ("values", name)
            self._named(path, name)
            value = read(Value, entry, path, self.problems)
            # One that is wrong is told already, and is no unknown name besides.
            made[name] = value or Value(default="")
            if value is None:
                continue
            if bool(value.paths) == bool(value.template):
                self.problems.add(path, "needs either `paths` or `template`")
            self._regex((*path, "regex"), value.regex, groups=1)
        return made

    def _rules(self) -> tuple[Rule, ...]:
        entries = self.document.get("records", [])
        if not isinstance(entries, list):
            self.problems.add(("records",), "must be an array of tables: [[records]]")
            return ()
        rules = []
        for place, entry in enumerate(entries):
            path = ("records", place)
            stated = dict(entry) if isinstance(entry, dict) else entry
            given = stated.pop("fields", {}) if isinstance(stated, dict) else {}
            rule = read(Rule, stated, path, self.problems)
            if rule is None:
                continue
            self._fields(rule.kind, given, (*path, "fields"))
            rules.append(Rule(rule.kind, rule.when, given if isinstance(given, dict) else {}))
        return tuple(rules)

    def _fields(self, kind: str, given: Any, path: KeyPath) -> None:
        if not isinstance(given, dict):
            self.problems.add(path, "must be a table")
            return
        known = {one.name: one for one in fields(RECORDS[kind]) if one.name != "vms" or kind != "HostReport"}
        for name, value in given.items():
            if name not in known:
                self.problems.unknown((*path, name), list(known))
            elif not _plain(value):
                self.problems.add((*path, name), "must be a text, a number, true or false, or a table or array of them")
        for name, one in known.items():
            if one.default is MISSING and one.default_factory is MISSING and name not in given:
                self.problems.add((*path, name), f"is missing: every {kind} has it")

    def _named(self, path: KeyPath, name: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            self.problems.add(path, "a name has lower-case letters, digits and `_`, a letter first")
        elif name in GIVEN or name in REMEMBERED:
            self.problems.add(path, f"`{name}` is given already; choose another name")

    def _regex(self, path: KeyPath, pattern: str, *, groups: int) -> None:
        if not pattern:
            return
        try:
            found = re.compile(pattern)
        except re.error as error:
            self.problems.add(path, f"no regular expression: {error}")
            return
        if found.groups < groups:
            self.problems.add(path, "needs a group in parentheses: what it holds is the value")


class _Names:
    """Finds names that nobody states, names that lead back to themselves, and conditions that cannot be."""

    def __init__(self, mapping: Mapping_, problems: Problems) -> None:
        self.mapping = mapping
        self.problems = problems
        remembered = REMEMBERED if mapping.memory else ()
        self.known = {*GIVEN, *remembered, *mapping.parameters, *mapping.values}

    def check(self) -> None:
        mapping = self.mapping
        for name, value in mapping.values.items():
            for used in (value.template, value.default or ""):
                self._uses(("values", name), used)
            if value.remember and mapping.memory is None:
                self.problems.add(("values", name, "remember"), "there is no [memory] to remember it in")
            if name in self._reached(name, ()):
                self.problems.add(("values", name), "leads back to itself")
        memory = mapping.memory
        if memory is not None:
            for key in ("key", "boot", "run"):
                if used := getattr(memory, key):
                    self._one(("memory", key), used)
            self._conditions(memory.shutdown, ("memory", "shutdown"))
        for place, rule in enumerate(mapping.rules):
            self._conditions(rule.when, ("records", place, "when"))
            for name, value in rule.fields.items():
                for text in _texts(value):
                    self._uses(("records", place, "fields", name), text)

    def _conditions(self, conditions: Iterable[When], path: KeyPath) -> None:
        for place, when in enumerate(conditions):
            self._one((*path, place, "value"), when.value)
            if when.equals is None and when.matches is None and not when.one_of and when.present is None:
                self.problems.add((*path, place), "needs one of equals, matches, one_of, present")
            if when.matches is not None:
                try:
                    re.compile(when.matches)
                except re.error as error:
                    self.problems.add((*path, place, "matches"), f"no regular expression: {error}")

    def _one(self, path: KeyPath, name: str) -> None:
        if name not in self.known:
            self._unknown(path, name)

    def _uses(self, path: KeyPath, text: str) -> None:
        for name in NAME.findall(text):
            if name not in self.known:
                self._unknown(path, name)

    def _unknown(self, path: KeyPath, name: str) -> None:
        if name in REMEMBERED:
            self.problems.add(path, f"`{name}` needs a [memory]")
        else:
            self.problems.add(path, f"no value `{name}`{did_you_mean(name, sorted(self.known))}")

    def _reached(self, name: str, above: tuple[str, ...]) -> set[str]:
        value = self.mapping.values.get(name)
        if value is None or name in above:
            return set()
        reached: set[str] = set()
        for used in NAME.findall(f"{value.template} {value.default or ''}"):
            reached |= {used} | self._reached(used, (*above, name))
        return reached


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(item, str) for item in value.values())
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | int)


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [str(item) for item in value.values()]
    if isinstance(value, list):
        return [str(item) for item in value]
    return [value] if isinstance(value, str) else []
