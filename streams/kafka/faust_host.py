"""Hosts a role in Faust: group membership, raw records, timers and shutdown, fed by whole fetches instead of records.

A message costs Faust 50 to 100 microseconds wherever it is handled, so it gets one for each `Bundle`. What is ours
beside that, because Faust's own is wrong for us (each method says why): what may be committed, where a bundle begins
and ends, isolation, and what to do while a queue is full.

A role is written so::

    app = make_app("engine", "127.0.0.1:9092")

    @app.on_rebalance_complete.connect   # awaited before records come: fence, restore
    async def load(app, **_): ...

    @app.on_partitions_revoked.connect   # awaited before others get the partitions: forget
    async def drop(app, revoked, **_): ...

    @app.agent(app.bundles("telemetry"), concurrency=1)
    async def engine(stream):
        async for event in stream.noack().events():   # never take(), never without noack()
            handle(event.value)                       # a Bundle; nothing may escape: streams.kafka.guards.die
            event.ack()                               # when its effects are safe; later bundles may be acked first

    run_worker(app)

Do not call `app.consumer.pause_partitions` or `seek`: Faust drops what was fetched already.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import faust
from aiokafka.errors import ConsumerStoppedError
from faust.serializers.schemas import Schema
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage

from streams.kafka.bundle import MAX_BYTES, MAX_RECORDS, Bundle, Standing, split

_DAY_S: Final = 86_400.0

QUEUED_BUNDLES: Final = 8
"""How many bundles wait for an agent before fetching stops: at most 8 x 4 MiB a topic, beside what the client holds."""

FETCH_BYTES: Final = 4 * 1024 * 1024
"""What one fetch may bring of a partition; a larger record comes all the same."""


METADATA_MS: Final = 10_000
"""How often topics are looked at: partitions that somebody added are told after so long, and not after five minutes."""

EMBEDDED_WAIT_MS: Final = 20
"""How long a fetch from the embedded broker waits; Faust's 1.5 s would be the delay of each hop."""


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no types
    """Fetches, and knows which stretch of the log each fetch was."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # For each partition: where its next bundle begins, and the client's position after the last fetch. They differ
        # only where a fetch brought nothing but transaction markers.
        self._begin: dict[TP, int] = {}
        self._position: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust ties this to its own exactly_once, which we do not use; but engines write in transactions, and nobody
        # may act on what was aborted. On topics without transactions it changes nothing.
        if not hasattr(consumer, "_isolation_level") or not hasattr(consumer, "_fetch_max_wait_ms"):
            msg = "this aiokafka keeps its settings elsewhere; use the locked version"
            raise RuntimeError(msg)
        consumer._isolation_level = "read_committed"
        if not self.app.conf.broker_check_crcs:
            # The embedded broker: it does not answer a waiting fetch when records come, but when the wait is over.
            consumer._fetch_max_wait_ms = EMBEDDED_WAIT_MS
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, tuple[int, int, list[Any]]]:
        """Return, for each partition that has any, the records fetched, with the stretch that they are all of.

        Waiting and draining are apart: nothing else runs while records are drained, so that the positions just before
        and after are theirs. A position that moved since the last drain was moved by a seek.
        """
        fetcher, subscriptions = consumer._fetcher, consumer._subscription
        deadline = asyncio.get_running_loop().time() + (timeout or 0.0)
        while self.consumer.flow_active:
            if consumer._closed or fetcher._closed:
                raise ConsumerStoppedError
            left = deadline - asyncio.get_running_loop().time()
            if subscriptions.reassignment_in_progress:
                # `fetched_records` would wait for it inside, and another assignment's positions would come out.
                if left <= 0:
                    break
                await asyncio.sleep(min(left, 0.02))
                continue
            with subscriptions.fetch_context():
                before = self._positions(subscriptions, active_partitions)
                drained = await fetcher.fetched_records(active_partitions, timeout=0, max_records=max_records)
                stretches = self._stretches(drained, before, self._positions(subscriptions, active_partitions))
                if stretches or left <= 0:
                    return stretches
                waiter = fetcher._create_fetch_waiter()
                await asyncio.wait([waiter], timeout=left)
                waiter.cancel()
        return {}

    def _stretches(
        self, drained: Mapping[Any, list[Any]], before: Mapping[TP, int], after: Mapping[TP, int]
    ) -> dict[TP, tuple[int, int, list[Any]]]:
        stretches = {}
        for tp, position in before.items():
            if self._position.get(tp) != position:
                self._begin[tp] = position
            self._position[tp] = after[tp]
        for raw, records in drained.items():
            tp = TP(raw.topic, raw.partition)
            stretches[tp] = (self._begin[tp], after[tp], records)
            self._begin[tp] = after[tp]
        return stretches

    @staticmethod
    def _positions(subscriptions: Any, partitions: Iterable[TP]) -> dict[TP, int]:
        if subscriptions.subscription is None or subscriptions.subscription.assignment is None:
            return {}
        assignment = subscriptions.subscription.assignment
        states = {tp: assignment.state_value(tp) for tp in partitions if tp in assignment.tps}
        return {tp: state.position for tp, state in states.items() if state is not None and state.has_valid_position}

    def standing(self) -> dict[TP, tuple[int, int, float | None]]:
        """Return for each partition next offset, readable end and when the broker last answered."""
        consumer = self._consumer
        if consumer is None or consumer._subscription.subscription is None:
            return {}
        assignment = consumer._subscription.subscription.assignment
        if assignment is None:
            return {}
        standing = {}
        # aiokafka notes the wall's time of an answer.
        ahead_s = time.time() - time.monotonic()
        for raw in assignment.tps:
            state = assignment.state_value(raw)
            if state is not None and state.has_valid_position and state.lso is not None:
                heard_s = None if state.timestamp is None else state.timestamp / 1000 - ahead_s
                standing[TP(raw.topic, raw.partition)] = (state.position, state.lso, heard_s)
        return standing

    def away(self) -> bool:
        """Return whether no broker is connected."""
        consumer = self._consumer
        return consumer is not None and not any(conn.connected() for conn in [*consumer._client._conns.values()])


class _NeverRead(dict[TP, int | None]):
    """Stands for Faust's offsets read so far, and knows none.

    By them Faust drops a message that is not above the last, and fills in gaps; the one loses records that come again
    after a seek, the other freezes commits where a partition begins at offset 0. We do both by bundles.
    """

    def __getitem__(self, tp: TP) -> None:
        return None


class BundleConsumer(Consumer):  # type: ignore[misc]  # Faust has no types
    """Hands out bundles, and commits up to the first that is not acked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NeverRead()
        self._outstanding: dict[TP, deque[Any]] = {}

    def standing(self) -> dict[TP, Standing]:
        """Return where each partition of ours stands."""
        return {
            tp: Standing(next_offset, end_offset, len(self._outstanding.get(tp, ())), heard_s)
            for tp, (next_offset, end_offset, heard_s) in self._thread.standing().items()
        }

    def away(self) -> bool:
        """Return whether no broker is connected."""
        return bool(self._thread.away())

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109  # Faust's signature
    ) -> dict[TP, list[Bundle]]:
        fetched = await super()._getmany(active_partitions, timeout)
        return {
            tp: list(split(tp.topic, tp.partition, begin, end, records, max_records=MAX_RECORDS, max_bytes=MAX_BYTES))
            for tp, (begin, end, records) in fetched.items()
        }

    def _to_message(self, tp: TP, bundle: Bundle) -> Any:
        last = bundle.records[-1]
        message = ConsumerMessage(
            bundle.topic,
            bundle.partition,
            # What Faust commits is one more than this: the markers behind the last record are done with, too.
            bundle.to_offset - 1,
            last.timestamp / 1000.0,
            last.timestamp_type,
            (),
            None,
            bundle,
            None,
            0,
            sum(len(record.value or b"") for record in bundle.records),
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        self._outstanding.setdefault(tp, deque()).append(message)
        return message

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset up to which every bundle was acked, where that has grown.

        Faust goes by numbers of acked offsets, and takes a hole in them for a record under way or not, as it happens:
        it commits past records that are still worked on. We go by the very messages that were handed out.
        """
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        waiting = self._outstanding.get(tp)
        offset: int | None = None
        while waiting and waiting[0].acked:
            offset = waiting.popleft().offset + 1
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: a bundle knows its own gaps."""

    async def perform_seek(self) -> None:
        """Go back to what was committed; what was handed out before will come again."""
        await super().perform_seek()
        self._outstanding.clear()

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        """Yield the partitions of which more can be committed; Faust's own list is cleared before the last commit."""
        for tp, waiting in list(self._outstanding.items()):
            if waiting and waiting[0].acked and (topics is None or tp in topics or tp.topic in topics):
                yield tp

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Wait for the agents, commit what they acked of the partitions that go, and forget these."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._outstanding.pop(tp, None)

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: a full queue holds up the fetcher until there is room.

        Faust would take the partition out of fetching instead, and then sleep for a second when none is left.
        """


class BundleTransport(Transport):  # type: ignore[misc]  # Faust has no types
    """The aiokafka transport with our consumer."""

    Consumer = BundleConsumer


class _BundleSchema(Schema):  # type: ignore[misc]  # Faust has no types
    """Hands a bundle through as it is: no codec of Faust's, and none that a header could choose."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class _Settings(faust.Settings):  # type: ignore[misc]  # Faust has no types
    """Faust's settings, without its web server: our pages (streams.operate.web) are all there is to see."""

    @property
    def web_enabled(self) -> bool:
        """Return False, whatever was set: `faust worker` turns it on by itself, and a second would find 6066 taken."""
        return False

    @web_enabled.setter
    def web_enabled(self, wanted: bool) -> None:
        """Do nothing."""


class BundleApp(faust.App):  # type: ignore[misc]  # Faust has no types
    """A Faust app whose topics give bundles."""

    Settings = _Settings

    def _new_transport(self) -> BundleTransport:
        return BundleTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Make none: there are no tables."""

    def bundles(self, *topics: str) -> Any:
        """Return a channel of the bundles of `topics`; each must exist."""
        return self.topic(*topics, schema=_BundleSchema(), internal=False)

    def standing(self) -> dict[TP, Standing]:
        """Return where each partition of ours stands; empty before the consumer runs."""
        consumer = self._consumer
        return consumer.standing() if isinstance(consumer, BundleConsumer) else {}

    def away(self) -> bool:
        """Return whether no broker is connected: what does not go on then is no stall of ours."""
        consumer = self._consumer
        return isinstance(consumer, BundleConsumer) and consumer.away()


def make_app(
    group: str,
    bootstrap: str | Sequence[str],
    *,
    credentials: Any = None,
    session_timeout_s: float = 10.0,
    commit_interval_s: float = 1.0,
    data_dir: Path | None = None,
    **settings: Any,
) -> BundleApp:
    """Return an app that is not yet connected to anything.

    `group`: consumer group, one a role, so that a join in one disturbs no other. `bootstrap`: `host:port`, several in
    a sequence or separated by commas; credentials never in it, for it is logged, but as Faust's `credentials` object.
    `session_timeout_s`: how long the partitions of a worker that died stand still; brokers refuse less than 6.
    `settings`: any other setting of Faust's; its web server stays off.
    """
    servers = bootstrap.split(",") if isinstance(bootstrap, str) else list(bootstrap)
    for server in servers:
        if "@" in server or "/" in server:
            msg = f"bootstrap names {server.rpartition('@')[2]!r}; give host:port, and credentials by themselves"
            raise ValueError(msg)
    defaults = {
        "processing_guarantee": "at_least_once",
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        # A worker without partitions for longer than this would never rejoin.
        "broker_max_poll_interval": 7 * _DAY_S,
        "broker_session_timeout": session_timeout_s,
        "broker_heartbeat_interval": session_timeout_s / 4,
        "broker_commit_interval": commit_interval_s,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": METADATA_MS,
        "consumer_max_fetch_size": FETCH_BYTES,
        "stream_buffer_maxsize": QUEUED_BUNDLES,
        # Else events that were cancelled at shutdown are acked.
        "stream_wait_empty": True,
        "datadir": str(data_dir or "."),
        "autodiscover": False,
    }
    return BundleApp(
        group,
        broker=[f"kafka://{server.strip()}" for server in servers],
        broker_credentials=credentials,
        **(defaults | settings),
    )


def run_worker(app: BundleApp) -> NoReturn:
    """Run `app` until SIGTERM or SIGINT, or until it crashes; exit 0 or 1. Logging is left as it was set up."""
    # Faust leaves these at DEBUG where nobody set the root logger, and that costs seconds.
    for name in ("faust", "mode", "aiokafka"):
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.INFO)
    # Quiet: no spinner on the terminal.
    worker = faust.Worker(app, quiet=True, loglevel="info", override_logging=False, redirect_stdouts=False)
    worker.execute_from_commandline()
    raise SystemExit(0)
