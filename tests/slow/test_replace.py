"""Ten thousand questions over three replacements and a restart by socket hand-over: none lost, none waits for long."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.node import running, stream
from tests.node.test_node import CONFIG, ONE, PLAY, TWO

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]

QUESTIONS, PER_SECOND = 10_000, 200
SILENCE_S = 0.05
_HANDED_OVER = """
import json, os, sys
fds = json.loads(sys.argv[1])
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
os.environ["LISTEN_FDNAMES"] = ":".join(["gtm-dns"] * len(fds))
os.execv(sys.executable, [sys.executable, "-m", "gtm.serve.supervisor", "--config", sys.argv[2]])
"""


async def test_G12_nothing_is_lost_over_three_replacements_and_a_restart(tmp_path: Path) -> None:
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    text = CONFIG.format(folder=tmp_path, port=one.port)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(b"")
    listening.setblocking(False)
    environment = {"NOTIFY_SOCKET": "@" + listening.getsockname()[1:].decode()}
    fds: list[int] = []
    async with running.node(text, tmp_path, environment=environment) as node:
        while not fds:
            fds = list(socket.recv_fds(listening, 200, 20)[1])
        async with stream.asking(node.dns, PLAY, PER_SECOND) as asked:
            for _ in range(3):
                node.said = []
                status, body = await node.post("/api/v1/replace", {"within_s": 60})
                assert (status, body) == (200, {"replaced": True})
                node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
            # As systemd does it, but with the new one started before the old one is told to stop.
            fds = move(fds)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _HANDED_OVER, json.dumps(fds), str(node.path), pass_fds=fds,
                stderr=asyncio.subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(running.ROOT)},
            )  # fmt: skip
            after = running.Node(process, node.path, node.http)
            reader = asyncio.create_task(running._listen(after))
            after.web = (await after.said_line(r"web on (http://\S+)/"))[1]
            await after.until(lambda: running._status(after, "/readyz"), lambda status: status == 200)
            node.process.send_signal(signal.SIGTERM)
            await node.process.wait()
            await asyncio.sleep(max(0.0, (QUESTIONS - asked.asked) / PER_SECOND))
        process.send_signal(signal.SIGTERM)
        await process.wait()
        await reader
    for edge in (one, two):
        await edge.stop()
    listening.close()
    median_s = sorted(asked.took_s)[len(asked.took_s) // 2]
    print(f"{asked.asked} questions, {len(asked.sent)} lost; answered after {1000 * median_s:.2f} ms (median), "
          f"{1000 * asked.waited_s:.1f} ms (worst); longest silence with a question open "
          f"{1000 * asked.silence_s:.1f} ms; longest between two answers {1000 * asked.gap_s:.1f} ms, "
          f"of which the asker was late by up to {1000 * asked.late_s:.1f} ms")  # fmt: skip
    assert asked.asked >= QUESTIONS - PER_SECOND
    assert (asked.sent, asked.answers()) == ({}, {ONE, TWO})
    assert asked.silence_s <= SILENCE_S


def move(fds: list[int]) -> list[int]:
    """Return copies of descriptors, out of the way of those that begin at 3."""
    moved = [os.dup(fd) for fd in fds]
    while min(moved) < 3 + 2 * len(fds):
        moved = [os.dup(fd) for fd in moved]
    for fd in moved:
        os.set_inheritable(fd, True)
    return moved
