"""A target and what is to become of it in, an order to a running node and its honest outcome out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from gtm import errors, units
from gtm.cli import client, tables

F = TypeVar("F", bound=Callable[..., Any])


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Return seconds, or fail as wrong usage."""
    if value is None:
        return None
    try:
        found = units.seconds(value)
    except errors.UnitError as wrong:
        raise click.BadParameter(str(wrong)) from None
    if not found:
        raise click.BadParameter("an order for no time is no order")
    return found


def _percent(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Return a percentage as a factor from 0 to 1, or fail as wrong usage."""
    try:
        return units.percent(value)
    except errors.UnitError as wrong:
        raise click.BadParameter(f"{wrong}: write 50%") from None


def _common(command: F) -> F:
    """Give a command what all orders take."""
    command = client.options(tables.as_json(command))
    command = click.option("--why", default="", metavar="TEXT", help="Why, for those who come after.")(command)
    says = "Lift it by itself after this long: 30m, 2h.  [default: until released]"
    return click.option("--for", "for_s", callback=_duration, metavar="DURATION", help=says)(command)


@click.command()
@click.argument("target")
@_common
def drain(target: str, for_s: float | None, why: str, as_json: bool, url: str) -> None:
    """Take TARGET out of all answers, and say when old answers have died out.

    TARGET is an endpoint, a glob (edge-*), site:NAME or pool:NAME.
    """
    _give({"target": target, "order": "drain"}, for_s, why, as_json, url)


@click.command()
@click.argument("state", type=click.Choice(["up", "down"]))
@click.argument("target")
@_common
def force(*, state: str, target: str, for_s: float | None, why: str, as_json: bool, url: str) -> None:
    """Hold TARGET up or down, whatever its checks say."""
    _give({"target": target, "order": state}, for_s, why, as_json, url)


@click.command()
@click.argument("target")
@click.argument("share", callback=_percent, metavar="PERCENT")
@_common
def weight(*, target: str, share: float, for_s: float | None, why: str, as_json: bool, url: str) -> None:
    """Give TARGET a part of its configured weight, such as 50%."""
    _give({"target": target, "order": "weight", "value": share}, for_s, why, as_json, url)


@click.command()
@click.argument("target")
@tables.as_json
@client.options
def release(target: str, as_json: bool, url: str) -> None:
    """Lift all orders on TARGET (or one order by its id), and hold-downs too."""
    body = client.reach(url).delete("orders", target)
    if as_json:
        tables.say_json(body)
        return
    gone = body["released"]
    parts = [f"orders {', '.join(gone['orders'])}"] if gone["orders"] else []
    parts += [f"hold-downs of {', '.join(gone['latches'])}"] if gone["latches"] else []
    click.echo(tables.clean(f"released {' and '.join(parts) or target}"))


@click.command()
@tables.as_json
@client.options
def orders(as_json: bool, url: str) -> None:
    """The orders in force: by whom, why, until when."""
    body = client.reach(url).get("orders")
    if as_json:
        tables.say_json(body)
        return
    now = time.time()
    rows = [(str(one["order"]), _row(one, now)) for one in body["orders"]]
    head = ("id", "order", "target", "endpoints", "by", "why", "given", "until", "safe at")
    if rows:
        tables.console().print(tables.table("Orders", head, rows))
    else:
        click.echo("no orders are in force")


def _row(one: Mapping[str, Any], now: float) -> tuple[object, ...]:
    word = f"weight {one['value']:.0%}" if one["order"] == "weight" else one["order"]
    until = tables.moment(one["until"]) if one["until"] else "released"
    covered = ", ".join(one.get("endpoints", ()))
    given = f"{tables.ago(one['at'], now)} ago"
    return (
        one["id"],
        word,
        one["target"],
        covered,
        one["by"],
        one["why"],
        given,
        until,
        tables.moment(one.get("safe_at")),
    )


def _give(order: dict[str, Any], for_s: float | None, why: str, as_json: bool, url: str) -> None:
    """Post an order and say what became of it. Exit status 1 when not every node has confirmed it."""
    body = client.reach(url).post("orders", order | {"why": why} | ({"for_s": for_s} if for_s else {}))
    done = body["order"]
    if as_json:
        tables.say_json(body)
    else:
        click.echo(tables.clean(_sentence(done)))
    if done.get("unconfirmed"):
        raise errors.GtmError(
            f"not confirmed by {', '.join(done['unconfirmed'])}: old answers may still be given there"
        )


def _sentence(done: Mapping[str, Any]) -> str:
    words = {"drain": "drained", "up": "forced up", "down": "forced down", "weight": f"weight {done['value']:.0%}"}
    until = f"until {tables.moment(done['until'])}" if done["until"] else f"until `gtm release {done['id']}`"
    text = f"{done['target']}: {words[done['order']]} {until}; endpoints: {', '.join(done.get('endpoints', ())) or '?'}"
    if done.get("safe_at"):
        text += f"; the last old answers die out at {tables.moment(done['safe_at'])}"
    return text
