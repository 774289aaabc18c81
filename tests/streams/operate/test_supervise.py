"""The supervisor: falls are mended, mistakes end all, and nobody is left behind."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.operate.supervise import AGAIN_MOST_S, Supervisor, waited_s

WAITS = (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(0)); "
    "open({0!r}, 'a').write('x'); time.sleep(60)"
)
FALLS = "open({0!r}, 'a').write('x'); raise SystemExit({1})"


def python(text: str, path: Path, code: int = 70) -> list[str]:
    return [sys.executable, "-c", text.format(str(path), code)]


def when(true: Callable[[], bool], then: Callable[[], None]) -> threading.Thread:
    """Call `then` as soon as `true` says so, from another thread: the supervisor has the main one."""

    def watch() -> None:
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s and not true():
            threading.Event().wait(0.05)
        then()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def end_us() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("code", [1, 3, 70], ids=["crashed", "broker away", "lost sight"])
def test_a_worker_that_falls_is_started_again_and_a_signal_ends_all(code: int, tmp_path: Path) -> None:
    """3 too: whoever starts us has found a broker, and one that went away comes back."""
    fallen, waiting = tmp_path / "fallen", tmp_path / "waiting"
    supervisor = Supervisor({"a": python(FALLS, fallen, code), "b": python(WAITS, waiting)}, again_s=0.0)
    watch = when(lambda: size(fallen) >= 3 and size(waiting) == 1, end_us)

    assert 0 == supervisor.run()
    watch.join()
    assert 1 == size(waiting)
    assert {} == supervisor.running


def test_who_falls_again_and_again_is_given_more_time_up_to_a_limit() -> None:
    """A broker that is away would else be asked every few seconds, by a process that takes seconds to start."""
    assert [2, 4, 8, 16, AGAIN_MOST_S, AGAIN_MOST_S] == [waited_s(2.0, falls) for falls in (1, 2, 3, 4, 5, 2_000)]


def test_a_worker_that_says_it_is_configured_wrongly_ends_all(tmp_path: Path) -> None:
    waiting = tmp_path / "waiting"
    supervisor = Supervisor({"a": [sys.executable, "-c", "raise SystemExit(2)"], "b": python(WAITS, waiting)})

    assert 2 == supervisor.run()
    assert {} == supervisor.running


def test_signals_are_ours_only_while_it_runs() -> None:
    before = signal.getsignal(signal.SIGTERM)
    Supervisor({"a": [sys.executable, "-c", "raise SystemExit(2)"]}).run()

    assert before == signal.getsignal(signal.SIGTERM)
