"""Plain files of source records (JSON lines) in order of their stamps, whatever the order in the files.

A line that cannot be read costs only itself: it is told with its file and number, and its neighbours go on.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from schemas.errors import CodecError
from schemas.history import SourceRecord
from schemas.history_lines import source_from_line

AVRO = b"Obj\x01"
"""What every Avro container begins with: a capture is one."""

BadLine = Callable[[Path, int, str], None]
"""Is given the file, the number of the line and what is wrong with it."""


class SourceError(Exception):
    """A file that cannot be read at all."""


class _Stamp(msgspec.Struct):
    """All that is read of a line to put it in order."""

    at_ms: int


def read_sources(paths: Sequence[Path], bad_line: BadLine) -> Iterator[SourceRecord]:
    """Yield the records of all files in order of `at_ms`; of equal stamps the earlier file and line come first."""
    files = [_in_order(path, bad_line) for path in paths]
    yield from heapq.merge(*files, key=lambda source: source.at_ms)


def _in_order(path: Path, bad_line: BadLine) -> Iterator[SourceRecord]:
    stamps, places, numbers = _index(path, bad_line)
    order: Sequence[int] = range(len(stamps))
    if any(stamps[i] > stamps[i + 1] for i in range(len(stamps) - 1)):
        order = sorted(order, key=stamps.__getitem__)
    with path.open("rb") as file:
        for i in order:
            file.seek(places[i])
            line = file.readline().strip()
            try:
                yield source_from_line(line)
            except CodecError as error:
                bad_line(path, numbers[i], error.detail)


def _index(path: Path, bad_line: BadLine) -> tuple[array[int], array[int], array[int]]:
    """Return stamp, place in the file and number of every line that has a stamp."""
    stamps, places, numbers = array("q"), array("q"), array("q")
    try:
        with path.open("rb") as file:
            if file.read(len(AVRO)) == AVRO:
                raise SourceError(
                    f"{path}: an Avro file, no JSON lines; what `leapwatch capture` made is read as --capture"
                )
            file.seek(0)
            place = 0
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        stamps.append(msgspec.json.decode(line, type=_Stamp).at_ms)
                    except (msgspec.DecodeError, ValueError, OverflowError) as error:
                        bad_line(path, number, str(error))
                    else:
                        places.append(place)
                        numbers.append(number)
                place += len(line)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise SourceError(msg) from error
    return stamps, places, numbers
