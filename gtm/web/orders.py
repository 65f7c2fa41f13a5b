"""What operators and machines send in: orders, releases, reloads and pushed results; what became of them out."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from aiohttp import web

from gtm import model, seen, units
from gtm.web import auth, node, read, reply

T = TypeVar("T")

WITHIN_S, MAX_WITHIN_S = 90.0, 3600.0  # a million names take a minute to load
BODY_WAIT_S = 10.0  # a client that takes longer over 64 KiB is not worth the wait
ORDERS = ("drain", "down", "up", "weight")
MAX_TARGET, MAX_WHY, MAX_REASON = 255, 500, 500
MAX_FOR_S = 366 * 86400.0  # an order that should last longer belongs into the configuration
MAX_VALID_S = 86400.0
MAX_MEASURES = 64
# News of one check of one endpoint: a machine that speaks more often has a loop that went wild.
PUSHES_PER_S, PUSH_BURST, PUSH_CHECKS = 5.0, 20.0, 10_000
PUSHES: web.AppKey[Callable[[str], bool]] = web.AppKey("pushes")


async def put(request: web.Request) -> web.Response:
    """Give an order."""
    here = node.context(request)
    body = await read_body(request, {"target", "order", "value", "for_s", "why", "dry_run", "break_glass"})
    target = text_of(body, "target", MAX_TARGET, required=True)
    order = text_of(body, "order", 16, required=True)
    if order not in ORDERS:
        _bad(f"{order!r} is not an order", " or ".join(ORDERS))
    value = _factor(body.get("value")) if order == "weight" else 1.0
    for_s = seconds_of(body, "for_s", MAX_FOR_S)
    at = here.now()
    wanted = seen.Override(
        id=secrets.token_hex(4),
        target=target,
        order=cast(Any, order),
        value=value,
        by=request[auth.CALLER].name,
        why=text_of(body, "why", MAX_WHY),
        at=at,
        until=at + for_s if for_s else 0.0,
        break_glass=_flag(body, "break_glass"),
    )
    if _flag(body, "dry_run"):
        return reply.ok(await here.node.preview_order(wanted))
    return reply.ok({"order": read.order_dict(await here.node.put_order(wanted))}, 201)


async def drop(request: web.Request) -> web.Response:
    """Release an order by its id, or everything that lies on a target."""
    which = request.match_info["id"]
    if not which.isprintable() or len(which) > MAX_TARGET:
        _bad("this is neither an order nor a target", "see GET /api/v1/orders")
    here, asked = node.context(request).node, {key: _word(request, key) for key in ("dry_run", "break_glass")}
    if asked["dry_run"]:
        return reply.ok(await here.preview_drop(which))
    gone = await here.drop_order(which, request[auth.CALLER].name, asked["break_glass"])
    shown = {"orders": list(gone.orders), "latches": list(gone.latches), "left": list(gone.left)}
    return reply.ok({"released": shown})


async def reload(request: web.Request) -> web.Response:
    """Read the configuration again; `{"yes": true}` accepts a plan that moves much."""
    body = await read_body(request, {"yes"})
    yes = _flag(body, "yes")
    done = await node.context(request).node.reload(yes, request[auth.CALLER].name)
    shape: dict[str, Any] = {
        "accepted": done.accepted,
        "needs_yes": done.needs_yes,
        "digest": done.digest,
        "plan": list(done.plan),
        "problems": list(done.problems),
        "text": done.text,
    }
    if done.accepted:
        return reply.ok(shape)
    if done.needs_yes:
        return reply.error(
            409, "needs-yes", "the plan moves much and waits for a yes", 'gtm reload --yes, or {"yes": true}', **shape
        )
    return reply.error(422, "config-refused", "the configuration was refused; the old one stays in force", **shape)


async def replace(request: web.Request) -> web.Response:
    """Let the installed version take over; answered when it has, or has failed to."""
    body = await read_body(request, {"yes", "within_s"})
    yes = _flag(body, "yes")
    within_s = seconds_of(body, "within_s", MAX_WITHIN_S) or WITHIN_S
    done = await node.context(request).node.replace(yes, within_s, request[auth.CALLER].name)
    if done.done:
        return reply.ok({"replaced": True})
    hint = "accept that with yes" if done.needs_yes else "the version that runs goes on"
    return reply.error(409, "refused", done.why, hint, replaced=False, needs_yes=done.needs_yes)


async def push(request: web.Request) -> web.Response:
    """Take the news of a `kind: push` check."""
    check, endpoint, who = request.match_info["name"], request.match_info["endpoint"], request[auth.CALLER]
    if not who.speaks_for(endpoint):
        raise reply.Denied(403, "not-allowed", f"{who.name} does not speak for {endpoint[:80]!r}")
    if not request.app[PUSHES](f"{check}/{endpoint}"):
        raise reply.Denied(429, "too-many-requests", "news of this check come too often", "once a second is often")
    body = await read_body(request, {"ok", "reason", "valid_for_s", "measures", "overloaded"})
    if not isinstance(body.get("ok"), bool):
        _bad("ok is missing: true or false", '{"ok": true, "valid_for_s": 30}')
    news = node.Push(
        ok=body["ok"],
        reason=text_of(body, "reason", MAX_REASON),
        valid_for_s=seconds_of(body, "valid_for_s", MAX_VALID_S),
        measures=_measures(body.get("measures", {})),
        overloaded=text_of(body, "overloaded", MAX_REASON),
    )
    await node.context(request).node.push(check, endpoint, news)
    return reply.ok({"accepted": True}, 202)


# --- reading what was sent -----------------------------------------------------------------------------------------


def _bad(message: str, hint: str = "") -> NoReturn:
    raise node.Refused("bad-value", message, hint)


async def raw_body(request: web.Request) -> bytes:
    """Return the body as it came. The application bounds its size, this its time: else it may take for ever."""
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            return await request.read()
    except TimeoutError:
        raise reply.Denied(408, "too-slow", f"the body did not come within {BODY_WAIT_S:g} s") from None


async def read_body(request: web.Request, known: set[str]) -> Mapping[str, Any]:
    """Return the body, a JSON object with keys out of `known`."""
    raw = await raw_body(request)
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError):  # RecursionError: brackets nested without end
        _bad("the body is not JSON")
    if not isinstance(body, dict):
        _bad("the body is not a JSON object")
    if unknown := sorted(set(body) - known):
        _bad(f"unknown key {unknown[0][:40]!r}", "known: " + ", ".join(sorted(known)))
    return body


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        _bad(f"{key} is true or false")
    return value


def _word(request: web.Request, key: str) -> bool:
    """Return a flag of the query, where a request has no body."""
    value = request.query.get(key, "false")
    if value not in {"true", "false"}:
        _bad(f"{key} is true or false", f"?{key}=true")
    return value == "true"


def text_of(body: Mapping[str, Any], key: str, longest: int, *, required: bool = False) -> str:
    """Return a text of printable characters; empty when absent. Raises `Refused` for anything else."""
    value = body.get(key, "")
    if value is None and not required:
        return ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable() or (required and not value):
        _bad(f"{key} is a text of {int(required)} to {longest} printable characters")
    return value


def _number(value: object) -> float | None:
    """Return a finite JSON number, else None. (`true` is no number here, and `1e999` is not finite.)"""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return _or_none(lambda: float(value) if math.isfinite(value) else None)


def _or_none(work: Callable[[], T | None]) -> T | None:
    try:
        return work()
    except OverflowError:  # an integer beyond what a float can hold
        return None


def seconds_of(body: Mapping[str, Any], key: str, longest: float) -> float:
    """Return a duration in seconds: a number, or a text such as `30m`; 0 when absent."""
    value = body.get(key)
    if value is None:
        return 0.0
    found = units.seconds(value) if isinstance(value, str) else _number(value)
    if found is None or not 0 < found <= longest:
        _bad(f"{key} is a duration up to {units.show_seconds(longest)}")
    return found


def _factor(value: object) -> float:
    """Return a weight's factor: 0.5, or `50%`."""
    found = units.percent(value) if isinstance(value, str) else _number(value)
    if found is None or not 0 <= found <= 1:
        _bad("a weight order needs a value from 0 to 1", '{"order": "weight", "value": 0.5}')
    return found


def _measures(value: object) -> dict[str, model.Value]:
    if not isinstance(value, dict) or len(value) > MAX_MEASURES:
        _bad(f"measures is an object with at most {MAX_MEASURES} keys")
    for name, one in value.items():
        fits = isinstance(one, bool) or _number(one) is not None or (isinstance(one, str) and len(one) <= MAX_REASON)
        if not fits or not name.isprintable() or not 0 < len(name) <= MAX_TARGET:
            _bad(f"measure {name[:40]!r} is not a number, a text or true or false")
    return value
