"""`gtm serve`: a configuration's path in, and this process becomes the node's supervisor."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import gtm
from gtm import errors

_PLACES = (Path("/etc/gtm/gtm.yaml"), Path("gtm.yaml"))


@click.command("serve")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Default: /etc/gtm/gtm.yaml, else ./gtm.yaml.")
@click.option("--user", default="", help="Whom to become once the sockets are open. Needs root.")
def command(config: Path | None, user: str) -> None:
    """Run a node. SIGHUP reloads the configuration, SIGTERM stops gracefully."""
    path = config or next((place for place in _PLACES if place.exists()), None)
    if path is None:
        raise errors.GtmError(f"no configuration: neither {' nor '.join(map(str, _PLACES))} exists; give one with -c")
    # This process has click and rich in it; the supervisor is better off without, so it takes this process over.
    # -P: a directory that happens to hold a `json.py` must not become part of the server. From a source tree that is
    # not installed the directory is needed, to find the same code again.
    safe = [] if Path(gtm.__file__).parents[1] == Path.cwd() else ["-P"]
    arguments = ["-m", "gtm.serve.supervisor", "--config", str(path), "--user", user]
    os.execv(sys.executable, [sys.executable, *safe, *arguments])  # noqa: S606
