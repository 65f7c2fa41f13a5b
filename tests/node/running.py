"""A configuration in, a real running node on loopback out: `gtm serve` as a child process, asked over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncquery
import dns.edns
import dns.message
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 45.0  # for a busy machine; nothing waits this long when all is well


class Node:
    """A running node. `web` is its base URL, `dns` where it answers."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path, http: aiohttp.ClientSession) -> None:
        self.process, self.path, self.http = process, path, http
        self.web = ""
        self.dns: tuple[str, int] = ("", 0)
        self.said: list[str] = []

    async def get(self, path: str) -> Any:
        """Return the JSON (or text) of a page."""
        async with self.http.get(self.web + path) as reply:
            return await (reply.json() if "json" in reply.content_type else reply.text())

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Post JSON; return the status and what came back."""
        async with self.http.post(self.web + path, json=body) as reply:
            return reply.status, await reply.json()

    async def ask(self, name: str, rtype: str = "A", *, subnet: str = "", tcp: bool = False) -> dns.message.Message:
        """Ask over a new socket, so that the kernel may pick any worker."""
        options: list[dns.edns.Option] = []
        if subnet:
            address, _, bits = subnet.partition("/")
            options.append(dns.edns.ECSOption(address, int(bits)))
        query = dns.message.make_query(name, rtype, use_edns=0, payload=1232, options=options)
        how = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await how(query, self.dns[0], timeout=5, port=self.dns[1])

    async def answers(self, name: str, rtype: str = "A", times: int = 12) -> set[str]:
        """Return every record that `times` answers hold."""
        found = [await self.ask(name, rtype) for _ in range(times)]
        return {rdata.to_text() for one in found for rrset in one.answer for rdata in rrset}

    async def until(self, what: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
        """Look again and again until what is seen is as wanted; fail with what was seen last."""
        last: Any = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    last = await what()
                    if wanted(last):
                        return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"still {last!r}; the node said:\n" + "\n".join(self.said[-30:])) from None

    async def said_line(self, pattern: str) -> re.Match[str]:
        """Wait until the node's log has a line like this."""
        seen = 0

        async def look() -> re.Match[str] | None:
            nonlocal seen
            for line in self.said[seen:]:
                seen += 1
                if found := re.search(pattern, line):
                    return found
            return None

        found = await self.until(look, lambda one: one is not None)
        assert found is not None
        return found  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def node(
    text: str, folder: Path, *, ready: bool = True, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Node]:
    """Run `gtm serve` with this configuration (and `environment` beside ours), and end it afterwards."""
    path = folder / "gtm.yaml"
    path.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gtm.cli.main", "serve", "-c", str(path),
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )  # fmt: skip
    async with aiohttp.ClientSession() as http:
        one = Node(process, path, http)
        reader = asyncio.create_task(_listen(one))
        try:
            if ready:
                one.web = (await one.said_line(r"web on (http://\S+)/"))[1]
                await one.until(lambda: _status(one, "/readyz"), lambda status: status == 200)
                host, _, port = (await one.get("/api/v1/status"))["listen"]["dns"][0].rpartition(":")
                one.dns = host.strip("[]"), int(port)
            yield one
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), PATIENCE_S)
            await reader


async def _status(one: Node, path: str) -> int:
    async with one.http.get(one.web + path) as reply:
        return reply.status


async def _listen(one: Node) -> None:
    assert one.process.stderr is not None
    while line := await one.process.stderr.readline():
        one.said.append(line.decode(errors="replace").rstrip())


class Edge:
    """A real HTTP server on a loopback address, with a status to turn."""

    def __init__(self, host: str) -> None:
        self.host, self.port, self.status = host, 0, 200
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(status=self.status, text="ok\n")

    async def start(self, port: int = 0) -> None:
        """Listen (again)."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Listen no more: connections are refused."""
        await self._runner.cleanup()
