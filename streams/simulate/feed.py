"""The feeder: plays a scenario's records, with pulses, into the source topics of a Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from confluent_kafka import KafkaError, Message, Producer

from schemas.codec import encode
from schemas.history import SourceRecord
from schemas.inventory import INVENTORY, InventoryComplete, Region, Removed, Server, Service, Subscription, Vm
from schemas.json_source import to_dict
from schemas.telemetry import EVERYONE
from streams.kafka.partition import lane_of
from streams.simulate.arrivals import Lateness, arrivals, cluster_of
from streams.simulate.generator import Simulation, delays, pulse_outages
from streams.simulate.quantity import SECOND_MS
from streams.simulate.scenario import Scenario

Form = Literal["avro", "json"]

TAIL_MS: Final = 20 * SECOND_MS
"""Pulses after the last record, so that what was due before the end is judged; shorter than any silence (90 s), for
when a scenario ends its senders end too, and nobody has died of it."""
_AHEAD_S: Final = 0.005
"""How far ahead of its time a record may be sent; it saves a sleep for every record of a burst."""
_BREATH: Final = 500
"""Records between two looks at the loop, so that a feeder at full speed can be cancelled."""
_FLUSH_S: Final = 30.0

_KINDS: Final[dict[type[Any], tuple[str, str]]] = {
    Server: ("server", "server"),
    Vm: ("vm", "vm"),
    Service: ("service", "service"),
    Subscription: ("subscription", "subscription"),
    Region: ("region", "region"),
    InventoryComplete: ("complete", "cluster"),
}
"""Kind and id of each inventory record, which its key is made of."""


class FeedError(Exception):
    """A record that the broker did not take."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One record on its way to a lane of a source topic."""

    feed: str
    lane: int
    at_ms: int
    key: bytes | None
    value: bytes | None


def messages(records: Iterable[SourceRecord], lanes: int, form: Form = "avro") -> Iterator[Sent]:
    """Return what goes to the broker: keyed, in its lane, encoded; what concerns everyone goes into every lane."""
    write: Callable[[Any], bytes] = encode if form == "avro" else _json
    known: dict[str, int] = {}
    for record in records:
        held = record.record
        if record.lane is not None:
            yield Sent(record.feed, record.lane, record.at_ms, None, write(held))
            continue
        cluster = cluster_of(record)
        key = _inventory_key(held) if record.feed == INVENTORY else cluster.encode()
        value = None if isinstance(held, Removed) else write(held)
        if cluster == EVERYONE:
            for lane in range(lanes):
                yield Sent(record.feed, lane, record.at_ms, key, value)
            continue
        lane_found = known.get(cluster)
        if lane_found is None:
            lane_found = known[cluster] = lane_of(cluster, lanes)
        yield Sent(record.feed, lane_found, record.at_ms, key, value)


def _json(record: Any) -> bytes:
    """Return a record as JSON that names its type, as topics with records of several types want it."""
    return orjson.dumps({"type": type(record).__name__, **to_dict(record)})


def _inventory_key(record: Any) -> bytes:
    if isinstance(record, Removed):
        return f"{record.kind}:{record.id}".encode()
    kind, field = _KINDS[type(record)]
    return f"{kind}:{getattr(record, field)}".encode()


def scenario_messages(
    scenario: Scenario, lanes: int, form: Form = "avro", *, tail_ms: int = TAIL_MS, simulation: Simulation | None = None
) -> Iterator[Sent]:
    """Return all that a scenario sends, pulses included, in the order of sending.

    A lane that is read late is sent late, with the stamps that it had in time: to an intake it is the same.
    Give a `simulation` of the scenario to have its ledger afterwards.
    """
    run = simulation or Simulation(scenario)
    lateness = Lateness(lanes, delays(scenario), pulse_outages(scenario))
    return messages(arrivals(run.records(), lanes, lateness, tail_ms=tail_ms), lanes, form)


class Feeder:
    """Writes messages to a Kafka, in order, each with its own stamp (CreateTime)."""

    def __init__(self, bootstrap: str, *, prefix: str = "", settings: dict[str, Any] | None = None) -> None:
        """Connect to `bootstrap`; `prefix` stands before every topic, `settings` are librdkafka's own."""
        self.prefix = prefix
        self.sent = 0
        self.at_ms = 0
        """The stamp of the newest record handed to the producer."""
        self._failed: str | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "none",
                "queue.buffering.max.messages": 200_000,
                **(settings or {}),
            }
        )

    async def play(
        self,
        sending: Iterable[Sent],
        *,
        speed: float | None = None,
        pace: Callable[[Sent, float], float] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Send everything at `speed` times the pace of its stamps (None: as fast as it goes); returns how many.

        `pace` is asked instead for how many seconds a message must wait, with the loop's time, until it says none.
        `progress` is told records and stamp about once a second of source time. Cancelling stops between two records
        and loses none that was handed over before.
        """
        if speed is not None and not speed > 0:
            raise ValueError(f"speed is {speed}; must be more than 0, or None for no pace at all")
        loop = asyncio.get_running_loop()
        begun_s, first_ms = loop.time(), None
        told_ms = 0
        try:
            for message in sending:
                if first_ms is None:
                    first_ms = message.at_ms
                if speed is not None:
                    ahead_s = (message.at_ms - first_ms) / SECOND_MS / speed - (loop.time() - begun_s)
                    if ahead_s > _AHEAD_S:
                        self._producer.poll(0)
                        await asyncio.sleep(ahead_s)
                while pace is not None and (wait_s := pace(message, loop.time())) > _AHEAD_S:
                    self._producer.poll(0)
                    await asyncio.sleep(wait_s)
                await self._hand_over(message)
                if progress is not None and message.at_ms >= told_ms + SECOND_MS:
                    told_ms = message.at_ms
                    progress(self.sent, message.at_ms)
        finally:
            left = await asyncio.to_thread(self._producer.flush, _FLUSH_S)
        if left:
            raise FeedError(f"{left} records were not acknowledged within {_FLUSH_S:g} s; is the broker up?")
        self._raise_failed()
        return self.sent

    async def _hand_over(self, message: Sent) -> None:
        while True:
            try:
                self._producer.produce(
                    self.prefix + message.feed,
                    value=message.value,
                    key=message.key,
                    partition=message.lane,
                    timestamp=message.at_ms,
                    on_delivery=self._delivered,
                )
                break
            except BufferError:
                self._producer.poll(0)
                await asyncio.sleep(0.01)
        self.sent += 1
        self.at_ms = max(self.at_ms, message.at_ms)
        if self.sent % _BREATH == 0:
            self._producer.poll(0)
            self._raise_failed()
            await asyncio.sleep(0)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = f"{message.topic()} lane {message.partition()}: {error.str()}"

    def _raise_failed(self) -> None:
        if self._failed is not None:
            raise FeedError(f"{self._failed}; check the topic (`leapwatch topics apply`), its lanes and its ACL")


async def play(
    scenario: Scenario,
    bootstrap: str,
    lanes: int,
    *,
    prefix: str = "",
    speed: float | None = None,
    form: Form = "avro",
    tail_ms: int = TAIL_MS,
    progress: Callable[[int, int], None] | None = None,
    settings: dict[str, Any] | None = None,
) -> Simulation:
    """Play a scenario into a Kafka and return its run, whose ledger tells what was injected."""
    run = Simulation(scenario)
    feeder = Feeder(bootstrap, prefix=prefix, settings=settings)
    sending = scenario_messages(scenario, lanes, form, tail_ms=tail_ms, simulation=run)
    await feeder.play(sending, speed=speed, progress=progress)
    return run
