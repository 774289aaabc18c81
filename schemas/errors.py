"""What a reader of records may raise, and nothing else."""

from __future__ import annotations

from schemas.outputs import DeadReason


class CodecError(Exception):
    """These bytes are no record of ours: `reason` is for the counters, `detail` says what was wrong and where."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RegistryAway(Exception):  # noqa: N818 -- it is a state of the world to wait out, no error of the record
    """The schema registry did not answer: nothing can be said of the record yet, so wait and ask again."""
