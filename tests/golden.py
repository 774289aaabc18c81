"""Golden texts: what a test tells is kept in a file that people read, and compared.

`LEAPWATCH_GOLDEN=write` in the environment writes them anew instead, those of the tests that run and no others:

    LEAPWATCH_GOLDEN=write .venv/bin/python -m pytest tests/detectors -k 'golden or transcript'

Review the difference, and commit it only if you know what caused it.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LEAPWATCH_GOLDEN"
WRITE = "write"


def assert_golden(path: Path, told: str) -> None:
    """Compare what a test tells with the file kept of it, or write the file where the environment asks for that."""
    asked = os.environ.get(VARIABLE, "")
    if asked not in {"", WRITE}:
        message = f"{VARIABLE}: `{asked}` is not `{WRITE}`"
        raise ValueError(message)
    if asked == WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(told, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == told, f"{VARIABLE}={WRITE} writes {path.name} anew"
