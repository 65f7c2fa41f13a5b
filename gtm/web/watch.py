"""What the status page asks for: the summary, lists in pages, the stream of changes; each as much as one may see."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gtm import places
from gtm.web import auth, board, chart, hub, live, node, read, reply, rows

DEFAULT_LIMIT, MAX_LIMIT = 50, 500
MAX_SEARCH = 255
ASKERS_S = 300.0  # long enough for a quiet name to be seen, short enough to follow the sun
LIST_QUERY = {
    "search": "only rows that hold this text",
    "state": "only these states: a word, `trouble`, or several with commas",
    "pool": "only what belongs to this pool",
    "site": "only endpoints of this site",
    "offset": "leave out so many of the first",
    "limit": f"at most so many ({DEFAULT_LIMIT}; {MAX_LIMIT} at most). Without any of these: all, in no special order",
}


def may_read(request: web.Request) -> bool:
    """Say whether the caller may see everything, not only what everybody may."""
    return "read" in request[auth.CALLER].may


async def summary(request: web.Request) -> web.Response:
    """Return how things stand, bounded however big the world is, and what the caller may do."""
    look = await request.app[board.BOARD].look()
    who = request[auth.CALLER]
    shown = look.summary if may_read(request) else board.reduced(look.summary)
    return reply.ok({"at": look.at, "summary": shown, "may": sorted(who.may - {"open"}), "you": who.name})


async def part(request: web.Request) -> web.Response:
    """Return one part of the status, the last word of the path says which: whole, or a page of it, the worst first."""
    word = request.path.rsplit("/", 1)[1]
    if not set(request.query) & set(LIST_QUERY):
        found = (await node.context(request).node.status())[word]
        if not may_read(request):
            found = [board.reduced_name(one) for one in found]
        return reply.tagged(request, {word: found})
    return reply.tagged(request, await page_of(request, word))


async def page_of(request: web.Request, word: str) -> dict[str, Any]:
    """Return the rows that were asked for, with `total`, `matched` and `offset`."""
    asked, shared = request.query, request.app[board.BOARD]
    search = asked.get("search", "")
    if len(search) > MAX_SEARCH:
        raise node.Refused("bad-value", f"search is a text of at most {MAX_SEARCH} characters")
    offset, limit = read.whole(asked.get("offset", "0")), read.whole(asked.get("limit", str(DEFAULT_LIMIT)))
    all_rows = (await shared.look()).shown[word]
    if not may_read(request):
        all_rows = {key: board.reduced_name(row) for key, row in all_rows.items()}
    where = {"site": asked.get("site", ""), "pool" if word == "pools" else "pools": asked.get("pool", "")}
    found = rows.listed(word, all_rows, search=search, states=asked.get("state", "").split(","), where=where)
    shown = found[offset : offset + min(limit, MAX_LIMIT)]
    if may_read(request):
        shown = [shared.dated(word, row) for row in shown]
    return {word: shown, "total": len(all_rows), "matched": len(found), "offset": offset}


async def askers(request: web.Request) -> web.Response:
    """Return where the answers of the last minutes went: share, and place on the page's map, the most first."""
    here = node.context(request)
    found = (await here.node.series("answers", "place", here.now() - ASKERS_S, ""))["series"]
    means = {one["name"]: _mean(one["values"]) for one in found}
    total = sum(means.values()) or 1.0
    shown = []
    for place, per_s in sorted(means.items(), key=lambda item: -item[1]):
        if per_s > 0:
            x, y = chart.of_place(place) or (None, None)
            more = {"per_s": round(per_s, 3), "share": round(per_s / total, 4), "x": x, "y": y}
            shown.append({"place": place, "continent": places.CONTINENTS.get(place[:2], place)} | more)
    return reply.ok({"places": shown})


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


async def stream(request: web.Request) -> web.StreamResponse:
    """Send `hello` and then each change (server-sent events); what was missed when `Last-Event-ID` is still known."""
    with live.place(request):
        return await _follow(request)


async def _follow(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    messages = request.app[hub.HUB].follow(request.headers.get("Last-Event-ID", ""), public=not may_read(request))
    try:
        await response.prepare(request)
        async for message in messages:
            async with asyncio.timeout(live.WRITE_S):
                await response.write(message)
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()  # what is queued for a client that does not read is thrown away
    finally:
        await messages.aclose()
    return response
