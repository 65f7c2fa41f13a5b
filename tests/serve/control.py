"""A control process for tests: does what it is told over a datagram socket, prints what it hears as JSON lines.

`python -m tests.serve.control SETTINGS` with SETTINGS as JSON: listen, workers, commands (a socket's path), hold (a
file; while it is there at the start, this process hangs without a word), exit (a status to end with at once).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from gtm import names, table
from gtm.serve import links
from gtm.wire import pack

ZONE, NAME = "example.", "live.example."


def ring(address: str) -> table.Ring:
    """Return a ring that answers one address. The owner is a pointer to the question (RFC 1035 section 4.1.4)."""
    body = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + socket.inet_aton(address)
    return table.Ring((0,), (table.Fixed(0x0400, 1, 0, 0, body),), (("e",),), ttl_s=5, pool="p", rung="first", rule=1)


def answers(address: str, revision: int) -> table.AnswerTable:
    """Return a table of one zone with one steered name."""
    negative = table.Fixed(0x0400, 0, 0, 0, b"")
    return table.AnswerTable(
        revision=revision,
        digest="",
        node="n",
        zones=(table.ZoneEntry(names.key(ZONE), negative, negative),),
        names={names.key(ZONE): table.Entry(0, {}), names.key(NAME): table.Entry(0, {}, steering=0)},
        steerings=(table.Steering(-1, (0,), (1,), (1,)),),
        prefixes=(),
        rings=(ring(address), table.Ring()),
        shared_key=bytes(16),
    )


def tell(event: str, **what: Any) -> None:
    """Print one event."""
    os.write(1, json.dumps({"event": event, **what}).encode() + b"\n")


async def main(settings: dict[str, Any]) -> None:
    """Run until SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    control = links.Links.from_environment(
        on_counts=lambda worker, counts: tell(
            "counts", worker=worker, total=sum(sum(values.values()) for values in counts.values())
        ),
        on_swapped=lambda worker, revision: tell("swapped", worker=worker, revision=revision),
        on_supervisor=lambda kind, body: tell(kind, **body),
    )
    commands = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    commands.setblocking(False)
    commands.bind(settings["commands"])
    bound = await control.open(
        listen=settings["listen"], workers=settings["workers"], rate_limit=settings.get("rate_limit")
    )
    tell("bound", listen=bound.listen, revision=bound.revision, pid=os.getpid())

    def obey() -> None:
        word, *rest = commands.recv(1000).decode().split()
        if word == "table":
            control.publish_table(pack.pack_table(answers(rest[0], int(rest[1]))), int(rest[1]))
        elif word == "rings":
            control.publish_rings(pack.pack_rings(int(rest[1]), {0: ring(rest[0])}), int(rest[1]))
        elif word == "ready":
            control.ready()
        elif word == "status":
            control.status(" ".join(rest))

    loop.add_reader(commands, obey)
    await ended.wait()
    tell("stopping")
    control.close()
    commands.close()


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    if "exit" in arguments:
        sys.exit(arguments["exit"])
    if os.path.exists(arguments["hold"]):
        tell("holding")
        signal.pause()
    Path(arguments["commands"]).unlink(missing_ok=True)  # of the process before this one
    asyncio.run(main(arguments))
