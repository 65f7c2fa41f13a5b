"""A target and what is to become of it in, an order to a running node and its honest outcome out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from gtm import errors, units
from gtm.cli import client, foretold, tables

F = TypeVar("F", bound=Callable[..., Any])

LOOK_S = 0.5  # how often a drain that waits looks whether it is safe


def duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
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


def _careful(command: F) -> F:
    """Give a command what orders and releases take."""
    says = "Do it although it breaks a safety floor (orders.keep_up)."
    command = click.option("--break-glass", is_flag=True, help=says)(command)
    says = "Only say what it would move, and whether it would be refused."
    command = click.option("--dry-run", is_flag=True, help=says)(command)
    return client.options(tables.as_json(command))


def _common(command: F) -> F:
    """Give a command what all orders take."""
    command = _careful(command)
    command = click.option("--why", default="", metavar="TEXT", help="Why, for those who come after.")(command)
    says = "Lift it by itself after this long: 30m, 2h.  [default: orders.default_for, else until released]"
    return click.option("--for", "for_s", callback=duration, metavar="DURATION", help=says)(command)


@click.command()
@click.argument("target")
@click.option("--wait", is_flag=True, help="Wait until old answers have died out: safe to stop.")
@_common
def drain(*, target: str, wait: bool, as_json: bool, url: str, **more: Any) -> None:
    """Take TARGET out of all answers, and say when old answers have died out.

    TARGET is an endpoint, a glob (edge-*), site:NAME or pool:NAME.
    """
    done = _give({"target": target, "order": "drain"}, as_json=as_json, url=url, quiet=wait and as_json, **more)
    if wait and done is not None:
        done = _wait(client.reach(url), done, quiet=as_json)
        if as_json:
            tables.say_json({"order": done})


@click.command()
@click.argument("state", type=click.Choice(["up", "down"]))
@click.argument("target")
@_common
def force(*, state: str, target: str, **more: Any) -> None:
    """Hold TARGET up or down, whatever its checks say."""
    _give({"target": target, "order": state}, **more)


@click.command()
@click.argument("target")
@click.argument("share", callback=_percent, metavar="PERCENT")
@_common
def weight(*, target: str, share: float, **more: Any) -> None:
    """Give TARGET a part of its configured weight, such as 50%."""
    _give({"target": target, "order": "weight", "value": share}, **more)


@click.command()
@click.argument("target")
@_careful
def release(*, target: str, dry_run: bool, break_glass: bool, as_json: bool, url: str) -> None:
    """Lift all orders on TARGET (or one order by its id), and hold-downs too."""
    flags = {"dry_run": dry_run, "break_glass": break_glass}
    body = client.reach(url).delete("orders", target, {key: "true" for key, value in flags.items() if value})
    if as_json:
        tables.say_json(body)
        return
    if dry_run:
        foretold.show(body)
        return
    gone = body["released"]
    parts = [f"orders {', '.join(gone['orders'])}"] if gone["orders"] else []
    held = f"hold-downs of {', '.join(gone['latches'])}"
    parts += [held] if gone["latches"] and gone["orders"] else []
    nothing = f"no order lay on {target}; {held} are lifted where there were any"
    click.echo(tables.clean(f"released {' and '.join(parts)}" if parts else nothing))
    if gone["left"]:
        click.echo(tables.clean(f"orders on more than {target} still lie on it: {', '.join(gone['left'])}"))


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
    head = ("id", "order", "target", "endpoints", "by", "why", "given", "ends", "safe to stop")
    if rows:
        tables.console().print(tables.table("Orders", head, rows))
    else:
        click.echo("no orders are in force")


def _row(one: Mapping[str, Any], now: float) -> tuple[object, ...]:
    word = f"weight {one['value']:.0%}" if one["order"] == "weight" else one["order"]
    word += " (break-glass)" * bool(one.get("break_glass"))
    if one.get("overruled_by"):
        word += f", overruled by {', '.join(one['overruled_by'])}"
    until = tables.moment(one["until"]) if one["until"] else "released"
    covered = ", ".join(one.get("endpoints", ()))
    given = f"{tables.ago(one['at'], now)} ago"
    return one["id"], word, one["target"], covered, one["by"], one["why"], given, until, _safety(one, now)


def _safety(one: Mapping[str, Any], now: float) -> str:
    """Return whether what an order took out of the answers may be stopped."""
    if one["order"] not in {"drain", "down"}:
        return ""
    if one.get("safe"):
        return "yes"
    return f"in {tables.ago(now, one['safe_at'])}" if one.get("safe_at") else "not yet: still answered"


def _give(
    order: dict[str, Any],
    *,
    for_s: float | None,
    why: str,
    dry_run: bool,
    break_glass: bool,
    as_json: bool,
    url: str,
    quiet: bool = False,
) -> dict[str, Any] | None:
    """Post an order, say what became of it (unless `quiet`) and return it; None for one that was only tried.

    Raises `GtmError` when not every node has confirmed it.
    """
    order |= {"why": why, "dry_run": dry_run, "break_glass": break_glass} | ({"for_s": for_s} if for_s else {})
    body = client.reach(url).post("orders", order)
    if dry_run:
        tables.say_json(body) if as_json else foretold.show(body)
        return None
    done: dict[str, Any] = body["order"]
    if as_json and not quiet:
        tables.say_json(body)
    elif not as_json:
        click.echo(tables.clean(_sentence(done)))
    if done.get("unconfirmed"):
        raise errors.GtmError(
            f"not confirmed by {', '.join(done['unconfirmed'])}: old answers may still be given there"
        )
    return done


def _wait(node: client.Client, order: dict[str, Any], quiet: bool) -> dict[str, Any]:
    """Count down until what was drained may be stopped, and return the order. Raises `GtmError` when it ends before."""
    shown = ""
    while not order["safe"]:
        text = f"safe to stop {_safety(order, time.time())}"
        if text != shown and not quiet:
            click.echo(text)
        shown = text
        time.sleep(LOOK_S)
        found = [one for one in node.get("orders")["orders"] if one["id"] == order["id"]]
        if not found:
            raise errors.GtmError(f"order {order['id']} ended before it was safe to stop {order['target']}")
        order = found[0]
    if not quiet:
        click.echo(tables.clean(f"safe to stop: {', '.join(order['endpoints'])}"))
    return order


def _sentence(done: Mapping[str, Any]) -> str:
    words = {"drain": "drained", "up": "forced up", "down": "forced down", "weight": f"weight {done['value']:.0%}"}
    until = f"until {tables.moment(done['until'])}" if done["until"] else f"until `gtm release {done['id']}`"
    text = f"{done['target']}: {words[done['order']]} {until}; endpoints: {', '.join(done.get('endpoints', ())) or '?'}"
    if done.get("safe_at"):
        at = "now" if done.get("safe") else f"at {tables.moment(done['safe_at'])}"
        text += f"; safe to stop {at}, when the last old answers have died out"
    return text
