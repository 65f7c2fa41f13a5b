"""A question about the node in, JSON or text out: everything that only looks."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import re
from dataclasses import asdict
from typing import Any

from aiohttp import web

from gtm import __version__, errors, events, names, units
from gtm.web import metrics, node, reply

MAX_EVENTS = 1000
MAX_ASSUMPTIONS = 64
MAX_GLOB = 255
QTYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}")
ASSUMPTION = re.compile(r"[^=\s]{1,255}=(up|down)")
EXPOSITION: web.AppKey[metrics.Exposition] = web.AppKey("exposition", metrics.Exposition)


async def healthz(request: web.Request) -> web.Response:
    """The process lives, or this would not be answered."""
    return reply.ok({"ok": True, "version": __version__})


async def readyz(request: web.Request) -> web.Response:
    """Whether DNS is answered from a judged table."""
    ready, why = node.context(request).node.ready()
    if ready:
        return reply.ok({"ready": True})
    return reply.error(503, "not-ready", why or "not ready", "it becomes ready after the first round of checks")


async def scrape(request: web.Request) -> web.Response:
    """All counts and gauges in the text format of Prometheus."""
    pieces = []
    for piece in request.app[EXPOSITION].pieces():
        pieces.append(piece)
        await asyncio.sleep(0)
    return web.Response(body=b"".join(pieces), headers={"Content-Type": metrics.CONTENT_TYPE})


async def status(request: web.Request) -> web.Response:
    """Names, pools, endpoints and processes as they are now."""
    return await reply.tagged_in_slices(request, await node.context(request).node.status())


async def explain(request: web.Request) -> web.Response:
    """Why a name gets the answer that it gets."""
    asked = request.query
    name, qtype, client = asked.get("name", ""), asked.get("type", "A"), asked.get("client", "")
    if not name:
        raise node.Refused("bad-value", "say which name", "?name=live.example.com")
    names.wire(name)
    if not QTYPE.fullmatch(qtype):
        raise node.Refused("bad-value", f"{qtype[:40]!r} is not a record type", "A, AAAA, CNAME, TXT, TYPE65, ...")
    if client:
        _check_client(client)
    assume = asked.getall("assume", [])
    if len(assume) > MAX_ASSUMPTIONS or not all(ASSUMPTION.fullmatch(one) for one in assume):
        raise node.Refused("bad-value", "an assumption is GLOB=down or GLOB=up", f"at most {MAX_ASSUMPTIONS} of them")
    await node.context(request).node.decided()
    return reply.ok(node.context(request).node.explain(name, qtype.upper(), client, assume))


def _check_client(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise node.Refused(
            "bad-value", f"{text[:80]!r} is not an address or a prefix", "192.0.2.1, 192.0.2.0/24"
        ) from None


async def list_events(request: web.Request) -> web.Response:
    """What happened, oldest first."""
    here, asked = node.context(request), request.query
    since = moment(asked.get("since", "0"), here.now())
    after, limit = whole(asked.get("after", "0")), min(whole(asked.get("limit", str(MAX_EVENTS))), MAX_EVENTS)
    found = await here.node.events(since, after, limit)
    return reply.ok({"events": [event_dict(one) for one in found]})


async def series(request: web.Request) -> web.Response:
    """What was measured over time, for plots."""
    here, asked = node.context(request), request.query
    since = moment(asked.get("since", "1h"), here.now())
    found = await here.node.series(
        asked.get("kind", "answers"), asked.get("by", "total"), since, asked.get("name", "")[:MAX_GLOB]
    )
    return reply.tagged(request, found)


async def analytics(request: web.Request) -> web.Response:
    """Who asked what from where, and whether answers went as intended."""
    here = node.context(request)
    return reply.ok(await here.node.analytics(moment(request.query.get("since", "1h"), here.now())))


async def doctor(request: web.Request) -> web.Response:
    """What is served, and how this machine is: what `gtm doctor` begins with."""
    zone = request.query.get("zone", "")
    names.wire(zone)
    return reply.ok(await node.context(request).node.doctor(zone))


async def list_orders(request: web.Request) -> web.Response:
    """The orders in force, oldest first: all, or `limit` of them after the first `offset`."""
    found = await node.context(request).node.orders()
    offset = whole(request.query.get("offset", "0"))
    shown = found[offset : offset + whole(request.query.get("limit", str(len(found))))]
    return reply.ok({"orders": [order_dict(one) for one in shown], "total": len(found)})


def event_dict(event: events.Event) -> dict[str, Any]:
    """Return the shape `event` of the contract."""
    return asdict(event)


def order_dict(view: node.OrderView) -> dict[str, Any]:
    """Return an order with what it covers; `until` and `safe_at` are null when there is none."""
    return asdict(view.order) | {
        "until": view.order.until or None,
        "safe_at": view.safe_at or None,
        "safe": view.safe,
        "endpoints": list(view.endpoints),
        "overruled_by": list(view.overruled_by),
        "unconfirmed": list(view.unconfirmed),
    }


def moment(text: str, now: float) -> float:
    """Return a moment in wall-clock seconds: a number is one, `1h` is that long ago, else ISO 8601."""
    try:
        if text.replace(".", "", 1).isdigit():
            return float(text)
        if text[:4].isdigit() and "-" in text:
            found = datetime.datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()
        return now - units.seconds(text)
    except (ValueError, OverflowError, errors.UnitError):
        raise node.Refused(
            "bad-value", f"{text[:40]!r} is not a moment", "1h, 1700000000, 2026-01-31T12:00:00Z"
        ) from None


def whole(text: str) -> int:
    """Return a whole number from 0 to 2^53. Raises `Refused`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) < 2**53):
        raise node.Refused("bad-value", f"{text[:40]!r} is not a whole number")
    return int(text)
