"""The thresholds: `[detectors.NAME]` and `[policy]`, which act only as read from the log.

Pure: no Kafka, no clock, no file. The engine parses the text of a ConfigChanged with `parse`; `config apply` makes
that text with `thresholds_text`. Two files that say the same in another order have the same text and digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from schemas.outputs import Action
from streams.config.lines import key_lines
from streams.config.problems import ConfigError, Problem, Problems
from streams.config.typed import Between, Keys, read

TABLES = ("detectors", "policy")
Mode = Literal["shadow", "advise", "enforce"]
ACTIONS = tuple(action.value for action in Action if action is not Action.UNKNOWN)


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What policy may make of findings. Brakes (`stop-updates`, `disable-healing` by `hi_threshold`) know no budget."""

    modes: Annotated[dict[str, Mode], Keys(ACTIONS)] = field(default_factory=dict)
    """For each action: shadow (kept, told to nobody), advise (proposed and paged), enforce. Not named: advise."""
    budget_per_hour: Annotated[int, Between(0, 1000)] = 4
    """Actions enforced in one cluster within an hour of source time; what goes beyond is PROPOSED and paged."""
    budget_per_day: Annotated[int, Between(0, 1000)] = 10
    """The same within 24 h."""
    hysteresis_s: Annotated[float, Between(0, 86_400)] = 300.0
    """Seconds of source time after a release in which no new decision is made of the same action, scope and target."""

    def mode(self, action: str) -> Mode:
        """Return the mode of `action`; advise where the configuration does not name it."""
        return self.modes.get(action, "advise")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds in force: each detector's own configuration by its name, policy's, and the text's digest."""

    detectors: dict[str, Any]
    """Every detector of the registry; one that the text does not name has its defaults."""
    policy: PolicyConfig
    digest: str
    text: str = ""
    ignored: tuple[Problem, ...] = ()
    """With `lenient`: what the text names and this code does not know."""


def thresholds_text(document: Mapping[str, Any]) -> str:
    """Return the canonical TOML text of the tables `detectors` and `policy` of a parsed document."""
    lines: list[str] = []
    for name in TABLES:
        if document.get(name):
            _table((name,), document[name], lines)
    return "\n".join(lines).lstrip("\n") + "\n" if lines else ""


def digest_of(text: str) -> str:
    """Return the SHA-256 of a thresholds text, in hex: what ConfigChanged and every finding carry."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str, registry: Mapping[str, type], *, source: str = "thresholds", lenient: bool = False) -> Thresholds:
    """Return the thresholds that `text` states, or raise ConfigError with all that is wrong with them.

    `lenient` is for a text out of the log, which older or newer code wrote: detectors and keys that this code does
    not know are left out and told in `ignored`, instead of refused. A wrong value is refused in any case.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [syntax_problem(error)]) from None
    problems = Problems(key_lines(text))
    for key in document:
        if key not in TABLES:
            problems.unknown((key,), list(TABLES))
    detectors, policy = read_thresholds(document, registry, problems)
    ignored = [problem for problem in problems.found if problem.reason.startswith("unknown ")] if lenient else []
    wrong = [problem for problem in problems.found if problem not in ignored]
    if wrong:
        raise ConfigError(source, wrong)
    if ignored:
        known = _without_unknown(document, ignored)
        detectors, policy = read_thresholds(known, registry, Problems())
    canonical = thresholds_text(document)
    return Thresholds(detectors, policy, digest_of(canonical), canonical, tuple(ignored))


def read_thresholds(
    document: Mapping[str, Any], registry: Mapping[str, type], problems: Problems
) -> tuple[dict[str, Any], PolicyConfig]:
    """Return every detector's configuration and policy's; what is wrong is in `problems`, its defaults in its place."""
    policy = read(PolicyConfig, document.get("policy", {}), ("policy",), problems)
    tables = document.get("detectors", {})
    if not isinstance(tables, dict):
        problems.add(("detectors",), "must be a table of tables: [detectors.NAME]")
        tables = {}
    for name in tables:
        if name not in registry:
            problems.found.append(_unknown_detector(name, registry, problems))
    made = {}
    for name, kind in registry.items():
        config = read(kind, tables.get(name, {}), ("detectors", name), problems)
        made[name] = kind() if config is None else config
        for key, fault in _impossible(made[name]):
            problems.add(("detectors", name, key), fault)
    return made, policy or PolicyConfig()


def _impossible(config: Any) -> Iterator[tuple[str, str]]:
    """Yield the numbers that no detector can mean, whatever its own rules: negative ones, shares above 1."""
    for known in dataclasses.fields(config):
        value = getattr(config, known.name)
        if isinstance(value, int | float):
            if value < 0:
                yield known.name, f"must not be negative, is {value:g}"
            elif known.name.endswith("_share") and value > 1:
                yield known.name, f"is a share and must be at most 1, is {value:g}"


def syntax_problem(error: tomllib.TOMLDecodeError) -> Problem:
    """Return what tomllib says, with the line that it names only in its text."""
    said = str(error)
    place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if place is None:
        return Problem(0, "", f"not TOML: {said}")
    return Problem(int(place[1]), "", f"not TOML: {said[: place.start()]} (column {place[2]})")


def _unknown_detector(name: str, registry: Mapping[str, type], problems: Problems) -> Problem:
    problems.unknown(("detectors", name), list(registry))
    told = problems.found.pop()
    return Problem(told.line, told.key, told.reason.replace("unknown key", "unknown detector", 1))


def _without_unknown(document: Mapping[str, Any], ignored: list[Problem]) -> dict[str, Any]:
    """Return the document less the keys that `ignored` names."""
    names = {problem.key for problem in ignored}

    def kept(table: Mapping[str, Any], path: str) -> dict[str, Any]:
        out = {}
        for key, value in table.items():
            place = f"{path}.{key}" if path else key
            if place not in names:
                out[key] = kept(value, place) if isinstance(value, dict) else value
        return out

    return kept(document, "")


def _table(path: tuple[str, ...], table: Mapping[str, Any], lines: list[str]) -> None:
    """Write a table: its plain keys first, then the tables below it, each in the order of the alphabet."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if plain or not table:
        lines += ["", f"[{'.'.join(_key(part) for part in path)}]"]
    lines += [f"{_key(key)} = {_literal(plain[key])}" for key in sorted(plain)]
    for key in sorted(table.keys() - plain.keys()):
        _table((*path, key), table[key], lines)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _literal(key)


def _literal(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return f'"{"".join(_escaped(letter) for letter in value)}"'
        case list():
            return f"[{', '.join(_literal(item) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{_key(key)} = {_literal(value[key])}' for key in sorted(value))}}}"
    return str(value)  # dates: TOML's own form is ISO's, and no threshold is one


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x20 or ord(letter) == 0x7F else letter
