"""Nothing in, which gtm this is out: `gtm version`."""

from __future__ import annotations

import platform

import click

from gtm import __version__
from gtm.cli import tables


@click.command()
@tables.as_json
def command(as_json: bool) -> None:
    """Print the version of gtm and of what it runs on."""
    if as_json:
        tables.say_json({"gtm": __version__, "python": platform.python_version(), "system": platform.system()})
    else:
        click.echo(f"gtm {__version__} (Python {platform.python_version()}, {platform.system()})")
