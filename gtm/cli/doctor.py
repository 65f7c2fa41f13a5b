"""A node or a configuration in, what is wrong with its delegation, nameservers and machine out: `gtm doctor`."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gtm import model
from gtm.cli import client, tables

if TYPE_CHECKING:
    from gtm.app import finding

SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}
STYLES = {"ok": "", "warning": "unknown", "error": "down"}
DNS_PORT = 53


@click.command()
@click.argument("zone", default="")
@click.option("-c", "--config", "path", metavar="FILE", help="Look at what this file serves; no node is asked.")
@click.option("--resolver", "resolvers", multiple=True, metavar="ADDRESS", help="Instead of this machine's resolvers.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DNS_PORT,
    show_default=True,
    help="Where nameservers are asked; another for trials.",
)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@tables.as_json
@client.options
def command(
    *, zone: str, path: str | None, resolvers: tuple[str, ...], port: int, strict: bool, as_json: bool, url: str
) -> None:
    """Look at ZONE (or all zones) from outside, and at the machine: what is wrong, and what to do.

    Exits 0 when nothing is wrong, 1 when something is.
    """
    from gtm import app, errors
    from gtm.app import delegation, doctor, finding, machine

    asker = delegation.Asker.of([_resolver(one) for one in resolvers], port)
    if path is None:
        told = client.reach(url).get("doctor", {"zone": zone} if zone else {})
    else:
        loaded = app.load_configuration(path)
        if loaded.snapshot is None:
            raise errors.ConfigError(loaded.problems)
        told = doctor.facts(loaded.snapshot, zone)
    found = asyncio.run(doctor.examine(told, asker))
    if not any(one.about == "clock" for one in found) and client.on_this_machine(url):
        found += machine.clock(machine.unsynchronised())  # a hardened unit may not ask the kernel; we may
    worst = finding.worst(found)
    well = worst == "ok" or (worst == "warning" and not strict)
    if as_json:
        tables.say_json({"ok": well, "node": told["node"], "findings": [asdict(one) for one in found]})
    else:
        tables.console().print(tables.table(f"{told['node']}, looked at", ("", "about", "found", "do"), _rows(found)))
        click.echo(_tally(found))
    if not well:
        raise SystemExit(1)


def _resolver(text: str) -> model.Listen:
    """Read `ADDRESS` or `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = text, str(DNS_PORT)
    try:
        if not 0 < int(port) < 65536:
            raise ValueError(port)
        return model.Listen(str(ipaddress.ip_address(host.strip("[]").partition("%")[0])), int(port))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an address", param_hint="--resolver") from None


def _rows(found: Sequence[finding.Finding]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the worst first, and what is well last."""
    for level in ("error", "warning", "ok"):
        for one in found:
            if one.level == level:
                yield STYLES[level], (f"{SIGNS[level]} {level}", one.about, one.what, one.do)


def _tally(found: Sequence[finding.Finding]) -> str:
    counts = {level: sum(one.level == level for one in found) for level in SIGNS}
    errors, warnings = counts["error"], counts["warning"]
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}, {counts['ok']} well"
