"""A file is there whole or not at all, and an error names it."""

import os
from pathlib import Path

import pytest

from schemas.history_files import written_whole


def test_a_file_bears_its_name_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    with written_whole(path) as file:
        file.write(b"all")
        assert not path.exists()

    assert [path] == list(tmp_path.iterdir())
    assert b"all" == path.read_bytes()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_of_one_that_fails_nothing_is_left_and_the_one_before_stays(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b"before")

    def half() -> None:
        with written_whole(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        half()

    assert [path] == list(tmp_path.iterdir())
    assert b"before" == path.read_bytes()


def test_a_folder_and_a_folder_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is a folder: name a file in it"), written_whole(tmp_path):
        pass
    with pytest.raises(OSError, match=r"there is no folder .*nowhere$"), written_whole(tmp_path / "nowhere" / "x"):
        pass


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    """Root that writes to /dev/null must not put a file in its place."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with written_whole(path) as file:
            file.write(b"all")
        assert path.is_fifo()
        assert b"all" == os.read(reader, 10)
    finally:
        os.close(reader)
