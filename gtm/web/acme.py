"""Wishes for ACME challenges in (RFC 8555 section 8.4); what became of them, and which are held, out."""

from __future__ import annotations

from aiohttp import web

from gtm.web import auth, node, orders, reply, shapes
from gtm.web.openapi import Route

MAX_NAME, MAX_VALUE = 255, 255
MAX_FOR_S = 86400.0


async def show(request: web.Request) -> web.Response:
    """The challenges that are held."""
    return reply.ok({"challenges": list(node.context(request).node.challenges())})


async def put(request: web.Request) -> web.Response:
    """Hold a challenge."""
    body = await orders.read_body(request, {"name", "value", "for_s"})
    name = orders.text_of(body, "name", MAX_NAME, required=True)
    value = orders.text_of(body, "value", MAX_VALUE, required=True)
    for_s = orders.seconds_of(body, "for_s", MAX_FOR_S)
    made = await node.context(request).node.put_challenge(name, value, for_s, request[auth.CALLER].name)
    return reply.ok({"challenge": made}, 201)


async def drop(request: web.Request) -> web.Response:
    """Let go of one challenge at a name, or of all."""
    name, value = request.match_info["name"], request.query.get("value", "")
    if not name.isprintable() or len(name) > MAX_NAME or not value.isprintable() or len(value) > MAX_VALUE:
        raise node.Refused("bad-value", "this is no name or no challenge", "see GET /api/v1/acme")
    gone = await node.context(request).node.drop_challenge(name, value, request[auth.CALLER].name)
    if not gone:
        raise node.Refused("no-match", "there is no such challenge", "see GET /api/v1/acme")
    return reply.ok({"cleared": gone})


CHALLENGES = shapes.record(challenges=shapes.some(shapes.named("Challenge")))
ROUTES = (
    Route("GET", "/api/v1/acme", "read", show, "The ACME challenges that are held.", answers=shapes.done(CHALLENGES)),
    Route(
        "POST",
        "/api/v1/acme",
        "acme",
        put,
        "Answer a TXT record at `_acme-challenge.NAME` for a while.",
        body={
            "name": shapes.saying(shapes.TEXT, "the domain; `_acme-challenge` is put before it if it is not"),
            "value": shapes.saying(shapes.TEXT, "what the authority wants to see there"),
            "for_s": shapes.saying(shapes.NUMBER, "for how many seconds, at most a day; absent: an hour"),
        },
        required=("name", "value"),
        answers=shapes.done(shapes.record(challenge=shapes.named("Challenge")), status=201),
    ),
    Route(
        "DELETE",
        "/api/v1/acme/{name}",
        "acme",
        drop,
        "Answer it no more.",
        {"value": "only this one of several at the name"},
        answers=shapes.done(shapes.record(cleared=shapes.saying(shapes.WHOLE, "how many"))),
    ),
)
