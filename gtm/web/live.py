"""Events in, server-sent events out (HTML Living Standard section 9.2), bounded in number, length and time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator

from aiohttp import web

from gtm import events
from gtm.web import auth, node, read, reply

MAX_QUEUED = 256  # a client further behind is let go; it comes back with Last-Event-ID and catches up
PING_S = 15.0  # below what proxies take for a dead connection
WRITE_S = 10.0
RETRY_MS = 2000


@contextlib.contextmanager
def place(request: web.Request) -> Iterator[None]:
    """Hold one of the places for event streams (semantics G6). Raises `Denied` when all are taken.

    Where names are public, strangers have half of them: they cannot shut out those who work here.
    """
    here, known = node.context(request), "read" in request[auth.CALLER].may
    whole = here.node.event_streams()
    most = whole if known else -(-whole // 2)
    if sum(known or not theirs for theirs in here.streams.values()) >= most:
        hint = "close one, or allow more: web: {event_streams: ...}"
        raise reply.Denied(503, "too-many-streams", f"{most} event streams are open already", hint)
    here.streams[request.task] = known
    try:
        yield
    finally:
        del here.streams[request.task]


async def stream(request: web.Request) -> web.StreamResponse:
    """Send every event from now on, and before it what came after `Last-Event-ID` (or `?after=`)."""
    after = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    last_id = read.whole(after) if after else 0
    with place(request):
        return await _send(request, after, last_id)


async def _send(request: web.Request, after: str, last_id: int) -> web.StreamResponse:
    here, queue = node.context(request), _Queue()
    stop = here.node.subscribe(queue.put)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    try:
        missed = await here.node.events(0.0, last_id, read.MAX_EVENTS) if after else ()
        await response.prepare(request)
        await _write(response, f"retry: {RETRY_MS}\n\n")
        for event in missed:
            await _write(response, _text(event))
            last_id = event.id
        while True:
            following = await queue.get(PING_S)
            if queue.overflowed:
                raise ConnectionError("this client fell too far behind")
            if following is None:
                await _write(response, ": still here\n\n")
            elif following.id > last_id:
                await _write(response, _text(following))
                last_id = following.id
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()  # what is queued for a client that does not read is thrown away
    finally:
        stop()
    return response


async def hang_up(app: web.Application) -> None:
    """End all streams, so that a node that stops need not wait for them."""
    for task in tuple(app[node.CONTEXT].streams):
        task.cancel()


class _Queue:
    """What waits for one client."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[events.Event] = asyncio.Queue(MAX_QUEUED)
        self.overflowed = False

    def put(self, event: events.Event) -> None:
        """Queue an event, or note that there was no room for it."""
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.overflowed = True

    async def get(self, wait_s: float) -> events.Event | None:
        """Return the next event, or None when none came within `wait_s`."""
        try:
            async with asyncio.timeout(wait_s):
                return await self._waiting.get()
        except TimeoutError:
            return None


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(text.encode())


def _text(event: events.Event) -> str:
    """Return one event as lines; JSON has no line breaks of its own."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(read.event_dict(event))}\n\n"
