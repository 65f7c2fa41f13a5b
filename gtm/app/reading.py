"""A configuration's path in, what was loaded from it out, by a process of its own.

Reading a hundred thousand names takes seconds. In a thread they would be taken from the loop: a loop that probes gives
the interpreter away some thousand times a second, and waits for milliseconds each time until it has it back. And what
runs out of memory there is not the process that decides who is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
from asyncio import subprocess

from gtm import app, errors
from gtm.app import collector
from gtm.config import load

# Answers and probes come first, where the machine has less to give than everybody wants.
_NICE = 10


async def read(path: str) -> load.Loaded:
    """Read a configuration with all that it includes. Raises `GtmError` when that cannot be done at all."""
    command = [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "gtm.app.reading", path]
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as wrong:
        raise errors.GtmError(f"no process could be started: {wrong.strerror or wrong}") from None
    try:
        packed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode == os.EX_OSERR:
        raise errors.GtmError("this machine has no memory left")
    if process.returncode:
        raise errors.GtmError(f"the process that read it ended with status {process.returncode}")
    return await asyncio.to_thread(_unpacked, packed)


def _unpacked(packed: bytes) -> load.Loaded:
    try:
        with collector.resting():
            loaded: load.Loaded = pickle.loads(packed)  # noqa: S301 - our own process wrote it
            return loaded
    except MemoryError:
        raise errors.GtmError("this machine has no memory left") from None


def main() -> None:
    """Write what was loaded from the configuration whose path is the only argument."""
    with contextlib.suppress(PermissionError):  # a sandbox may forbid it; it reads all the same
        os.nice(_NICE)
    try:
        loaded = app.load_configuration(sys.argv[1])
        with collector.resting(), os.fdopen(1, "wb") as out:
            pickle.dump(loaded, out, pickle.HIGHEST_PROTOCOL)
    except (MemoryError, errors.GtmError):  # which is what it says when there is no memory
        sys.exit(os.EX_OSERR)


if __name__ == "__main__":
    main()
