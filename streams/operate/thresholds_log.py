"""The thresholds in the log: which are in force, and how a file's are written there.

`config apply`, SIGHUP and POST /-/reload all come here; a start comes here with `only_if_empty`. The engine knows
nothing of files: it obeys what it reads.
"""

from __future__ import annotations

import time
import uuid
from typing import Literal

import structlog

from schemas import codec
from schemas.commands import OPERATOR, ConfigChanged
from schemas.errors import CodecError
from schemas.records import FEEDS
from schemas.telemetry import EVERYONE
from streams.config.model import Config
from streams.kafka.plain import Outgoing, reader, send
from streams.operate import metrics

Outcome = Literal["written", "unchanged", "differs"]

log = structlog.get_logger(__name__)


async def in_force(config: Config) -> dict[int, ConfigChanged | None]:
    """Return the newest ConfigChanged of each lane of `operator`; None where there is none."""
    topic = config.kafka.prefix + OPERATOR
    async with reader(config) as connected:
        newest: dict[int, ConfigChanged | None] = dict.fromkeys(await connected.lanes(topic))
        async for record in connected.read(topic):
            change = _config_changed(record.value)
            if change is not None:
                newest[record.partition] = change
    return newest


async def write(
    config: Config, *, by: str, reason: str = "", only_if_empty: bool = False, at_ms: int | None = None
) -> Outcome:
    """Write the thresholds of `config` into every lane that has others; lanes that have the same get nothing.

    `only_if_empty` is a start: it writes only where no lane has any, and else says where file and log differ. A write
    that broke off half way is made whole by the next, because each lane is looked at. `at_ms` is its stamp, where that
    is not the wall's time.
    """
    known = await in_force(config)
    stale = [lane for lane, change in known.items() if change is None or change.digest != config.thresholds_digest]
    metrics.CONFIG_MATCHES.labels("intake").set(not stale)
    if not stale:
        return "unchanged"
    if only_if_empty and any(known.values()):
        in_log = sorted({change.digest[:12] for change in known.values() if change is not None})
        log.warning(
            "thresholds of file and log differ; the log is obeyed", file=config.thresholds_digest[:12], log=in_log
        )
        return "differs"
    now_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    change = ConfigChanged(
        uuid.uuid4().hex, EVERYONE, config.thresholds_text, config.thresholds_digest, by, reason, now_ms
    )
    value = codec.encode(change)
    topic = config.kafka.prefix + OPERATOR
    await send(config, [Outgoing(topic, lane, EVERYONE.encode(), value, at_ms=now_ms) for lane in sorted(stale)])
    metrics.CONFIG_MATCHES.labels("intake").set(1)
    log.info("thresholds written", digest=config.thresholds_digest[:12], lanes=len(stale), by=by)
    return "written"


def _config_changed(value: bytes | None) -> ConfigChanged | None:
    """Return the record if it is a ConfigChanged; what else stands on the topic is for others to judge."""
    if value is None:
        return None
    try:
        record = codec.decode_source(value, FEEDS[OPERATOR])
    except CodecError:
        return None
    return record if isinstance(record, ConfigChanged) else None
