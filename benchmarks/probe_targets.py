"""Nothing in, a server for every probe kind out: its ports as one line of JSON, until its input ends.

A process of its own (`python -m benchmarks.probe_targets`), so that what it costs is not counted as the probes'. Each
answers as little as a healthy endpoint may.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import struct
import sys
import time
from collections.abc import Awaitable, Callable

import h2.config
import h2.connection
import h2.events

from gtm.probes import amf, chunks, srt_packet

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SEGMENT_S, SEGMENTS = 2, 6
MAIN = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=99\nhigh.m3u8\n"
MPD = """<MPD type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z"><Period start="PT0S">
<AdaptationSet contentType="video"><SegmentTemplate media="s$Number$.m4s" startNumber="{first}"><SegmentTimeline>
<S t="{start}" d="{each}" r="{more}"/></SegmentTimeline></SegmentTemplate><Representation id="v" bandwidth="9"/>
</AdaptationSet></Period></MPD>"""
STAT = (
    "<rtmp><server><application><name>live</name><live>"
    + "".join(f"<stream><name>c{at}</name><bytes_in>1</bytes_in><publishing/></stream>" for at in range(10))
    + "</live></application></server></rtmp>"
).encode()


def playlist() -> bytes:
    """Return a live playlist of two-second segments, which moves with the clock."""
    newest = int(time.time() / SEGMENT_S)
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{SEGMENT_S}", f"#EXT-X-MEDIA-SEQUENCE:{newest - SEGMENTS + 1}"]
    for at in range(newest - SEGMENTS + 1, newest + 1):
        when = datetime.datetime.fromtimestamp((at - 1) * SEGMENT_S, datetime.UTC).isoformat(timespec="milliseconds")
        lines += [f"#EXT-X-PROGRAM-DATE-TIME:{when}", f"#EXTINF:{SEGMENT_S:.3f},", f"s{at}.ts"]
    return "\n".join([*lines, ""]).encode()


def manifest() -> bytes:
    """Return the same as a DASH manifest."""
    first = int(time.time() / SEGMENT_S) - SEGMENTS
    return MPD.format(first=first, start=first * SEGMENT_S, each=SEGMENT_S, more=SEGMENTS - 1).encode()


def _page(path: bytes) -> bytes:
    if path == b"/main.m3u8":
        return MAIN
    if path.endswith(b".m3u8"):
        return playlist()
    if path.endswith(b".mpd"):
        return manifest()
    return STAT if path == b"/stat" else b"\x47" * 4096


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer playlists, segments, statistics, and everything else with a few bytes."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        path = head.split(b" ", 2)[1]
        body = _page(path)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def rtsp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer OPTIONS and DESCRIBE."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        body = b"v=0\r\nm=video 0 RTP/AVP 96\r\n" if head.startswith(b"DESCRIBE") else b""
        writer.write(b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def rtmp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Shake hands and accept every application."""
    hello = await reader.readexactly(1537)
    writer.write(hello[:1] + bytes(1536) + hello[1:])
    await reader.readexactly(1536)
    wire = chunks.Reader()
    while data := await reader.read(65536):
        for _ in wire.feed(data):
            said = amf.pack("_result", 1, None, {"level": "status", "code": "NetConnection.Connect.Success"})
            writer.write(chunks.pack(chunks.COMMAND, 0, said))


async def grpc(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve."""
    wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    wire.initiate_connection()
    while data := await reader.read(65536):
        for event in wire.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                wire.send_headers(event.stream_id or 1, [(":status", "200"), ("content-type", "application/grpc")])
                wire.send_data(event.stream_id or 1, b"\0\0\0\0\2\x08\1")
                wire.send_headers(event.stream_id or 1, [("grpc-status", "0")], end_stream=True)
        writer.write(wire.data_to_send())


class Srt(asyncio.DatagramProtocol):
    """Answers inductions."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        found = srt_packet.read(data)
        if found is not None:
            head = struct.pack(">HHIII", srt_packet.HANDSHAKE, 0, 0, 0, found.socket)
            body = struct.pack(">IHHIIIIII16x", 5, 0, srt_packet.MAGIC, 1, 1500, 8192, srt_packet.INDUCTION, 7, 4711)
            self._transport.sendto(head + body, addr)  # type: ignore[attr-defined]


def quietly(talk: Talk) -> Talk:
    """Return a talk that ends when the probe has seen enough."""

    async def ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # hung up on
        finally:
            writer.close()

    return ended


async def main() -> None:
    """Serve until nobody listens to us any more."""
    loop, ports = asyncio.get_running_loop(), {}
    talks: dict[str, Talk] = {"web": web, "rtsp": rtsp, "rtmp": rtmp, "grpc": grpc}
    for name, talk in talks.items():
        server = await asyncio.start_server(quietly(talk), "127.0.0.1", 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(Srt, local_addr=("127.0.0.1", 0))
    ports["srt"] = transport.get_extra_info("sockname")[1]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
