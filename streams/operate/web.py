"""The pages of a worker: /metrics, /-/healthy, /-/ready and POST /-/reload, on loopback unless told otherwise.

Not Faust's web server: its `/` always says OK and its router shows the topology to anybody. This is a plain aiohttp
server that the worker starts beside its work, and that answers while a rebalance goes on.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from streams.operate.health import Health

Reload = Callable[[], Awaitable[tuple[bool, str]]]
"""Reads the file again: whether it was good, and what to tell."""

log = structlog.get_logger(__name__)


def make_app(
    health: Health, *, reload: Reload | None = None, registry: CollectorRegistry = REGISTRY
) -> web.Application:
    """Return the pages of one worker; without `reload` its page says how to ask for one instead."""

    async def healthy(_request: web.Request) -> web.Response:
        good, body = health.healthy()
        return web.json_response(body, status=200 if good else 503)

    async def ready(_request: web.Request) -> web.Response:
        good, body = health.ready()
        return web.json_response(body, status=200 if good else 503)

    async def again(request: web.Request) -> web.Response:
        if request.headers.get("Origin"):  # a page in somebody's browser must not reach through to loopback
            return web.json_response({"status": "refused", "reason": "not for browsers"}, status=403)
        if reload is None:
            reason = "this worker reads no thresholds from a file: use `leapwatch config apply`"
            return web.json_response({"status": "refused", "reason": reason}, status=404)
        good, told = await reload()
        return web.json_response({"status": "ok" if good else "refused", "reason": told}, status=200 if good else 400)

    app = web.Application(client_max_size=1024)
    app.router.add_get("/metrics", make_aiohttp_handler(registry))
    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
    app.router.add_post("/-/reload", again)
    return app


class WebServer:
    """Serves an app on `bind`:`port` from `start` to `stop`; port 0 takes any free one, `port` then tells which."""

    def __init__(self, app: web.Application, *, bind: str = "127.0.0.1", port: int = 0) -> None:
        self.bind = bind
        self.port = port
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Listen; where another holds the port, on any free one, and say so: what is watched is more than its pages.

        An address that cannot be had at all raises OSError, which names it.
        """
        await self._runner.setup()
        try:
            try:
                await web.TCPSite(self._runner, self.bind, self.port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not self.port:
                    raise
                await web.TCPSite(self._runner, self.bind, 0).start()
        except OSError:
            await self._runner.cleanup()
            raise
        wanted, self.port = self.port, int(self._runner.addresses[0][1])
        if wanted not in {0, self.port}:
            log.warning(
                "port taken, pages are elsewhere; give each worker of a machine its own: [web], LEAPWATCH_WEB_*",
                wanted=wanted,
                port=self.port,
            )

    async def stop(self) -> None:
        """Close what is open, after a second at most."""
        await self._runner.cleanup()
