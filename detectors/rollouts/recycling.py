"""VMs that start again and again."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from detectors.crowds import CrowdDetector, CrowdState
from detectors.failfast.lives import FEEDS, known_until, unheard
from detectors.failfast.words import listed, minutes, utc
from detectors.frames import BatchFrame, DueFrame, Frame
from detectors.lanes import FAR_MS, again_ms
from detectors.picture import Picture, VmView
from detectors.rollouts.covers import cover_of
from detectors.rollouts.lifeline import Beginning, beginnings, ready_stretches
from schemas.outputs import Finding, Severity, Subject
from schemas.source import GuestKind

_CUT = "\x1f"
SLACK_MS = 600_000
"""As `slack_s` of ready_overdue: a start so long after the end of an update still belongs to it."""


@dataclass(frozen=True, slots=True)
class Config:
    """How many starts are a recycling."""

    starts: int = field(default=3, metadata={"least": 2, "most": 8})
    """Starts of one VM, RECYCLED events among them. Source: CATALOGUE, recycling."""
    window_s: float = field(default=900.0, metadata={"least": 1, "most": 86_400})
    """Seconds from the first to the last of them, both included; and observed seconds without another start after
    which it is over. Source: CATALOGUE, recycling."""
    ready_s: float = field(default=300.0, metadata={"least": 1, "most": 86_400})
    """Seconds of READY in one piece, inclusive: a VM that had them ran well, and its next start is a new story.
    Source: CATALOGUE, recycling."""


class Recycling(CrowdDetector[Config, CrowdState]):
    """Finds each VM that starts three times in 15 minutes without ever being READY for five.

    Rule: at least `starts` starts, `window_s` or less between the first and the last by their stamps, and READY for
    less than `ready_s` in one piece between them. A new incarnation is a start, and so is a RECYCLED event; the two
    within a minute are one. That it was not READY is an absence: it is judged when every lane has passed the last
    start, and time that nobody watched counts as READY.

    It says how the row began: with an update or reimage of the VM or a planned reboot or update of its server (then
    its start-up code most likely "fails when it runs twice", or misses what the reimage took away: seed 002, common
    issue 1), or with nothing that was announced; and which errors its starts reported. That it keeps saying, however
    many starts follow: the picture keeps only the newest of a VM.

    It ends when the VM has been READY for `ready_s`, has not started again for `window_s` of observed time, or leaves.
    Each VM is an info finding, and one warning a rollout counts them.
    """

    Config = Config
    State = CrowdState
    state_version = 2
    memory_s = 2 * 3600
    feeds = FEEDS

    crowd_advice = (
        "Most often a start-up task fails when it runs a second time, or misses what it had put on the disk that an "
        "update has reimaged (seed 002): hold the update, and let their owners look at WaHostBootstrapper.log."
    )

    def crowd_words(self, many: bool) -> str:
        """Return what is said of one, or of many."""
        recycle = "recycle" if many else "recycles"
        return f"{recycle}: {self.config.starts} starts or more within {minutes(self.config.window_s)}"

    def judge(self, frame: Frame, picture: Picture) -> list[Finding]:
        """Return who recycles, and who does no more."""
        if isinstance(frame, BatchFrame):
            self._wake(frame, picture)
            if not picture.news.inventory:
                return []
            gone = [vm for vm in self.state.vms_open() if vm not in picture.vms]
            return [found for vm in gone for found in self.state.openings.end(vm, frame, "removed")]
        if not isinstance(frame, DueFrame):
            return []
        findings: list[Finding] = []
        for key in self.state.deadlines.pop(frame.due_ms):
            what, vm, *which = key.split(_CUT)
            if what == "end":
                findings += self._judge_end(vm, frame, picture)
            else:
                findings += self._judge(vm, which[0], frame, picture)
        return findings

    def _wake(self, frame: BatchFrame, picture: Picture) -> None:
        """Name the stamps of starts as the times to judge them, and look again at what is open where it moved."""
        news, open_now, deadlines = picture.news, self.state.openings.open, self.state.deadlines
        for vm, start in news.starts:
            # Most VMs start once in hours: of them nothing is waited for.
            if len(picture.vms[vm].starts) > 1:
                deadlines.set(f"start{_CUT}{vm}{_CUT}{start.incarnation}", start.at_ms)
        for index, event in news.guests:
            if event.kind == GuestKind.RECYCLED:
                deadlines.set(f"start{_CUT}{event.vm}{_CUT}{event.event_id}", frame.batch.at_ms[index])
        if not open_now:
            return
        touched = dict.fromkeys([vm for _, vm, _ in news.turns] + [event.vm for _, event in news.guests])
        touched.update((vm, None) for vm, _ in (*news.starts, *news.ended))
        for vm in touched:
            if vm in open_now:
                deadlines.set(f"end{_CUT}{vm}", open_now[vm].finding.opened_ms)

    # -- judging -------------------------------------------------------------------------------------------------

    def _judge(self, vm: str, which: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Judge the row that one start completes: all that is stamped up to it is known now."""
        view = picture.vms.get(vm)
        if view is None or not _may(view, self.config):
            return []
        row = beginnings(view)
        place = next((n for n, known in enumerate(row) if which in (known.source, _name(known))), None)
        if place is None:
            return []
        moved_ms = row[place].at_ms
        if moved_ms > frame.due_ms:
            self.state.deadlines.set(f"start{_CUT}{vm}{_CUT}{which}", moved_ms)
            return []
        row = row[: place + 1]
        some = row[-self.config.starts :]
        if len(some) < self.config.starts or not self._recycles(view, some, frame.due_ms, picture):
            return []
        said = self._said(view, row, frame.due_ms, picture)
        if vm in self.state.openings.open:
            return self.state.openings.update(vm, frame, **said)
        self.state.deadlines.set(f"end{_CUT}{vm}", frame.due_ms + 1)
        last = some[-1]
        return self._open(
            vm,
            frame,
            Subject(cluster=picture.cluster, server=last.server, vm=vm),
            last.source,
            opened_ms=last.at_ms,
            severity=Severity.INFO,
            **said,
        )

    def _recycles(self, view: VmView, some: list[Beginning], due_ms: int, picture: Picture) -> bool:
        """Tell whether these starts lie within the window, and no five minutes of READY can lie between them."""
        if some[-1].at_ms - some[0].at_ms > self.config.window_s * 1000:
            return False
        return all(
            self._ready_ms(view, one, after, due_ms, picture) < self.config.ready_s * 1000
            for one, after in pairwise(some)
        )

    def _ready_ms(self, view: VmView, one: Beginning, after: Beginning, due_ms: int, picture: Picture) -> int:
        """Return how long a VM may have been READY in one piece between two starts: what nobody watched counts."""
        server = picture.servers.get(one.server)
        excluded = unheard(server) if server is not None else ()
        blind = picture.blind_at(due_ms)
        waited_ms = picture.lanes.waited_ms(FEEDS, blind, one.at_ms, after.at_ms, excluded, picture.state.sources)
        longest_ms = max((end - start for start, end in ready_stretches(view, one.at_ms, after.at_ms)), default=0)
        return longest_ms + (after.at_ms - one.at_ms - waited_ms)

    def _judge_end(self, vm: str, frame: DueFrame, picture: Picture) -> list[Finding]:
        """Close what is over by the stamps up to the due time; else name the time at which to look again."""
        view, due_ms = picture.vms.get(vm), frame.due_ms
        if view is None or vm not in self.state.openings.open:
            return []
        opened_ms = self.state.openings.open[vm].finding.opened_ms
        newest = view.start
        left_ms = newest.ended_ms if newest is not None and not newest.replaced else None
        if newest is not None and left_ms is not None and left_ms <= due_ms:
            return self.state.openings.end(vm, frame, f"it no longer runs on {newest.server}")
        last = [start for start in beginnings(view) if start.at_ms <= due_ms][-1:]
        server = picture.servers.get(last[0].server) if last else None
        if not last or server is None:
            self.state.deadlines.set(f"end{_CUT}{vm}", again_ms(opened_ms, due_ms))
            return []
        excluded = unheard(server)
        ready_ms, window_ms = round(self.config.ready_s * 1000), round(self.config.window_s * 1000)
        looks = [] if left_ms is None else [left_ms]
        for since_ms, until_ms in ready_stretches(view, last[0].at_ms, FAR_MS):
            over_ms = picture.limit_passed_ms(FEEDS, since_ms, ready_ms, excluded, known_ms=due_ms)
            if over_ms <= due_ms and over_ms <= until_ms and known_until(server, over_ms):
                return self.state.openings.end(vm, frame, f"it has been READY for {minutes(self.config.ready_s)}")
            if until_ms > due_ms and over_ms <= until_ms:
                looks.append(over_ms)
        quiet_ms = picture.limit_passed_ms(FEEDS, last[0].at_ms, window_ms, excluded, known_ms=due_ms)
        if quiet_ms <= due_ms and known_until(server, quiet_ms):
            return self.state.openings.end(vm, frame, f"it has not started again for {minutes(self.config.window_s)}")
        looks = [look for look in (*looks, quiet_ms) if due_ms < look < FAR_MS // 2]
        self.state.deadlines.set(f"end{_CUT}{vm}", min(looks, default=again_ms(opened_ms, due_ms)))
        return []

    # -- saying --------------------------------------------------------------------------------------------------

    def _said(self, view: VmView, row: list[Beginning], due_ms: int, picture: Picture) -> dict[str, Any]:
        """Return title, explanation, numbers and facts of a row of starts, the last of which is judged."""
        row = row[self._row_began(view, row, due_ms, picture) :]
        since_ms, began = self._began(view, row[0], picture)
        what = began["began"]
        words = [w for w in view.words if row[0].at_ms <= w.at_ms <= row[-1].at_ms and w.signature]
        errors = listed(word.signature for word in words)
        cause = f"with {what}" if what else "with nothing that was announced"
        span_ms = row[-1].at_ms - row[0].at_ms
        since = "" if since_ms >= row[0].at_ms else f" since {utc(since_ms)}, the last"
        text = f"It started {len(row)} times between {utc(row[0].at_ms)} and {utc(row[-1].at_ms)}, and was never READY "
        text += f"for {minutes(self.config.ready_s)} between. The row began at {utc(since_ms)} {cause}"
        if what:
            text += (
                ": most often a start-up task fails when it runs a second time, or misses what it had put on the disk "
                "that the update has reimaged (seed 002). Its owner should look at WaHostBootstrapper.log and the "
                "event log first"
            )
        text += f". Its starts reported {errors}." if errors else ". Its starts reported no error."
        cover = cover_of(picture, view, row[0].server, row[0].at_ms, SLACK_MS)
        return {
            "title": f"VM {view.vm} on {row[-1].server} recycles{since or ':'} {len(row)} starts within "
            f"{_span(span_ms)}, beginning {cause}",
            "explanation": text,
            "evidence": tuple(known.evidence for known in row[-8:]) + ((cover.evidence,) if cover is not None else ()),
            "numbers": {
                "starts": len(row),
                "span_s": span_ms / 1000,
                "since_ms": since_ms,
                "ready_limit_s": self.config.ready_s,
            },
            "facts": {**began, "signatures": errors},
        }

    def _began(self, view: VmView, first: Beginning, picture: Picture) -> tuple[int, dict[str, str]]:
        """Return when and how a row began; as its open finding says, once the picture keeps its first no more."""
        known = self.state.openings.open.get(view.vm)
        if known is not None and (since_ms := int(known.finding.numbers["since_ms"])) < first.at_ms:
            return since_ms, {name: known.finding.facts[name] for name in ("began_with", "began", "rollout")}
        cover = cover_of(picture, view, first.server, first.at_ms, SLACK_MS)
        return first.at_ms, {
            "began_with": cover.kind if cover is not None else "nothing announced",
            "began": cover.what if cover is not None else "",
            "rollout": cover.rollout if cover is not None else "",
        }

    def _row_began(self, view: VmView, row: list[Beginning], due_ms: int, picture: Picture) -> int:
        """Return the place of the first start of the row: since then none was a window apart, or READY between."""
        place = len(row) - 1
        while place > 0:
            one, after = row[place - 1], row[place]
            apart = after.at_ms - one.at_ms > self.config.window_s * 1000
            if apart or self._ready_ms(view, one, after, due_ms, picture) >= self.config.ready_s * 1000:
                break
            place -= 1
        return place


def _may(view: VmView, config: Config) -> bool:
    """Tell whether a row is possible at all: so that a cluster that starts anew at once costs a look a VM."""
    if any(word.kind == GuestKind.RECYCLED for word in view.words):
        return True
    starts, back = view.starts, config.starts - 1
    return any(
        after.at_ms - one.at_ms <= config.window_s * 1000 for one, after in zip(starts, starts[back:], strict=False)
    )


def _name(known: Beginning) -> str:
    return "" if known.recycled else str(known.incarnation)


def _span(length_ms: int) -> str:
    return f"{length_ms / 60_000:.0f} min" if length_ms >= 120_000 else f"{length_ms / 1000:.0f} s"
