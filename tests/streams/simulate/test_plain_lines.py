"""A scenario as plain lines: what is read back is what was sent, and a file is whole or not there."""

import io
from pathlib import Path

import pytest

from schemas.history import SourceRecord
from schemas.source import Pulse
from streams.replay.sources import read_sources
from streams.simulate.generator import records
from streams.simulate.load import load
from streams.simulate.plain_lines import sources, write
from streams.simulate.scenario import Scenario


@pytest.fixture
def scenario() -> Scenario:
    return load("bad-server").with_size(servers=3, vms=1, days=0.01)


def read(path: Path) -> list[SourceRecord]:
    bad: list[str] = []
    found = list(read_sources([path], lambda _path, number, what: bad.append(f"{number}: {what}")))

    assert [] == bad
    return found


def test_what_is_read_back_is_what_was_sent(scenario: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    count = write(scenario, path)

    assert list(records(scenario)) == read(path)
    assert len(read(path)) == count
    assert ["day.jsonl"] == [each.name for each in tmp_path.iterdir()]


def test_a_stream_gets_the_same_bytes_as_a_file(scenario: Scenario, tmp_path: Path) -> None:
    stream = io.BytesIO()
    write(scenario, stream)
    write(scenario, tmp_path / "day.jsonl")

    assert (tmp_path / "day.jsonl").read_bytes() == stream.getvalue()


def test_a_file_that_cannot_be_finished_does_not_bear_its_name(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl.partial").mkdir()

    with pytest.raises(OSError, match="partial"):
        write(scenario, tmp_path / "day.jsonl")
    assert not (tmp_path / "day.jsonl").exists()


def test_pulses_stand_in_the_lines_only_where_the_scenario_withholds_some(scenario: Scenario, tmp_path: Path) -> None:
    assert not any(isinstance(each.record, Pulse) for each in sources(scenario))
    file = tmp_path / "dark.toml"
    file.write_text(
        'name = "dark"\nstart = 2012-03-12T08:00:00Z\nduration = "10m"\n[fleet]\nservers = 2\n[[cluster]]\nname = "c"\n'
        '[[fault]]\nkind = "pulse_outage"\nat = "2m"\nfor = "2m"\nfeeds = ["host-agent"]\n'
    )
    start_ms = 1_331_539_200_000
    stamps = [each.at_ms for each in sources(load(str(file))) if isinstance(each.record, Pulse)]

    assert stamps
    assert 2 == sum(each == start_ms + 180_000 for each in stamps)
    assert 3 == sum(each == start_ms + 300_000 for each in stamps)
