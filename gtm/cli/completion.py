"""A shell's name in, the script that completes gtm's commands in it out: `gtm completion`."""

from __future__ import annotations

import click
from click import shell_completion

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a completion script: `gtm completion bash > /etc/bash_completion.d/gtm`."""
    made = shell_completion.get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    # The base class's source: bash's own asks the installed bash for its version first, which a packager may not have.
    click.echo(shell_completion.ShellComplete.source(made(context.find_root().command, {}, "gtm", "_GTM_COMPLETE")))
