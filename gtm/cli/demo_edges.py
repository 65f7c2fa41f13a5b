"""An address, a port and a name in, one HTTP edge with live, moving HLS out: `python -m gtm.cli.demo_edges`.

Each channel has a media playlist that moves with the clock, and segments of MPEG-TS packets. `POST /freeze/CHANNEL`
makes that playlist stand still (it is still answered with 200), `POST /thaw/CHANNEL` lets it go on, and `POST /exit`
ends the process without a goodbye.
"""

from __future__ import annotations

import datetime
import os
import socketserver
import sys
import threading
import time
from http import server

SEGMENT_S = 1  # short, so that a drill takes seconds; broadcasters use 2 to 6
LISTED = 6  # segments in a playlist: above the three target durations that RFC 8216 section 6.2.2 asks for
KEPT = 18  # segments still served: the playlist's length again after removal (RFC 8216 section 6.2.2), and some
# A null packet (ISO/IEC 13818-1 section 2.4.3.3): sync byte, PID 0x1FFF, payload only. 94 of them are about 140 kbit/s.
PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184
SEGMENT = PACKET * 94


def playlist(now: float) -> str:
    """Return the media playlist at wall-clock second `now`: the segments that have ended by then (RFC 8216)."""
    newest = int(now // SEGMENT_S) - 1
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT_S}"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{newest - LISTED + 1}")
    for number in range(newest - LISTED + 1, newest + 1):
        begun = datetime.datetime.fromtimestamp(number * SEGMENT_S, datetime.UTC)
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{begun.isoformat(timespec='milliseconds')}")
        lines += [f"#EXTINF:{SEGMENT_S:.3f},", f"{number}.ts"]
    return "\n".join(lines) + "\n"


def has_segment(number: int, now: float) -> bool:
    """Say whether a segment is there at `now`: it has ended, and not too long ago."""
    newest = int(now // SEGMENT_S) - 1
    return newest - KEPT < number <= newest


class Edge(socketserver.ThreadingTCPServer):
    """One edge: its address, its name, and since when which channels stand still."""

    allow_reuse_address = True  # a killed edge comes back on the same port at once
    daemon_threads = True

    def __init__(self, address: str, port: int, name: str) -> None:
        self.name = name
        self.frozen: dict[str, float] = {}
        super().__init__((address, port), Request)


class Request(server.BaseHTTPRequestHandler):
    """One connection: playlists and segments by GET, the knobs by POST."""

    protocol_version = "HTTP/1.1"
    server: Edge

    def do_GET(self) -> None:
        """Serve `/CHANNEL/index.m3u8`, `/CHANNEL/NUMBER.ts`, and a line of text at `/`."""
        channel, _, file = self.path.partition("?")[0].strip("/").partition("/")
        now = self.server.frozen.get(channel, time.time())
        if file == "index.m3u8":
            self._say(200, playlist(now).encode(), "application/vnd.apple.mpegurl")
        elif file.endswith(".ts") and file[:-3].isdecimal() and has_segment(int(file[:-3]), now):
            self._say(200, SEGMENT, "video/mp2t")
        elif not channel:
            self._say(200, f"{self.server.name}\n".encode())
        else:
            self._say(404, b"no such thing here\n")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Turn a knob: `/freeze/CHANNEL`, `/thaw/CHANNEL`, `/exit`."""
        knob, _, channel = self.path.strip("/").partition("/")
        if knob == "freeze" and channel:
            self.server.frozen.setdefault(channel, time.time())
            self._say(200, f"{self.server.name}: {channel} stands still\n".encode())
        elif knob == "thaw" and channel:
            self.server.frozen.pop(channel, None)
            self._say(200, f"{self.server.name}: {channel} moves\n".encode())
        elif knob == "exit":
            os._exit(1)
        else:
            self._say(404, b"knobs: /freeze/CHANNEL /thaw/CHANNEL /exit\n")

    def _say(self, status: int, body: bytes, media: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache" if media != "video/mp2t" else f"max-age={KEPT * SEGMENT_S}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the nameserver's probes come every second."""


def main(address: str, port: str, name: str, tied: str = "") -> None:
    """Serve until killed. With `tied`, end when standard input does, so that an edge never outlives its demo."""
    with Edge(address, int(port), name) as edge:
        if tied:
            threading.Thread(target=_end_with_stdin, daemon=True).start()
        try:
            edge.serve_forever()
        except KeyboardInterrupt:
            sys.exit(130)


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
