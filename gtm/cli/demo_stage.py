"""Ports in, the demo's running processes out: its edges and its node, each of which can be broken and mended."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from gtm import errors
from gtm.cli import demo_ask, demo_world

READY_S = 30.0  # an interpreter starts in a second; this is for a machine that is busy
STOP_S = 5.0
LOOK_S = 0.05


class StageError(errors.GtmError):
    """The small world could not be built, or fell over."""


def free_port(wanted: int, hosts: tuple[str, ...] = ("127.0.0.1",)) -> int:
    """Return `wanted` if it is free for UDP and TCP on all `hosts`, else a port that is. Raises `StageError`."""
    port = wanted
    for _ in range(100):  # a port that is free on the first address is nearly always free on the others
        with contextlib.ExitStack() as held:
            try:
                for host in hosts:
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        sock = held.enter_context(socket.socket(socket.AF_INET, kind))
                        if kind == socket.SOCK_STREAM:
                            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        sock.bind((host, port))
                        port = sock.getsockname()[1]
            except OSError as wrong:
                last, port = wrong, 0
            else:
                return port
    raise StageError(f"no port is free on {', '.join(hosts)}: {last}. The demo needs all of 127.0.0.0/8 on loopback")


class Stage:
    """The processes. Use it in a `with`; whatever happens inside, nothing outlives it."""

    def __init__(self, folder: Path, *, dns_port: int, web_port: int, edge_port: int) -> None:
        self.dns = ("127.0.0.1", dns_port)
        self.web = ("127.0.0.1", web_port)
        self.edge_port = edge_port
        self.configuration = folder / "gtm.yaml"
        self.log = folder / "gtm.log"
        self.configuration.write_text(
            demo_world.configuration(dns_port=dns_port, web_port=web_port, edge_port=edge_port)
        )
        (folder / "places.mmdb").write_bytes(demo_world.places())
        self._edges: dict[str, subprocess.Popen[bytes]] = {}
        self._node: subprocess.Popen[bytes] | None = None
        self._open: contextlib.ExitStack = contextlib.ExitStack()

    def __enter__(self) -> Stage:
        try:
            for edge in demo_world.EDGES:
                self.revive(edge)
            out = self._open.enter_context(self.log.open("wb"))
            self._node = self._spawn(
                ["-c", "from gtm.cli.main import main; main()", "serve", "-c", str(self.configuration)], out
            )
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._node:
            self._node.terminate()
        for process in self._edges.values():
            process.kill()
        for process in [*self._edges.values(), *([self._node] if self._node else [])]:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()
        self._open.close()

    def freeze(self, edge: demo_world.Edge, channel: str) -> None:
        """Let a channel's playlist stand still on one edge; it is still answered with 200."""
        self._turn(edge, f"/freeze/{channel}")

    def thaw(self, edge: demo_world.Edge, channel: str) -> None:
        """Let a frozen playlist move again."""
        self._turn(edge, f"/thaw/{channel}")

    def kill(self, edge: demo_world.Edge) -> None:
        """End an edge's process on the spot (SIGKILL)."""
        process = self._edges[edge.name]
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()

    def revive(self, edge: demo_world.Edge) -> None:
        """Start an edge's process."""
        self._edges[edge.name] = self._spawn(
            ["-m", "gtm.cli.demo_edges", edge.address, str(self.edge_port), edge.name, "tied"], subprocess.DEVNULL
        )

    def pid(self, edge: demo_world.Edge) -> int:
        """Return the process that is an edge now."""
        return self._edges[edge.name].pid

    def ask(self, channel: str, viewer: demo_world.Viewer) -> demo_ask.Answer:
        """Return what a viewer's resolver gets for a channel now. Raises `demo_ask.NoAnswer`."""
        return demo_ask.ask(self.dns, f"{channel}.{demo_world.ZONE}", viewer.subnet)

    def watch(self, until: float) -> None:
        """Stay until the monotonic clock says `until`. Raises `StageError` when the node dies before."""
        while (left_s := until - time.monotonic()) > 0:
            self._check_node()
            time.sleep(min(LOOK_S * 4, left_s))

    def _spawn(self, arguments: list[str], out: IO[bytes] | int) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches the demo alone, which then ends the others in order. An edge whose
        # standard input ends follows; so not even a demo that is killed leaves edges behind.
        return subprocess.Popen(  # noqa: S603  (our own interpreter and words)
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True
        )

    def _turn(self, edge: demo_world.Edge, knob: str) -> None:
        link = http.client.HTTPConnection(edge.address, self.edge_port, timeout=2)
        with contextlib.closing(link):
            link.request("POST", knob)
            if link.getresponse().status != 200:
                raise StageError(f"{edge.name} does not turn {knob}")

    def _wait(self) -> None:
        """Return when every edge serves and the node answers from a judged table."""
        until = time.monotonic() + READY_S
        waiting = [(edge.address, self.edge_port, "/", edge.name) for edge in demo_world.EDGES]
        waiting.append((*self.web, "/readyz", "the nameserver"))
        while waiting:
            host, port, path, who = waiting[0]
            if _says_200(host, port, path):
                waiting.pop(0)
                continue
            self._check_node()
            if time.monotonic() > until:
                raise StageError(f"{who} is not ready after {READY_S:.0f} s\n{self._last_words()}")
            time.sleep(LOOK_S)

    def _check_node(self) -> None:
        if self._node and self._node.poll() is not None:
            raise StageError(f"the nameserver ended with status {self._node.returncode}\n{self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def _says_200(host: str, port: int, path: str) -> bool:
    link = http.client.HTTPConnection(host, port, timeout=2)
    with contextlib.closing(link):
        try:
            link.request("GET", path)
            return link.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # not there yet
