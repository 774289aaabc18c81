"""What stands between Faust and the pure intake: lanes as they come and go, and what may be committed when.

A bundle is acked only when a Clocks record that covers it is acknowledged, with all that was forwarded before it. So a
worker that dies at any moment leaves nothing out: the next owner reads from the last commit, and the engine drops what
it has already. A lane whose writer's schema is not known yet waits, alone, while the registry is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from faust.types import TP

from schemas.source import TELEMETRY_FEEDS
from streams.config.model import Config
from streams.intake.checks import Limits, Place, RawRecord
from streams.intake.clocks import Turns
from streams.intake.forward import Forwarder, Written
from streams.intake.reader import Output, PartitionReader, RowSource
from streams.intake.whole import FEEDS as WHOLE_FEEDS
from streams.intake.whole import day_of, read_whole, stamp_before
from streams.intake.writers_asked import AskedSchemas
from streams.kafka.bundle import Bundle, Standing, last_heard_s
from streams.kafka.guards import die, partitions_added
from streams.operate import metrics
from streams.operate.health import Health

SLICE_RECORDS = 500
"""Records taken before the event loop is let go."""
WAITING_BUNDLES = 8
"""Bundles of a lane that waits for a registry; with more the whole topic stands, and the broker keeps them."""
ASK_EVERY_S = 1.0
TELL_EVERY_S = 30.0
FINISH_S = 10.0
QUIET_S = 60.0
"""How long a lane may take until it has brought its first bundle, or is known to have nothing to bring."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """One source topic: its feed, its id, how far apart neighbours may be, and what makes rows of foreign records."""

    topic: str
    feed: str
    topic_id: str
    gap_ms: int
    rows: Callable[[int], RowSource] | None = None
    """For each lane of a foreign topic; None where it is one of ours."""


@dataclass(slots=True)
class Group:
    """The lanes that share Clocks, and what waits for the next ones."""

    reader: PartitionReader
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    events: list[Any] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    settling: set[asyncio.Task[None]] = field(default_factory=set)
    day: int = -1
    """The UTC day of the newest stamp, when last looked at."""
    began: list[tuple[Place, int]] = field(default_factory=list)
    """Where the lanes of the pulsed feeds were taken over, that another has read before us."""


@dataclass(slots=True)
class LaneState:
    """One lane that is ours now."""

    place: Place
    plan: TopicPlan
    group: Group
    begun: bool = False
    waiting: deque[tuple[Any, int]] = field(default_factory=deque)
    """Events that wait for a registry, each with the records of it that are taken already."""
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    away_since_s: float = 0.0


class IntakeHost:
    """The intake of one worker; its methods are called by Faust's agents, timers and signals."""

    def __init__(
        self,
        config: Config,
        plans: Iterable[TopicPlan],
        forwarder: Forwarder,
        health: Health,
        *,
        writers: AskedSchemas | None = None,
        standing: Callable[[], dict[Any, Standing]] = dict,
        rebalancing: Callable[[], bool] = lambda: False,
        release: Callable[[Any], object] = lambda event: None,
        end: Callable[[str], object] = die,
    ) -> None:
        """`release` takes an event back unacked; `standing` and `rebalancing` are Faust's."""
        self.config = config
        self.plans = {plan.topic: plan for plan in plans}
        self.forwarder = forwarder
        self.health = health
        self.writers = writers
        self.standing = standing
        self.rebalancing = rebalancing
        self.release = release
        self.end = end
        self.lanes: dict[tuple[str, int], LaneState] = {}
        self.groups: dict[tuple[str, int], Group] = {}
        self.busy = True
        """Partitions move, or lanes wait for a registry: no progress is expected of all of them."""
        self._ask_again_s = 0.0
        self._tell_again_s = 0.0
        settings = config.intake
        self.limits = Limits(settings.record_max_bytes, settings.batch_max_bytes)
        self._whole: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()
        """One lane after another asks up to when it was read before us."""

    # -- lanes ---------------------------------------------------------------------------------------------------

    def assigned(self, mine: Iterable[tuple[str, int]]) -> None:
        """Begin anew with these lanes, each where it was committed: what was not committed comes again."""
        for lane in self.lanes.values():
            lane.freed.set()
        places = [place for place in mine if place[0] in self.plans]
        for topic, number in places:
            if self.plans[topic].rows is None and number >= self.config.kafka.lanes:
                self.end(partitions_added(topic, number, self.config.kafka.lanes))
                return
        self.groups, self.lanes = {}, {}
        for topic, number in sorted(places):
            plan = self.plans[topic]
            place = Place(plan.feed, topic, plan.topic_id, number, self.config.kafka.lanes)
            self.lanes[topic, number] = LaneState(place, plan, self._group(plan, number))
        metrics.PARTITIONS.labels("intake").set(len(self.lanes))
        self.busy = False
        self.health.progress(behind_s=0.0, work=False)
        log.info("lanes assigned", lanes=len(self.lanes))

    def _group(self, plan: TopicPlan, number: int) -> Group:
        """Return the group of a lane: its partition's, or for a foreign lane one of its own, for all partitions."""
        key = ("", number) if plan.rows is None else (plan.topic, number)
        if key not in self.groups:
            partitions = (number,) if plan.rows is None else tuple(range(self.config.kafka.lanes))
            settings = self.config.intake
            turns = Turns(int(settings.clocks_s * 1000), int(settings.catch_up_clocks_s * 1000))
            self.groups[key] = Group(PartitionReader(partitions, self.limits, turns, self.writers))
        return self.groups[key]

    # -- records -------------------------------------------------------------------------------------------------

    async def bundle(self, event: Any) -> None:
        """Take a bundle; its event is acked later, when it is safe."""
        bundle: Bundle = event.value
        lane = self.lanes.get((bundle.topic, bundle.partition))
        if lane is None:
            # It came from the assignment before this one: whoever owns the lane now gets it again.
            event.ack()
            return
        done = 0 if lane.waiting else await self._take(lane, event, 0)
        if done < len(bundle.records):
            lane.waiting.append((event, done))
        while len(lane.waiting) > WAITING_BUNDLES and self.lanes.get((bundle.topic, bundle.partition)) is lane:
            lane.freed.clear()
            await lane.freed.wait()

    async def _take(self, lane: LaneState, event: Any, done: int) -> int:
        """Take the records of a bundle from number `done` on; return how many are taken, less where one must wait."""
        bundle: Bundle = event.value
        records = bundle.records
        while done < len(records):
            async with lane.group.lock:
                await self._begin(lane, bundle)
                part = [_raw(record) for record in records[done : done + SLICE_RECORDS]]
                taken = lane.group.reader.take(lane.place, part)
                done += taken.done
                await self._send(lane.group, taken.outputs)
                if done >= len(records):
                    lane.group.events.append(event)
            if taken.away:
                if not lane.away_since_s:
                    lane.away_since_s = time.monotonic()
                    log.info("lane waits for a schema", topic=bundle.topic, lane=bundle.partition, why=taken.away)
                return done
            await asyncio.sleep(0)
        metrics.SOURCE_BYTES.labels(lane.place.feed).inc(sum(len(record.value or b"") for record in records))
        metrics.passed("intake", "read", records[-1].timestamp)
        return done

    async def _begin(self, lane: LaneState, bundle: Bundle) -> None:
        """Begin to read a lane where its first bundle begins; tell of records that were gone before we read them."""
        reader, place = lane.group.reader, lane.place
        if not lane.begun:
            lane.begun = True
            rows = None if lane.plan.rows is None else lane.plan.rows(place.lane)
            reader.add(place, bundle.from_offset, rows, lane.plan.gap_ms)
            if bundle.from_offset > 0 and place.feed in TELEMETRY_FEEDS:
                lane.group.began.append((place, bundle.from_offset))
            return
        position = reader.lanes[place.topic, place.lane].clock.position
        if bundle.from_offset > position:
            log.error(
                "records were gone before they were read",
                topic=place.topic, lane=place.lane, from_offset=position, to_offset=bundle.from_offset - 1,
            )  # fmt: skip
            await self._send(lane.group, reader.skip_to(place, bundle.from_offset))

    async def _send(self, group: Group, outputs: list[Output]) -> None:
        if outputs:
            group.written += await self.forwarder.send(outputs)

    # -- time ----------------------------------------------------------------------------------------------------

    async def tick(self, now_ms: int) -> None:
        """Forward what is packed, and Clocks where they are due by the wall's time; called every 250 ms."""
        rebalancing = self.rebalancing()
        if rebalancing:
            self._let_wait()
        else:
            await self._ask()
        standing = self.standing()
        self.health.heard(last_heard_s(standing.values()))
        unread: dict[str, int] = {}
        for tp, each in standing.items():
            lane = self.lanes.get((tp.topic, tp.partition))
            if lane is None or not lane.begun:
                continue
            clock = lane.group.reader.lanes[tp.topic, tp.partition].clock
            clock.end_offset = each.end_offset
            feed = lane.place.feed
            unread[feed] = unread.get(feed, 0) + max(0, each.end_offset - clock.position)
        for feed, records in unread.items():
            metrics.SOURCE_UNREAD.labels(feed).set(records)
        for group in list(self.groups.values()):
            await self._turn(group, now_ms, at_once=rebalancing)
        left = sum(unread.values())
        self.health.progress(behind_s=0.0 if left < 10_000 else left / 1_000, work=left > 0)

    async def _turn(self, group: Group, now_ms: int, *, at_once: bool) -> None:
        async with group.lock:
            due = at_once or group.reader.turns.due(now_ms)
            if not due:
                await self._send(group, group.reader.flush())
                return
            group.reader.turns.last_ms = now_ms
            await self._send(group, group.reader.turn())
            events, group.events = group.events, []
            written, group.written = group.written, []
        if events or written:
            task = asyncio.create_task(self._settle(events, written))
            group.settling.add(task)
            task.add_done_callback(group.settling.discard)
        self._new_day(group)

    async def _settle(self, events: list[Any], written: list[Written]) -> None:
        """Ack bundles when all that was written for them, the Clocks that cover them last, is acknowledged."""
        try:
            if written:
                await asyncio.gather(*written)
        except Exception as error:  # noqa: BLE001 - the forwarder has said which record it was
            self.end(f"a write failed: {error!r}")
            return
        for event in events:
            event.ack()
            metrics.passed("intake", "forwarded", event.value.records[-1].timestamp)

    async def finish(self) -> None:
        """Forward all, wait a while until it is acknowledged, and ack: a good end leaves nothing to repeat."""
        for group in self.groups.values():
            await self._turn(group, 0, at_once=True)
        settling = [task for group in self.groups.values() for task in group.settling]
        if settling:
            await asyncio.wait(settling, timeout=FINISH_S)
        for task in list(self._whole):
            task.cancel()

    # -- a registry that is away -----------------------------------------------------------------------------------

    async def _ask(self) -> None:
        """Ask for the schemas that lanes wait for, once a second, and let those lanes go on that can."""
        waiting = [lane for lane in self.lanes.values() if lane.waiting]
        self.busy = bool(waiting)
        if not waiting or self.writers is None:
            return
        if self.writers.wanted:
            now_s = time.monotonic()
            if now_s < self._ask_again_s:
                return
            if away := await self.writers.ask():
                self._ask_again_s = now_s + ASK_EVERY_S
                if now_s >= self._tell_again_s:
                    self._tell_again_s = now_s + TELL_EVERY_S
                    lanes = [f"{lane.place.topic}/{lane.place.lane}" for lane in waiting]
                    seconds = round(now_s - min(lane.away_since_s for lane in waiting))
                    log.warning("lanes wait: the schema registry is away", lanes=lanes, seconds=seconds, why=away)
        for lane in waiting:
            await self._go_on(lane)

    async def _go_on(self, lane: LaneState) -> None:
        while lane.waiting:
            # It stays at the head while its records are taken, so that what comes in waits behind it.
            event, done = lane.waiting[0]
            done = await self._take(lane, event, done)
            if done < len(event.value.records):
                lane.waiting[0] = event, done
                return
            lane.waiting.popleft()
            lane.freed.set()
        lane.away_since_s = 0.0

    def _let_wait(self) -> None:
        """Give up what waits for a registry, unacked, because the lanes move: Faust would wait for it for ever."""
        for lane in self.lanes.values():
            while lane.waiting:
                self.release(lane.waiting.popleft()[0])
            lane.freed.set()

    # -- once a day ------------------------------------------------------------------------------------------------

    def _new_day(self, group: Group) -> None:
        """Write inventory and configuration whole when stamps come to a new day (UTC), or came to one unread."""
        # What people write beside the feeds may bear stamps of another time, where the log is a simulated one.
        pulsed = [lane for lane in group.reader.lanes.values() if lane.checks.place.feed in TELEMETRY_FEEDS]
        newest_ms = max((lane.clock.newest_ms for lane in pulsed), default=-1)
        if newest_ms < 0 or len(group.reader.partitions) > 1:
            return
        before, group.day = group.day, day_of(newest_ms)
        if before < 0 and group.began:
            work = self._take_over(group, newest_ms)
        elif 0 <= before < group.day:
            work = self._write_whole(group, newest_ms)
        else:
            return
        task = asyncio.create_task(work)
        self._whole.add(task)
        task.add_done_callback(self._whole.discard)

    async def _take_over(self, group: Group, newest_ms: int) -> None:
        """Write whole where the day began between the last record read before us and our first ones."""
        stamps: list[int | None] = []
        try:
            async with self._asking:
                for place, offset in group.began:
                    stamps.append(await stamp_before(self.config, place.topic, place.lane, offset))
        except Exception as error:  # noqa: BLE001 - whole once too often is harmless, and once too seldom is not
            log.warning("not known up to when the lanes were read before", error=repr(error))
        if not any(stamp is not None and day_of(stamp) >= day_of(newest_ms) for stamp in stamps):
            log.info("a day began while nobody read", lanes=[f"{place.topic}/{place.lane}" for place, _ in group.began])
            await self._write_whole(group, newest_ms)

    async def _write_whole(self, group: Group, at_ms: int) -> None:
        for lane in [each for each in self.lanes.values() if each.group is group and each.place.feed in WHOLE_FEEDS]:
            place = lane.place
            try:
                until_offset = await self._forwarded(lane)
                outs = await read_whole(self.config, place, self.limits, until_offset, at_ms)
            except Exception as error:  # noqa: BLE001 - the next day comes; nothing else rests on it
                log.warning("the day's whole was not written", topic=place.topic, lane=place.lane, error=repr(error))
                continue
            async with group.lock:
                # What is still being packed has lower offsets: behind the whole it would be taken for a repeat.
                await self._send(group, group.reader.flush())
                await self._send(group, list(outs))
            log.info("written whole", topic=place.topic, lane=place.lane, batches=len(outs))

    async def _forwarded(self, lane: LaneState) -> int:
        """Return the offset below which all of a lane has been taken, by us or by whoever had it before.

        A lane that brings nothing has no bundle that tells: it stands at its end, where the last owner committed.
        """
        place = lane.place
        async with asyncio.timeout(QUIET_S):
            while not lane.begun:
                each = self.standing().get(TP(place.topic, place.lane))
                if each is not None and each.next_offset >= each.end_offset and not each.outstanding:
                    return int(each.next_offset)
                await asyncio.sleep(ASK_EVERY_S)
        return lane.group.reader.lanes[place.topic, place.lane].clock.position


def _raw(record: Any) -> RawRecord:
    return RawRecord(
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.timestamp_type == 0,
        tuple([(name, bytes(value)) for name, value in record.headers]) if record.headers else (),
    )


__all__ = ["IntakeHost", "TopicPlan"]
