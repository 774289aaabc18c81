"""How starts of VMs in a cluster have fared of late: what a verdict on software or hardware stands on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors.failfast.words import rack_of
from detectors.picture import Picture, Start, VmView
from schemas.outputs import Evidence

NO_CONTACT = "no contact"
"""The signature of a start that times out without a word."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a VM and what came of it."""

    vm: str
    server: str
    rack: str
    at_ms: int
    signature: str
    """With which it failed; empty: it made contact."""
    ga_version: str
    ha_version: str
    evidence: Evidence


@dataclass(frozen=True)
class Survey:
    """The starts of a cluster since `since_ms` that have come to something."""

    since_ms: int
    attempts: tuple[Attempt, ...]
    """In order of their stamps, then names."""
    healed: tuple[tuple[str, str, str], ...]
    """(vm, from_server, to_server) of the VMs among them."""

    @cached_property
    def by_server(self) -> dict[str, list[Attempt]]:
        """Return the starts by the server on which they were tried."""
        found: dict[str, list[Attempt]] = {}
        for attempt in self.attempts:
            found.setdefault(attempt.server, []).append(attempt)
        return found

    def failed(self, signature: str) -> list[Attempt]:
        """Return the starts that failed with this signature."""
        return [attempt for attempt in self.attempts if attempt.signature == signature]

    def succeeded(self, since_ms: int) -> list[Attempt]:
        """Return the starts since `since_ms` that made contact."""
        return [attempt for attempt in self.attempts if not attempt.signature and attempt.at_ms >= since_ms]


def survey(picture: Picture, since_ms: int, no_contact_ms: int) -> Survey:
    """Return how the starts since `since_ms` fared; without contact for `no_contact_ms`, heard, they failed."""
    attempts: list[Attempt] = []
    healed: list[tuple[str, str, str]] = []
    for view in picture.vms.values():
        starts = view.starts
        if not starts or starts[-1].at_ms < since_ms:
            continue
        if len(starts) == 1 and starts[0].contact_ms == starts[0].at_ms and starts[0].failed_ms is None:
            # First seen in contact: nobody saw it start. Most VMs of a quiet cluster are such.
            continue
        attempts.extend(_attempts(view, picture, since_ms, no_contact_ms))
        healed.extend((view.vm, from_server, to_server) for _, from_server, to_server, _ in view.healed)
    attempts.sort(key=lambda attempt: (attempt.at_ms, attempt.vm))
    return Survey(since_ms, tuple(attempts), tuple(sorted(healed)))


def _attempts(view: VmView, picture: Picture, since_ms: int, no_contact_ms: int) -> Iterator[Attempt]:
    for start in reversed(view.starts):
        if start.at_ms < since_ms:
            return
        signature = _outcome(start, picture, no_contact_ms)
        if signature is None:
            continue
        server = picture.servers.get(start.server)
        yield Attempt(
            view.vm,
            start.server,
            rack_of(picture, start.server),
            start.at_ms,
            signature,
            start.ga_version,
            "" if server is None else server.versions.get("ha", ""),
            start.evidence,
        )


def _outcome(start: Start, picture: Picture, no_contact_ms: int) -> str | None:
    """Return the signature of a failed start, an empty one of one in contact, None where nothing is known yet."""
    contact_ms = start.contact_ms
    if start.failed_ms is not None and (contact_ms is None or contact_ms > start.failed_ms):
        # An error that was overcome is none; one that is not, is.
        return start.signature if contact_ms is None else ""
    if contact_ms is not None:
        # First seen in contact: nobody saw it start.
        return "" if contact_ms > start.at_ms else None
    server = picture.servers.get(start.server)
    heard_ms = 0 if server is None else server.heard_ms
    until_ms = heard_ms if start.ended_ms is None else start.ended_ms
    return NO_CONTACT if until_ms - start.at_ms >= no_contact_ms else None
