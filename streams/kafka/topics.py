"""Says which topics there are and how each is set, finds how a cluster differs from that, and mends it.

The number of partitions is fixed when topics are first made: a cluster of servers is one log, and with another number
its records would go on in another partition. So a changed number is refused, and growth is a new prefix.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, Self

from streams.kafka.embedded import EmbeddedBroker

FOR_EVER_MS: Final = -1
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_NO_LIMIT_MS: Final = 2**63 - 1
MAX_MESSAGE_BYTES: Final = 1024 * 1024 + 64 * 1024
"""A record of ours is at most 1 MiB; the rest is for its batch, its key and its headers."""

_CONNECT_LIMIT_S: Final = 5.0
_SEEN_LIMIT_S: Final = 20.0
_LOOK_S: Final = 0.05


class Stamp(StrEnum):
    """Whose clock stamps a topic's records."""

    BROKER = "LogAppendTime"
    PRODUCER = "CreateTime"


class Keep(StrEnum):
    """How long a topic's records are kept: see `Retention`."""

    SOURCE = "source"
    WEEKS = "weeks"
    HISTORY = "history"
    AUDIT = "audit"
    NEWEST = "newest"
    NEWEST_FOR_WEEKS = "newest-for-weeks"


@dataclass(frozen=True, slots=True)
class Retention:
    """The retentions that a configuration may choose, in milliseconds; -1 keeps for ever."""

    source_ms: int = 24 * _HOUR_MS
    weeks_ms: int = 28 * _DAY_MS
    history_ms: int = 30 * _DAY_MS
    audit_ms: int = 5 * 366 * _DAY_MS

    def configs(self, keep: Keep) -> dict[str, str]:
        """Return the topic settings that keep records so."""
        match keep:
            case Keep.NEWEST:
                return {"cleanup.policy": "compact"}
            case Keep.NEWEST_FOR_WEEKS:
                return {"cleanup.policy": "compact,delete", "retention.ms": str(self.weeks_ms)}
            case Keep.SOURCE:
                kept_ms = self.source_ms
            case Keep.WEEKS:
                kept_ms = self.weeks_ms
            case Keep.HISTORY:
                kept_ms = self.history_ms
            case Keep.AUDIT:
                kept_ms = self.audit_ms
        return {"cleanup.policy": "delete", "retention.ms": str(kept_ms)}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic: its name without prefix, how long it keeps, who stamps it; `lanes` False: it has one partition."""

    name: str
    keep: Keep
    stamp: Stamp
    lanes: bool = True


STAMP_SETTING: Final = "message.timestamp.type"

TOPICS: Final = (
    TopicSpec("host-agent", Keep.SOURCE, Stamp.BROKER),
    TopicSpec("guest-agent", Keep.SOURCE, Stamp.BROKER),
    TopicSpec("maintenance", Keep.SOURCE, Stamp.BROKER),
    TopicSpec("inventory", Keep.NEWEST, Stamp.BROKER),
    TopicSpec("operator", Keep.AUDIT, Stamp.BROKER),
    TopicSpec("requests", Keep.WEEKS, Stamp.BROKER),
    TopicSpec("telemetry", Keep.HISTORY, Stamp.PRODUCER),
    TopicSpec("findings", Keep.HISTORY, Stamp.PRODUCER),
    TopicSpec("fleet", Keep.HISTORY, Stamp.PRODUCER, lanes=False),
    TopicSpec("incidents", Keep.NEWEST, Stamp.PRODUCER),
    TopicSpec("decisions", Keep.NEWEST, Stamp.PRODUCER),
    TopicSpec("scheduled-events", Keep.NEWEST, Stamp.PRODUCER),
    TopicSpec("notifications", Keep.NEWEST_FOR_WEEKS, Stamp.PRODUCER),
    TopicSpec("rca", Keep.NEWEST, Stamp.PRODUCER),
    TopicSpec("progress", Keep.NEWEST, Stamp.PRODUCER),
    TopicSpec("snapshots", Keep.HISTORY, Stamp.PRODUCER),
    TopicSpec("fleet-progress", Keep.NEWEST, Stamp.PRODUCER, lanes=False),
    TopicSpec("fleet-snapshots", Keep.HISTORY, Stamp.PRODUCER, lanes=False),
    TopicSpec("dead-letters", Keep.WEEKS, Stamp.PRODUCER),
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it shall be on a cluster, by its full name."""

    name: str
    partitions: int
    replicas: int
    configs: Mapping[str, str]


def wanted(
    *,
    partitions: int,
    replicas: int = 1,
    prefix: str = "",
    simulated: bool = False,
    retention: Retention | None = None,
    specs: Sequence[TopicSpec] = TOPICS,
) -> tuple[Topic, ...]:
    """Return the topics that there shall be.

    `simulated`: the records are of a time of their own, so producers stamp them and nothing is deleted for its age;
    under a retention of hours the year 2012 is gone at once.
    """
    kept = retention or Retention()
    return tuple(
        Topic(
            prefix + spec.name,
            partitions if spec.lanes else 1,
            replicas,
            dict(sorted(_configs(spec, kept, replicas, simulated=simulated).items())),
        )
        for spec in specs
    )


def _configs(spec: TopicSpec, retention: Retention, replicas: int, *, simulated: bool) -> dict[str, str]:
    configs = retention.configs(spec.keep)
    if simulated and "retention.ms" in configs:
        configs["retention.ms"] = str(FOR_EVER_MS)
    stamp = Stamp.PRODUCER if simulated else spec.stamp
    configs[STAMP_SETTING] = stamp.value
    if stamp is Stamp.PRODUCER:
        # These are stamped with source time. A broker that refuses what is an hour ahead would stop the intake at the
        # same record for ever.
        configs["message.timestamp.before.max.ms"] = str(_NO_LIMIT_MS)
        configs["message.timestamp.after.max.ms"] = str(_NO_LIMIT_MS)
    configs["max.message.bytes"] = str(MAX_MESSAGE_BYTES)
    # Two copies of every acknowledged record where there are three brokers: one may be away.
    configs["min.insync.replicas"] = str(max(1, replicas - 1))
    # A broker that fell behind never becomes leader: it would take acknowledged records with it.
    configs["unclean.leader.election.enable"] = "false"
    return configs


class TopicsError(Exception):
    """Topics cannot be made as asked; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: a topic that is not there (`setting` empty), or a setting that is otherwise."""

    topic: str
    kind: Literal["create", "set", "refused"]
    setting: str = ""
    has: str = ""
    wants: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "create":
                return f"create {self.topic} ({self.wants})"
            case "set":
                return f"set {self.topic} {self.setting}: {self.has} -> {self.wants}"
            case "refused":
                return f"REFUSED {self.topic} {self.setting}: {self.has} -> {self.wants}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be changed, in the order of the topics; `refused`, what no command changes."""

    topics: tuple[Topic, ...]
    changes: tuple[Change, ...] = field(default=())

    @property
    def refused(self) -> tuple[Change, ...]:
        """Return the differences that stop `apply`."""
        return tuple(change for change in self.changes if change.kind == "refused")

    @property
    def restamped(self) -> tuple[Change, ...]:
        """Return topics that are there, and whose records would be stamped by others: a simulation's, or not."""
        return tuple(change for change in self.changes if (change.kind, change.setting) == ("set", STAMP_SETTING))


MEND = "start it (`leapwatch broker start` runs one here) or set [kafka] bootstrap; `leapwatch doctor` tells more"
"""What to do where no broker answers."""


class TopicAdmin:
    """A connection to a cluster's administration, to be closed by the `with` block.

    `security`: arguments of kafka-python's client.
    """

    def __init__(self, bootstrap: str, *, security: Mapping[str, Any] | None = None) -> None:
        # Half a second of the processor, and the demo, whose broker cannot be administered, has no use for it.
        import kafka  # noqa: PLC0415

        self._kafka: Any = kafka
        self._bootstrap = bootstrap
        # Asked first, for the client leaves its sockets open where it cannot connect.
        if not any(_answers(server) for server in bootstrap.split(",")):
            raise TopicsError(f"no Kafka answers at {bootstrap}: {MEND}")
        try:
            self._admin = self._kafka.admin.KafkaAdminClient(bootstrap_servers=bootstrap.split(","), **(security or {}))
        except self._kafka.errors.KafkaError as error:
            raise TopicsError(f"no Kafka answers at {bootstrap}: {error}; {MEND}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._admin.close()

    def plan(self, topics: Sequence[Topic]) -> Plan:
        """Return how the cluster differs from `topics`; nothing is changed. Topics beyond these are left alone."""
        names = set(self._call("list topics", self._admin.list_topics))
        there = [topic.name for topic in topics if topic.name in names]
        described = self._call("describe topics", lambda: self._admin.describe_topics(there)) if there else []
        counts = {found["name"]: found["partitions"] for found in described}
        configs = self._configs(there)
        changes: list[Change] = []
        for topic in topics:
            if topic.name not in counts:
                settings = ", ".join(f"{name}={value}" for name, value in topic.configs.items())
                made = f"{topic.partitions} partitions, {topic.replicas} replicas, {settings}"
                changes.append(Change(topic.name, "create", wants=made))
                continue
            changes += self._differences(topic, counts[topic.name], configs[topic.name])
        return Plan(tuple(topics), tuple(changes))

    def apply(self, plan: Plan) -> None:
        """Make and set what `plan` names, and wait until the cluster shows it.

        `TopicsError` before anything is done where the plan refuses something.
        """
        if plan.refused:
            told = "; ".join(f"{each.topic} has {each.has} partitions, not {each.wants}" for each in plan.refused)
            raise TopicsError(
                f"{told}: their number is fixed when topics are made, for each cluster's log is in one partition. Ask "
                "for the number they have, or begin anew under another prefix"
            )
        by_name = {topic.name: topic for topic in plan.topics}
        new = {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": topic.replicas,
                "configs": dict(topic.configs),
            }
            for change in plan.changes
            if change.kind == "create"
            for topic in (by_name[change.topic],)
        }
        if new:
            self._call("create topics", lambda: self._admin.create_topics(new))
            self._call("wait for the topics", lambda: self._admin.wait_for_topics(list(new), timeout_ms=30_000))
        settings: dict[str, dict[str, str]] = {}
        for change in plan.changes:
            if change.kind == "set":
                settings.setdefault(change.topic, {})[change.setting] = change.wants
        if settings:
            resources = [self._resource(name, values) for name, values in settings.items()]
            answer = self._call("set topic configurations", lambda: self._admin.alter_configs(resources))
            # An answer a topic, which raises nothing.
            refused = [f"{name}: {said}" for each in answer.values() for name, said in each.items() if said != "OK"]
            if refused:
                raise TopicsError(f"the broker refuses settings: {'; '.join(refused)}")
        deadline = time.monotonic() + _SEEN_LIMIT_S
        # Brokers take a change over from the controller a moment after it is acknowledged.
        while changes := self.plan(plan.topics).changes:
            if time.monotonic() > deadline:
                raise TopicsError(
                    f"after {_SEEN_LIMIT_S:.0f} s the cluster does not show: {', '.join(map(str, changes))}"
                )
            time.sleep(_LOOK_S)

    @staticmethod
    def _differences(topic: Topic, partitions: Sequence[Any], configs: Mapping[str, str]) -> list[Change]:
        changes = []
        if len(partitions) != topic.partitions:
            has, wants = str(len(partitions)), str(topic.partitions)
            changes.append(Change(topic.name, "refused", "partitions", has, wants))
        for setting, wants in topic.configs.items():
            has = configs.get(setting, "")
            if has != wants:
                changes.append(Change(topic.name, "set", setting, has, wants))
        return changes

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the settings in force of each topic, defaults too."""
        if not names:
            return {}
        asked = [self._resource(name) for name in names]
        answer = self._call("read settings", lambda: self._admin.describe_configs(asked, config_filter="all"))
        found = {str(kind).lower(): each for kind, each in answer.items()}["topic"]
        return {name: {key: str(entry["value"]) for key, entry in found[name].items()} for name in names}

    def _resource(self, topic: str, settings: Mapping[str, str] | None = None) -> Any:
        return self._kafka.admin.ConfigResource(self._kafka.admin.ConfigResourceType.TOPIC, topic, settings)

    def _call(self, what: str, call: Any) -> Any:
        try:
            return call()
        except self._kafka.errors.KafkaError as error:
            raise TopicsError(f"{what} at {self._bootstrap}: {error}") from error


def _answers(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_LIMIT_S).close()
    except (OSError, ValueError):
        return False
    return True


def apply_embedded(broker: EmbeddedBroker, topics: Sequence[Topic]) -> tuple[str, ...]:
    """Make `topics` on an embedded broker, and return what of their settings it cannot have: its topics have none.

    kafka-python's administration does not work there, for the mock cluster answers no such request.
    """
    # The mock cluster looks for such requests ten times a second, and takes all that are there.
    with ThreadPoolExecutor(max_workers=max(1, len(topics))) as asking:
        list(asking.map(lambda topic: broker.create_topic(topic.name, topic.partitions), topics))
    return tuple(sorted({setting for topic in topics for setting in topic.configs}))
