"""Logs: one form for our lines and the libraries', levels that keep Faust quick, no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from streams.operate.logs import REPEATS_KEPT, Repeats, configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_lines_and_a_librarys_have_the_same_form() -> None:
    out = io.StringIO()
    configure("info", "json", stream=out, role="intake")
    structlog.get_logger("streams.intake").info("forwarded", records=3)
    logging.getLogger("somewhere").warning("odd %s", "thing")
    ours, theirs = lines(out)

    assert ("forwarded", 3, "info", "streams.intake", "intake") == tuple(
        ours[key] for key in ("event", "records", "level", "logger", "role")
    )
    assert ("odd thing", "warning", "somewhere", "intake") == tuple(
        theirs[key] for key in ("event", "level", "logger", "role")
    )
    assert str(ours["timestamp"]).endswith("Z")


def test_debug_is_for_our_packages_and_never_for_the_root() -> None:
    out = io.StringIO()
    configure("debug", "json", stream=out)
    structlog.get_logger("streams.intake").debug("ours")
    logging.getLogger("faust.transport").debug("theirs")
    logging.getLogger("other").debug("others'")

    assert ["ours"] == [line["event"] for line in lines(out)]
    assert logging.INFO == logging.getLogger().level


def test_a_louder_level_silences_ours_and_the_libraries() -> None:
    out = io.StringIO()
    configure("error", "json", stream=out)
    structlog.get_logger("streams.intake").warning("ours")
    logging.getLogger("aiokafka").warning("theirs")

    assert [] == lines(out)


def test_an_exception_is_one_line_of_json() -> None:
    out = io.StringIO()
    configure("info", "json", stream=out)
    try:
        raise ValueError("bad value 7")
    except ValueError:
        structlog.get_logger("streams.engine").exception("broke")

    (line,) = lines(out)
    assert "bad value 7" in str(line["exception"])


def test_the_value_of_a_secret_is_not_written() -> None:
    out = io.StringIO()
    configure("info", "console", stream=out)
    fields = {"sasl_plain_password": "hush", "password_file": "/etc/pw"}
    structlog.get_logger("streams.kafka").info("connecting", **fields)

    assert "hush" not in out.getvalue()
    assert "/etc/pw" in out.getvalue()


def test_configuring_twice_writes_each_line_once() -> None:
    configure("info", "json", stream=io.StringIO())
    out = io.StringIO()
    configure("info", "json", stream=out)
    structlog.get_logger("streams.intake").info("once")

    assert 1 == len(lines(out))


def test_a_librarys_line_that_repeats_is_told_once_a_minute_with_its_count() -> None:
    out = io.StringIO()
    configure("info", "json", stream=out)
    handler = logging.getLogger().handlers[0]

    def comes(at_s: float, name: str = "aiokafka.consumer", text: str = "cannot connect to node %s") -> None:
        record = logging.LogRecord(name, logging.ERROR, "", 0, text, (1,), None)
        record.created = at_s
        handler.handle(record)

    for at_s in (100, 100.1, 159.999, 160, 160.1):
        comes(at_s)
    comes(160.2, text="another line of node %s")
    comes(160.3, name="kafkaesque")
    comes(160.4, name="kafkaesque")

    assert [
        "cannot connect to node 1",
        "cannot connect to node 1 (and 2 times more in the 60 s before)",
        "another line of node 1",
        "cannot connect to node 1",
        "cannot connect to node 1",
    ] == [line["event"] for line in lines(out)]


def test_our_own_lines_and_tracebacks_may_repeat() -> None:
    out = io.StringIO()
    configure("info", "json", stream=out)
    for _ in range(2):
        structlog.get_logger("streams.engine").warning("again")
        try:
            raise ValueError
        except ValueError:
            logging.getLogger("mode").exception("crashed")

    assert ["again", "crashed"] * 2 == [line["event"] for line in lines(out)]


def test_lines_remembered_have_a_bound() -> None:
    repeats = Repeats()
    for number in range(3 * REPEATS_KEPT):
        repeats.filter(logging.LogRecord("kafka", logging.ERROR, "", 0, f"line {number}", (), None))

    assert REPEATS_KEPT == len(repeats._told)
