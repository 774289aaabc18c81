"""Runs the roles side by side, each a process of its own: a join or a fall of one disturbs no other.

A worker that ends itself (70: it lost sight of its records, or was killed) is started again and goes on at what was
committed. One that says its configuration or command line is wrong would say so again: then all end.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

AGAIN_S = 2.0
"""Seconds before a worker that fell is started again; twice as many each time that it falls soon after."""
AGAIN_MOST_S = 16.0
"""They are no more than this: whatever was away, a worker is back so soon after it."""
LIVED_S = 60.0
"""One that lived so long did its work: its fall is a first one."""
LET_GO_S = 30.0
"""Seconds that a worker may take to end by itself before it is killed."""
LOOK_S = 0.2
GIVEN_UP = (2, 4)
"""Exit codes of ours that another start would not change. 3, no broker, is not one: the command itself has asked before
it started anybody, so that the broker has been there, and comes back."""

log = structlog.get_logger(__name__)


def waited_s(again_s: float, falls: int) -> float:
    """Return the seconds to wait after a worker's so many falls in a row, at least one."""
    return min(AGAIN_MOST_S, again_s * 2.0 ** min(falls - 1, 10))


@dataclass(slots=True)
class Supervisor:
    """The processes of `commands` (name to command line), from `run` until a signal ends them."""

    commands: Mapping[str, Sequence[str]]
    again_s: float = AGAIN_S
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    due_s: dict[str, float] = field(default_factory=dict)
    started_s: dict[str, float] = field(default_factory=dict)
    falls: dict[str, int] = field(default_factory=dict)
    """How often each fell soon after its start, in a row."""
    ending: bool = False

    def run(self) -> int:
        """Start all, keep them running, end all on SIGTERM or SIGINT; return the exit code."""
        kept = {
            number: signal.signal(number, self._signalled) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        code = 0
        try:
            for name in self.commands:
                self._start(name)
            while not self.ending and code == 0:
                code = self._look()
                time.sleep(LOOK_S)
        finally:
            self._end()
            for number, handler in kept.items():
                signal.signal(number, handler)
        return code

    def _start(self, name: str) -> None:
        # A session of its own: Ctrl-C reaches us alone, and we end the workers in order.
        self.running[name] = subprocess.Popen(self.commands[name], stdin=subprocess.DEVNULL, start_new_session=True)
        self.started_s[name] = time.monotonic()
        log.info("worker started", role=name, pid=self.running[name].pid)

    def _look(self) -> int:
        """Start again what fell and is due; return the code of one that must not be, else 0."""
        for name, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[name]
            if code in GIVEN_UP:
                log.error("worker gave up", role=name, exit_status=code)
                return code
            now_s = time.monotonic()
            soon = now_s - self.started_s[name] < LIVED_S
            self.falls[name] = self.falls.get(name, 0) + 1 if soon else 1
            after_s = waited_s(self.again_s, self.falls[name])
            log.warning("worker ended; it is started again", role=name, exit_status=code, after_s=after_s)
            self.due_s[name] = now_s + after_s
        for name, due_s in list(self.due_s.items()):
            if time.monotonic() >= due_s:
                del self.due_s[name]
                self._start(name)
        return 0

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            for process in self.running.values():
                process.send_signal(signal.SIGHUP)
        else:
            self.ending = True

    def _end(self) -> None:
        """End all at once, gently; kill by its own pid what has not gone in time."""
        for process in self.running.values():
            process.terminate()
        until_s = time.monotonic() + LET_GO_S
        for process in self.running.values():
            try:
                process.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()
