"""Takes what was gathered into changes and ledger, in order of stamps."""

from __future__ import annotations

from detectors.failfast.lives import FEEDS, known_until, start_of, unheard
from detectors.failfast.survey import NO_CONTACT
from detectors.failfast.words import rack_of
from detectors.lanes import FAR_MS
from detectors.picture import Picture, Start
from detectors.rollouts.changes import SEEN_LATE_MS, Change
from detectors.rollouts.gathering import (
    BOOT,
    CUT,
    FAULT,
    HEARD,
    SHOWN,
    UPDATE,
    Host,
    Note,
    RegressionState,
    in_order,
    there_before,
    urgent,
    want,
)
from detectors.rollouts.ledger import BLOCK_MS, SERVER, START
from detectors.rollouts.onsets import exposed, hit, hit_beside
from schemas.outputs import Evidence
from schemas.source import GuestKind

RACKS_LEAST = 2
"""From so many racks on failures are told apart by rack, so that none decides alone; with fewer, by server."""
UNSEEN_MOST = 16
"""Starts of one VM between two that were told of, at most, that are taken for unseen: beyond, numbers were reset."""
BOOT_AFTER_UPKEEP_MS = 3_600_000
"""A boot so soon after an update or reboot that was told of is no fault; an update takes 15 to 20 min (catalogue)."""
UNKNOWN_AFTER_MS = 2 * 3_600_000
"""What became of a start so long after its limit passed unseen is unknown for good."""
RETRY_MS = 300_000


def take(state: RegressionState, picture: Picture, keys: list[str], due_ms: int, limit_ms: int) -> list[Change]:
    """Take what stands in the queue up to a time into changes and ledger; return the changes that it tells of.

    `keys`: starts whose time limit has come.
    """
    ready = sorted((note for note in state.queue if note.at_ms <= due_ms), key=in_order)
    state.queue = [note for note in state.queue if note.at_ms > due_ms]
    told: dict[int, Change] = {}
    counting = Counting(state, picture, told)
    for note in ready:
        counting.note(note)
    for _, key in sorted((at_ms, key) for key, at_ms in state.touched.items() if at_ms <= due_ms):
        counting.known(key, due_ms)
    for key in keys:
        if key not in counting.done:
            counting.limit(key, due_ms, limit_ms)
    waiting = [urgent(note) for note in state.queue] + list(state.touched.values())
    if waiting:
        want(state, max(min(waiting), due_ms + 1))
    return [told[number] for number in sorted(told)]


def waiting(state: RegressionState, picture: Picture, change: Change, due_ms: int) -> int:
    """Return how many starts with a change should have made contact by now, and have no outcome yet."""
    count = 0
    for key in state.deadlines.due:
        kind, _, rest = key.partition(CUT)
        if kind == "start":
            vm, number = rest.split(CUT)
            start = start_of(picture.vms.get(vm), int(number))
            if start is not None and start.at_ms + SEEN_LATE_MS < due_ms:
                count += change.in_force(start.server, vm, start.at_ms) is not None
    return count


GIVEN_UP = ("server:HI", "server:FAULTED")
GIVEN_UP_FOR_MS = 3 * 3_600_000
"""Three time-outs of 25 min make a server HI (seed 004); twice that and more, for those that begin late."""


def _racks_enough(picture: Picture) -> bool:
    racks: set[str] = set()
    for server in picture.servers:
        racks.add(rack_of(picture, server))
        if len(racks - {""}) >= RACKS_LEAST:
            return True
    return False


class Counting:
    """Takes what is ready into changes and ledger."""

    def __init__(self, state: RegressionState, picture: Picture, told: dict[int, Change]) -> None:
        self.state = state
        self.picture = picture
        self.told = told
        self.done: set[str] = set()
        """Starts that need no more looking at."""
        self.racks = _racks_enough(picture)

    def note(self, note: Note) -> None:
        """Take one record."""
        changes = self.state.changes
        numbers = changes.numbers
        if note.told is not None and note.rollout:
            changes.announce(note.rollout, note.told)
        if note.kind == UPDATE:
            server = note.server if not note.vm else ""
            change = changes.updated(note.rollout, note.at_ms, note.source, note.evidence, server=server, vm=note.vm)
            self._changed(change, note.server)
        elif note.kind == SHOWN:
            change = changes.shown(note.server, note.at_ms, note.versions, note.source, note.evidence)
            self._changed(change, note.server)
        elif note.kind == HEARD:
            self._count(SERVER, note.server, "", note.at_ms, "", None)
        elif self._is_fault(note):
            self._fault(note)
        if changes.numbers != numbers:
            # Every server is counted anew: from here on it is with this change, or beside it.
            for host in self.state.hosts.values():
                host.block = -1

    def _is_fault(self, note: Note) -> bool:
        """Tell whether a record tells of a fault of the server that nothing else accounts for."""
        if note.kind == BOOT:
            return not self._explained(note)
        return note.kind == FAULT and not (note.signature in GIVEN_UP and self._starts_failed(note))

    def _starts_failed(self, note: Note) -> bool:
        """Tell whether a server was given up for starts that failed on it: those are counted, by what can fail.

        Running VMs that were not restarted are no control for it: the leap day's servers went to HI where VMs started.
        """
        return any(
            start.server == note.server
            and note.at_ms - GIVEN_UP_FOR_MS <= start.at_ms <= note.at_ms
            and (start.failed_ms is not None or start.contact_ms is None)
            for vm in self.picture.vms.values()
            for start in vm.starts
        )

    def _changed(self, change: Change, server: str) -> None:
        self.told[change.number] = change
        if server in change.servers:
            change.racks[server] = rack_of(self.picture, server)
        if server in self.state.hosts:
            self.state.hosts[server].block = -1

    def _fault(self, note: Note) -> None:
        host = self.state.hosts.setdefault(note.server, Host())
        block = note.at_ms // BLOCK_MS
        if host.failed.get(note.signature) == block:
            return
        host.failed[note.signature] = block
        self._count(SERVER, note.server, "", note.at_ms, note.signature, note.evidence)

    def _explained(self, note: Note) -> bool:
        """Tell whether a boot was announced, or follows an update: then it is no fault."""
        server = self.picture.servers.get(note.server)
        for upkeep in server.upkeep if server is not None else ():
            until_ms = upkeep.until_ms if upkeep.until_ms is not None else upkeep.from_ms
            if upkeep.from_ms <= note.at_ms + 60_000 and note.at_ms <= until_ms + BOOT_AFTER_UPKEEP_MS:
                return True
        spans = (change.servers.get(note.server) for change in self.state.changes.known.values())
        return any(span is not None and 0 <= note.at_ms - span[0] <= BOOT_AFTER_UPKEEP_MS for span in spans)

    # -- starts --------------------------------------------------------------------------------------------------

    def known(self, key: str, due_ms: int) -> None:
        """Take a start that made contact, or failed, by `due_ms`."""
        start = self._start(key)
        if start is None:
            self._over(key)
            return
        held_ms = start.at_ms + SEEN_LATE_MS
        if due_ms < held_ms:
            # A change that nobody announced may be shown by a report that comes a little later. All wait alike, with
            # a change and without: else what fails with it would be counted before what fails beside it.
            self.state.touched[key] = held_ms
            return
        failed = start.failed_ms is not None and start.failed_ms <= due_ms
        if failed and not (start.contact_ms is not None and start.contact_ms < (start.failed_ms or 0)):
            self._outcome(key, start, start.signature)
        elif start.contact_ms is not None and start.contact_ms <= due_ms:
            self._outcome(key, start, "")
        else:
            self.state.touched.pop(key, None)

    def limit(self, key: str, due_ms: int, limit_ms: int) -> None:
        """Take a start whose time limit has come without a word of it."""
        start = self._start(key)
        if start is None:
            self._over(key)
            return
        server = self.picture.servers.get(start.server)
        skip = unheard(server) if server is not None else ()
        passed_ms = self.picture.limit_passed_ms(FEEDS, start.at_ms, limit_ms, skip, known_ms=due_ms)
        contact_ms = start.contact_ms if start.contact_ms is not None else FAR_MS
        if start.failed_ms is not None and start.failed_ms <= due_ms:
            self._outcome(key, start, start.signature)
        elif contact_ms <= min(passed_ms, due_ms):
            self._outcome(key, start, "")
        elif start.ended_ms is not None and start.ended_ms < start.at_ms + limit_ms - 5000:
            # Moved, deallocated or started anew in good time: it could not show what would have come of it.
            self._over(key)
        elif passed_ms <= due_ms and server is not None and known_until(server, passed_ms):
            self._outcome(key, start, NO_CONTACT)
        elif due_ms - start.at_ms - limit_ms > UNKNOWN_AFTER_MS:
            self._unknown(key, start)
        else:
            # Its limit has not passed, or its server has not spoken since: asked again then, or in a while.
            again_ms = passed_ms if due_ms < passed_ms < due_ms + RETRY_MS else due_ms + RETRY_MS
            self.state.deadlines.set(key, again_ms)

    def _start(self, key: str) -> Start | None:
        _, vm, number = key.split(CUT)
        start = start_of(self.picture.vms.get(vm), int(number))
        return None if start is None or there_before(vm, start, self.picture) else start

    def _over(self, key: str) -> None:
        self.done.add(key)
        self.state.deadlines.drop(key)
        self.state.touched.pop(key, None)

    def _unknown(self, key: str, start: Start) -> None:
        _, vm, _ = key.split(CUT)
        for change in self.state.changes.pattern(start.server, vm, start.at_ms)[1]:
            change.unknown += 1
            self.told[change.number] = change
        self._over(key)

    def _unseen(self, vm: str, start: Start) -> None:
        """Count what the guests' feed has lost of starts: what was lost with it, a failure perhaps, is unknown.

        Starts that a VM's numbers show between this and the last that anyone told of, and this one if its host told of
        its contact and no guest of its START, where guests do tell of it.
        """
        view = self.picture.vms.get(vm)
        earlier = [known.incarnation for known in view.starts if known.incarnation < start.incarnation] if view else []
        unseen = start.incarnation - max(earlier) - 1 if earlier else 0
        unseen = unseen if unseen <= UNSEEN_MOST else 0
        words = view.words if view is not None else []
        if any(word.incarnation == start.incarnation and word.kind == GuestKind.START for word in words):
            self.state.told_starts += 1
        elif self.state.told_starts and start.contact_ms is not None:
            unseen += 1
        if unseen:
            for change in self.state.changes.pattern(start.server, vm, start.at_ms)[1]:
                change.unknown += unseen

    def _outcome(self, key: str, start: Start, signature: str) -> None:
        _, vm, _ = key.split(CUT)
        self._over(key)
        self._unseen(vm, start)
        evidence = start.evidence if signature else None
        self._count(START, start.server, vm, start.at_ms, signature, evidence, start.ga_version)

    # -- counting ------------------------------------------------------------------------------------------------

    def _count(
        self,
        sphere: str,
        server: str,
        vm: str,
        at_ms: int,
        signature: str,
        evidence: Evidence | None,
        ga_version: str = "",
    ) -> None:
        ledger = self.state.ledger
        pattern, changes = self.state.changes.pattern(server, vm, at_ms, ga_version)
        group = (rack_of(self.picture, server) if self.racks else "") or server
        for change in changes:
            exposed(change, sphere, at_ms, ledger)
            change.known += 1 if sphere == START else 0
            self.told[change.number] = change
        last_ms = min(ledger.signatures.get(signature, ledger.since_ms.get(sphere, at_ms)), at_ms)
        if sphere == SERVER and signature:
            fresh = ledger.fail(sphere, pattern, at_ms, server, signature)
        else:
            fresh = ledger.add(sphere, pattern, at_ms, server, signature)
        if not signature:
            return
        good_ms = max((known for known in ledger.good_ms.get(sphere, ()) if known <= at_ms), default=0)
        for change in changes:
            hit(
                change, sphere, signature, at_ms, server, group,
                fresh=fresh, last_seen_ms=last_ms, good_ms=good_ms, evidence=evidence,
            )  # fmt: skip
        for change in self.state.changes.known.values():
            if change not in changes and change.began_ms <= at_ms:
                hit_beside(change, sphere, signature)
                self.told[change.number] = change
