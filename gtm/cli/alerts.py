"""A running node in; who is told what, what waits to be sent and what is silenced out: `gtm alerts`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from gtm import names, units
from gtm.cli import client, orders, tables

TEST_WAIT_S = 130.0  # the longest time that a receiver may be given, and a little


@click.group(invoke_without_command=True)
@tables.as_json
@client.options
@click.pass_context
def command(context: click.Context, as_json: bool, url: str) -> None:
    """Who is told what: receivers, open alerts, what waits to be sent, silences."""
    if context.invoked_subcommand is not None:
        return
    body = client.reach(url).get("alerts")
    if as_json:
        tables.say_json(body)
        return
    now = time.time()
    _receivers(body["receivers"], now)
    _open(body["open"], now)
    if body["outbox"]:
        head = ("receiver", "what", "alert", "waits", "tries", "trouble")
        rows = [
            ("", (one["receiver"], one["what"], one["title"], tables.ago(one["made_at"], now), one["tries"],
                  one["trouble"]))
            for one in body["outbox"]
        ]  # fmt: skip
        tables.console().print(tables.table(f"Not sent yet ({body['waiting']})", head, rows))
    if body["silences"]:
        _silences(body["silences"])


@command.command()
@click.argument("to", default="", metavar="[NAME|KIND]")
@tables.as_json
@client.options
def test(to: str, as_json: bool, url: str) -> None:
    """Send a test to every receiver (or those of that name or kind), and say what came back."""
    try:
        results = client.reach(url).post("alerts/test", {"to": to}, wait_s=TEST_WAIT_S)["results"]
    except client.NotDone as wrong:
        _say_results(wrong.body.get("results") or [], as_json)
        raise
    _say_results(results, as_json)


@command.command()
@click.argument("target")
@click.option("--for", "for_s", callback=orders.duration, required=True, metavar="DURATION", help="How long: 1h, 3d.")
@click.option("--why", default="", metavar="TEXT", help="Why, for those who come after.")
@tables.as_json
@client.options
def silence(*, target: str, for_s: float, why: str, as_json: bool, url: str) -> None:
    """Tell nobody of TARGET for a while.

    TARGET is what an alert is about: an endpoint, a pool or a name, a glob, site:NAME, pool:NAME (with its members),
    name:NAME, guard:*, config:*. What was told before and ends meanwhile is still told to be over.
    """
    made = client.reach(url).post("alerts/silences", {"target": target, "for_s": for_s, "why": why})["silence"]
    if as_json:
        tables.say_json(made)
        return
    until, said = tables.moment(made["until"]), f"`gtm alerts unsilence {made['id']}` ends it"
    click.echo(tables.clean(f"{made['target']}: silenced until {until}; {said}"))


@command.command()
@tables.as_json
@client.options
def silences(as_json: bool, url: str) -> None:
    """The silences in force: by whom, why, until when."""
    body = client.reach(url).get("alerts/silences")
    if as_json:
        tables.say_json(body)
    elif body["silences"]:
        _silences(body["silences"])
    else:
        click.echo("no silences are in force")


@command.command()
@click.argument("silence_id", metavar="ID")
@tables.as_json
@client.options
def unsilence(silence_id: str, as_json: bool, url: str) -> None:
    """End a silence."""
    body = client.reach(url).delete("alerts/silences", silence_id)
    if as_json:
        tables.say_json(body)
    else:
        click.echo(tables.clean(f"silence {body['ended']} is over"))


def _receivers(found: Sequence[Mapping[str, Any]], now: float) -> None:
    if not found:
        click.echo("no receivers are configured: see `alerts` in docs/configuration.md")
        return
    head = ("receiver", "kind", "on", "hold", "waiting", "last sent", "trouble")
    rows = [
        ("down" if one["trouble"] else "up",
         (one["name"], one["kind"], ", ".join(one["on"]), units.show_seconds(one["hold_s"]), one["waiting"],
          f"{tables.ago(one['sent_at'], now)} ago" if one["sent_at"] else "–", one["trouble"]))
        for one in found
    ]  # fmt: skip
    tables.console().print(tables.table("Receivers", head, rows))


def _open(found: Sequence[Mapping[str, Any]], now: float) -> None:
    if not found:
        click.echo("nothing is wrong that anybody would be told of")
        return
    head = ("alert", "group", "since", "told")
    rows = [
        ("down", (one["title"], names.shown(one["group"]), f"{tables.ago(one['since'], now)} ago",
                  "silenced" if one["hushed"] else _told(one)))
        for one in found
    ]  # fmt: skip
    tables.console().print(tables.table("Open", head, rows))


def _told(one: Mapping[str, Any]) -> str:
    waiting = [f"{name} (waits)" for name in one["waiting"]]
    return ", ".join([*one["told"], *waiting]) or "not yet"


def _silences(found: Sequence[Mapping[str, Any]]) -> None:
    rows = [("", (one["id"], one["target"], one["by"], one["why"], tables.moment(one["until"]))) for one in found]
    tables.console().print(tables.table("Silences", ("id", "target", "by", "why", "until"), rows))


def _say_results(results: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        tables.say_json({"results": list(results)})
        return
    for one in results:
        word = "took it" if one["ok"] else "did not take it"
        click.echo(tables.clean(f"{one['receiver']} ({one['kind']}) {word} after {one['took_s']:g} s: {one['said']}"))
