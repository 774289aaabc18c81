"""A digest of what the stories bring, findings and state: run as a program under another hash seed, it must not differ.

python -m tests.contract.digest SEED...
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterable

import msgspec

from schemas.outputs import Subject
from streams.engine.cluster import encode_saved
from streams.engine.runner import Runner
from tests.contract.story import Story
from tests.contract.streams import frames


def digest(seeds: Iterable[int]) -> str:
    """Return the digest of all outputs and of the whole state after them."""
    sum_of = hashlib.sha256()
    for seed in seeds:
        runner = Runner(0)
        for output in runner.feed(frames(Story(seed))):
            sum_of.update(msgspec.msgpack.encode(output))
        for name in sorted(runner.clusters):
            sum_of.update(encode_saved(runner.save(name)))
    return sum_of.hexdigest()


def text_of(subject: Subject) -> str:
    """Return a subject as a short text."""
    named = ((field.name, getattr(subject, field.name)) for field in dataclasses.fields(subject))
    return " ".join(f"{name}={value}" for name, value in named if value is not None)


if __name__ == "__main__":
    print(digest(map(int, sys.argv[1:])))
