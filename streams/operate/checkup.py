"""What the doctor looks at: what is here, what answers, what differs; a line says ok, warn or fail, and what to do."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiokafka.errors import KafkaError

from schemas.records import FEEDS
from schemas.source import HOST_AGENT
from streams.config.catalogue import config_types
from streams.config.load import load
from streams.config.model import ROLES, Config
from streams.config.problems import ConfigError
from streams.kafka.plain import Reader, TopicError, reader
from streams.operate.thresholds_log import in_force

PACKAGES = ("faust-streaming", "aiokafka", "kafka-python", "confluent-kafka", "avro", "fastavro", "prometheus-client")
SKEW_WARN_S = 2.0
SKEW_FAIL_S = 60.0
"""Stamps of two brokers may differ so far; beyond it a lane is blind (DESIGN, Time)."""
LAG_WARN = 100_000


Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing looked at; `todo` says what to do where it is not well."""

    verdict: Verdict
    what: str
    found: str
    todo: str = ""


async def examine(path: Path | None, timeout_s: float) -> AsyncIterator[Line]:
    """Yield every line, as soon as it is known; the configuration is that of `path` (None: the defaults)."""
    for line in here():
        yield line
    config, line = _configuration(path)
    yield line
    if config is None:
        return
    for address in config.kafka.bootstrap:
        yield await _reachable(address, timeout_s)
    try:
        async for line in _broker(config, timeout_s):
            yield line
    except Exception as error:  # noqa: BLE001 - whatever the client raises, the doctor names it and ends well
        found = (str(error) or type(error).__name__).splitlines()[0]
        yield Line(
            "fail", "broker", found, "check [kafka] bootstrap and security; `leapwatch broker start` runs a local one"
        )


def here() -> Iterator[Line]:
    """Yield what can be said without asking anybody."""
    version = sys.version.split()[0]
    good = sys.version_info >= (3, 11)
    yield Line(
        "ok" if good else "fail", "python", f"{version} on {platform.platform()}", "" if good else "use 3.11 or later"
    )
    for package in ("leapwatch", *PACKAGES):
        try:
            yield Line("ok", package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            verdict: Verdict = "warn" if package == "leapwatch" else "fail"  # a checkout runs without being installed
            yield Line(verdict, package, "not installed", "install the locked set: pip install -r requirements.lock")
    for program, use in (("java", "a real broker on this machine"), ("promtool", "checks of the Prometheus rules")):
        path = shutil.which(program)
        yield Line("ok", program, path) if path else Line("warn", program, "not found", f"needed only for {use}")


def skew_line(skew_s: float, delay_s: float) -> Line:
    """Return what a difference between our clock and a broker's stamp means; `delay_s` is how sure we are of it."""
    found = f"broker's stamps {skew_s:+.2f} s from this clock (±{delay_s:.2f} s)"
    beyond_s = abs(skew_s) - delay_s
    if beyond_s > SKEW_FAIL_S:
        return Line("fail", "clock skew", found, "set the clocks by NTP: stamps more than 60 s apart make lanes blind")
    if beyond_s > SKEW_WARN_S:
        return Line(
            "warn", "clock skew", found, "set the clocks by NTP; verdicts do not hang on it, ages in metrics do"
        )
    return Line("ok", "clock skew", found)


def _configuration(path: Path | None) -> tuple[Config | None, Line]:
    try:
        config = load(path, os.environ, config_types())
    except ConfigError as error:
        count = len(error.problems)
        return None, Line("fail", "configuration", f"{path}: {count} errors", "`leapwatch config check` names them all")
    return config, Line("ok", "configuration", f"{path or 'defaults'}; thresholds {config.thresholds_digest[:12]}")


async def _reachable(address: str, timeout_s: float) -> Line:
    host, _, port = address.rpartition(":")
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError, socket.gaierror) as error:
        found = f"{address}: {getattr(error, 'strerror', None) or error or 'no answer'}"
        return Line("fail", "connection", found, "is the broker up, and does a firewall let us through?")
    writer.close()
    return Line("ok", "connection", f"{address} in {(time.monotonic() - began_s) * 1000:.0f} ms")


async def _broker(config: Config, timeout_s: float) -> AsyncIterator[Line]:
    async with asyncio.timeout(timeout_s * 6), reader(config) as connected:
        yield await _topics(config, connected)
        try:
            yield await _skew(config, connected)
        except TopicError as error:
            yield Line("warn", "clock skew", str(error), "known once there are records")
        yield await _thresholds(config)
        for role in ROLES:
            try:
                yield await _lag(config, connected, role)
            except KafkaError as error:
                found = f"the broker does not answer for its group: {type(error).__name__}"
                yield Line("warn", f"lag of {role}", found, "known once the role has run")


async def _topics(config: Config, connected: Reader) -> Line:
    """Look for the topics that hold the log, and at the number of their lanes."""
    missing, odd = [], []
    for name in (*FEEDS, "telemetry", "findings", "decisions", "progress", "snapshots", "dead-letters"):
        try:
            lanes = len(await connected.lanes(config.kafka.prefix + name))
        except TopicError:
            missing.append(name)
            continue
        if name in {*FEEDS, "telemetry"} and lanes != config.kafka.lanes:
            odd.append(f"{name} has {lanes}")
    if missing:
        return Line("fail", "topics", f"missing: {', '.join(missing)}", "`leapwatch topics apply` makes them")
    if odd:
        todo = "set [kafka] lanes to what the topics have; growth is a new prefix"
        return Line("fail", "topics", f"{config.kafka.lanes} lanes configured, {', '.join(odd)}", todo)
    return Line("ok", "topics", f"all there, {config.kafka.lanes} lanes")


async def _skew(config: Config, connected: Reader) -> Line:
    """Compare our clock with the stamp of the newest pulse: it is at most a second or so old where an intake runs."""
    topic = config.kafka.prefix + HOST_AGENT
    ends = await connected.ends(topic)
    newest_ms = -1
    async for record in connected.read(topic, since={lane: end - 1 for lane, end in ends.items()}):
        newest_ms = max(newest_ms, record.timestamp)
    if newest_ms < 0:
        return Line("warn", "clock skew", f"{topic} is empty", "start an intake: `leapwatch worker --role intake`")
    age_s = time.time() - newest_ms / 1000
    if age_s > SKEW_FAIL_S:
        todo = "is an intake running? Its pulses come every second (or the clocks differ: see NTP)"
        return Line("warn", "clock skew", f"newest stamp of {topic} is {age_s:.0f} s old", todo)
    return skew_line(-age_s, max(2.0, config.intake.clocks_s * 2))


async def _thresholds(config: Config) -> Line:
    try:
        known = await in_force(config)
    except TopicError as error:
        return Line("fail", "thresholds", str(error), "`leapwatch topics apply` makes the topics")
    digests = {change.digest if change else "" for change in known.values()}
    if digests == {config.thresholds_digest}:
        return Line("ok", "thresholds", f"file and log agree on {config.thresholds_digest[:12]}")
    if digests == {""}:
        return Line("warn", "thresholds", "none in the log", "the first start of an intake writes the file's")
    shown = ", ".join(sorted(digest[:12] or "none" for digest in digests))
    todo = "engines obey the log; `leapwatch config apply` writes the file's"
    return Line("warn", "thresholds", f"file {config.thresholds_digest[:12]}, log {shown}", todo)


async def _lag(config: Config, connected: Reader, role: str) -> Line:
    """Return how far the group of a role stands behind the ends of what it reads."""
    group = f"{config.kafka.prefix}leapwatch-{role}"
    unread = await connected.unread(group)
    if unread is None:
        found = f"group {group} has committed nothing"
        return Line("warn", f"lag of {role}", found, f"start `leapwatch worker --role {role}`")
    if unread > LAG_WARN:
        return Line("warn", f"lag of {role}", f"{unread} records", "catching up? See leapwatch_progress_age_seconds")
    return Line("ok", f"lag of {role}", f"{unread} records")
