"""The node's status in, one plain HTML page out: no script, everything escaped, readable in a text browser.

States carry a sign and a word, never a colour alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from aiohttp import web

from gtm import __version__, units
from gtm.web import node

REFRESH_S = 5
STYLE = (Path(__file__).parent / "static" / "gtm.css").read_bytes()
SIGNS = {"up": "▲", "down": "▼", "unknown": "?"}
RUNGS = {"first": "▲", "fallback": "◐", "degraded": "▼", "last_resort": "▼"}
# What may be loaded and from where: this node's own style sheet, and nothing else.
POLICY = (
    "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


async def page(request: web.Request) -> web.Response:
    """The status page."""
    here = node.context(request)
    status, (ready, why) = here.node.status(), here.node.ready()
    text = render(status, ready=ready, why=why, now=here.now())
    return web.Response(text=text, content_type="text/html")


async def style(request: web.Request) -> web.Response:
    """The page's style sheet."""
    return web.Response(body=STYLE, content_type="text/css", headers={"Cache-Control": "max-age=300"})


def render(status: Mapping[str, Any], *, ready: bool, why: str, now: float) -> str:
    """Return the page. `now` is wall-clock seconds."""
    title = f"GTM {status.get('node', '')}"
    body = [
        f"<h1>{_(title)}</h1>",
        f'<p class="headline" role="status">{_(headline(status, ready=ready, why=why))}</p>',
        "<h2>Names</h2>",
        _table(("name", "stands on", "served by", "TTL"), (_name_row(one) for one in status.get("names", ()))),
        "<h2>Pools</h2>",
        _table(
            ("pool", "usable", "up", "members", "sees a death within", "why"),
            (_pool_row(one) for one in status.get("pools", ())),
        ),
        "<h2>Endpoints</h2>",
        _table(
            ("endpoint", "family", "state", "served", "weight", "since", "reason", "order"),
            (_endpoint_row(one) for one in status.get("endpoints", ())),
        ),
        f"<footer>gtm {_(status.get('version', __version__))} · revision {_(status.get('revision', '?'))} · "
        f"configuration {_(str(status.get('digest', '?'))[:12])} · {_(clock(now))} · "
        '<a href="/api/v1/status">JSON</a> <a href="/api/v1/events">events</a> <a href="/metrics">metrics</a></footer>',
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}"><meta name="viewport" content="width=device-width">'
        f'<title>{_(title)}</title><link rel="stylesheet" href="/static/gtm.css"></head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def headline(status: Mapping[str, Any], *, ready: bool, why: str) -> str:
    """Say in one sentence how things stand, the worst first."""
    if not ready:
        return f"Not ready: {why or 'no judged table yet'}."
    names, endpoints = status.get("names", ()), status.get("endpoints", ())
    for rung, words in (
        ("last_resort", "on the last resort"),
        ("degraded", "degraded"),
        ("fallback", "on a fallback pool"),
    ):
        if low := [str(one.get("name")) for one in names if one.get("rung") == rung]:
            more = f" and {len(low) - 3} more" if len(low) > 3 else ""
            return f"{len(low)} of {len(names)} names {words}: {', '.join(low[:3])}{more}."
    up = sum(1 for one in endpoints if one.get("state") == "up")
    return f"All {len(names)} names are answered from their first pool; {up} of {len(endpoints)} endpoint addresses up."


def clock(at: float) -> str:
    """Return a moment as people read it, in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _(value: object) -> str:
    """Escape anything that goes between tags or into a quoted attribute."""
    return escape(str(value), quote=True)


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{_(one)}</th>' for one in head)
    body = "\n".join(rows) or f'<tr><td colspan="{len(head)}">none</td></tr>'
    return f"<table><thead><tr>{cells}</tr></thead>\n<tbody>{body}</tbody></table>"


def _row(kind: str, cells: Sequence[object]) -> str:
    return f'<tr class="{_(kind)}">' + "".join(f"<td>{_(one)}</td>" for one in cells) + "</tr>"


def _name_row(one: Mapping[str, Any]) -> str:
    rung = str(one.get("rung", ""))
    pools = ", ".join(str(pool) for pool in one.get("pools", ())) or "–"
    return _row(rung, (one.get("name"), f"{RUNGS.get(rung, '?')} {rung.replace('_', ' ')}", pools, one.get("ttl", "")))


def _pool_row(one: Mapping[str, Any]) -> str:
    usable = bool(one.get("usable"))
    kind = "up" if usable else "down"
    said = f"{SIGNS[kind]} {'usable' if usable else 'not usable'}"
    within_s = one.get("detects_within_s")
    detects = units.show_seconds(within_s) if within_s is not None else "never: no check"
    return _row(kind, (one.get("pool"), said, one.get("up"), members(one), detects, one.get("reason", "")))


def members(pool: Mapping[str, Any]) -> str:
    """Return a pool's members with their signs when the node gives them, else how many there are."""
    roster = pool.get("roster")
    if not roster:
        return str(pool.get("members", ""))
    return " ".join(f"{SIGNS.get(str(one.get('state')), '?')}{one.get('endpoint')}" for one in roster)


def _endpoint_row(one: Mapping[str, Any]) -> str:
    state = str(one.get("state", "unknown"))
    order = str(one.get("order") or "")
    since = one.get("since")
    cells = (
        one.get("endpoint"),
        one.get("family"),
        f"{SIGNS.get(state, '?')} {state}{' (stale)' if one.get('stale') else ''}",
        "yes" if one.get("serving") else "no",
        one.get("weight"),
        clock(float(since)) if since else "–",
        one.get("reason", ""),
        f"◆ {order}" if order else "",
    )
    return _row(state, cells)
