"""Structured logs: structlog over the standard library, so that Faust's and the clients' lines look like ours.

The root logger stays at INFO whatever is asked for: at DEBUG, Faust writes several lines a message, and its latency
is then counted in seconds. `debug` is for our own packages alone.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

OURS = ("streams", "detectors", "schemas")
QUIET = ("aiokafka", "kafka", "faust", "mode", "aiohttp.access", "asyncio")
"""Libraries that tell at INFO what our own lines tell better; their warnings are kept."""
REPEATS_S = 60.0
"""A library's line is told once in so many seconds; the next one says how often it came meanwhile."""
REPEATS_KEPT = 256
"""Different lines remembered for that."""
SECRET_WORDS = ("password", "secret", "token", "sasl_plain", "credential")

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]
Event = MutableMapping[str, Any]


def configure(level: Level = "info", form: Format = "auto", *, stream: TextIO | None = None, role: str = "") -> None:
    """Send all log lines of this process to `stream` (stderr), ours from `level` on; may be called again.

    `role` stands in each line where it is given. Call it again after Faust has set up logging of its own (or start
    Faust with `override_logging=False`).
    """
    out = stream or sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        without_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a second call, and tests, must reach loggers already made
    )
    handler = logging.StreamHandler(out)
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(console=console)],
        )
    )
    set_levels(level)
    logging.getLogger().handlers[:] = [handler]
    structlog.contextvars.unbind_contextvars("role")
    if role:
        structlog.contextvars.bind_contextvars(role=role)


class Repeats(logging.Filter):
    """Tells a line of a chatty library once in `REPEATS_S`: with its broker away, aiokafka writes dozens a second.

    Ours, and those that bear a traceback, all pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, int, str], tuple[float, int]] = {}
        """By logger, level and text: when it was last told, and how often it was not since then."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to let this line pass; one that comes again says how many did not."""
        if record.exc_info or not _quiet(record.name):
            return True
        text = record.getMessage()
        key = (record.name, record.levelno, text)
        told_s, more = self._told.pop(key, (float("-inf"), 0))
        if 0 <= record.created - told_s < REPEATS_S:
            self._told[key] = (told_s, more + 1)
            return False
        self._told[key] = (record.created, 0)
        if len(self._told) > REPEATS_KEPT:
            del self._told[next(iter(self._told))]
        if more:
            record.msg, record.args = (
                f"{text} (and {more} times more in the {record.created - told_s:.0f} s before)",
                (),
            )
        return True


def set_levels(level: Level) -> None:
    """Set the levels alone: root at INFO or above, ours at `level`, chatty libraries at WARNING."""
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(wanted, logging.INFO))
    for name in OURS:
        logging.getLogger(name).setLevel(wanted)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(wanted, logging.WARNING))


def without_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """Return the event with the values of keys that name a secret replaced."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS) and not key.endswith("_file"):
            event[key] = "***"
    return event


def _quiet(logger: str) -> bool:
    return any(logger == name or logger.startswith(f"{name}.") for name in QUIET)


def _renderers(*, console: bool) -> list[structlog.typing.Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
