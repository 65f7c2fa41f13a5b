"""A name in, why it gets the answer that it gets out: `gtm explain`, of a running node or of a file alone."""

from __future__ import annotations

import click

from gtm.cli import client, tables


@click.command()
@click.argument("name")
@click.option("--type", "qtype", default="A", metavar="TYPE", show_default=True, help="The record type asked for.")
@click.option("--client", "asker", default="", metavar="ADDRESS", help="Who asks: an address, or a client subnet.")
@click.option("--assume", multiple=True, metavar="GLOB=down", help="Suppose that endpoints are down (or up).")
@click.option("-c", "--config", "path", metavar="FILE", help="Explain from this file; no node is asked.")
@tables.as_json
@client.options
def command(
    *, name: str, qtype: str, asker: str, assume: tuple[str, ...], path: str | None, as_json: bool, url: str
) -> None:
    """Why NAME gets the answer that it gets."""
    for one in assume:
        if not one.partition("=")[0] or one.partition("=")[2] not in {"down", "up"}:
            raise click.BadParameter(f"{one!r} is not an assumption: write GLOB=down or GLOB=up", param_hint="--assume")
    if path is None:
        query = [("name", name), ("type", qtype), ("client", asker), *(("assume", one) for one in assume)]
        found = client.reach(url).get("explain", query)
    else:
        from gtm import app

        found = app.explain_offline(path, name, qtype, asker, assume)
    if as_json:
        tables.say_json(found)
        return
    from gtm.steer import explain

    click.echo("\n".join(map(tables.clean, explain.text(found).splitlines())))
