"""The tcp and tls kinds."""

from __future__ import annotations

import asyncio
import datetime
import socket

import pytest
import trustme

from gtm import model
from tests.probes.probe_servers import HOST, Servers, make, run, server_tls


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    while said := await reader.readline():
        writer.write(b"you said " + said)


async def test_an_open_port_is_enough(servers: Servers) -> None:
    result = await run(make("tcp", await servers.raw(silent)))
    assert (result.ok, result.reason) == (True, "")
    assert float(result.measures["time.connect"]) > 0


async def test_a_closed_port_is_refused() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        result = await run(make("tcp", unheard.getsockname()[1]))
    assert (result.ok, result.reason) == (False, "connection refused")


async def test_ipv6_is_dialled_too(servers: Servers) -> None:
    with socket.socket(socket.AF_INET6) as unheard:
        unheard.bind(("::1", 0))
        result = await run(make("tcp", unheard.getsockname()[1], address="::1", family="ipv6"))
    assert (result.ok, result.reason) == (False, "connection refused")


async def test_words_are_sent_and_awaited(servers: Servers) -> None:
    result = await run(make("tcp", await servers.raw(banner), send="ping\r\n", receive="said ping"))
    assert result.ok is True
    assert result.measures["received"] == "220 ready\r\nyou said ping\r\n"


async def test_a_banner_is_measured_when_asked_for(servers: Servers) -> None:
    result = await run(make("tcp", await servers.raw(banner), expect=["received contains 220"]))
    assert result.measures["received"] == "220 ready\r\n"


async def test_words_that_do_not_come_fail_at_the_deadline(servers: Servers) -> None:
    result = await run(make("tcp", await servers.raw(banner), receive="250 OK", timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "no '250 OK' within 100ms")
    assert result.measures["received"] == "220 ready\r\n"


async def test_a_server_that_hangs_up_before_the_words_fails(servers: Servers) -> None:
    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    result = await run(make("tcp", await servers.raw(rude), receive="yes"))
    assert (result.ok, result.reason) == (False, "connection closed before 'yes' came")


async def test_G6_a_server_that_talks_for_ever_is_cut_off(servers: Servers) -> None:
    async def talker(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"bla" * 1000)
            await writer.drain()

    result = await run(make("tcp", await servers.raw(talker), receive="yes"))
    assert (result.ok, result.reason) == (False, "no 'yes' in the first 16384 bytes")


async def test_a_handshake_is_measured(servers: Servers, authority: trustme.CA, ca_file: str) -> None:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2, minutes=1)
    port = await servers.raw(silent, server_tls(authority, HOST, not_after=end))
    result = await run(make("tls", port, tls=model.Tls(ca=ca_file)))
    assert (result.ok, result.reason) == (True, "")
    assert result.measures["certificate.days_left"] == pytest.approx(2, abs=0.01)
    assert (result.measures["version"], result.measures["alpn"]) == ("TLSv1.3", "h2")


async def test_the_tls_kind_verifies_without_being_told_to(servers: Servers, authority: trustme.CA) -> None:
    result = await run(make("tls", await servers.raw(silent, server_tls(authority, HOST))))
    assert (result.ok, result.reason) == (False, "certificate is from an unknown authority")


async def test_a_certificate_for_an_address_is_known_by_it(
    servers: Servers, authority: trustme.CA, ca_file: str
) -> None:
    port = await servers.raw(silent, server_tls(authority, "127.0.0.1"))
    tls = model.Tls(ca=ca_file)
    assert (await run(make("tls", port, tls=tls, host=""))).ok is True
    wrong = await run(make("tls", port, tls=tls))
    assert wrong.reason == f"certificate is for 127.0.0.1, not {HOST}"


async def test_a_server_that_speaks_no_version_of_ours_fails_in_plain_words(servers: Servers) -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(bytes.fromhex("15030100020246"))  # fatal, protocol_version (RFC 8446 section 6.2)
        await writer.drain()
        await reader.read()

    result = await run(make("tls", await servers.raw(alert)))
    assert (result.ok, result.reason) == (False, "TLS handshake failed: tlsv1 alert protocol version")


async def test_a_handshake_that_is_not_answered_fails_at_the_deadline(servers: Servers) -> None:
    result = await run(make("tls", await servers.raw(silent), timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "no TLS handshake within 100ms")


async def test_a_handshake_that_is_hung_up_on_fails(servers: Servers) -> None:
    async def rude(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(100)

    result = await run(make("tls", await servers.raw(rude)))
    assert (result.ok, result.reason) == (False, "connection closed during the TLS handshake")


@pytest.mark.parametrize("host", [".x", "\u00e9" * 300, "a\0b"])
async def test_A7_a_name_that_cannot_be_asked_for_is_no_failure_of_the_endpoint(servers: Servers, host: str) -> None:
    result = await run(make("tls", await servers.raw(silent), host=host))
    assert result.ok is None
    assert "cannot be asked for" in result.reason


async def test_tcp_speaks_tls_where_asked(servers: Servers, authority: trustme.CA, ca_file: str) -> None:
    port = await servers.raw(banner, server_tls(authority, HOST))
    result = await run(make("tcp", port, tls=model.Tls(ca=ca_file), receive="220"))
    assert result.ok is True
    assert float(result.measures["time.tls"]) > 0
