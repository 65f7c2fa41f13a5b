"""A running node in, what its changed configuration changes (or what is wrong with it) out: `gtm reload`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gtm.cli import client, tables

# A big configuration is read with the patience of a process that gives way to probes and answers.
WAIT_S = 120.0


@click.command()
@click.option("--yes", is_flag=True, help="Accept a plan that moves much or leaves a name with nothing.")
@tables.as_json
@client.options
def command(yes: bool, as_json: bool, url: str) -> None:
    """Read the configuration again; print the plan, or the problems when it is refused."""
    try:
        body = client.reach(url).post("reload", {"yes": yes}, wait_s=WAIT_S)
    except client.NotDone as wrong:
        if as_json:
            tables.say_json(wrong.body)
        else:
            _say(wrong.body)
        raise
    if as_json:
        tables.say_json(body)
        return
    _say(body)
    click.echo("accepted" if body["plan"] else "accepted; nothing changes")


def _say(body: Mapping[str, Any]) -> None:
    for line in body.get("plan", ()):
        click.echo(tables.clean(line))
    if body.get("text"):
        click.echo("\n".join(map(tables.clean, str(body["text"]).splitlines())))
        return
    for one in body.get("problems", ()):
        click.echo(tables.clean(f"{one.get('severity', 'error')}: {one.get('message', '')}"))
