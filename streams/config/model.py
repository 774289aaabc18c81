"""What can be configured: one frozen dataclass a table, each field with its unit, its range and what hangs on it.

Thresholds are not here: `[detectors.NAME]` is each detector's own frozen dataclass, `[policy]` is
`streams.config.thresholds.PolicyConfig`, and both act only as read from the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from streams.config.typed import Between, Text

Port = Annotated[int, Between(0, 65535)]
Name = Annotated[str, Text(r"[A-Za-z0-9._-]{1,200}", "a topic's name (letters, digits, `.`, `_`, `-`)")]
Endpoint = Annotated[str, Text(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/,]+):[0-9]{1,5}", "HOST:PORT")]
Role = Literal["intake", "engine", "fleet"]
ROLES: tuple[Role, ...] = ("intake", "engine", "fleet")


@dataclass(frozen=True, slots=True)
class Security:
    """How to speak to the brokers. No secret stands in the file: it comes from a file of its own or the environment."""

    protocol: Literal["plaintext", "ssl", "sasl_ssl"] = "plaintext"
    """`sasl_ssl` is SCRAM inside TLS. SASL without TLS does not exist here: it would show the password's proof."""
    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password_file: Path | None = None
    """Holds the password alone; a newline at its end is dropped. Or set LEAPWATCH_KAFKA_PASSWORD."""
    ca_file: Path | None = None
    """PEM of the authorities trusted; none: the system's."""
    cert_file: Path | None = None
    """PEM of our own certificate, where the brokers ask for one."""
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if self.protocol == "sasl_ssl" and not self.username:
            message = "protocol sasl_ssl needs a username"
            raise ValueError(message)
        if self.protocol != "sasl_ssl" and (self.username or self.password_file):
            message = f"a username or password_file has no effect with protocol {self.protocol}; use sasl_ssl"
            raise ValueError(message)
        if (self.cert_file is None) != (self.key_file is None):
            message = "cert_file and key_file are needed together"
            raise ValueError(message)
        if self.protocol == "plaintext" and (self.ca_file or self.cert_file):
            message = "ca_file and cert_file have no effect with protocol plaintext; use ssl or sasl_ssl"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Kafka:
    """Where the log is."""

    bootstrap: Annotated[tuple[Endpoint, ...], Between(1, 32)] = ("127.0.0.1:9092",)
    prefix: Annotated[str, Text(r"[A-Za-z0-9._-]{0,100}", "letters, digits, `.`, `_`, `-`")] = ""
    """Stands before every topic and group, with nothing between: `sim.` makes `sim.telemetry`."""
    lanes: Annotated[int, Between(1, 4096)] = 64
    """Partitions of each feed and of `telemetry`; fixed at the first `topics apply`, growth is a new prefix."""
    replication: Annotated[int, Between(1, 9)] = 1
    """Copies of each topic that `topics apply` makes; 3 where there are three brokers."""
    source_retention_h: Annotated[int, Between(-1)] = 24
    """Hours that the source topics are kept; -1 for ever."""
    history_retention_days: Annotated[int, Between(-1)] = 30
    """Days that `telemetry`, `findings` and `snapshots` are kept; -1 for ever."""
    request_timeout_s: Annotated[float, Between(1, 300)] = 40.0
    """Seconds until a broker that does not answer counts as away."""
    session_timeout_s: Annotated[float, Between(1, 300)] = 10.0
    """Seconds for which the partitions of a worker that died stand still; brokers refuse less than their own least."""
    check_crcs: bool = True
    """False only for the embedded broker, which gives transaction markers no checksum."""
    security: Security = field(default_factory=Security)


@dataclass(frozen=True, slots=True)
class Schemas:
    """Where the writer's schema of a Confluent-framed record is found: the file map first, then the registry."""

    registry: Annotated[str, Text(r"(https?://\S+)?", "an http(s) URL")] = ""
    registry_username: str = ""
    registry_password_file: Path | None = None
    """Or set LEAPWATCH_SCHEMAS_REGISTRY_PASSWORD."""
    registry_timeout_s: Annotated[float, Between(0.1, 60)] = 5.0
    files: dict[str, Path] = field(default_factory=dict)
    """Confluent id (in quotes) to `.avsc` file: `"17" = "host-report-v3.avsc"`."""

    def __post_init__(self) -> None:
        wrong = [number for number in self.files if not number.isdecimal() or int(number) >= 2**31]
        if wrong:
            message = f"files: `{wrong[0]}` is no Confluent schema id (a whole number below 2147483648)"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where files lie; a path that is not absolute counts from the configuration file's folder."""

    mappings: Path = Path("mappings")
    """Field mappings of your own, NAME.toml; presets come with the program."""


@dataclass(frozen=True, slots=True)
class Web:
    """Where each role's worker serves /metrics, /-/healthy, /-/ready and /-/reload."""

    bind: Annotated[str, Between(1, 255)] = "127.0.0.1"
    """An address of this machine. The pages need no password: bind them to loopback or a management network."""
    intake: Port = 6066
    engine: Port = 6067
    fleet: Port = 6068

    def __post_init__(self) -> None:
        ports = [port for port in (self.intake, self.engine, self.fleet) if port]
        if len(ports) != len(set(ports)):
            message = "intake, engine and fleet need ports of their own (0 takes any free one)"
            raise ValueError(message)

    def port(self, role: str) -> int:
        """Return the port of `role`."""
        return {"intake": self.intake, "engine": self.engine, "fleet": self.fleet}[role]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A foreign JSON topic: an unkeyed feed that a mapping turns into our records."""

    topic: Name
    """Taken as it is: the prefix does not stand before it."""
    preset: str = ""
    """A mapping that comes with the program, such as `waagent-journald`."""
    mapping: str = ""
    """A mapping of your own: NAME of `[paths] mappings`/NAME.toml."""
    pulsed: bool = False
    """True only where the topic is ours, so that the intake may write its pulses into it."""
    gap_s: Annotated[float, Between(1, 86_400)] = 60.0
    """Seconds between two neighbours of a lane that count as watched, in place of 10 s, where it is not pulsed."""

    def __post_init__(self) -> None:
        if bool(self.preset) == bool(self.mapping):
            message = "needs either a preset or a mapping"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Intake:
    """How the intake packs, and what it refuses."""

    flush_ms: Annotated[int, Between(1, 10_000)] = 250
    """Milliseconds that a batch waits for more of its cluster."""
    batch_max_bytes: Annotated[int, Between(1_024, 900_000)] = 524_288
    """Bytes at which a batch goes at once; a broker's default refuses more than 1 MB a record."""
    clocks_s: Annotated[float, Between(0.05, 10)] = 1.0
    """Seconds between two Clocks records, and between two pulses of a lane."""
    catch_up_clocks_s: Annotated[float, Between(0.05, 60)] = 10.0
    """Seconds of source time between two Clocks records while catching up."""
    record_max_bytes: Annotated[int, Between(256, 1_048_576)] = 524_288
    """Bytes of a source record's value beyond which it is a dead letter (TOO_LARGE); topics take 1 MiB at most."""
    foreign: tuple[Foreign, ...] = ()

    def __post_init__(self) -> None:
        topics = [source.topic for source in self.foreign]
        twice = sorted({topic for topic in topics if topics.count(topic) > 1})
        if twice:
            message = f"foreign topic `{twice[0]}` stands twice"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Engine:
    """How the engine flushes, and how much of the past it can be asked for. No threshold: those act from the log."""

    flush_ms: Annotated[int, Between(1, 10_000)] = 250
    """Milliseconds between two transactions of a partition that has something to write."""
    snapshot_every_s: Annotated[float, Between(1, 86_400)] = 300.0
    """Seconds of source time in which every cluster of a partition is saved once, one by one."""
    memory_s: Annotated[int, Between(0, 86_400)] = 86_400
    """Seconds of the log that a detector whose state_version changed may be fed again, silently."""


@dataclass(frozen=True, slots=True)
class Log:
    """How workers and commands tell what they do."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """`auto`: console on a terminal, JSON anywhere else."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Passwords, read from their files or the environment; never printed."""

    kafka_password: str = ""
    registry_password: str = ""

    def __repr__(self) -> str:
        """Return only which of them are set."""
        held = [name for name in ("kafka_password", "registry_password") if getattr(self, name)]
        return f"Secrets({', '.join(held) or 'none'})"


@dataclass(frozen=True, slots=True)
class Config:
    """All of it, as checked; `source` is the file it came from, None for the defaults alone."""

    kafka: Kafka = field(default_factory=Kafka)
    schemas: Schemas = field(default_factory=Schemas)
    paths: Paths = field(default_factory=Paths)
    web: Web = field(default_factory=Web)
    intake: Intake = field(default_factory=Intake)
    engine: Engine = field(default_factory=Engine)
    log: Log = field(default_factory=Log)
    source: Path | None = field(default=None, metadata={"computed": True})
    thresholds_text: str = field(default="", metadata={"computed": True})
    """The canonical TOML text of `[detectors]` and `[policy]`: what `config apply` writes into the log."""
    thresholds_digest: str = field(default="", metadata={"computed": True})
    secrets: Secrets = field(default_factory=Secrets, metadata={"computed": True})
