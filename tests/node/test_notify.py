"""What systemd is told by a running node: when it is ready, how it is, and each reload from its begin to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from gtm.serve import reloading
from tests.node import exec_reload, running
from tests.node.test_node import CONFIG, ONE, TWO


class Listening:
    """The other end of `$NOTIFY_SOCKET`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(b"")
        self._socket.setblocking(False)
        self.status = ""
        self.address = "@" + self._socket.getsockname()[1:].decode()

    async def hears(self, *begins: str) -> str:
        """Return the next message that begins with one of these; what else systemd is told meanwhile is left out."""
        async with asyncio.timeout(running.PATIENCE_S):
            while True:
                said = (await asyncio.get_running_loop().sock_recv(self._socket, 500)).decode()
                word, _, status = said.partition("STATUS=")
                self.status = self.status if word else status
                if said.startswith(begins):
                    return said

    async def hears_status(self, wanted: str) -> None:
        """Wait until this is what `systemctl status` shows."""
        while self.status != wanted:
            await self.hears("STATUS=")

    def close(self) -> None:
        self._socket.close()


async def test_systemd_is_told_how_a_node_is_and_that_each_reload_ends_whether_it_is_taken_or_not(
    tmp_path: Path,
) -> None:
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    listening = Listening()
    text = CONFIG.format(folder=tmp_path, port=one.port)
    async with running.node(text, tmp_path, environment={"NOTIFY_SOCKET": listening.address}) as node:
        assert await listening.hears("READY=1") == "READY=1"
        await listening.hears_status("serving 1 zone, 2 endpoints up")
        for written in (text, text.replace("steer:", "stear:"), text):
            node.path.write_text(written)
            before_usec = time.monotonic_ns() // 1000
            node.process.send_signal(signal.SIGHUP)
            word, _, usec = (await listening.hears("RELOADING=1", "READY=1")).partition("\nMONOTONIC_USEC=")
            assert word == "RELOADING=1"
            assert before_usec <= int(usec) <= time.monotonic_ns() // 1000
            assert await listening.hears("RELOADING=1", "READY=1") == "READY=1"
            assert (await node.get("/api/v1/status"))["config"]["accepted"] == (written == text)
        await two.stop()
        await listening.hears_status("serving 1 zone, 1 of 2 endpoints up")
    assert await listening.hears("STOPPING=1") == "STOPPING=1"
    await one.stop()
    listening.close()


async def test_the_units_reload_ends_when_the_nodes_does_and_fails_when_it_was_refused_or_never_ended(
    tmp_path: Path,
) -> None:
    one = running.Edge(ONE)
    await one.start()
    text = CONFIG.format(folder=tmp_path, port=one.port)
    folder = tmp_path / "run"
    folder.mkdir()
    async with running.node(text, tmp_path, environment={"RUNTIME_DIRECTORY": str(folder)}) as node:
        node.path.write_text(text.replace("steer:", "stear:"))
        status, said = await exec_reload.of(node, folder)
        assert (status, "was refused" in said) == (1, True)
        assert (await node.get("/api/v1/status"))["config"]["accepted"] is False
        node.path.write_text(text)
        assert await exec_reload.of(node, folder) == (0, "")
        (processes,) = [(await node.get("/api/v1/status"))["processes"]]
        (control,) = [one["pid"] for one in processes if one["role"] == "control"]
        os.kill(control, signal.SIGSTOP)
        waits = asyncio.create_task(exec_reload.of(node, folder))
        await node.until(lambda: asyncio.to_thread(os.path.exists, folder / "reload"), bool)
        node.process.kill()
        status, said = await waits
        assert (status, "ended before its reload did" in said) == (1, True)
    assert list(folder.iterdir()) == []
    await one.stop()


def test_the_units_reload_says_what_to_use_by_hand(capfd: pytest.CaptureFixture[str]) -> None:
    assert reloading.main(["1"], "") == reloading.main([], "/run/gtm") == reloading.main(["x"], "/run/gtm") == 2
    assert "use `gtm reload`" in capfd.readouterr().err
