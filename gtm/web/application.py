"""A node in, its web application out: the one table of routes, and the gate that every request passes."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import cast

from aiohttp import http_exceptions, web
from aiohttp.typedefs import Handler

from gtm import errors, model
from gtm.web import (
    audit,
    auth,
    board,
    doh,
    hub,
    limit,
    live,
    metrics,
    node,
    orders,
    page,
    read,
    reply,
    routes,
    shaking,
)

MAX_BODY_BYTES = 64 * 1024  # an order has some hundred bytes, pushed news a few thousand
# Everybody who watches, all that scrape, and DNS over HTTPS behind a proxy; a process has some thousand open files, and
# probes need most of them.
MAX_CONNECTIONS = 512
MAX_PER_CLIENT = 256  # one address cannot take all of them; a proxy in front of many people needs fewer
KEEPALIVE_S = 30.0  # so long a connection may be idle, or take over the head of its first request
SEND_S = 30.0  # a client that takes longer over one answer is not reading it
SHUTDOWN_S = 2.0
LOGGED_PER_S, LOGGED_BURST = 1.0, 5.0  # tracebacks: a request that goes wrong inside can be asked again and again
# So many requests begin in one turn of the loop: a page takes milliseconds, and probes have their turn between them.
A_TURN = 8
HEADERS = {
    "Content-Security-Policy": page.POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


NEEDS: dict[tuple[str, str], auth.Role] = {(route.method, route.canonical): route.needs for route in routes.ROUTES}
# No API of ours: whoever may ask over UDP may ask here.
NEEDS |= {(method, doh.PATH): "open" for method in ("GET", "POST")}


def make(
    of: node.WebNode, *, now: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> web.Application:
    """Return the application that shows and orders `of`. `now` is the wall clock, `monotonic` the other, in seconds."""
    buckets = limit.Buckets()
    audited = audit.Audit(lambda wait_s, flush: asyncio.get_running_loop().call_later(wait_s, flush))
    pushes = limit.Buckets(orders.PUSHES_PER_S, orders.PUSH_BURST, orders.PUSH_CHECKS)
    logged = limit.Buckets(LOGGED_PER_S, LOGGED_BURST, 1)
    turns = asyncio.Semaphore(A_TURN)

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not buckets.take(request.remote or "", monotonic()):
                raise reply.Denied(429, "too-many-requests", "this address asks too often", "slow down")
            needs, who = _needs(request), auth.NOBODY
            try:
                who = auth.NOBODY if needs == "open" else auth.who(request, of)
                auth.check(request, who, needs)
            except reply.Denied as denied:
                if needs in auth.CHANGES:
                    what = f"{request.method} {request.rel_url.raw_path[:80]}"  # as it came: nothing unprintable
                    named = f"{who.name} at {request.remote}" if who.name else request.remote or ""
                    audited.denied(of, named, denied.code, what)
                raise
            request[auth.CALLER] = who
            async with turns:
                await asyncio.sleep(0)
            response = await handler(request)
        except Exception as wrong:  # the last door: nothing gets out but an error in the one shape
            response = reply.failure(request, wrong, lambda: logged.take("", monotonic()))
        await _send(request, response)
        return response

    app = web.Application(middlewares=[gate], client_max_size=MAX_BODY_BYTES)
    app[orders.PUSHES] = lambda check: pushes.take(check, monotonic())
    app[node.CONTEXT] = node.Context(of, now)
    app[board.BOARD] = board.Board(of, now)
    app[hub.HUB] = hub.Hub(of, app[board.BOARD])
    app[read.EXPOSITION] = metrics.Exposition(of.metrics)
    for route in routes.ROUTES:
        if route.method == "GET":
            app.router.add_get(route.path, route.handler, allow_head=route.media != "text/event-stream")
        else:
            app.router.add_route(route.method, route.path, route.handler)
    app.router.add_get(doh.PATH, doh.get)
    app.router.add_post(doh.PATH, doh.post)
    app.on_response_prepare.append(_prepare)
    app.on_shutdown.append(live.hang_up)
    return app


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    """Send all of it, or cut off a client that does not read; that one is gone is no line in the log."""
    try:
        async with asyncio.timeout(SEND_S):
            await response.prepare(request)
            await response.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()


def _needs(request: web.Request) -> auth.Role:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return NEEDS.get((method, resource.canonical if resource is not None else ""), "read")


async def _prepare(request: web.Request, response: web.StreamResponse) -> None:
    _harden(response)


def _harden(response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers["Server"] = "gtm"  # which versions run here is nobody's business
    response.headers.setdefault("Cache-Control", "no-cache")


class _Handler(web.RequestHandler):
    """One connection. What is no request gets one short answer, and no line in the log: anybody could fill it."""

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, places: shaking.Places) -> None:
        super().__init__(server, loop=loop, keepalive_timeout=KEEPALIVE_S)
        self._places = places
        self._client: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or hang up when there are too many, in all or of this address."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        if self._places.take(address):
            self._client = address
        else:
            transport.close()

    def entered(self, transport: asyncio.Transport, address: str) -> None:
        """Take a connection that was counted before its handshake."""
        self._client = address
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let it go."""
        super().connection_lost(exc)
        if self._client is not None:
            self._places.leave(self._client)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read, and hang up: what stands behind it cannot be read either."""
        if not isinstance(exc, http_exceptions.HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        response = reply.error(status, "bad-request", "this is no request that all readers would read alike")
        _harden(response)
        response.force_close()
        return response


class _Full(asyncio.Protocol):
    """Closes a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hang up at once."""
        transport.close()


class Served:
    """A web application that listens."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server, shaking: set[asyncio.Task[None]]) -> None:
        self._runner, self._server, self._shaking = runner, server, shaking
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, end the streams, let running requests finish for a moment."""
        self._server.close()
        for task in self._shaking:
            task.cancel()
        await asyncio.gather(*self._shaking, return_exceptions=True)
        await self._runner.cleanup()


async def start(app: web.Application, listen: model.Listen, tls: ssl.SSLContext | None = None) -> Served:
    """Listen, inside of `tls` if there is one. Port 0 takes a free one. Raises `GtmError` when there is no address."""
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    handlers, loop = cast(web.Server, runner.server), asyncio.get_running_loop()  # there is one after setup
    places = shaking.Places(lambda: (MAX_CONNECTIONS, MAX_PER_CLIENT))
    tasks: set[asyncio.Task[None]] = set()

    def make() -> _Handler:
        return _Handler(handlers, loop, places)

    def accept() -> asyncio.Protocol:
        # What clients that hang up have left to be finished is not open any more, but it is bounded as well.
        if places.full or len(handlers.connections) >= 2 * MAX_CONNECTIONS:
            return _Full()
        return shaking.Shaking(tls, places, make, tasks) if tls is not None else make()

    try:
        # As many may wait to be taken as are served: what the kernel's queue has no room for comes again only after
        # seconds, and then later each time.
        server = await loop.create_server(accept, listen.host, listen.port, backlog=MAX_CONNECTIONS)
    except OSError as wrong:
        await runner.cleanup()
        raise errors.GtmError(f"the web cannot listen on {listen}: {wrong.strerror or wrong}") from wrong
    return Served(runner, server, tasks)
