"""An origin of low-latency HLS in memory: parts come by themselves, and a blocking reload waits for them.

`python -m tests.probes.low_latency PORT` serves one until it is killed; SIGUSR1 freezes it and thaws it again.
"""

from __future__ import annotations

import asyncio
import datetime
import signal
import sys
import time
import urllib.parse
from dataclasses import dataclass, field

PARTS = 4  # in a segment
LISTED = 4  # whole segments


def _http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Origin:
    """A stream of segments with four parts each. `frozen` stops it, `deaf` answers blocking reloads at once.

    `refuses` is a status line for them. `asked` are the targets of all requests.
    """

    part_s: float = 0.25
    frozen: bool = False
    deaf: bool = False
    refuses: str = ""
    control: str = "CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold}"
    missing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    count: int = 100 * PARTS
    """Parts that were made since the stream began."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        """Make parts for ever, in real time."""
        due_s = time.monotonic()
        while True:
            due_s += self.part_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if not self.frozen:
                await self.grow()

    async def grow(self, parts: int = 1) -> None:
        """Make parts now."""
        async with self._news:
            self.count += parts
            self._news.notify_all()

    def playlist(self) -> str:
        """Return what is there now."""
        whole, open_parts = divmod(self.count, PARTS)
        now = datetime.datetime.fromtimestamp(time.time() - (LISTED * PARTS + open_parts) * self.part_s, datetime.UTC)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{max(1, round(PARTS * self.part_s))}",
            f"#EXT-X-PART-INF:PART-TARGET={self.part_s}",
            "#EXT-X-SERVER-CONTROL:" + self.control.format(hold=3 * self.part_s),
            f"#EXT-X-MEDIA-SEQUENCE:{whole - LISTED}",
            f"#EXT-X-PROGRAM-DATE-TIME:{now.isoformat()}",
        ]
        for number in range(whole - LISTED, whole + 1):
            parts = PARTS if number < whole else open_parts
            if number >= whole - 1:
                lines += [f'#EXT-X-PART:DURATION={self.part_s},URI="p{number}.{one}.m4s"' for one in range(parts)]
            if number < whole:
                lines += [f"#EXTINF:{PARTS * self.part_s},", f"s{number}.m4s"]
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p{whole}.{open_parts}.m4s"')
        return "\n".join(lines) + "\n"

    async def answer(self, target: str) -> bytes:
        """Return the HTTP answer for a request's target, in its time."""
        self.asked.append(target)
        path, _, query = target.partition("?")
        said = dict(urllib.parse.parse_qsl(query))
        name = path.rpartition("/")[2]
        if name in self.missing:
            return _http(b"", "404 Not Found")
        if not path.endswith(".m3u8"):
            return _http(b"\0\0\0\x18styp" + bytes(4000))
        if "_HLS_msn" in said and not self.deaf:
            if self.refuses:
                return _http(b"", self.refuses)
            wanted = int(said["_HLS_msn"]) * PARTS + int(said.get("_HLS_part", PARTS - 1))
            async with self._news:
                await self._news.wait_for(lambda: self.count > wanted)
        return _http(self.playlist().encode())

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while head := await reader.readuntil(b"\r\n\r\n"):
            writer.write(await self.answer(head.split()[1].decode()))
            await writer.drain()


async def _serve(port: int) -> None:
    origin = Origin()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await origin.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()  # the client has hung up

    def turn() -> None:
        origin.frozen = not origin.frozen

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, turn)
    async with await asyncio.start_server(talk, "0.0.0.0", port):
        await origin.run()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
