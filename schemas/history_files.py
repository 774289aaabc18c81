"""Files of history: there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write, which bears its name only when all is written; of one that fails nothing is left.

    A device or a pipe is written as it is. Raises OSError, with what to do, where nothing can be written there.
    """
    if path.is_dir():
        message = f"{path} is a folder: name a file in it"
        raise IsADirectoryError(message)
    if not path.parent.is_dir():
        message = f"{path}: there is no folder {path.parent}"
        raise FileNotFoundError(message)
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w+b") as file:
        try:
            yield file
            file.flush()
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    partial.replace(path)
