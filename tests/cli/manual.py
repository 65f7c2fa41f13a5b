"""The commands' own help in, the man page `man/gtm.1` out; run as a module, it writes the page anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from gtm.cli import main

PATH = Path(__file__).resolve().parents[2] / "man/gtm.1"
HEAD = r""".\" Made from the commands' own help by `python -m tests.cli.manual`.
.TH GTM 1 "" "GTM" "User Commands"
.SH NAME
gtm \- DNS failover and global traffic management for live streaming
.SH SYNOPSIS
.B gtm
.I COMMAND
.RI [ OPTION ...]
.RI [ ARGUMENT ...]
.SH DESCRIPTION
GTM is an authoritative nameserver. It watches the nodes that serve live streams, and answers with those that work, near
the one who asks.
.B gtm serve
runs it; most other commands speak to a running node over its HTTP API. Each command explains itself with
.BR \-\-help ;
.B gtm \-\-version
says which version this is.
.SH COMMANDS
"""
TAIL = r"""
.SH EXIT STATUS
.TP
.B 0
It was done.
.TP
.B 1
It was refused or could not be done; standard error says why.
.TP
.B 2
It was asked for in a wrong way.
.SH ENVIRONMENT
.TP
.B GTM_URL
The node's web address, as
.BR \-\-url .
.TP
.B GTM_TOKEN
The token to show to the node. It never stands on a command line, where everybody could read it.
.TP
.B STATE_DIRECTORY
Where a node keeps its store and its last table, as systemd says it.
.SH FILES
.TP
.I /etc/gtm/gtm.yaml
The configuration.
.TP
.I /var/lib/gtm
What outlives the process: the store, the last table.
.SH SIGNALS
.TP
.B SIGHUP
Read the configuration again; a bad one is refused, and the old one stays.
.TP
.B SIGUSR2
Let the version that is installed now take over, as
.BR "gtm replace" .
.TP
.BR SIGTERM ", " SIGINT
End; a second one ends at once.
.SH SEE ALSO
.BR dig (1),
.BR systemctl (1),
.BR systemd.service (5)
"""


def escaped(text: str) -> str:
    """Return text that troff prints as it stands."""
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", plain, flags=re.M)


def commands(command: click.Command, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command and all below it, each with the words that call it."""
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from commands(found, (*names, name))


def section(names: tuple[str, ...], command: click.Command) -> Iterator[str]:
    """Yield the lines about one command: how to call it, what it does, its options."""
    context = click.Context(command, info_name=names[-1], help_option_names=["-h", "--help"])
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "{escaped(" ".join(names))} {escaped(usage)}"'
    blocks = re.split(r"\n\s*\n", (command.help or "").replace("\f", "").strip())
    for number, block in enumerate(blocks):
        as_is = block.startswith("\b")
        if number:
            yield ".PP"
        lines = [line.strip() if not as_is else line for line in block.strip("\b\n").splitlines()]
        yield from (".nf", *map(escaped, lines), ".fi") if as_is else (escaped(" ".join(lines)),)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            yield ".TP"
            yield f".B {escaped(record[0])}"
            yield escaped(re.sub(r"\s+", " ", record[1])) or r"\&"


def current() -> str:
    """Return the page as the commands are now."""
    lines: list[str] = []
    for names, command in commands(main.cli, ("gtm",)):
        if len(names) > 1:
            lines += section(names, command)
    return HEAD + "\n".join(lines) + TAIL


if __name__ == "__main__":
    PATH.write_text(current())
