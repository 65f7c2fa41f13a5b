"""What an order would do (`dry_run`) in, tables for people out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gtm import names
from gtm.cli import tables


def show(body: Mapping[str, Any]) -> None:
    """Print a preview: the share of answers, pools, names, and whether the safety rules would refuse it."""
    touched, total = body["names"], body["names_total"]
    by = "by the answers of the last minutes" if body["share_by"] == "answers" else "each name alike"
    click.echo(tables.clean(f"endpoints: {', '.join(body['endpoints']) or 'none'}"))
    click.echo(f"{body['share']:.1%} of all answers would move ({by}); names touched: {total}")
    if body["left_with_nothing"]:
        click.echo(f"names that would be left with nothing for some clients: {body['left_with_nothing']}")
    console = tables.console()
    if body["pools"]:
        head = ("pool", "in service", "then", "of", "")
        console.print(tables.table("Pools", head, [_pool(one) for one in body["pools"]]))
    if touched:
        rows = [_name(one) for one in touched]
        console.print(tables.table("Names", ("name", "stands on", "then", "answers that move"), rows))
    if total > len(touched):
        click.echo(f"and {total - len(touched)} names more")
    refused = body["refused"]
    if refused:
        click.echo(tables.clean(f"it would be refused: {refused['message']} ({refused['hint']})"))
    else:
        click.echo("the safety rules have nothing against it; nothing was ordered")


def _pool(one: Mapping[str, Any]) -> tuple[str, tuple[object, ...]]:
    before, after = one["before"], one["after"]
    said = "" if before["usable"] == after["usable"] else "would be usable" if after["usable"] else "would fail"
    return "" if after["usable"] else "down", (one["pool"], before["up"], after["up"], one["members"], said)


def _name(one: Mapping[str, Any]) -> tuple[str, tuple[object, ...]]:
    before, after = one["before"], one["after"]
    then = "nothing" if one["left_with_nothing"] else f"{after['rung']} {after['pool']}"
    style = after["rung"] if after["rung"] != before["rung"] or one["left_with_nothing"] else ""
    return style, (names.shown(one["name"]), f"{before['rung']} {before['pool']}", then, f"{one['share']:.0%}")
