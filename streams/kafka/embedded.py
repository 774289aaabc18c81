"""Gives a Kafka broker inside this process: librdkafka's mock cluster, by way of the confluent-kafka package.

It serves the demo and the fast tests. What it lacks, so that nobody builds on it:

- it keeps about the newest 5 MiB of a partition, in memory: a reader that is further behind loses records;
- topics have no configuration: no retention, no compaction, and every stamp is the producer's (CreateTime);
- transactions commit, but neither hide what was aborted nor fence an older producer;
- offsets by timestamp are always "none".

What rests on these is tested on `streams.kafka.real`.
"""

import ctypes
from types import TracebackType
from typing import Final, Self

import confluent_kafka.cimpl

DEFAULT_PARTITIONS: Final = 4
"""Partitions of a topic that a client's first request made: the mock cluster's own number."""

KEPT_BYTES: Final = 5 * 1024 * 1024
"""What the mock cluster keeps of a partition; older batches are dropped without a word."""

_PRODUCER: Final = 0
_TOPIC_ALREADY_EXISTS: Final = 36
_ERROR_BYTES: Final = 512


class EmbeddedBrokerError(Exception):
    """The mock cluster cannot do what was asked."""


class EmbeddedBroker:
    """A mock cluster on loopback, from its making to `close()`.

    `brokers`: how many the cluster has. `rebalance_delay_ms`: how long a new consumer group waits for more members;
    Kafka itself waits 3 s, and a demo has no time for that.
    """

    def __init__(self, *, brokers: int = 1, rebalance_delay_ms: int = 0) -> None:
        if brokers < 1:
            msg = f"embedded broker: brokers is {brokers}, and must be at least 1"
            raise ValueError(msg)
        self._brokers = brokers
        self._lib = _load()
        self._client: int | None = _new_client(self._lib)
        self._cluster: int | None = self._lib.rd_kafka_mock_cluster_new(self._client, brokers)
        if self._cluster is None:
            self._lib.rd_kafka_destroy(self._client)
            msg = f"embedded broker: librdkafka could not start a mock cluster of {brokers}"
            raise EmbeddedBrokerError(msg)
        self._lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, rebalance_delay_ms)
        self.bootstrap: str = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        """`host:port` of each broker, separated by commas."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_topic(self, name: str, partitions: int) -> bool:
        """Return whether the topic was made; False where it was there already, whatever partitions that one has."""
        code = self._lib.rd_kafka_mock_topic_create(self._open(), name.encode(), partitions, self._brokers)
        if code == _TOPIC_ALREADY_EXISTS:
            return False
        self._check(code, f"create topic {name!r} with {partitions} partitions")
        return True

    def set_down(self, broker: int = 1) -> None:
        """Cut all connections of a broker (numbered from 1), and refuse new ones until `set_up`."""
        self._check(self._lib.rd_kafka_mock_broker_set_down(self._open(), broker), f"take broker {broker} down")

    def set_up(self, broker: int = 1) -> None:
        """Let a broker that was down speak again, on its old port and with its records."""
        self._check(self._lib.rd_kafka_mock_broker_set_up(self._open(), broker), f"take broker {broker} up")

    def close(self) -> None:
        """End the cluster and its thread. A second call does nothing."""
        cluster, self._cluster = self._cluster, None
        client, self._client = self._client, None
        if cluster is not None:
            self._lib.rd_kafka_mock_cluster_destroy(cluster)
        if client is not None:
            self._lib.rd_kafka_destroy(client)

    def _open(self) -> int:
        if self._cluster is None:
            msg = "embedded broker: it is closed"
            raise EmbeddedBrokerError(msg)
        return self._cluster

    def _check(self, code: int, what: str) -> None:
        if code:
            reason = self._lib.rd_kafka_err2str(code).decode()
            msg = f"embedded broker: {what}: {reason} (librdkafka code {code})"
            raise EmbeddedBrokerError(msg)


def _load() -> ctypes.CDLL:
    """Return librdkafka, found through the extension module that is linked with it."""
    lib = ctypes.CDLL(confluent_kafka.cimpl.__file__)
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: dict[str, tuple[object, list[object]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_err2str": (text, [number]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        try:
            function = getattr(lib, name)
        except AttributeError:
            msg = (
                f"embedded broker: confluent-kafka {confluent_kafka.__version__} does not show librdkafka's {name} on "
                "this platform; use a real broker instead: `leapwatch broker start`"
            )
            raise EmbeddedBrokerError(msg) from None
        function.restype = result
        function.argtypes = arguments
    return lib


def _new_client(lib: ctypes.CDLL) -> int:
    """Return a client that is never used as one: the mock cluster lives in its handle."""
    reason = ctypes.create_string_buffer(_ERROR_BYTES)
    settings = lib.rd_kafka_conf_new()
    # Else it warns on stderr that it has no bootstrap server.
    lib.rd_kafka_conf_set(settings, b"log_level", b"2", reason, _ERROR_BYTES)
    client: int | None = lib.rd_kafka_new(_PRODUCER, settings, reason, _ERROR_BYTES)
    if client is None:
        msg = f"embedded broker: librdkafka: {reason.value.decode()}"
        raise EmbeddedBrokerError(msg)
    return client
