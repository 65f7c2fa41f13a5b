"""Nothing in, the JSON Schema of a configuration out, for editors."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print a JSON Schema of the configuration, for editors.

    gtm schema > gtm.schema.json, and `# yaml-language-server: $schema=gtm.schema.json` as the first line of the
    configuration, give completion and help while typing.
    """
    from gtm import app
    from gtm.config import schema

    click.echo(json.dumps(schema.json_schema(app.kinds()), indent=2))
