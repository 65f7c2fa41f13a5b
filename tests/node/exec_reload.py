"""A running node in, what the unit's ExecReload makes of it out."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.node import running


async def of(node: running.Node, folder: Path, installed: Path = running.ROOT) -> tuple[int, str]:
    """Run it as this version, with this RuntimeDirectory; return its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gtm.serve.reloading", str(node.process.pid), stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(installed), "RUNTIME_DIRECTORY": str(folder)}, cwd=folder,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
