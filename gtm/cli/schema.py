"""Nothing in; every setting of a configuration out, as JSON Schema for editors or as Markdown for people."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.option(
    "--format", "form", type=click.Choice(["json", "markdown"]), default="json", help="For editors or people."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(form: str, as_json: bool) -> None:
    """Print a JSON Schema of the configuration, for editors.

    gtm schema > gtm.schema.json, and `# yaml-language-server: $schema=gtm.schema.json` as the first line of the
    configuration, give completion and help while typing.
    """
    from gtm import app
    from gtm.config import editor, reference

    if form == "markdown" and not as_json:
        click.echo(reference.markdown(app.kinds(), app.senders()), nl=False)
        return
    click.echo(json.dumps(editor.json_schema(app.kinds(), app.senders()), indent=2))
