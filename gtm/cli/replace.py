"""A running node in, the same node on the installed version (or why it stays what it is) out: `gtm replace`."""

from __future__ import annotations

from typing import Any

import click

from gtm import errors, units
from gtm.cli import client, tables

_AND_THEN_S = 15.0  # what the node may take beyond the trial, to hand over and to say so


def _within(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Return seconds, or fail as wrong usage."""
    try:
        return units.seconds(value)
    except errors.UnitError as wrong:
        raise click.BadParameter(str(wrong)) from None


@click.command()
@click.option("--yes", is_flag=True, help="Accept a configuration on disk that is not the one in force.")
@click.option("--within", default="90s", callback=_within, help="How long the new version may take.  [default: 90s]")
@tables.as_json
@client.options
def command(yes: bool, within: float, as_json: bool, url: str) -> None:
    """Let the installed version take over without a lost question.

    It gets the sockets once it has loaded, caught up on health and answered test questions as the running one does.
    If it fails, the running one goes on, and this command exits 1 and says why.
    """
    asked: dict[str, Any] = {"yes": yes, "within_s": within}
    body = client.reach(url).post("replace", asked, wait_s=within + _AND_THEN_S)
    if as_json:
        tables.say_json(body)
        return
    click.echo("replaced: the installed version answers now")
