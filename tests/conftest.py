"""What all tests share: brokers, topic prefixes, and coroutines as tests."""

import asyncio
import inspect
import itertools
import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from streams.kafka import real
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.real import RealBroker

COROUTINE_LIMIT_S = 300.0

pytest.register_assert_rewrite("tests.golden")  # so that a text that differs is shown as a diff

_prefixes = itertools.count()


# A shared machine is slow at times, and no property is false for that. In CI the same examples each time: a change is
# judged by what it changed; new examples are for those who look for them.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("any"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "any")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass exactly the warnings of others that we cannot mend, each with its reason."""
    for line in (
        # kafka-python reads its protocol's tables by a function that Python 3.11 deprecates.
        "ignore:read_text is deprecated:DeprecationWarning:kafka.protocol.schemas.load_json",
        "ignore:open_text is deprecated:DeprecationWarning:importlib.resources._legacy",
    ):
        config.addinivalue_line("filterwarnings", line)


WEIGHT = pytest.StashKey[int]()
BROKERS = ("embedded", "real_input", "kafka")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what fails fast: tests without a broker, then the embedded one, the real one, and scenarios.

    Where processes share the tests (`-n`), all that want a broker stay with one of them, for two that wait for workers
    of their own would measure the machine; each scenario is by itself, and else a file stays together, with its caches.
    """
    last = (*BROKERS, "scenarios")
    for item in items:
        marks = {mark.name for mark in item.iter_markers()} | set(item.path.parts)
        item.stash[WEIGHT] = max((place for place, name in enumerate(last, 1) if name in marks), default=0)
        group = "brokers" if not marks.isdisjoint(BROKERS) else str(item.path)
        if "scenarios" not in marks:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.stash[WEIGHT])


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine, in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(_within_limit(pyfuncitem.obj(**arguments)))
    return True


async def _within_limit(test: Any) -> None:
    async with asyncio.timeout(COROUTINE_LIMIT_S):
        await test


def skip_loudly(reason: str) -> None:
    """Skip for want of a program, with a warning in pytest's summary; with `CI=true`, where none may want, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, and {reason}", pytrace=False)
    # Not raised as an error by our own filter, and shown at the end whatever pytest's verbosity.
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"SKIPPED: {reason}", stacklevel=2)
    pytest.skip(reason)


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """Give an embedded broker for this test alone."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def real_broker() -> Iterator[RealBroker]:
    """Give a real Kafka of one node for the whole session: leave it running, keep to topics of your own prefix."""
    if reason := real.missing():
        skip_loudly(reason)
    with RealBroker() as broker:
        yield broker


@pytest.fixture
def topic_prefix() -> str:
    """Begin the names of topics, groups and transactional ids of this test alone."""
    return f"t{os.getpid()}-{next(_prefixes)}."
