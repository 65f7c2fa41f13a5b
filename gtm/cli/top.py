"""A running node in, what is asked for most, by whom and from where, out: `gtm top`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from gtm import names
from gtm.cli import client, tables

# What is shown, by the word that asks for it: a title, and where it stands in the API's answer.
LISTS = {
    "names": ("Names", "answers", "name"),
    "pools": ("Pools", "answers", "pool"),
    "endpoints": ("Endpoints", "answers", "endpoint"),
    "places": ("Places", "answers", "country"),
    "networks": ("Networks", "answers", "asn"),
    "subnets": ("Client subnets", "queries", "subnet"),
    "transports": ("Transports", "queries", "transport"),
    "resolvers": ("Resolvers, of the last hour", "resolvers", ""),
    "shares": ("Shares of ten minutes", "shares", ""),
    "movements": ("Whom failovers and orders moved", "movements", ""),
}


@click.command()
@click.argument("what", type=click.Choice(list(LISTS)), nargs=-1)
@click.option("--since", default="1h", show_default=True, help="How far back: 10m, 1h, 1d, 31d.")
@click.option("-n", "most", type=click.IntRange(1, 50), default=10, show_default=True, help="Lines of each list.")
@tables.as_json
@client.options
def command(what: tuple[str, ...], since: str, most: int, as_json: bool, url: str) -> None:
    """What is asked for most, by whom and from where; whether members get their shares, and whom a failover moved."""
    found = client.reach(url).get("analytics", {"since": since})
    if as_json:
        tables.say_json(found)
        return
    screen = tables.console()
    for word in what or ("names", "places", "resolvers"):
        title, part, by = LISTS[word]
        rows = found[part][by] if by else found[part]
        screen.print(_TABLES.get(word, _counts)(title, rows[:most]))


def _counts(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    lines = [("", (names.shown(one["name"]), one["count"], _percent(one["share"]))) for one in rows]
    return tables.table(title, ("name", "answers", "share"), lines)


def _resolvers(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    head = ("resolver", "questions", "share", "with subnet", "place", "network")
    return tables.table(title, head, [
        ("", (one["address"], f"~{one['queries']}", _percent(one["share"]), _percent(one["with_subnet"]),
              one["place"], f"AS{one['asn']}" if one["asn"] else ""))
        for one in rows
    ])  # fmt: skip


def _shares(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    head = ("pool", "endpoint", "intended", "delivered", "answers", "")
    return tables.table(title, head, [
        ("degraded" if one["uneven"] else "", (
            one["pool"], one["endpoint"], _percent(one["intended"]), _percent(one["delivered"]), one["answers"],
            "uneven" if one["uneven"] else ""))
        for one in rows
    ])  # fmt: skip


def _movements(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    head = ("when", "what happened", "answers a minute", "moved", "from", "to")
    return tables.table(title, head, [
        ("", (tables.moment(one["at"]), ", ".join(one["subjects"]), f"{one['answers_per_minute_before']:g}",
              f"{one['pools']['moved_per_minute']:g}" if one["settled"] else "being measured",
              *(", ".join(line["pool"] for line in one["pools"][side]) for side in ("from", "to"))))
        for one in rows
    ])  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


_TABLES = {"resolvers": _resolvers, "shares": _shares, "movements": _movements}
