"""A message in, one run of a command out: the message as JSON on its standard input, the gist in its environment.

It runs without a shell, in a process group of its own that is killed when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from typing import cast

from gtm import model
from gtm.notify import sender

KIND = model.Kind(
    name="exec",
    doc="a program of this machine; exit code 0 says that it took the alert",
    options=(
        model.Option(
            "command", "command", "program and arguments; a list, or text split as a shell would", required=True
        ),
    ),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOST_OUTPUT_BYTES = 16 * 1024  # a few words of it are shown
MOST_VARIABLE = 4096  # the kernel bounds the environment; the whole text stands on standard input


async def send(trial: sender.Trial) -> str:
    """Run it and wait for its end. A cancelled run is killed with all that it started."""
    command = trial.receiver.options.get("command")
    words = tuple(str(one) for one in command) if isinstance(command, tuple) else ()
    if not words:
        raise sender.NotSent("no command is given", final=True)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(trial),
            start_new_session=True,
        )
    except (OSError, ValueError) as wrong:
        said = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else str(wrong)
        raise sender.NotSent(f"{words[0]}: {said.lower()}") from None
    try:
        _, output = await asyncio.gather(_tell(process, trial), _hear(process))
        code = await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):  # it may just have ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()  # a matter of moments; nobody is left behind as a zombie
        raise
    said = trial.clean(output.decode("utf-8", "replace"))
    if code != 0:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise sender.NotSent(f"{words[0]}: {how}" + (f": {said}" if said else ""))
    return said or "exit code 0"


async def _tell(process: asyncio.subprocess.Process, trial: sender.Trial) -> None:
    stdin = cast(asyncio.StreamWriter, process.stdin)
    stdin.write(json.dumps(sender.plain(trial.message)).encode() + b"\n")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read what it does not care for
        await stdin.drain()
    stdin.close()


async def _hear(process: asyncio.subprocess.Process) -> bytes:
    """Return the output up to the bound, and drop the rest so that the command can end."""
    stdout, kept = cast(asyncio.StreamReader, process.stdout), b""
    while chunk := await stdout.read(4096):
        kept += chunk[: MOST_OUTPUT_BYTES - len(kept)]
    return kept


def _environment(trial: sender.Trial) -> dict[str, str]:
    message = trial.message
    told = {
        "WHAT": message.what, "TITLE": message.title, "SEVERITY": message.severity, "GROUP": message.group,
        "NODE": message.node, "INCIDENT": message.incident, "ID": message.id, "URL": message.look,
        "TEXT": message.text,
    }  # fmt: skip
    clean = {f"GTM_{key}": value.replace("\0", "")[:MOST_VARIABLE] for key, value in told.items()}
    return {"PATH": _PATH, "LANG": "C.UTF-8", **clean}
