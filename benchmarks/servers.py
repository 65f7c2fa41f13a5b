"""The name of a server in, that server running on loopback out: GTM, its peers, and the edges that they watch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"
# Debian's names of what `make bench` compares with and measures with.
PACKAGES = {
    "gdnsd": "gdnsd", "knotd": "knot", "geoip.so": "knot-module-geoip", "pdns_server": "pdns-server",
    "libbindbackend.so": "pdns-backend-bind", "dnsperf": "dnsperf",
}  # fmt: skip
NAME = "play.live.example.com"
QUESTION = b"\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04play\x04live\x07example\x03com\x00\x00\x01\x00\x01"
# An interpreter starts in a second; this is for a machine that is busy.
_READY_S = 30.0
_LOOK_S = 0.05
_EDGE = """
import http.server, sys
class Edge(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Edge).serve_forever()
"""

Maker = Callable[..., contextlib.AbstractContextManager["Server"]]


class Server(NamedTuple):
    """A running server: its first process, where it answers DNS, and where its web is (0: nowhere)."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    web: int

    def cpu_s(self) -> float:
        """Return the CPU time, user and system, of the whole process tree so far, seconds."""
        return sum(_cpu_s(pid) for pid in family(self.process.pid))


# --- what runs -----------------------------------------------------------------------------------------------------


def missing() -> list[str]:
    """Return the Debian packages that are not there yet."""
    found = {name for name in PACKAGES if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")}
    for folder in ("knot", "pdns"):
        found.update(path.name for path in Path("/usr/lib").glob(f"*/{folder}/**/*.so"))
    return sorted(package for name, package in PACKAGES.items() if name not in found)


def install() -> list[str]:
    """Install what is missing when that is allowed; return what is missing still. Nothing is started by it."""
    wanted = missing()
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # A package starts its service while it is installed; a benchmark must not open port 53 of this machine.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            for command in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
                subprocess.run(["apt-get", "-qq", *command], env=quiet, stdout=subprocess.DEVNULL, check=False)
        finally:
            if ours:
                policy.unlink()
        wanted = missing()
    return wanted


def versions() -> dict[str, str]:
    """Return the versions of the packages that are measured."""
    query = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\n", *PACKAGES.values()]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return dict(line.split() for line in lines if len(line.split()) == 2)


@contextlib.contextmanager
def gdnsd(config: str = "gdnsd.config", *, core: int | None = None, **values: object) -> Iterator[Server]:
    """Run gdnsd."""

    def lay(folder: Path, port: int) -> list[str]:
        (folder / "zones").mkdir()
        zone = (PEERS / "zone").read_text() + "play 5 DYNA weighted!play\nnear 5 DYNA geoip!near\n"
        if "failover" in config:
            zone = (PEERS / "zone").read_text() + "play 5 DYNA multifo!play\n"
        (folder / "zones" / "live.example.com").write_text(zone)
        _fill(config, folder / "config", DNS=port, FOLDER=folder, **values)
        return ["gdnsd", "-c", str(folder), "start"]

    with _peer(lay, core) as server:
        yield server


@contextlib.contextmanager
def knot(*, core: int | None = None, **values: object) -> Iterator[Server]:
    """Run Knot with its geoip module."""

    def lay(folder: Path, port: int) -> list[str]:
        (folder / "run").mkdir()
        (folder / "zone").write_text((PEERS / "zone").read_text() + "play 5 A 127.0.0.11\n")
        _fill("knot.conf", folder / "knot.conf", DNS=port, FOLDER=folder, **values)
        _fill("knot-geo.conf", folder / "geo.conf")
        return ["knotd", "-c", str(folder / "knot.conf")]

    with _peer(lay, core) as server:
        yield server


@contextlib.contextmanager
def powerdns(*, core: int | None = None, **values: object) -> Iterator[Server]:
    """Run PowerDNS with Lua records."""

    def lay(folder: Path, port: int) -> list[str]:
        _fill("pdns.conf", folder / "pdns.conf", DNS=port, FOLDER=folder, **values)
        _fill("pdns-bind.conf", folder / "bind.conf", FOLDER=folder)
        _fill("pdns.zone", folder / "zone", **values)
        return ["pdns_server", f"--config-dir={folder}"]

    with _peer(lay, core) as server:
        yield server


@contextlib.contextmanager
def gtm(config: str = "gtm.yaml", *, core: int | None = None, root: Path = ROOT, **values: object) -> Iterator[Server]:
    """Run `gtm serve` of the working tree `root` with one of the configurations of `peers/`, or with one as text."""
    web = free_port()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "gtm.yaml"
        _fill(config, path, WEB=web, **values)
        process = _start([sys.executable, "-m", "gtm.cli.main", "serve", "-c", str(path)], core, root)
        with _ended(process):
            yield Server(process, wait_ready(web, process), web)


@contextlib.contextmanager
def edges(hosts: tuple[str, ...], port: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run an HTTP edge on each of these loopback addresses. Who replaces one puts the new one in its place."""
    running = {host: edge(host, port) for host in hosts}
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def edge(host: str, port: int) -> subprocess.Popen[bytes]:
    """Start one edge and wait until it answers."""
    process = subprocess.Popen([sys.executable, "-c", _EDGE, host, str(port)])

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((host, port), 0.2):
            return True
        return False

    wait_until(answers, process)
    return process


# --- how it is asked and watched -----------------------------------------------------------------------------------


def free_port() -> int:
    """Return a port that was free a moment ago for TCP on every address and for UDP on loopback."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("0.0.0.0", 0))
            port = int(tcp.getsockname()[1])
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


def ask(address: tuple[str, int], wait_s: float = 0.5) -> bytes | None:
    """Ask for the one name; return the answer, or None when none came in time."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait_s)
        sock.connect(address)
        with contextlib.suppress(OSError):
            sock.send(QUESTION)
            return sock.recv(4096)
    return None


def wait_until(done: Callable[[], bool], process: subprocess.Popen[bytes], patience_s: float = _READY_S) -> None:
    """Wait until it is done. Raises RuntimeError when the process ends before, or it takes too long."""
    until_s = time.monotonic() + patience_s
    while not done():
        if process.poll() is not None or time.monotonic() > until_s:
            raise RuntimeError(f"not ready: {process.args!r}")
        time.sleep(_LOOK_S)


def wait_ready(web: int, process: subprocess.Popen[bytes], patience_s: float = _READY_S) -> tuple[str, int]:
    """Wait until a GTM answers from a judged table; return where it answers DNS."""
    wait_until(lambda: _get(web, "readyz") is not None, process, patience_s)
    host, _, port = json.loads(_get(web, "api/v1/status") or b"{}")["listen"]["dns"][0].rpartition(":")
    return host, int(port)


def family(first: int) -> list[int]:
    """Return the process and all that descend from it."""
    found = [first]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fill(name: str, into: Path, **values: object) -> None:
    text = (PEERS / name).read_text() if "\n" not in name else name
    for word, value in values.items():
        text = text.replace(f"@{word}@", str(value))
    into.write_text(text)


def _get(web: int, path: str) -> bytes | None:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{web}/{path}", timeout=_READY_S) as reply,
    ):
        return bytes(reply.read())
    return None


def status(server: Server) -> Mapping[str, object]:
    """Return what a GTM says of itself."""
    return dict(json.loads(_get(server.web, "api/v1/status") or b"{}"))


def _start(command: list[str], core: int | None, root: Path = ROOT) -> subprocess.Popen[bytes]:
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    paths = {
        "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
    }
    log = tempfile.TemporaryFile()  # noqa: SIM115 - the process keeps it
    with log:
        return subprocess.Popen([*pinned, *command], stdout=log, stderr=log, cwd=root, env={**os.environ, **paths})


@contextlib.contextmanager
def _peer(lay: Callable[[Path, int], list[str]], core: int | None) -> Iterator[Server]:
    """Lay out a peer's files, start it, wait until it answers."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        process = _start(lay(folder, port), core)
        with _ended(process):
            address = ("127.0.0.1", port)
            wait_until(lambda: (ask(address) or bytes(12))[7] > 0, process)
            yield Server(process, address, 0)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
