"""A directory in; a small, commented, valid configuration with ready health checks and zone files in it out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gtm.cli import tables

SAMPLE = """\
# yaml-language-server: $schema=gtm.schema.json
#
# A configuration of GTM. `gtm check gtm.yaml` says what is wrong with it, `gtm serve -c gtm.yaml` runs it.
# Every setting is explained in docs/configuration.md; an editor that knows YAML Schema explains it while you type.

# node: ns1-fra                      # this nameserver's own name; default: the host name

dns:
  listen: ["127.0.0.1:5300"]         # UDP and TCP; in production ["0.0.0.0:53", "[::]:53"]

web:
  listen: 127.0.0.1:8053             # status page, API and /metrics; `off` switches it off

orders:                              # what operators may order: gtm drain, force, weight
  default_for: 4h                    # an order that names no end lifts itself after this
  keep_up: {name: 1}                 # an order that leaves a name with nobody is refused, unless with --break-glass

# geo:                               # a database in MaxMind's format, for rules by place
#   databases: [GeoLite2-City.mmdb]

# Health checks to choose from. Take zones in with "zones/*.yaml" when you have made them yours.
include: ["healthchecks/*.yaml"]

checks:
  edge-answers:                      # a TCP connection within the timeout
    kind: tcp
    port: 443
    every: 5s
    timeout: 2s                      # must be below `every`
    fall: 2                          # bad results before a node counts as down
    rise: 3                          # good results in a row before it counts as up again

sites:                               # failure domains: one answer prefers different ones
  fra: {at: EU-DE}
  ams: {at: EU-NL}
  nyc: {at: NA-US-NY}

endpoints:                           # your nodes
  edge-fra: {address: [192.0.2.11, "2001:db8::11"], site: fra}
  edge-ams: {address: 192.0.2.21, site: ams}
  edge-nyc: {address: 198.51.100.11, site: nyc}

pools:                               # nodes that can stand in for each other
  europe: {members: {edge-fra: 3, edge-ams: 1}, check: edge-answers}    # three answers in four begin with edge-fra
  america: {members: [edge-nyc], check: edge-answers}

zones:
  live.example.org:                  # delegate it to the nameservers below
    nameservers: {ns1: 192.0.2.53, ns2: 198.51.100.53}
    hostmaster: ops@example.org
    steer:
      play: [europe, america]        # the first pool that has a working member
      live:
        ttl: 5s..30s                 # short while health is in doubt
        rules:                       # the first that matches the client
          - {for: [NA, SA], try: [america, europe]}
          - {try: [europe, america]}
"""
COLLECTIONS = ("healthchecks", "zones")


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@tables.as_json
def command(directory: Path, as_json: bool) -> None:
    """Write a small, commented, valid configuration into DIRECTORY.

    Nothing that is there is ever overwritten.
    """
    target = directory / "gtm.yaml"
    if target.exists():
        raise click.ClickException(f"{target} exists already; nothing was written")
    from gtm import app, files
    from gtm.config import editor

    try:
        directory.mkdir(parents=True, exist_ok=True)
        for collection in COLLECTIONS:
            _copy(ready() / collection, directory / collection)
        files.write_atomically(
            str(directory / "gtm.schema.json"),
            (json.dumps(editor.json_schema(app.kinds(), app.senders()), indent=2) + "\n").encode(),
        )
        files.write_atomically(str(target), SAMPLE.encode())
    except OSError as wrong:
        raise click.ClickException(f"{wrong.filename or directory}: {wrong.strerror or wrong}") from None
    if as_json:
        tables.say_json({"wrote": str(target)})
        return
    click.echo(f"wrote {target}; next: gtm check {target}")


def ready() -> Path:
    """Return where the ready files are: inside the installed package, or beside it in a working tree."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "data"
    return inside if inside.is_dir() else package.parent


def _copy(source: Path, target: Path) -> None:
    """Copy a tree of small text files, modes included; leave alone what is there."""
    for file in sorted(source.rglob("*")):
        copied = target / file.relative_to(source)
        if file.is_dir() or copied.exists() or "__pycache__" in file.parts:
            continue
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(file.read_bytes())
        copied.chmod(file.stat().st_mode & 0o777)
