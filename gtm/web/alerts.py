"""A question about alerts in, or a wish: a test, a silence; who would be told what, and what came back, out."""

from __future__ import annotations

from aiohttp import web

from gtm.web import auth, node, orders, reply, shapes
from gtm.web.openapi import Route

MAX_SILENCE_S = 31 * 86400.0  # what should be silent for longer should not be configured
MOST = 255


async def show(request: web.Request) -> web.Response:
    """Receivers, open alerts, the outbox, silences."""
    return reply.ok(node.context(request).node.alerts())


async def silences(request: web.Request) -> web.Response:
    """The silences in force."""
    return reply.ok({"silences": node.context(request).node.alerts()["silences"]})


async def test(request: web.Request) -> web.Response:
    """Send a test; 502 when a receiver did not take it."""
    body = await orders.read_body(request, {"to"})
    results = list(await node.context(request).node.test_alerts(orders.text_of(body, "to", MOST)))
    failed = [one["receiver"] for one in results if not one["ok"]]
    if failed:
        return reply.error(502, "not-sent", f"not taken by {', '.join(failed)}", "see `results`", results=results)
    return reply.ok({"results": results})


async def silence(request: web.Request) -> web.Response:
    """Tell nobody of a target for a while."""
    body = await orders.read_body(request, {"target", "for_s", "why"})
    target = orders.text_of(body, "target", MOST, required=True)
    for_s = orders.seconds_of(body, "for_s", MAX_SILENCE_S)
    if not for_s:
        raise node.Refused("bad-value", "a silence ends: say after how long", '{"for_s": 3600}')
    why = orders.text_of(body, "why", orders.MAX_WHY)
    made = await node.context(request).node.silence(target, for_s, why, request[auth.CALLER].name)
    return reply.ok({"silence": made}, 201)


async def unsilence(request: web.Request) -> web.Response:
    """End a silence."""
    which = request.match_info["id"]
    if not await node.context(request).node.unsilence(which, request[auth.CALLER].name):
        raise node.Refused("no-match", "there is no such silence", "see GET /api/v1/alerts/silences")
    return reply.ok({"ended": which})


SILENCES = shapes.record(silences=shapes.some(shapes.named("Silence")))
ROUTES = (
    Route(
        "GET",
        "/api/v1/alerts",
        "read",
        show,
        "Receivers of alerts, open alerts, the outbox, silences.",
        answers=shapes.done("Alerts"),
    ),
    Route(
        "POST",
        "/api/v1/alerts/test",
        "operate",
        test,
        "Send a test alert, and say what came back; 502 when a receiver did not take it.",
        body={"to": shapes.saying(shapes.TEXT, "a receiver's name or kind; absent: all")},
        answers={**shapes.done("Tested"), 502: ("A receiver did not take it.", shapes.refused_with("Tested"))},
    ),
    Route("GET", "/api/v1/alerts/silences", "read", silences, "The silences in force.", answers=shapes.done(SILENCES)),
    Route(
        "POST",
        "/api/v1/alerts/silences",
        "operate",
        silence,
        "Tell nobody of what a target names for a while.",
        body={
            "target": shapes.saying(shapes.TEXT, "a subject, a glob, site:NAME, pool:NAME, name:NAME, guard:*"),
            "for_s": shapes.saying(shapes.NUMBER, "for how many seconds, at most 31 days"),
            "why": shapes.TEXT,
        },
        required=("target", "for_s"),
        answers=shapes.done(shapes.record(silence=shapes.named("Silence")), status=201),
    ),
    Route(
        "DELETE",
        "/api/v1/alerts/silences/{id}",
        "operate",
        unsilence,
        "End a silence.",
        answers=shapes.done(shapes.record(ended=shapes.saying(shapes.TEXT, "its id"))),
    ),
)
