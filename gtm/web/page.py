"""The board in, the status page as HTML out: bounded, readable with curl, and brought to life by the modules beside it.

Everything that stands in it is escaped, and states carry a sign and a word, never a colour alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from gtm import __version__, errors, events, names
from gtm.web import assets, auth, board, node, read, reply, rows

FIRST_ROWS = {"names": 25, "pools": 12, "endpoints": 25, "sites": 500}  # the rest comes when somebody asks for it
FIRST_EVENTS = 25
SIGNS = {
    **{"up": "▲", "first": "▲", "ok": "▲", "weak": "◐", "fallback": "◐", "warn": "◐", "stale": "◌", "ordered": "◆"},
    **{"down": "▼", "degraded": "▼", "last_resort": "▼", "bad": "▼"},
}
WORDS = {"weak": "weakened", "last_resort": "last resort", "first": "first pool", "ordered": "up, ordered"}
# What may be loaded and from where: this node's own files, and nothing else. Nothing inline, no eval, no forms.
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"clock": clock, "span": span, "sign": sign, "word": word, "isotime": isotime, "bare": names.shown}
    return made


async def page(request: web.Request) -> web.Response:
    """The status page: all of it, the names alone, or a door, by who asks."""
    try:
        who = auth.who(request, node.context(request).node)
    except reply.Denied:
        who = auth.NOBODY
    body = await _body(request, who)
    return web.Response(text=render(body), content_type="text/html")


async def _body(request: web.Request, who: auth.Caller) -> dict[str, Any]:
    here, shared = node.context(request), request.app[board.BOARD]
    if "glance" not in who.may:
        return {"view": "locked", "now": here.now(), "summary": {}, "lists": {}, "events": []}
    look = await shared.look()
    if "read" not in who.may:
        names = {key: board.reduced_name(row) for key, row in look.shown["names"].items()}
        return {
            **{"view": "names", "now": look.at, "summary": board.reduced(look.summary), "events": []},
            "lists": {"names": _list("names", names)},
        }
    try:
        happened = await here.node.events(0.0, 0, FIRST_EVENTS)
    except errors.StoreError:
        happened = ()  # the headline has said it: the page itself goes on
    lists = {kind: _list(kind, look.shown[kind]) for kind in FIRST_ROWS}
    for kind, found in lists.items():
        found["rows"] = [shared.dated(kind, row) for row in found["rows"]]
    newest = [read.event_dict(one) for one in reversed(happened) if not _is_first_look(one)]
    return {"view": "full", "now": look.at, "summary": look.summary, "lists": lists, "events": newest}


def _is_first_look(one: events.Event) -> bool:
    """Say whether an event is a check's first good result: a start has thousands of those, and nobody needs them."""
    return one.kind == "check" and one.before == "unknown" and one.after == "up"


def _list(kind: str, found: rows.Rows) -> dict[str, Any]:
    ranked = rows.listed(kind, found)
    return {"rows": ranked[: FIRST_ROWS[kind]], "total": len(ranked)}


def render(body: Mapping[str, Any]) -> str:
    """Return the page. `body` is what `_body` makes: `view`, `now`, `summary`, `lists` and `events`."""
    files = f"/static/{assets.BUILD}"
    return TEMPLATE.render(body, files=files, version=__version__, policy=POLICY)


# --- how things are written ----------------------------------------------------------------------------------------


def clock(at: float) -> str:
    """Return a moment as people read it, in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def isotime(at: float) -> str:
    """Return a moment as machines read it (HTML's `datetime`)."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """Return how long something has lasted, in its two biggest units: `3m 20s`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def sign(state: object) -> str:
    """Return the sign of a state's word."""
    return SIGNS.get(str(state), "?")


def word(state: object) -> str:
    """Return a state's word as people read it."""
    return WORDS.get(str(state), str(state).replace("_", " "))


TEMPLATE = _environment().get_template("page.html")
