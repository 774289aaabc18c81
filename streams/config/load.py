"""The file and the environment made into one checked Config."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.config.lines import key_lines
from streams.config.model import Config, Kafka, Paths, Schemas, Secrets
from streams.config.problems import ConfigError, Problem, Problems
from streams.config.thresholds import TABLES, digest_of, read_thresholds, syntax_problem, thresholds_text
from streams.config.typed import read

PREFIX = "LEAPWATCH_"

OVERRIDES: dict[str, tuple[str, ...]] = {
    "LEAPWATCH_KAFKA_BOOTSTRAP": ("kafka", "bootstrap"),
    "LEAPWATCH_KAFKA_PREFIX": ("kafka", "prefix"),
    "LEAPWATCH_KAFKA_SECURITY_PROTOCOL": ("kafka", "security", "protocol"),
    "LEAPWATCH_KAFKA_SECURITY_MECHANISM": ("kafka", "security", "mechanism"),
    "LEAPWATCH_KAFKA_USERNAME": ("kafka", "security", "username"),
    "LEAPWATCH_KAFKA_PASSWORD_FILE": ("kafka", "security", "password_file"),
    "LEAPWATCH_KAFKA_CA_FILE": ("kafka", "security", "ca_file"),
    "LEAPWATCH_KAFKA_CERT_FILE": ("kafka", "security", "cert_file"),
    "LEAPWATCH_KAFKA_KEY_FILE": ("kafka", "security", "key_file"),
    "LEAPWATCH_SCHEMAS_REGISTRY": ("schemas", "registry"),
    "LEAPWATCH_SCHEMAS_REGISTRY_USERNAME": ("schemas", "registry_username"),
    "LEAPWATCH_SCHEMAS_REGISTRY_PASSWORD_FILE": ("schemas", "registry_password_file"),
    "LEAPWATCH_PATHS_MAPPINGS": ("paths", "mappings"),
    "LEAPWATCH_WEB_BIND": ("web", "bind"),
    "LEAPWATCH_WEB_INTAKE": ("web", "intake"),
    "LEAPWATCH_WEB_ENGINE": ("web", "engine"),
    "LEAPWATCH_WEB_FLEET": ("web", "fleet"),
    "LEAPWATCH_LOG_LEVEL": ("log", "level"),
    "LEAPWATCH_LOG_FORMAT": ("log", "format"),
}
"""What the environment may say in place of the file: connections, paths and ports (and how loud the logs are)."""

SECRETS: dict[str, str] = {
    "LEAPWATCH_KAFKA_PASSWORD": "kafka_password",
    "LEAPWATCH_SCHEMAS_REGISTRY_PASSWORD": "registry_password",
}

_FLAGS = (
    "LEAPWATCH_DETECTORS_LIST_",
    "LEAPWATCH_DETECTORS_EXPLAIN_",
)
"""Flags of commands whose group has the name of a table."""

_FILE_MAX_BYTES = 1_000_000
_SECRET_MAX_BYTES = 4_096


def load(
    path: Path | None = None, env: Mapping[str, str] | None = None, registry: Mapping[str, type] | None = None
) -> Config:
    """Return the checked configuration of the file at `path` (none: the defaults) under the environment `env`.

    With `registry` (detector name to its configuration's type) the thresholds are checked too. Raises ConfigError,
    which names every problem at once.
    """
    text, source = ("", "environment") if path is None else (_text(path), str(path))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [syntax_problem(error)]) from None
    problems = Problems(key_lines(text))
    _override(document, env or {}, problems)
    connections = {key: value for key, value in document.items() if key not in TABLES}
    config = _connections(connections, problems)
    if registry is not None:
        read_thresholds(document, registry, problems)
    for table in TABLES:
        if not isinstance(document.get(table, {}), dict):
            problems.add((table,), "must be a table")
    secrets = _secrets(config, path, env or {}, problems) if config else Secrets()
    if problems.found or config is None:
        raise ConfigError(source, list(dict.fromkeys(problems.found)))
    canonical = thresholds_text(document)
    return dataclasses.replace(
        config,
        kafka=_placed_kafka(config.kafka, path),
        schemas=_placed_schemas(config.schemas, path),
        paths=Paths(_placed(config.paths.mappings, path)),
        source=path,
        thresholds_text=canonical,
        thresholds_digest=digest_of(canonical),
        secrets=secrets,
    )


def _connections(tables: dict[str, Any], problems: Problems) -> Config | None:
    """Read the tables other than the thresholds; an unknown table may be a misspelt threshold, and the hint says so."""
    known = [field.name for field in dataclasses.fields(Config) if not field.metadata.get("computed")]
    for name in [name for name in tables if name not in known]:
        problems.unknown((name,), [*known, *TABLES])
        del tables[name]
    return read(Config, tables, (), problems)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _FILE_MAX_BYTES:
            raise ConfigError(str(path), [Problem(0, "", f"larger than {_FILE_MAX_BYTES} bytes: not a configuration")])
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), [Problem(0, "", f"not readable: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [Problem(0, "", f"not UTF-8 at byte {error.start}")]) from None


def _override(document: dict[str, Any], env: Mapping[str, str], problems: Problems) -> None:
    """Put what the environment says in the file's place; refuse a variable that would change anything else."""
    tables = {field.name for field in dataclasses.fields(Config) if not field.metadata.get("computed")} | set(TABLES)
    for name in sorted(env):
        if name in OVERRIDES:
            _put(document, OVERRIDES[name], env[name], name, problems)
        elif name in SECRETS or name.startswith(_FLAGS) or not name.startswith(PREFIX):
            continue
        elif name.removeprefix(PREFIX).split("_")[0].lower() in tables:
            problems.found.append(Problem(0, name, _refusal(name)))


def _refusal(name: str) -> str:
    if name.startswith(("LEAPWATCH_DETECTORS_", "LEAPWATCH_POLICY_")):
        return "the environment cannot change a threshold: change the file, then `leapwatch config apply`"
    return "the environment overrides only connections, paths and ports: set it in the file"


def _put(document: dict[str, Any], path: tuple[str, ...], text: str, name: str, problems: Problems) -> None:
    table = document
    problems.variables[path] = name
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return  # the file is wrong there, and says so
    if path == ("kafka", "bootstrap"):
        table[path[-1]] = [part.strip() for part in text.split(",") if part.strip()]
    elif path[0] == "web" and path[-1] != "bind":
        if not text.isdecimal():
            problems.found.append(Problem(0, name, f"must be a port, is `{text}`"))
            return
        table[path[-1]] = int(text)
    else:
        table[path[-1]] = text


def _secrets(config: Config, path: Path | None, env: Mapping[str, str], problems: Problems) -> Secrets:
    """Read the passwords: the environment's, else the file's."""
    security = config.kafka.security
    held = {SECRETS[name]: env[name] for name in SECRETS if env.get(name)}
    for name, key, file in (
        ("kafka_password", ("kafka", "security", "password_file"), security.password_file),
        ("registry_password", ("schemas", "registry_password_file"), config.schemas.registry_password_file),
    ):
        if name not in held and file is not None:
            held[name] = _secret(_placed(file, path), key, problems)
    if security.protocol == "sasl_ssl" and "kafka_password" not in held:
        problems.add(
            ("kafka", "security", "protocol"), "needs a password: set password_file, or LEAPWATCH_KAFKA_PASSWORD"
        )
    return Secrets(**held)


def _secret(file: Path, key: tuple[str, ...], problems: Problems) -> str:
    try:
        if file.stat().st_size > _SECRET_MAX_BYTES:
            problems.add(key, f"{file} is larger than {_SECRET_MAX_BYTES} bytes: not a password")
            return ""
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        problems.add(key, f"{file} is not readable: {getattr(error, 'strerror', None) or error}")
        return ""


def _placed(file: Path, source: Path | None) -> Path:
    """Return `file` as it counts from the folder of the configuration."""
    return file if source is None else source.parent / file


def _placed_kafka(kafka: Kafka, source: Path | None) -> Kafka:
    names = ("password_file", "ca_file", "cert_file", "key_file")
    found = {name: getattr(kafka.security, name) for name in names}
    moved: dict[str, Any] = {name: _placed(file, source) for name, file in found.items() if file is not None}
    return dataclasses.replace(kafka, security=dataclasses.replace(kafka.security, **moved))


def _placed_schemas(schemas: Schemas, source: Path | None) -> Schemas:
    files = {number: _placed(file, source) for number, file in schemas.files.items()}
    secret = schemas.registry_password_file
    return dataclasses.replace(
        schemas, files=files, registry_password_file=None if secret is None else _placed(secret, source)
    )
