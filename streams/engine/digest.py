"""Gives the digest of the code that decides: what every finding and every snapshot carries."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECIDES = (
    "schemas/*.py",
    "schemas/avsc/*.avsc",
    "detectors/**/*.py",
    "streams/engine/*.py",
    "streams/config/thresholds.py",
)
"""What can change a finding; the shells cannot."""


@cache
def code_digest() -> str:
    """Return the first 16 hex digits of the SHA-256 over the names and texts of the files that decide."""
    total = hashlib.sha256()
    files = sorted({path for pattern in DECIDES for path in ROOT.glob(pattern)})
    for path in files:
        total.update(str(path.relative_to(ROOT)).encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
