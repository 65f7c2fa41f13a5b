"""What other people's tools say of our transports: kdig, dnsperf, and dnsdist in front."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
import trustme

from benchmarks import servers
from tests.node import running, test_transports
from tests.slow.test_chaos import said as show

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(180)]

NAME = "play.live.example"
ELSEWHERE, NEAR = "192.0.2.2", "192.0.2.1"


class World(NamedTuple):
    """A node with all its doors, as ports of 127.0.0.1, and where its certificate is."""

    plain: int
    tls: int
    proxy: int
    https: int
    ca: Path


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    ca = trustme.CA()
    test_transports.certificate(tmp_path, ca, "ns1.example")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "cookies").write_text("00112233445566778899aabbccddeeff\n")
    text = test_transports.CONFIG.format().replace("198.51.100.0/24", "127.9.9.0/24")
    text = text.replace("responses_per_second: 1000,", "responses_per_second: 1000000,")
    async with running.node(text, tmp_path, ready=False) as node:
        web = (await node.said_line(r"web on https://127\.0\.0\.1:(\d+)/"))[1]
        plain, tls, proxy = [
            (await test_transports.where(node, rf"{pattern} on 127\.0\.0\.1:(\d+)"))[1]
            for pattern in ("DNS", "DNS inside of tls", "DNS inside of proxy")
        ]
        yield World(plain, tls, proxy, int(web), tmp_path / "ca.pem")


async def run(*command: object, wait_s: float = 60, may_fail: bool = False) -> str:
    """Run a program to its end; return what it said."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(wait_s):
        out, _ = await process.communicate()
    text = out.decode()
    assert may_fail or process.returncode == 0, text
    return text


async def kdig(world: World, port: int, *more: str) -> str:
    return await run("kdig", "@127.0.0.1", "-p", port, "+edns", *more, NAME, "A")


async def test_kdig_reads_every_transport_and_option(world: World) -> None:
    tls = ("+tls-ca=" + str(world.ca), "+tls-hostname=ns1.example")
    for port, how in ((world.plain, ()), (world.plain, ("+tcp",)), (world.tls, tls)):
        out = await kdig(world, port, *how)
        assert "status: NOERROR" in out, out
        assert ELSEWHERE in out, out
        assert "WARNING" not in out, out
    assert "TLS1.3" in out
    assert "The certificate is trusted" in await kdig(world, world.tls, *tls, "-d")


async def test_kdig_accepts_our_cookies_and_they_are_good_the_second_time(world: World) -> None:
    out = await kdig(world, world.plain, "+cookie=0123456789abcdef")
    found = re.search(r"COOKIE: (?:CLIENT: )?([0-9a-fA-F]{16})[^0-9a-fA-F]*(?:SERVER: )?([0-9a-fA-F]{32})", out)
    assert found, out
    again = await kdig(world, world.plain, f"+cookie={found[1]}{found[2]}")
    assert found[2].lower() in again.lower()
    assert "FORMERR" in await kdig(world, world.plain, "+ednsopt=10:00112233445566")


async def test_kdig_sees_padding_inside_of_tls_only_and_keepalive_on_connections_only(world: World) -> None:
    tls = ("+tls-ca=" + str(world.ca), "+tls-hostname=ns1.example")
    inside = await kdig(world, world.tls, *tls, "+padding=128")
    assert "PADDING" in inside, inside
    assert "Received 468 B" in inside, inside
    assert "PADDING" not in await kdig(world, world.plain, "+padding=128")
    told = r"Option \(11\): 00[0-9A-F]{2}|KEEPALIVE"
    assert re.search(told, out := await kdig(world, world.plain, "+tcp", "+ednsopt=11"), re.IGNORECASE), out
    assert not re.search(told, await kdig(world, world.plain, "+ednsopt=11"), re.IGNORECASE)


async def test_curl_gets_an_answer_over_https(world: World) -> None:
    asked = "AAABAAABAAAAAAAABHBsYXkEbGl2ZQdleGFtcGxlAAABAAE"  # play.live.example A, as RFC 8484 writes it
    url = f"https://ns1.example:{world.https}/dns-query?dns={asked}"
    out = await run(
        *("curl", "-s", "--cacert", world.ca, "--resolve", f"ns1.example:{world.https}:127.0.0.1"),
        *("-o", "/dev/null", "-w", "%{http_code} %{content_type} %{size_download}", url),
    )
    assert out == "200 application/dns-message 51"


@pytest.mark.parametrize(("mode", "door"), [("udp", "plain"), ("tcp", "plain"), ("dot", "tls")])
async def test_dnsperf_loses_nothing(
    world: World, mode: str, door: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "questions").write_text(f"{NAME} A\n{NAME} AAAA\nlive.example SOA\nnope.live.example A\n")
    out = await run(
        *("dnsperf", "-s", "127.0.0.1", "-p", getattr(world, door), "-d", tmp_path / "questions"),
        *("-m", mode, "-c", "8", "-l", "3", "-e"),
    )
    show(capsys, f"dnsperf over {mode}", " ".join(re.findall(r"Queries (?:completed|lost|per second):\s*[\d.]+", out)))
    assert re.search(r"Queries lost:\s*0 ", out), out
    assert int(re.search(r"Queries completed:\s*(\d+)", out)[1]) > 1000  # type: ignore[index]


async def test_dnsdist_in_front_tells_who_asks(world: World, tmp_path: Path) -> None:
    port = servers.free_port()
    (tmp_path / "dnsdist.conf").write_text(
        f'setLocal("127.0.0.1:{port}")\nsetACL("127.0.0.0/8")\n'
        f'newServer({{address="127.0.0.1:{world.proxy}", useProxyProtocol=true, checkName="live.example.",'
        ' checkType="SOA", mustResolve=true})\n'
    )
    process = await asyncio.create_subprocess_exec(
        *("dnsdist", "--supervised", "--disable-syslog", "-C", str(tmp_path / "dnsdist.conf")),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        for transport in ("+notcp", "+tcp"):
            for source, expected in (("127.9.9.9", NEAR), ("127.0.0.1", ELSEWHERE)):
                assert await patiently(source, port, transport, expected)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def patiently(source: str, port: int, transport: str, expected: str) -> bool:
    """Ask until dnsdist has seen that we are up."""
    async with asyncio.timeout(20):
        while True:
            asked = ("dig", "-b", source, "@127.0.0.1", "-p", port, transport, "+short", "+tries=1", NAME, "A")
            out = await run(*asked, may_fail=True)
            if out.strip() == expected:
                return True
            await asyncio.sleep(0.2)
