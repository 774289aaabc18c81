"""Thresholds in the log: each lane has them once, a start writes only into an empty log, half a write is made whole."""

import asyncio
from pathlib import Path

import pytest

from schemas import codec
from schemas.commands import Acknowledge
from streams.config.load import load
from streams.config.model import Config
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.plain import Outgoing, send
from streams.operate.thresholds_log import in_force, write

pytestmark = pytest.mark.embedded

LANES = 3


@pytest.fixture
def folder(tmp_path: Path, embedded_broker: EmbeddedBroker) -> Path:
    """Give a folder for configurations of a broker whose `operator` is empty."""
    embedded_broker.create_topic("t.operator", LANES)
    (tmp_path / "kafka").write_text(f'[kafka]\nbootstrap = ["{embedded_broker.bootstrap}"]\nprefix = "t."\n')
    return tmp_path


def config(folder: Path, budget_per_day: int) -> Config:
    path = folder / "leapwatch.toml"
    path.write_text((folder / "kafka").read_text() + f"[policy]\nbudget_per_day = {budget_per_day}\n")
    return load(path, {})


def digests(checked: Config) -> list[str | None]:
    known = asyncio.run(in_force(checked))
    return [change.digest if (change := known[lane]) else None for lane in sorted(known)]


def test_what_is_written_is_in_force_in_every_lane_and_is_not_written_twice(folder: Path) -> None:
    checked = config(folder, 3)
    assert [None] * LANES == digests(checked)

    assert "written" == asyncio.run(write(checked, by="ann", reason="drill", at_ms=1_000))
    assert "unchanged" == asyncio.run(write(checked, by="bob"))
    (change, *_) = asyncio.run(in_force(checked)).values()
    assert change
    assert ("ann", "drill", 1_000, checked.thresholds_text) == (change.by, change.reason, change.sent_ms, change.text)
    assert [checked.thresholds_digest] * LANES == digests(checked)


def test_a_start_obeys_a_log_that_has_others(folder: Path) -> None:
    first, second = config(folder, 3), config(folder, 4)
    assert "written" == asyncio.run(write(first, by="start", only_if_empty=True))

    assert "differs" == asyncio.run(write(second, by="start", only_if_empty=True))
    assert [first.thresholds_digest] * LANES == digests(second)
    assert "written" == asyncio.run(write(second, by="ann"))
    assert [second.thresholds_digest] * LANES == digests(second)


def test_a_write_that_broke_off_is_made_whole_by_the_next(folder: Path) -> None:
    old, new = config(folder, 3), config(folder, 4)
    asyncio.run(write(old, by="ann"))
    asyncio.run(write(new, by="ann"))
    first = asyncio.run(in_force(old))[0]
    assert first
    # As if the next write had reached lane 0 alone: thresholds of three again.
    again = codec.encode(type(first)("1", "*", old.thresholds_text, old.thresholds_digest, "ann", "", 1))
    asyncio.run(send(old, [Outgoing("t.operator", 0, b"*", again)]))
    assert [old.thresholds_digest, *[new.thresholds_digest] * (LANES - 1)] == digests(old)

    assert "written" == asyncio.run(write(old, by="ann"))
    assert [old.thresholds_digest] * LANES == digests(old)


def test_what_else_stands_on_the_topic_is_passed_over(folder: Path) -> None:
    checked = config(folder, 3)
    asyncio.run(write(checked, by="ann"))
    others = [codec.encode(Acknowledge("1", "c1", "f" * 32, "ann", "", 1)), b"junk", None]
    asyncio.run(send(checked, [Outgoing("t.operator", 0, b"c1", value) for value in others]))

    assert [checked.thresholds_digest] * LANES == digests(checked)
