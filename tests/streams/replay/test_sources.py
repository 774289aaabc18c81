"""Plain files of source records: in order of their stamps, and a bad line costs only itself."""

import random
from pathlib import Path

import pytest

from schemas.history import SourceRecord
from schemas.history_lines import source_to_line
from streams.replay.sources import SourceError, read_sources
from tests.streams.replay.histories import sources


def written(path: Path, records: list[SourceRecord]) -> Path:
    path.write_bytes(b"".join(source_to_line(record) + b"\n" for record in records))
    return path


def test_files_are_read_in_order_of_stamps_whatever_their_own_order(tmp_path: Path) -> None:
    records = list(sources()[:400])
    mixed = records[:200]
    random.Random(7).shuffle(mixed)
    first, second = written(tmp_path / "a.jsonl", mixed), written(tmp_path / "b.jsonl", records[200:])

    found = list(read_sources([second, first], lambda *_: None))

    assert [record.at_ms for record in records] == [record.at_ms for record in found]
    assert sorted(map(source_to_line, records)) == sorted(map(source_to_line, found))


def test_bad_lines_are_told_by_number_and_their_neighbours_pass(tmp_path: Path) -> None:
    good = [source_to_line(record) for record in sources()[:3]]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(
        b"\n".join([good[0], b"{broken", b'{"feed": "x", "at_ms": 5, "record": {}}', b"", good[1], good[2]])
    )
    told: list[tuple[str, int]] = []

    found = list(read_sources([path], lambda file, number, _what: told.append((file.name, number))))

    assert 3 == len(found)
    assert [("bad.jsonl", 2), ("bad.jsonl", 3)] == told


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        list(read_sources([tmp_path / "nowhere"], lambda *_: None))
