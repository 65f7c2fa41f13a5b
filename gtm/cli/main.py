"""A command's name in, the command out, imported only when asked for, so that `gtm status` starts fast."""

from __future__ import annotations

import importlib

import click

from gtm import __version__, errors

COMMANDS = {
    "serve": "gtm.cli.serve:command",
    "check": "gtm.cli.check:command",
    "init": "gtm.cli.init:command",
    "demo": "gtm.cli.demo:command",
    "explain": "gtm.cli.explain:command",
    "probe": "gtm.cli.probe:command",
    "status": "gtm.cli.status:command",
    "doctor": "gtm.cli.doctor:command",
    "events": "gtm.cli.events:command",
    "top": "gtm.cli.top:command",
    "drain": "gtm.cli.orders:drain",
    "force": "gtm.cli.orders:force",
    "weight": "gtm.cli.orders:weight",
    "release": "gtm.cli.orders:release",
    "orders": "gtm.cli.orders:orders",
    "alerts": "gtm.cli.alerts:command",
    "acme": "gtm.cli.acme:command",
    "reload": "gtm.cli.reload:command",
    "replace": "gtm.cli.replace:command",
    "schema": "gtm.cli.schema:command",
    "version": "gtm.cli.version:command",
    "completion": "gtm.cli.completion:command",
}


class LazyGroup(click.Group):
    """A click group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a node's life, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None when there is no such name."""
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, attribute = where.split(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{where} is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what GTM raises on purpose becomes one line on stderr and exit status 1."""
        try:
            return super().invoke(ctx)
        except errors.GtmError as wrong:
            for problem in wrong.problems if isinstance(wrong, errors.ConfigError) else ():
                click.echo(_line(problem), err=True)
            raise click.ClickException(str(wrong)) from wrong


def _line(problem: errors.Problem) -> str:
    """Return a problem as compilers write them; `gtm check` shows more."""
    mark = problem.mark
    where = f"{mark.file}:{mark.line}:{mark.column}: " if mark else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{where}{problem.severity}: {problem.message}{hint}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gtm")
def cli() -> None:
    """DNS failover and global traffic management for live streaming."""


def main() -> None:
    """The command `gtm`."""
    cli(prog_name="gtm")


if __name__ == "__main__":
    main()
