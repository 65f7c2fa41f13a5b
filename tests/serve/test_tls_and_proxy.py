"""DNS inside of TLS, and behind a proxy's header: who is let in, whose answers they are, and what a client may not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from gtm import errors
from gtm.serve import doors, encryption, keys, shared, sockets, tcp
from gtm.wire import proxy

CA = trustme.CA()


def pair(name: str, ca: trustme.CA = CA) -> keys.Keys:
    issued = ca.issue_cert(name)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return keys.Keys(certificate=chain.decode(), key=issued.private_key_pem.bytes().decode())


PAIR, OTHER = pair("ns1.example"), pair("ns2.example")


class World:
    """A server with doors on loopback whose answers are the questions in capitals."""

    def __init__(self) -> None:
        self.page = shared.Page.new(1)
        self.wrong: list[str] = []
        self.asked: list[tuple[bytes, int, int, str]] = []
        self.server = tcp.Server(
            self.answer, lambda reason, _: self.wrong.append(reason), tcp.Limits(6, 3), self.page, 0, drop=self.drop
        )
        self.doors = doors.Doors(self.server, {"proxies": ["127.0.0.1/32"]}, self.drop)
        self.doors.take(PAIR)
        self.ports: dict[str, int] = {}
        self.clients: list[asyncio.StreamWriter] = []

    def drop(self, reason: str) -> None:
        self.wrong.append(reason)

    def answer(self, packet: bytes, family: int, address: int, transport: str) -> bytes | None:
        self.asked.append((packet[:8], family, address, transport))
        return packet.upper()

    async def connect(self, kind: str, host: str = "127.0.0.1", **more: Any) -> Stream:
        streams = await asyncio.open_connection("127.0.0.1", self.ports[kind], local_addr=(host, 0), **more)
        self.clients.append(streams[1])
        return streams

    async def encrypted(self, name: str = "ns1.example", **more: Any) -> Stream:
        context = ssl.create_default_context()
        CA.configure_trust(context)
        context.set_alpn_protocols(["dot"])
        return await self.connect(sockets.TLS, ssl=context, server_hostname=name, **more)

    async def holding(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.server) != count:  # noqa: ASYNC110 - a turn of the loop is what we wait for
                await asyncio.sleep(0)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made, listening = World(), []
    for kind in (sockets.TLS, sockets.PROXY):
        one = await asyncio.get_running_loop().create_server(made.doors.connection(kind), "127.0.0.1", 0)
        listening.append(one)
        made.ports[kind] = one.sockets[0].getsockname()[1]
    yield made
    for client in made.clients:
        client.transport.abort()
    made.server.close()
    await made.holding(0)
    for one in listening:
        one.close()
        await one.wait_closed()


def framed(*packets: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(packet)) + packet for packet in packets)


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(size)


async def ended(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
        return not await reader.read(1)


# --- TLS -----------------------------------------------------------------------------------------------------------


async def test_questions_inside_of_tls_are_answered_in_order_and_many_at_once(world: World) -> None:
    reader, writer = await world.encrypted()
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "dot"
    asked = [f"question {at}".encode() * (1 + at % 300) for at in range(300)]
    writer.write(framed(*asked))
    for one in asked:
        assert await answer(reader) == one.upper()
    assert world.asked[0] == (b"question", 4, 0x7F000001, "tls")
    assert world.wrong == []


async def test_a_record_that_comes_byte_by_byte_is_read(world: World) -> None:
    reader, writer = await world.encrypted()
    for byte in framed(b"slowly"):
        writer.write(bytes((byte,)))
        await writer.drain()
    assert await answer(reader) == b"SLOWLY"


async def test_a_new_certificate_is_shown_to_who_comes_next_and_old_connections_go_on(world: World) -> None:
    reader, writer = await world.encrypted()
    world.doors.take(OTHER)
    other, _ = await world.encrypted("ns2.example")
    writer.write(framed(b"old"))
    assert await answer(reader) == b"OLD"
    with pytest.raises(ssl.SSLCertVerificationError):
        await world.encrypted("ns1.example")
    assert other is not None


async def test_who_does_not_speak_tls_is_counted_and_hung_up_on(world: World) -> None:
    reader, writer = await world.connect(sockets.TLS)
    writer.write(framed(b"plain as day, and long enough to be a hello"))
    async with asyncio.timeout(5):
        while await reader.read(100):
            continue
    await world.holding(0)
    assert world.wrong == ["tls"]


async def test_G6_who_never_shakes_hands_is_counted_from_the_first_and_swept(world: World) -> None:
    readers = [(await world.connect(sockets.TLS))[0] for _ in range(3)]
    await world.holding(3)
    await world.connect(sockets.TLS)  # the fourth of one client ends the first
    assert await ended(readers[0])
    await world.holding(3)
    world.server.sweep(asyncio.get_running_loop().time() + 60)
    await world.holding(0)


async def test_an_idle_connection_is_told_that_it_ends(world: World) -> None:
    reader, writer = await world.encrypted()
    writer.write(framed(b"hello"))
    assert await answer(reader) == b"HELLO"
    world.server.sweep(asyncio.get_running_loop().time() + 60)
    assert await ended(reader)


def test_what_is_no_pair_is_refused_and_the_one_before_stays() -> None:
    changing = encryption.Changing(["dot"])
    for certificate, key in (
        (PAIR.certificate, OTHER.key),
        (PAIR.certificate, "canary"),
        ("", PAIR.key),
        (PAIR.certificate, PAIR.key.replace("BEGIN", "BEGIN ENCRYPTED", 1)),
    ):
        with pytest.raises(errors.GtmError, match="cannot be used") as refused:
            changing.take(certificate, key)
        assert "canary" not in str(refused.value)
        assert PAIR.key[60:90] not in str(refused.value)


# --- PROXY ---------------------------------------------------------------------------------------------------------


def header(family: int, source: str, command: int = 0x21, more: bytes = b"", kind: int = 2) -> bytes:
    """Return a header as a proxy writes it; `kind` 1 is TCP, 2 UDP."""
    if family == 0:
        block = b""
    else:
        packed = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, source)
        block = packed + packed + struct.pack(">HH", 1234, 53)
    size = struct.pack(">H", len(block + more))
    return proxy.SIGNATURE + bytes((command, {0: 0, 4: 0x10, 6: 0x20}[family] | kind)) + size + block + more


V4, V6 = header(4, "198.51.100.9"), header(6, "2001:db8::9", more=b"\x04\x00\x05hello")


def behind(data: bytes, *, peer: int = 0x7F000001) -> tuple[list[tuple[bytes, int, int, str]], list[str]]:
    """Return what was asked of the answerer behind the gate, and what was dropped."""
    asked: list[tuple[bytes, int, int, str]] = []
    lost: list[str] = []

    def answer(*one: object) -> bytes:
        asked.append(one)  # type: ignore[arg-type]
        return b"answer"

    proxy.Trust(["127.0.0.0/8", "::1/128"]).over(answer, lost.append)(data, 4, peer, "udp")
    return asked, lost


def test_the_client_of_the_header_is_who_asks() -> None:
    assert behind(V4 + b"question") == ([(b"question", 4, 0xC6336409, "udp")], [])
    assert behind(V6 + b"question") == ([(b"question", 6, 0x20010DB8 << 96 | 9, "udp")], [])


def test_a_proxy_that_asks_for_itself_is_the_client() -> None:
    for own in (header(0, "", 0x20), header(0, ""), header(4, "198.51.100.9", 0x20)):
        assert behind(own + b"question") == ([(b"question", 4, 0x7F000001, "udp")], [])


def test_only_named_peers_are_believed() -> None:
    assert behind(V4 + b"question", peer=0x80000001) == ([], ["proxy_peer"])


@pytest.mark.parametrize(
    "data",
    [b"", b"question", V4[:-1], V4[:15], b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nquestion", header(4, "192.0.2.1", 0x11),
     header(4, "192.0.2.1", 0x22), proxy.SIGNATURE + b"\x21\x31\x00\x04abcd", proxy.SIGNATURE + b"\x21\x12\x00\x04abcd",
     proxy.SIGNATURE + b"\x21\x12\xff\xff" + bytes(0xFFFF)],
)  # fmt: skip
def test_E8_what_is_no_header_is_a_count_and_silence(data: bytes) -> None:
    assert behind(data) == ([], ["proxy_header"])


async def test_a_connection_has_its_header_first_in_any_pieces(world: World) -> None:
    for head, client in ((V4, 0xC6336409), (V6, 0x20010DB8 << 96 | 9)):
        reader, writer = await world.connect(sockets.PROXY)
        for byte in head + framed(b"one"):
            writer.write(bytes((byte,)))
            await writer.drain()
        writer.write(framed(b"two"))
        assert [await answer(reader), await answer(reader)] == [b"ONE", b"TWO"]
        assert world.asked[-1][2:] == (client, "tcp")


async def test_G6_a_proxy_may_hold_many_connections_and_each_client_its_share(world: World) -> None:
    streams = []
    for _ in range(4):  # of one client; three are its share
        reader, writer = await world.connect(sockets.PROXY)
        writer.write(V4 + framed(b"hello"))
        assert await answer(reader) == b"HELLO"
        streams.append(reader)
    assert await ended(streams[0])
    for at in range(3):
        reader, writer = await world.connect(sockets.PROXY)
        writer.write(header(4, f"198.51.100.{at + 20}") + framed(b"hello"))
        assert await answer(reader) == b"HELLO"
    await world.holding(6)


async def test_strangers_and_nonsense_are_hung_up_on_and_counted(world: World) -> None:
    reader, _ = await world.connect(sockets.PROXY, "127.0.0.2")
    assert await ended(reader)
    reader, writer = await world.connect(sockets.PROXY)
    writer.write(framed(b"question"))
    assert await ended(reader)
    await world.holding(0)
    assert world.wrong == ["proxy_peer", "proxy_header"]


async def test_tls_before_1_2_is_refused(world: World) -> None:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        await world.connect(sockets.TLS, ssl=context, server_hostname="ns1.example")
    await world.holding(0)
    assert world.wrong == ["tls"]


def test_nobody_may_renegotiate() -> None:
    changing = encryption.Changing(("dot",))
    made = CA.issue_cert("ns1.example")
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    changing.take(chain.decode(), made.private_key_pem.bytes().decode())
    for context in (changing.context, changing._newest):
        assert context is not None
        assert context.options & ssl.OP_NO_RENEGOTIATION
