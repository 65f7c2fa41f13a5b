"""How well a node keeps 1,000 HLS checks a second: rate, CPU of its control process, and how late probes leave.

`python -m benchmarks.playlists [--seconds 15] [--endpoints 2000]` runs a real `gtm serve` whose control process has one
core for itself: endpoints whose live playlist is looked at every two seconds, each time over a connection of its own;
once for playlists alone, and once with each segment as it appears. `benchmarks.probes` says what one probe costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import functools
import multiprocessing
import os
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from benchmarks import lateness, servers, udp_path

AIM_PER_S = 1000.0
LATE_MS = 50.0  # a probe leaves on time when it leaves within this
ENDPOINTS, EVERY_S = 2000, 2
SETTLE_S = 10.0
SEGMENT = (b"\x47" + bytes(187)) * 80
NODE = """
dns: {{listen: ["127.0.0.1:0"], workers: 1}}
web: {{listen: "127.0.0.1:@WEB@"}}
store: "memory:"
checks:
  live: {{kind: hls, port: {port}, path: /live.m3u8, segment: {segment}, every: {every}s, timeout: 1500ms}}
endpoints:
{endpoints}
pools:
  all: {{members: [{members}], check: live}}
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    hostmaster: ops@example.com
    steer: {{play: all}}
"""


# --- the server -----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def _playlist(newest: int) -> bytes:
    """Return a live playlist of two-second segments up to number `newest`."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:2", f"#EXT-X-MEDIA-SEQUENCE:{newest - 6}"]
    for number in range(newest - 6, newest):
        when = datetime.datetime.fromtimestamp(number * 2, datetime.UTC).isoformat()
        lines += [f"#EXT-X-PROGRAM-DATE-TIME:{when}", "#EXTINF:2.000,", f"s{number}.ts"]
    return ("\n".join(lines) + "\n").encode()


class _Origin(asyncio.Protocol):
    """A server that costs as little as it can: it knows nothing of HTTP but where a request ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        body = _playlist(int(time.time()) // 2) if data.startswith(b"GET /live.m3u8") else SEGMENT
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def _serve(port: int, core: int) -> None:
    """Serve on every address for ever, on one core."""
    os.sched_setaffinity(0, [core])

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Origin, "0.0.0.0", port, backlog=4096)
        await server.serve_forever()

    asyncio.run(run())


@contextlib.contextmanager
def origin(core: int) -> Iterator[int]:
    """Run the server in a process of its own; give its port."""
    port = servers.free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port, core), daemon=True)
    process.start()
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.join()


# --- a whole node -----------------------------------------------------------------------------------------------------


def _metrics(web: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{web}/metrics", timeout=30) as reply:
        return str(reply.read().decode())


def _sum(text: str, name: str) -> float:
    return sum(float(one) for one in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def node(port: int, core: int, seconds: float, endpoints: int, *, segment: bool) -> tuple[float, float]:
    """Run a node; print its figures, and return probes a second and within how many ms all of them left.

    Its start is told by itself: in its first seconds it judges 2,000 endpoints that it has never seen.
    """
    names = [f"e{one}" for one in range(endpoints)]
    addresses = (f"  {name}: {{address: 127.1.{one // 250}.{1 + one % 250}}}" for one, name in enumerate(names))
    text = NODE.format(
        port=port,
        segment=str(segment).lower(),
        every=EVERY_S,
        endpoints="\n".join(addresses),
        members=", ".join(names),
    )
    with servers.gtm(text) as server:
        processes: Any = servers.status(server)["processes"]
        (pid,) = (one["pid"] for one in processes if one["role"] == "control")
        os.sched_setaffinity(pid, [core])
        time.sleep(SETTLE_S)
        begun = _metrics(server.web)
        before, cpu_s, began_s = _metrics(server.web), udp_path.cpu_s(pid), time.monotonic()
        time.sleep(seconds)
        spent_s, took_s, after = udp_path.cpu_s(pid) - cpu_s, time.monotonic() - began_s, _metrics(server.web)
    done = _sum(after, "gtm_probes_total") - _sum(before, "gtm_probes_total")
    good = sum(
        float(one) for one in re.findall(r'^gtm_probes_total{kind="hls",result="ok"} (\S+)$', after, re.MULTILINE)
    )
    late, first = lateness.between(before, after), lateness.between("", begun)
    print(
        f"{'with segments' if segment else 'playlists alone':<20}{done / took_s:>8,.0f} checks/s, "
        f"{good / max(1.0, _sum(after, 'gtm_probes_total')):.1%} good, {spent_s / took_s:.0%} of one core, "
        f"{spent_s / max(done, 1) * 1e6:.0f} µs of CPU each with the verdict\n"
        f"{'':<20}late: {late.text()}; in the first {SETTLE_S:g} s {first.text()}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return done / took_s, late.all_ms


def main() -> None:
    """Measure and print; end with 1 when the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--endpoints", type=int, default=ENDPOINTS, help="the aim is judged with the default alone")
    wanted = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with origin(cores[-1]) as port:
        print(
            f"{wanted.endpoints:,} endpoints, an HLS check of each every {EVERY_S} s, one control process on one core"
        )
        rate, late_ms = node(port, cores[0], wanted.seconds, wanted.endpoints, segment=False)
        node(port, cores[0], wanted.seconds, wanted.endpoints, segment=True)
    if wanted.endpoints >= ENDPOINTS and (rate < 0.97 * AIM_PER_S or late_ms > LATE_MS):
        sys.exit(f"the aim of {AIM_PER_S:,.0f} media playlists a second, leaving within {LATE_MS:g} ms, is missed")


if __name__ == "__main__":
    main()
