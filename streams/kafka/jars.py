"""Gives the jars of a Kafka broker, brought once by Maven into a folder that is kept, and says what that lacks."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.2.0"
ROOT: Final = Path(__file__).resolve().parents[2]
POM: Final = ROOT / "deploy" / "kafka" / "pom.xml"
CACHE_VARIABLE: Final = "LEAPWATCH_KAFKA_DIR"

_DOWNLOAD_LIMIT_S: Final = 600.0


class BrokerError(Exception):
    """The real broker cannot be brought, started or stopped; the message says what to do."""


def cache_dir() -> Path:
    """Return where jars and a developer's broker live.

    `LEAPWATCH_KAFKA_DIR`, else `.kafka` in the checkout, else (installed without one) the user's cache folder.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).absolute()
    if (ROOT / "pyproject.toml").exists():
        return ROOT / ".kafka"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leapwatch" / "kafka"


def missing(cache: Path | None = None) -> str | None:
    """Return what a real broker lacks on this machine and how to get it, or None where it can start."""
    if shutil.which("java") is None:
        return "java is not on the PATH; a Kafka broker needs Java 17 or later (Debian: openjdk-17-jre-headless)"
    if not _jars(cache or cache_dir()).is_dir() and shutil.which("mvn") is None:
        return "mvn is not on the PATH, and Kafka's jars have not been brought yet; install Maven (Debian: maven)"
    return None


def classpath(cache: Path | None = None) -> str:
    """Return the class path of a broker, after bringing the jars where they are not there yet (45 MB)."""
    folder = cache or cache_dir()
    if reason := missing(folder):
        raise BrokerError(reason)
    jars = _jars(folder)
    if not jars.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "jars.lock").open("w") as lock:
            # Two test runs may come here at once; the second finds the first one's jars.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.is_dir():
                _bring(folder, jars)
    return f"{jars}/*"


def _jars(cache: Path) -> Path:
    return cache / f"jars-{KAFKA_VERSION}"


def _bring(folder: Path, jars: Path) -> None:
    partial = folder / f"jars-{KAFKA_VERSION}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        msg = (
            f"maven did not bring Kafka {KAFKA_VERSION} within {_DOWNLOAD_LIMIT_S:.0f} s; command: {' '.join(command)}"
        )
        raise BrokerError(msg) from None
    if done.returncode or not partial.is_dir():
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        said = f"exit {done.returncode}; command: {' '.join(command)}\n{tail}"
        msg = f"maven could not bring Kafka {KAFKA_VERSION}: {said}"
        raise BrokerError(msg)
    partial.rename(jars)
