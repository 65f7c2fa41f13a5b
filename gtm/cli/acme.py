"""A running node in; a challenge that proves a domain to a certificate authority set, cleared or shown: `gtm acme`."""

from __future__ import annotations

import time

import click

from gtm import names
from gtm.cli import client, orders, tables


@click.group()
def command() -> None:
    """ACME challenges (DNS-01): TXT records at _acme-challenge for a while."""


@command.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--for", "for_s", callback=orders.duration, metavar="DURATION", help="How long.  [default: 1h]")
@tables.as_json
@client.options
def put(name: str, value: str, for_s: float | None, as_json: bool, url: str) -> None:
    """Answer VALUE at _acme-challenge.NAME, beside others that are there; done when it is answered."""
    wanted = {"name": name, "value": value} | ({"for_s": for_s} if for_s else {})
    body = client.reach(url).post("acme", wanted)
    if as_json:
        tables.say_json(body)
        return
    made = body["challenge"]
    click.echo(tables.clean(f"{names.shown(made['name'])} TXT {made['value']} until {tables.moment(made['until'])}"))


@command.command()
@click.argument("name")
@click.argument("value", default="")
@tables.as_json
@client.options
def clear(name: str, value: str, as_json: bool, url: str) -> None:
    """Answer VALUE (or anything) at _acme-challenge.NAME no more."""
    body = client.reach(url).delete("acme", name, {"value": value} if value else {})
    if as_json:
        tables.say_json(body)
    else:
        click.echo(f"cleared {body['cleared']}")


@command.command("list")
@tables.as_json
@client.options
def show(as_json: bool, url: str) -> None:
    """The challenges that are answered now, by whom, until when."""
    body = client.reach(url).get("acme")
    if as_json:
        tables.say_json(body)
        return
    now = time.time()
    rows = [
        ("", (names.shown(one["name"]), one["value"], one["by"], f"in {tables.ago(now, one['until'])}", one["problem"]))
        for one in body["challenges"]
    ]
    if rows:
        tables.console().print(tables.table("ACME challenges", ("name", "value", "by", "ends", "problem"), rows))
    else:
        click.echo("no challenges are held")
