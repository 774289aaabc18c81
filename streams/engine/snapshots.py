"""Cuts the state of a cluster into chunks and puts them together again; says which cluster is next. Pure.

A set of snapshots is complete when the partition's own (`*`) was taken first and every cluster's after it, each
between two frames. Progress names only complete sets: a cluster made since then is made again by the re-run, for all
its frames lie behind the set's first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.outputs import SnapshotChunk, SnapshotManifest, SnapshotMark
from schemas.telemetry import EVERYONE
from streams.engine.cluster import SavedCluster, decode_saved, encode_saved

CHUNK_BYTES = 512 * 1024
"""Of one chunk at most (DESIGN, Topics)."""
FORMAT = 1
"""Raised when SavedCluster can no longer be read from an older snapshot: those are then passed over."""


class SnapshotError(Exception):
    """A snapshot that cannot be used: torn, damaged or of another format. The reader goes on without it."""


def cut(
    partition: int,
    cluster: str,
    next_offset: int,
    saved: SavedCluster,
    code_digest: str,
    clusters: tuple[str, ...] = (),
) -> tuple[list[SnapshotChunk], SnapshotManifest]:
    """Return the chunks of a cluster's state, and the manifest that closes them."""
    data = encode_saved(saved)
    pieces = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    chunks = [SnapshotChunk(partition, cluster, next_offset, index, piece) for index, piece in enumerate(pieces)]
    manifest = SnapshotManifest(
        partition=partition,
        cluster=cluster,
        next_offset=next_offset,
        chunks=len(chunks),
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        format=FORMAT,
        state_versions={name: version for name, (version, _) in saved.detectors.items()},
        code_digest=code_digest,
        clusters=clusters,
    )
    return chunks, manifest


def assemble(chunks: Iterable[SnapshotChunk], manifest: SnapshotManifest) -> SavedCluster:
    """Return the state that these chunks hold, or raise SnapshotError."""
    name = f"snapshot of {manifest.cluster} at offset {manifest.next_offset}"
    if manifest.format != FORMAT:
        msg = f"{name}: format {manifest.format}, this code reads {FORMAT}"
        raise SnapshotError(msg)
    pieces = {chunk.index: chunk.data for chunk in chunks}
    if sorted(pieces) != list(range(manifest.chunks)):
        msg = f"{name}: {len(pieces)} of {manifest.chunks} chunks are there"
        raise SnapshotError(msg)
    data = b"".join(pieces[index] for index in range(manifest.chunks))
    if len(data) != manifest.size_bytes or hashlib.sha256(data).hexdigest() != manifest.sha256:
        msg = f"{name}: its bytes are not those that were written"
        raise SnapshotError(msg)
    try:
        return decode_saved(data)
    except (ValueError, TypeError) as error:
        msg = f"{name}: {error}"
        raise SnapshotError(msg) from error


@dataclass(slots=True)
class SnapshotPlan:
    """Which cluster's state goes out next, one at a time."""

    every_ms: int
    """Source time from the start of one set to the start of the next."""
    started_ms: int = -1
    left: list[str] = field(default_factory=list)
    marks: list[SnapshotMark] = field(default_factory=list)
    """Of the set under way."""
    complete: tuple[SnapshotMark, ...] = ()
    """Of the newest complete set: what progress names."""

    def next_cluster(self, at_ms: int, clusters: Iterable[str]) -> str | None:
        """Return the cluster whose state is to go out between these two frames, None for none."""
        if not self.left and (self.started_ms < 0 or at_ms - self.started_ms >= self.every_ms):
            if self.started_ms < 0:
                # Nothing is worth keeping at the very start; the first set is due a whole turn later.
                self.started_ms = at_ms
                return None
            self.started_ms = at_ms
            self.marks = []
            self.left = [EVERYONE, *(name for name in clusters if name != EVERYONE)]
        return self.left[0] if self.left else None

    def taken(self, mark: SnapshotMark) -> None:
        """Note that a cluster's snapshot is in the log; the last one of a set completes it."""
        self.left.remove(mark.cluster)
        self.marks.append(mark)
        if not self.left:
            self.complete = tuple(self.marks)
