"""A running node in, its zones, names, pools and endpoints as tables out: `gtm status`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gtm import errors, names
from gtm.cli import client, tables

if TYPE_CHECKING:
    from rich.console import RenderableType

WATCH_S = 1.0
RUNGS = ("first", "fallback", "degraded", "last_resort")  # from good to bad


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every second, until interrupted.")
@tables.as_json
@client.options
def command(watch: bool, as_json: bool, url: str) -> None:
    """Zones, names, pools and endpoints of a running node. With --watch, JSON is one status a line."""
    node = client.reach(url)
    if watch and not as_json:
        _watch(node)
    while True:
        found = node.get("status")
        if as_json and watch:
            click.echo(json.dumps(found, ensure_ascii=False))
        elif as_json:
            tables.say_json(found)
        else:
            tables.console().print(picture(found, time.time()))
        if not watch:
            return
        time.sleep(WATCH_S)


def _watch(node: client.Client) -> None:
    """Draw over the same screen until interrupted; a node that goes away is said, and asked again."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    seen = picture(node.get("status"), time.time())
    with Live(seen, console=tables.console(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_S)
            try:
                seen = picture(node.get("status"), time.time())
                live.update(seen, refresh=True)
            except client.Unreachable as wrong:
                live.update(Group(Text(str(wrong), style="bold red"), seen), refresh=True)


def picture(status: Mapping[str, Any], now: float) -> RenderableType:
    """Return the tables. Raises `GtmError` when what came is no status."""
    from rich.console import Group
    from rich.text import Text

    try:
        head = (
            f"{status['node']}  gtm {status['version']}  revision {status['revision']}  "
            f"configuration {str(status['digest'])[:12]}"
        )
        parts: list[RenderableType] = [
            Text(tables.clean(head)),
            tables.table("Zones", ("zone", "steered names", "stand on"), map(_zone, status.get("zones", ()))),
            tables.table("Names", ("name", "stands on", "served by"), map(_name, status["names"])),
            tables.table("Pools", ("pool", "usable", "up", "members and shares", "why"), map(_pool, status["pools"])),
            tables.table(
                "Endpoints",
                ("endpoint", "family", "state", "served", "weight", "for", "reason", "order"),
                (_endpoint(one, now) for one in status["endpoints"]),
            ),
        ]
    except (KeyError, TypeError) as wrong:
        raise errors.GtmError(f"this is not the status of a gtm node: {wrong}") from wrong
    return Group(*parts)


def _zone(one: Mapping[str, Any]) -> tuple[str, tuple[object, ...]]:
    rungs = {rung: one["rungs"][rung] for rung in RUNGS if rung in one["rungs"]}
    said = ", ".join(f"{rung.replace('_', ' ')} {count}" for rung, count in rungs.items())
    return next(reversed(rungs), ""), (names.shown(one["zone"]), one["names"], said or "–")


def _name(one: Mapping[str, Any]) -> tuple[str, tuple[object, ...]]:
    rung = str(one["rung"])
    return rung, (names.shown(one["name"]), rung.replace("_", " "), ", ".join(map(str, one["pools"])) or "–")


def _pool(one: Mapping[str, Any]) -> tuple[str, tuple[object, ...]]:
    word = "up" if one["usable"] else "down"
    said = f"{tables.SIGNS[word]} {'yes' if one['usable'] else 'no'}"
    shares = ", ".join(
        f"{tables.SIGNS.get(str(member.get('state')), '?')}{member.get('endpoint')} {member.get('share', 0):.0%}"
        for member in one.get("roster") or ()
    )
    return word, (one["pool"], said, f"{one['up']} of {one['members']}", shares, one.get("reason", ""))


def _endpoint(one: Mapping[str, Any], now: float) -> tuple[str, tuple[object, ...]]:
    state = str(one["state"])
    return state, (
        one["endpoint"],
        one["family"],
        f"{tables.SIGNS.get(state, '?')} {state}{' (stale)' if one.get('stale') else ''}",
        "yes" if one["serving"] else "no",
        f"{one['weight']:g}",
        tables.ago(one.get("since"), now),
        one.get("reason", ""),
        _order(one, now),
    )


def _order(one: Mapping[str, Any], now: float) -> str:
    """Return what is ordered of an endpoint, by whom and for how long yet."""
    ends = (
        f"{order['by']}" + (f", {tables.ago(now, order['until'])} left" if order["until"] else "")
        for order in one.get("orders", ())
    )
    return " ".join(filter(None, (f"◆ {one['order']}" if one.get("order") else "", *(f"({end})" for end in ends))))
