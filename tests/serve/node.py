"""A real node for tests, less its control process's mind: starts it, asks it, listens to what it says."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtm import names
from tests.serve import control

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 15.0  # for a busy machine; nothing waits this long when all is well

_START = """
import json, os, sys
from gtm.serve import supervisor
fds = json.loads(sys.argv[1])
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
if fds:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
sys.exit(supervisor.run("unused", control_command=[sys.executable, "-m", "tests.serve.control", sys.argv[2]]))
"""


class Node:
    """A supervisor, its workers, and the control process of `tests.serve.control`."""

    def __init__(
        self, folder: Path, *, workers: int = 1, listen: Sequence[tuple[str, int]] = (("127.0.0.1", 0),), **more: Any
    ) -> None:
        self.hold = folder / "hold"
        self._commands = folder / "commands"
        self._lines = b""
        self.events: dict[str, deque[dict[str, Any]]] = defaultdict(deque)  # heard, not yet asked for
        self.address = ("", 0)
        settings = {"listen": list(listen), "workers": workers, "commands": str(self._commands), "hold": str(self.hold)}
        settings |= more.get("settings", {})
        sockets: Sequence[socket.socket] = more.get("sockets", ())
        fds = [sock.fileno() for sock in sockets]
        with open(folder / "stderr", "wb") as complaints:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(fds), json.dumps(settings)],
                stdout=subprocess.PIPE,
                stderr=complaints,
                pass_fds=fds,
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                    **more.get("environment", {}),
                },
            )
        self._stderr = folder / "stderr"

    # --- what it says ------------------------------------------------------------------------------------------

    def hear(self, event: str, **what: Any) -> dict[str, Any]:
        """Wait for the next event of this kind with these values; others of its kind are passed over."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            waiting = self.events[event]
            while waiting:
                one = waiting.popleft()
                if all(one.get(key) == value for key, value in what.items()):
                    return one
            if not self._read(until_s):
                raise TimeoutError(f"no {event} {what}; instead {dict(self.events)}; {self.complaints()}")

    def _read(self, until_s: float) -> bool:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until_s - time.monotonic()))
        data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            one = json.loads(line)
            self.events[one["event"]].append(one)
        return bool(data)

    def pids(self, role: str, *, other_than: Sequence[int] = (), count: int = 1) -> list[int]:
        """Wait for `count` processes of this role, none of them one of `other_than`."""
        while True:
            heard = self.hear("processes")
            found = [int(one["pid"]) for one in heard["processes"] if one["role"] == role]
            if len(found) == count and not set(found) & set(other_than):
                return found

    def complaints(self) -> str:
        """Return what was written to stderr."""
        return self._stderr.read_text()

    # --- what it is told ---------------------------------------------------------------------------------------

    def tell(self, *words: object) -> None:
        """Give the control process a command."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(" ".join(map(str, words)).encode(), str(self._commands))

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    # --- what it answers ---------------------------------------------------------------------------------------

    def serve(self, address: str, revision: int = 1) -> dict[str, Any]:
        """Wait until it is bound, publish a table, wait until every worker has it; return the event `bound`."""
        bound = self.hear("bound")
        self.address = (bound["listen"][0][0], bound["listen"][0][1])
        self.tell("table", address, revision)
        self.hear("swapped", revision=revision)
        return bound

    def asking(self) -> socket.socket:
        """Return a socket over which a question has just been sent."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE_S)
        sock.connect(self.address)
        sock.send(question())
        return sock

    def ask(self) -> str:
        """Ask over UDP; return the address that is answered."""
        with self.asking() as sock:
            return told(sock.recv(4096))

    def ask_tcp(self) -> str:
        """Ask over TCP; return the address that is answered."""
        with socket.create_connection(self.address, PATIENCE_S) as sock, sock.makefile("rb") as file:
            sock.sendall(len(question()).to_bytes(2) + question())
            return told(file.read(int.from_bytes(file.read(2))))

    # --- the end -----------------------------------------------------------------------------------------------

    def ended(self) -> int:
        """Wait for its end; return its exit status."""
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it whatever it does; the kernel ends its children with it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def question() -> bytes:
    """Return a query for the A record of the one name."""
    return b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + names.wire(control.NAME) + b"\x00\x01\x00\x01"


def told(packet: bytes) -> str:
    """Return the address at the end of an answer to `question()`."""
    assert packet[:2] == b"\x12\x34"
    assert packet[6:8] == b"\x00\x01", packet
    return socket.inet_ntoa(packet[len(question()) + 12 : len(question()) + 16])


def pair_of_sockets() -> tuple[socket.socket, socket.socket]:
    """Return a UDP socket and a listening TCP socket on one free port of 127.0.0.1, as systemd would pass them."""
    for _ in range(50):  # the port that is free for one may be taken for the other
        stream, datagrams = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stream.bind(("127.0.0.1", 0))
        try:
            datagrams.bind(stream.getsockname())
        except OSError:
            stream.close()
            datagrams.close()
            continue
        stream.listen()
        return datagrams, stream
    raise AssertionError("no port is free for both UDP and TCP")
