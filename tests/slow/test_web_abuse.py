"""Everything at once against the web of a running node: it is refused or bounded, DNS loses nothing, and it is over."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib import parse

import aiohttp
import pytest

from gtm import model
from gtm.web import application
from tests.node import running, stream
from tests.node.test_node import CONFIG, ONE, PLAY, TWO

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(240)]

STREAMS, SLOW, FLOOD = 10_000, 700, 4000
TOKENS = "tokens: [{name: ops, role: operator, secret_env: OPS}, {name: wall, role: viewer, secret_env: WALL}]"
SECRETS = {"OPS": "operator-secret-0123456789", "WALL": "viewer-secret-0123456789"}
PER_SECOND = 200
GROWTH_KB = 64 * 1024  # what a thousand open connections and their buffers may take for a while
PROBES = 16  # descriptors that the node's own probes and pages may have open besides
AT_ONCE = 256  # connections that this test holds open while it tries the next


def resident_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])  # type: ignore[index]


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Attacker:
    """Opens connections to a node's web, from many loopback addresses, and keeps those that stay open."""

    def __init__(self, node: running.Node) -> None:
        where = parse.urlsplit(node.web)
        self.host, self.port = where.hostname or "", where.port or 0
        self.held: list[asyncio.StreamWriter] = []
        self.got: Counter[str] = Counter()
        self._many = asyncio.Semaphore(AT_ONCE)

    async def send(self, number: int, data: bytes, *, keep: bool, wait_s: float = 10.0) -> None:
        """Connect, send, note the status line (or that there was none), and keep the connection or not."""
        source = (f"127.0.{number % 4}.{1 + number % 200}", 0)
        async with self._many:
            try:
                reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=source)
            except OSError:
                self.got["not connected"] += 1
                return
            status = "nothing"
            with contextlib.suppress(OSError, TimeoutError):
                writer.write(data)
                async with asyncio.timeout(wait_s):
                    line = await reader.readline()
                    status = line.split()[1].decode() if line.startswith(b"HTTP/") else "closed"
            self.got[status] += 1
            if keep and status in {"200", "nothing"}:
                self.held.append(writer)
            else:
                writer.close()

    async def many(self, number: int, data: bytes, **how: Any) -> Counter[str]:
        """Do that so often; return what came back."""
        self.got = Counter()
        await asyncio.gather(*(self.send(at, data, **how) for at in range(number)))
        return self.got

    def let_go(self) -> None:
        for writer in self.held:
            writer.close()
        self.held.clear()


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


VIEWER = f"Authorization: Bearer {SECRETS['WALL']}"


async def reachable(node: running.Node) -> bool:
    try:
        return await running._status(node, "/healthz") == 200
    except aiohttp.ClientError:
        return False


@contextlib.asynccontextmanager
async def dnsperf(node: running.Node, folder: Path) -> AsyncIterator[list[str]]:
    """Let dnsperf ask meanwhile; what it says at its end stands in the list afterwards."""
    (folder / "questions").write_text(f"{PLAY} A\nlive.example.com SOA\nnope.live.example.com A\n")
    asking = await asyncio.create_subprocess_exec(
        "dnsperf", "-s", node.dns[0], "-p", str(node.dns[1]), "-d", str(folder / "questions"), "-Q", "300", "-l", "900",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    said: list[str] = []
    try:
        yield said
        asking.send_signal(signal.SIGINT)
        said.append((await asking.communicate())[0].decode())
    finally:
        if asking.returncode is None:
            asking.kill()


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[running.Node]:
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    text = CONFIG.format(folder=folder, port=one.port)
    async with running.node(text.replace("web: {", f"web: {{{TOKENS}, ", 1), folder, environment=SECRETS) as node:
        yield node
    await one.stop()
    await two.stop()


async def test_all_abuse_of_the_web_is_refused_or_bounded_and_dns_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path) as node:
        status = await node.get("/api/v1/status")
        control = next(row["pid"] for row in status["processes"] if row["role"] == "control")
        before_kb, most_kb, held_before = resident_kb(control), 0, descriptors(control)
        attacker = Attacker(node)
        found: dict[str, Counter[str]] = {}
        async with stream.asking(node.dns, PLAY, PER_SECOND) as asked, dnsperf(node, tmp_path) as perf:
            for path, number in (("/api/v1/stream", STREAMS), ("/api/v1/live", STREAMS // 10)):
                found[path] = await attacker.many(number, request("GET", path, VIEWER), keep=True)
                most_kb = max(most_kb, resident_kb(control))
                attacker.let_go()
            found["slow heads"] = await attacker.many(SLOW, b"GET / HTTP/1.1\r\nX: ", keep=True, wait_s=0.5)
            most_kb, held = max(most_kb, resident_kb(control)), descriptors(control)
            attacker.let_go()
            slow = request("POST", "/api/v1/orders", f"Authorization: Bearer {SECRETS['OPS']}",
                           "Content-Type: application/json", "Content-Length: 60000", body=b"{")  # fmt: skip
            found["slow bodies"] = await attacker.many(SLOW, slow, keep=False, wait_s=20)
            body = b"x" * 1_000_000
            huge = request("POST", "/api/v1/orders", f"Authorization: Bearer {SECRETS['OPS']}",
                           "Content-Type: application/json", f"Content-Length: {len(body)}", body=body)  # fmt: skip
            found["huge bodies"] = await attacker.many(100, huge, keep=False)
            # Who is slow holds a connection for ten seconds at most, and then there is room for others again.
            await node.until(lambda: reachable(node), bool)
            order = b'{"target": "one", "order": "drain"}'
            post = ("Content-Type: application/json", f"Content-Length: {len(order)}", "Connection: close")
            for who, header in (("no token", "X-Forwarded-For: 192.0.2.1"), ("wrong token", "Authorization: Bearer x"),
                                ("viewer", VIEWER), ("foreign page", "Origin: https://evil.example")):  # fmt: skip
                more = () if who != "foreign page" else (f"Authorization: Bearer {SECRETS['OPS']}",)
                orders = request("POST", "/api/v1/orders", header, *more, *post, body=order)
                found[who] = await attacker.many(200, orders, keep=False)
            found["flood"] = await attacker.many(FLOOD, request("GET", "/", VIEWER, "Connection: close"), keep=False)
            found["no http"] = await attacker.many(500, b"\x16\x03\x01\x02" * 100 + b"\r\n\r\n", keep=False)
            most_kb = max(most_kb, resident_kb(control))
        await node.until(lambda: reachable(node), bool)
        after = await node.get("/api/v1/status")
        given = (await node.get("/api/v1/orders"))["orders"]
        told = Counter(one["kind"] for one in (await node.get("/api/v1/events?limit=1000"))["events"])
    with capsys.disabled():
        for what, got in found.items():
            print(f"  {what}: {dict(got.most_common())}")
        print(f"  DNS: {asked.asked} asked, {len(asked.sent)} lost, worst {1000 * asked.waited_s:.1f} ms (the "
              f"asker itself was late by {1000 * asked.late_s:.1f} ms); the control "
              f"process took {before_kb // 1024} MiB before, {most_kb // 1024} MiB at most")  # fmt: skip
    assert re.search(r"Queries lost:\s*0 ", perf[0]), perf[0]
    assert asked.sent == {}
    assert asked.answers() == {ONE, TWO}
    assert most_kb - before_kb < GROWTH_KB
    # A stream whose client is gone is missed at its next ping: until then it keeps its place.
    assert found["/api/v1/stream"]["200"] == model.WebSettings().event_streams >= found["/api/v1/live"]["200"]
    assert set(found["/api/v1/stream"] + found["/api/v1/live"]) == {"200", "503"}
    assert held - held_before <= application.MAX_CONNECTIONS + PROBES
    assert found["slow heads"]["closed"] > 0
    wanted = {"slow bodies": "408", "huge bodies": "413", "no token": "401", "wrong token": "401", "viewer": "403",
              "foreign page": "403", "no http": "400"}  # fmt: skip
    for what, status_ in wanted.items():
        assert set(found[what]) <= {status_, "429", "closed", "nothing"}, what  # nothing: it waits to be taken
        assert found[what][status_] + found[what]["closed"] > 50, what
    assert set(found["flood"]) <= {"200", "429", "closed"}
    assert given == []
    assert 0 < told["order"] <= 100, f"attempts are told, and no flood of them: {told}"
    assert [row["pid"] for row in after["processes"]] == [row["pid"] for row in status["processes"]], "nobody died"
    log = "\n".join(node.said)
    assert "Traceback" not in log, Counter(re.findall(r"^[\w.]+: .*", log, re.M))
    assert len(log) < 20_000
    assert not any(secret in log for secret in SECRETS.values())
