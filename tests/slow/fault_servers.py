"""A folder of flags in, servers out for what Debian has none for: WHIP, loads, a late mirror, a full SRT gateway.

`python -m tests.slow.fault_servers FOLDER` serves until it is killed.
"""

from __future__ import annotations

import asyncio
import collections
import sys
import time
from pathlib import Path

from aiohttp import web

from gtm.probes import srt_packet
from tests.probes import ingest_servers

PORT = 8081
SRT_FULL = "127.21.0.3"
# Over three target durations, which is too late, by as much as looks at one stream may differ: they meet it anywhere
# between two segments, and the others may have gone on since they were looked at.
LATE_S = 11.0
LOOK_S = 0.2
WIRE_FULL = 1402


class Servers:
    """What these servers say depends on flags: files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.past: collections.deque[tuple[float, bytes]] = collections.deque(maxlen=int(4 * LATE_S / LOOK_S))

    def flag(self, name: str) -> bool:
        """Say whether a flag is up."""
        return (self.folder / "flags" / name).exists()

    async def remember(self) -> None:
        """Keep what the calm playlist was in the last seconds."""
        while True:
            self.past.append((time.monotonic(), (self.folder / "hls/calm/index.m3u8").read_bytes()))
            await asyncio.sleep(LOOK_S)

    async def late(self, request: web.Request) -> web.Response:
        """Answer with the calm playlist; on one edge with what it was a while ago, or as long ago as is known."""
        until_s = time.monotonic() - (LATE_S if self.flag(f"{request.host}-late") else 0.0)
        body = [then for at_s, then in self.past if at_s <= max(until_s, self.past[0][0])][-1]
        return web.Response(body=body, content_type="application/vnd.apple.mpegurl")

    async def whip(self, _: web.Request) -> web.Response:
        """Answer OPTIONS as a WHIP endpoint does."""
        return web.Response(status=204, headers={"Accept-Post": "application/sdp"})

    async def origin(self, _: web.Request) -> web.Response:
        """Answer well, or that there is too much to do."""
        full = self.flag("full")
        return web.Response(status=503 if full else 200, headers={"Retry-After": "30"} if full else {})

    async def load(self, _: web.Request) -> web.Response:
        """Say how many sessions there are."""
        return web.json_response({"sessions": 1200 if self.flag("sessions") else 300})

    def srt(self, _: bytes, heard: srt_packet.Handshake | None) -> bytes:
        """Answer as a gateway that lets everybody in, or that is full."""
        if heard is None:
            return b""
        if heard.type == srt_packet.INDUCTION:
            return ingest_servers.handshake(heard.socket)
        full = self.flag("srt-full")
        return ingest_servers.handshake(heard.socket, type=WIRE_FULL if full else srt_packet.CONCLUSION)


async def _serve(folder: Path) -> None:
    servers = Servers(folder)
    app = web.Application()
    app.router.add_get("/late/index.m3u8", servers.late)
    app.router.add_route("OPTIONS", "/whip/{name}", servers.whip)
    app.router.add_get("/healthz", servers.origin)
    app.router.add_get("/load.json", servers.load)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", PORT).start()
    await ingest_servers.srt(servers.srt, (SRT_FULL, 9000))
    await servers.remember()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
