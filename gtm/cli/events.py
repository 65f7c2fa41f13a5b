"""A running node in, what happened out, as it happens if wanted: `gtm events`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from gtm import errors, names, units
from gtm.cli import client, tables

SINCE_S = 3600.0


def _since(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Turn a bare number into seconds ago; leave a moment for the node to read, by its own clock."""
    if value[:4].isdigit() and "-" in value:
        return value
    try:
        return units.show_seconds(units.seconds(value))
    except errors.UnitError as wrong:
        raise click.BadParameter(str(wrong)) from None


@click.command()
@click.option(
    "--since", default="1h", callback=_since, show_default=True, help="How far back: 10m, 1h, or 2026-01-31T12:00Z."
)
@click.option("--follow", is_flag=True, help="Go on with what happens from now on, until interrupted.")
@tables.as_json
@client.options
def command(since: str, follow: bool, as_json: bool, url: str) -> None:
    """What happened, oldest first. With --follow, JSON is one event a line."""
    node = client.reach(url)
    found = node.get("events", {"since": since})
    if as_json and not follow:
        tables.say_json(found)
        return
    last = 0
    for one in found["events"]:
        _say(one, as_json)
        last = one["id"]
    if not follow and not found["events"]:
        click.echo(f"nothing happened since {since}", err=True)
    if follow:
        for one in node.stream(last):
            _say(one, as_json)


def _say(event: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(event, ensure_ascii=False))
        return
    change = " → ".join(word for word in (event["before"], event["after"]) if word)
    line = (
        f"{tables.moment(event['at'])}  {event['kind']:<8}  {names.shown(event['subject'])}  {change}  {event['cause']}"
    )
    click.echo(tables.clean(line.rstrip()))
