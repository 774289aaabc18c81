"""The pages, over a real socket on loopback."""

import asyncio

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from streams.operate.health import Health
from streams.operate.web import Reload, WebServer, make_app


def asked(
    page: str, method: str = "GET", *, health: Health | None = None, reload: Reload | None = None, **headers: str
) -> tuple[int, str]:
    """Return status and text of one request to a server of its own."""
    registry = CollectorRegistry()
    Gauge("leapwatch_test_seconds", "A number.", registry=registry).set(3)

    async def run() -> tuple[int, str]:
        server = WebServer(make_app(health or Health("intake"), reload=reload, registry=registry))
        await server.start()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.request(method, f"http://127.0.0.1:{server.port}{page}", headers=headers) as answer,
            ):
                return answer.status, await answer.text()
        finally:
            await server.stop()

    return asyncio.run(run())


def test_metrics_are_served() -> None:
    status, text = asked("/metrics")

    assert 200 == status
    assert "leapwatch_test_seconds 3.0" in text


@pytest.mark.parametrize(("page", "expected"), [("/-/healthy", 200), ("/-/ready", 503)])
def test_a_starting_worker_is_healthy_and_not_ready(page: str, expected: int) -> None:
    status, text = asked(page)

    assert expected == status
    assert '"state": "starting"' in text


def test_a_failed_worker_is_unhealthy_and_says_why() -> None:
    health = Health("intake")
    health.failed("no broker")
    status, text = asked("/-/healthy", health=health)

    assert 503 == status
    assert "no broker" in text


def test_reload_tells_whether_the_file_was_good() -> None:
    async def refused() -> tuple[bool, str]:
        return False, "leapwatch.toml:3: policy: wrong"

    async def taken() -> tuple[bool, str]:
        return True, "written"

    assert 400 == asked("/-/reload", "POST", reload=refused)[0]
    assert 200 == asked("/-/reload", "POST", reload=taken)[0]
    assert 404 == asked("/-/reload", "POST")[0]
    assert 405 == asked("/-/reload", reload=taken)[0]


def test_a_browsers_page_cannot_reload() -> None:
    async def taken() -> tuple[bool, str]:
        return True, "written"

    assert 403 == asked("/-/reload", "POST", reload=taken, Origin="http://example.org")[0]


def test_where_the_port_is_taken_the_pages_are_on_a_free_one() -> None:
    """A second worker on a machine works, and logs where its pages are."""

    async def run() -> tuple[int, int]:
        first = WebServer(make_app(Health("intake")))
        await first.start()
        second = WebServer(make_app(Health("intake")), port=first.port)
        try:
            await second.start()
            return first.port, second.port
        finally:
            await first.stop()
            await second.stop()

    first, second = asyncio.run(run())
    assert 0 not in {first, second}
    assert first != second


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        asyncio.run(WebServer(make_app(Health("intake")), bind="192.0.2.1").start())
