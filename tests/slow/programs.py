"""Commands in, real programs on free ports of loopback out, which end with the test; and what a probe says of them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from gtm import seen
from tests.probes.probe_servers import make, run

WITHIN_S, LOOK_S = 30.0, 0.1
MODULE = "load_module /usr/lib/nginx/modules/ngx_{}_module.so;"
NGINX = """
{module}
daemon off;
master_process off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
{rtmp}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    client_header_timeout {idle};
    server {{ listen 127.0.0.1:{port}; location /stat {{ {stat} }} location / {{ return 200 "ok"; }} }}
}}
"""
RTMP = """
rtmp {{ server {{ listen 127.0.0.1:{port};
    application live {{ live on; record off; drop_idle_publisher 20s; idle_streams off; }}
    application patient {{ live on; record off; }} }} }}
"""
# RTMPS as sites have it: nginx ends TLS, and the RTMP server behind it knows nothing of it.
TLS = """
stream {{ server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};
    proxy_pass 127.0.0.1:{rtmp}; }} }}
"""


PUBLISHER = """ffmpeg -nostdin -loglevel error -re -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine
-c:v libx264 -preset ultrafast -tune zerolatency -threads 1 -g 10 -sc_threshold 0 -c:a aac -f flv"""


class Programs:
    """Real programs that end with the test; their words are in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def nginx(self, *, rtmp: int = 0, rtmps: int = 0, pem: Path | None = None, idle: str = "60s") -> int:
        """Start nginx, with RTMP and RTMPS on ports where they are given; return the port of its web."""
        port = free_port()
        config = self.folder / "nginx.conf"
        module, about = (MODULE.format("rtmp"), RTMP.format(port=rtmp)) if rtmp else ("", "")
        if rtmps:
            module, about = module + MODULE.format("stream"), about + TLS.format(port=rtmps, pem=pem, rtmp=rtmp)
        stat = "rtmp_stat all;" if rtmp else "return 404;"
        values = {"module": module, "rtmp": about, "stat": stat, "port": port, "idle": idle}
        config.write_text(NGINX.format(folder=self.folder, **values))
        self.start(["nginx", "-p", str(self.folder), "-c", str(config)])
        return port

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def until(look: Callable[[], Awaitable[seen.ProbeResult]], ok: bool | None = True) -> seen.ProbeResult:
    """Look until it comes out as wanted."""
    ends_s = time.monotonic() + WITHIN_S
    while (found := await look()).ok is not ok:
        assert time.monotonic() < ends_s, found
        await asyncio.sleep(LOOK_S)
    return found


def looking(kind: str, port: int, **options: Any) -> Callable[[], Awaitable[seen.ProbeResult]]:
    options = {"timeout_s": 3.0, "host": "", **options}
    memory: dict[str, Any] = {}
    return lambda: run(make(kind, port, **options), memory)
