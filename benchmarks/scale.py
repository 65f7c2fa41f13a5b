"""A big node: 100,000 steered names over 1,000 policies and 2,000 endpoints, all probed over HTTP every five seconds.

`python -m benchmarks.scale [--names N] [--policies N] [--endpoints N]` prints how long `gtm check` takes, how long from
start to ready, what each process weighs, how late probes leave before a reload and over it, and what a change of health
that touches a hundred policies costs: the time from the verdict to the last old answer from any worker, and what
dnsperf sees meanwhile, there and while the whole of it is reloaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from benchmarks import failover, lateness, servers

POLICIES_TOUCHED = 100
CHECK_S, READY_S, REACH_S, LATE_MS = 20.0, 15.0, 0.2, 50.0
RELOAD_LATE_MS = 250.0  # a probe may leave so late while everything is loaded anew
IN_A_ROW = 20  # answers that know a new name, each from a port of its own: both workers are among them
RELOAD_S = 45  # dnsperf asks for so long: a reload takes half of it, on a machine that does nothing else
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
HTTP_BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Edges(threading.Thread):
    """One server behind every loopback address; `sick` are addresses that answer 503."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.sick: set[str] = set()
        self.port = 0
        self.listening = threading.Event()

    def run(self) -> None:
        """Serve until the process ends."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, "0.0.0.0", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HTTP_BAD if writer.get_extra_info("sockname")[0] in self.sick else HTTP_OK)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # a prober that hangs up is its own affair
        finally:
            writer.close()


def address(number: int) -> str:
    """Return the address of an endpoint."""
    return f"127.1.{number // 250}.{1 + number % 250}"


def configuration(names: int, policies: int, endpoints: int, port: int, web: int) -> str:
    """Return the YAML. Endpoint 0 is a member of `POLICIES_TOUCHED` pools, every other of a few."""
    lines = [
        "dns: {listen: ['127.0.0.1:0'], workers: 2}",
        f"web: {{listen: '127.0.0.1:{web}'}}",
        "store: 'memory:'",
        "guard: {min_alive: 30%}",
        "checks:",
        f"  web: {{kind: http, port: {port}, every: 5s, timeout: 2s, confirm: 500ms}}",
        "endpoints:",
        *(f"  e{one}: {{address: {address(one)}}}" for one in range(endpoints)),
        "pools:",
    ]
    for pool in range(policies):
        members = [2 * pool % endpoints, (2 * pool + 1) % endpoints, (2 * pool + 777) % endpoints]
        if pool < POLICIES_TOUCHED - 1:  # each name tries two pools, so one pool more is touched than hold it
            members.append(0)
        lines.append(f"  p{pool}: {{members: [{', '.join(f'e{one}' for one in dict.fromkeys(members))}], check: web}}")
    lines += ["zones:", "  live.example.com:", "    nameservers: {ns1: [127.0.0.1]}", "    hostmaster: ops@example.com"]
    lines += ["    steer:"]
    lines += [f"      n{one}: {{try: [p{one % policies}, p{(one + 1) % policies}]}}" for one in range(names)]
    return "\n".join(lines) + "\n"


def weights(web: int) -> list[tuple[str, float]]:
    """Return each process's own memory in MiB: the proportional set size, which counts shared pages once."""
    with urllib.request.urlopen(f"http://127.0.0.1:{web}/api/v1/status", timeout=30) as reply:
        processes = json.load(reply)["processes"]
    found = []
    for one in processes:
        text = Path(f"/proc/{one['pid']}/smaps_rollup").read_text()
        sizes = {line.partition(":")[0]: line.split() for line in text.splitlines()}
        found.append((one["role"], int(sizes["Pss"][1]) / 1024))
    return found


def dnsperf(server: tuple[str, int], names: int, seconds: int, folder: Path) -> subprocess.Popen[str]:
    """Start a steady stream of questions."""
    dice = random.Random(2)
    questions = folder / "questions"
    questions.write_text("".join(f"n{dice.randrange(names)}.live.example.com A\n" for _ in range(20_000)))
    command = ["dnsperf", "-s", server[0], "-p", str(server[1]), "-d", str(questions), "-l", str(seconds)]
    return subprocess.Popen(
        [*command, "-Q", "2000", "-c", "16", "-e", "-t", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def seen_by(process: subprocess.Popen[str]) -> tuple[int, float]:
    """Return dnsperf's lost queries and longest latency in ms."""
    said = process.communicate()[0]
    lost = re.search(r"Queries lost:\s+(\d+)", said)
    longest = re.search(r"Average Latency \(s\):\s+[\d.]+ \(min [\d.]+, max ([\d.]+)\)", said)
    if lost is None or longest is None:
        raise RuntimeError(f"dnsperf said: {said}")
    return int(lost[1]), float(longest[1]) * 1000


def scrape(web: int) -> str:
    """Return all metrics as text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{web}/metrics", timeout=30) as reply:
        return str(reply.read().decode())


def change(server: tuple[str, int], web: int, edges: Edges, dead: str) -> float:
    """Make an edge fail; return the seconds from the verdict to the last old answer from any worker."""
    began, wall = time.monotonic(), time.time()
    edges.sick.add(dead)
    packed = bytes(int(part) for part in dead.split("."))
    last_s = failover.until_gone(server, packed, began, name=b"\x02n0\x04live\x07example\x03com\x00")
    with urllib.request.urlopen(f"http://127.0.0.1:{web}/api/v1/events?since={wall}", timeout=30) as reply:
        events = json.load(reply)["events"]
    verdict = next(float(one["at"]) for one in events if one["subject"] == "e0" and one["after"] == "down")
    return last_s - (verdict - wall)


def reload(server: tuple[str, int], path: Path, supervisor: subprocess.Popen[bytes]) -> float:
    """Add a name to the configuration and have it reloaded; return the seconds until every worker answers it."""
    time.sleep(2)
    path.write_text(path.read_text() + "      one-more: p0\n")
    began, answered = time.monotonic(), 0
    supervisor.send_signal(signal.SIGHUP)
    while answered < IN_A_ROW:
        if time.monotonic() - began > RELOAD_S:
            raise RuntimeError("the configuration was not reloaded")
        answered = answered + 1 if knows(server, b"\x08one-more\x04live\x07example\x03com\x00") else 0
        time.sleep(0.0 if answered else 0.1)
    return time.monotonic() - began


def knows(server: tuple[str, int], name: bytes) -> bool:
    """Say whether a worker, any of them, answers for an address of this name (wire form)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1.0)
        sock.sendto(b"\x00\x01\x01\x00\x00\x01" + bytes(6) + name + b"\x00\x01\x00\x01", server)
        try:
            return sock.recv(1232)[6:8] != b"\x00\x00"
        except TimeoutError:
            return False


class Report:
    """The lines as they come, and which bounds were broken."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def line(self, what: str, value: float, unit: str, bound: float | None = None) -> None:
        """Print a figure, and hold it to its bound."""
        said = f" (bound {bound:g} {unit})" if bound is not None else ""
        print(f"{what:<58}{value:>10.2f} {unit}{said}", flush=True)
        if bound is not None and value > bound:
            self.broken.append(what)

    def late(self, over: str, before: str, after: str, bound: float | None = None) -> None:
        """Print how late probes left between two scrapes."""
        found = lateness.between(before, after)
        self.line(f"99 of 100 probes left within, over {over}", found.most_of_them_ms, "ms")
        self.line(f"all {found.probes:,} probes left within, over {over}", found.all_ms, "ms", bound)


def measure(it: Report, path: Path, web: int, edges: Edges, names: int) -> None:
    """Run the node, and measure and print all that `main` promises."""
    began, command = time.monotonic(), [sys.executable, "-m", "gtm.cli.main"]
    subprocess.run([*command, "check", str(path)], check=True, stdout=subprocess.DEVNULL)
    it.line("gtm check", time.monotonic() - began, "s", CHECK_S)
    began = time.monotonic()
    process = subprocess.Popen([*command, "serve", "-c", str(path)], stderr=subprocess.DEVNULL, env=os.environ)
    try:
        server = servers.wait_ready(web, process, patience_s=60)
        it.line("start to ready", time.monotonic() - began, "s", READY_S)
        for role, mib in weights(web):
            it.line(f"memory of {role}", mib, "MiB")
        started = scrape(web)
        it.late("its start", "", started)
        quiet = seen_by(dnsperf(server, names, 10, path.parent))
        it.line("longest answer, nothing happens (10 s at 2,000/s)", quiet[1], "ms")
        stream = dnsperf(server, names, 15, path.parent)
        time.sleep(2)
        it.line("verdict to last old answer, 100 policies", change(server, web, edges, address(0)), "s", REACH_S)
        lost, longest = seen_by(stream)
        it.line("questions lost over the change", lost, "", 0)
        it.line("longest answer over the change", longest, "ms", max(LATE_MS, quiet[1] + LATE_MS))
        stream, before = dnsperf(server, names, RELOAD_S, path.parent), scrape(web)
        it.late("all this", started, before, LATE_MS)
        it.line("reload of everything, until it is answered", reload(server, path, process), "s")
        it.late("the reload", before, scrape(web), RELOAD_LATE_MS)
        lost, longest = seen_by(stream)
        it.line("questions lost over the reload", lost, "", 0)
        it.line("longest answer over the reload", longest, "ms", quiet[1] + LATE_MS)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def main() -> None:
    """Measure and print; end with 1 when a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--policies", type=int, default=1_000)
    parser.add_argument("--endpoints", type=int, default=2_000)
    wanted = parser.parse_args()
    if shutil.which("dnsperf") is None:
        sys.exit("this benchmark needs dnsperf (Debian package dnsperf)")
    edges, web, it = Edges(), servers.free_port(), Report()
    edges.start()
    edges.listening.wait()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "gtm.yaml"
        path.write_text(configuration(wanted.names, wanted.policies, wanted.endpoints, edges.port, web))
        measure(it, path, web, edges, wanted.names)
    print(f"load average {os.getloadavg()[0]:.1f}")
    if it.broken:
        sys.exit(f"bounds broken: {', '.join(it.broken)}")


if __name__ == "__main__":
    main()
