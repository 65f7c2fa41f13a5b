"""The dns kind against nameservers of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.probes.probe_servers import HOST, Servers, make, run

Answer = Callable[[dns.message.Message], list[bytes]]
Start = Callable[[Answer], Awaitable[int]]


class Nameserver(asyncio.DatagramProtocol):
    """Answers each datagram with what a function makes of the question."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for reply in self._answer(dns.message.from_wire(data)):
            self._transport.sendto(reply, addr)


@pytest.fixture
async def nameserver() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(answer: Answer) -> int:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(lambda: Nameserver(answer), local_addr=("127.0.0.1", 0))
            stack.callback(transport.close)
            return int(transport.get_extra_info("sockname")[1])

        yield start


def good(query: dns.message.Message) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "A", "192.0.2.1", "192.0.2.2"))
    return reply


async def test_an_answer_is_measured(nameserver: Start) -> None:
    asked: list[dns.message.Message] = []

    def answer(query: dns.message.Message) -> list[bytes]:
        asked.append(query)
        return [good(query).to_wire()]

    result = await run(make("dns", await nameserver(answer)))
    assert (result.ok, result.reason) == (True, "")
    assert result.measures["rcode"] == "NOERROR"
    assert result.measures["answers"] == "192.0.2.1, 192.0.2.2"
    assert result.measures["answers.count"] == 2
    assert result.measures["authoritative"] is True
    assert asked[0].question[0].to_text() == f"{HOST}. IN A"
    assert not asked[0].flags & dns.flags.RD


async def test_name_type_and_recursion_can_be_chosen(nameserver: Start) -> None:
    asked: list[dns.message.Message] = []

    def answer(query: dns.message.Message) -> list[bytes]:
        asked.append(query)
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.NXDOMAIN)
        return [reply.to_wire()]

    port = await nameserver(answer)
    result = await run(make("dns", port, qname="example.org", qtype="SOA", recursion=True))
    assert result.measures["rcode"] == "NXDOMAIN"
    assert asked[0].question[0].to_text() == "example.org. IN SOA"
    assert asked[0].flags & dns.flags.RD


async def test_forged_and_broken_datagrams_do_not_end_the_wait(nameserver: Start) -> None:
    def answer(query: dns.message.Message) -> list[bytes]:
        forged = good(query)
        forged.id ^= 1
        foreign = good(dns.message.make_query("other.example", "A"))
        foreign.id = query.id
        return [b"", b"\0\1\2", query.id.to_bytes(2, "big") + b"junk", forged.to_wire(), foreign.to_wire(),
                good(query).to_wire()]  # fmt: skip

    result = await run(make("dns", await nameserver(answer)))
    assert (result.ok, result.measures.get("rcode")) == (True, "NOERROR")


async def test_silence_fails_at_the_deadline(nameserver: Start) -> None:
    result = await run(make("dns", await nameserver(lambda _: []), timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "no answer within 100ms")


async def tcp_talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = int.from_bytes(await reader.readexactly(2), "big")
    wire = good(dns.message.from_wire(await reader.readexactly(size))).to_wire()
    writer.write(len(wire).to_bytes(2, "big") + wire)
    await writer.drain()


async def test_tcp_can_be_chosen(servers: Servers) -> None:
    result = await run(make("dns", await servers.raw(tcp_talk), transport="tcp"))
    assert (result.ok, result.measures["answers.count"]) == (True, 2)


async def test_a_tcp_server_that_hangs_up_fails(servers: Servers) -> None:
    async def rude(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 + 12)

    result = await run(make("dns", await servers.raw(rude), transport="tcp"))
    assert result.ok is False
    assert result.reason in {"connection closed without an answer", "connection reset"}


def long(query: dns.message.Message) -> bytes:
    reply = dns.message.make_response(query)
    many = (f"192.0.{at // 250}.{at % 250}" for at in range(300))
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "A", *many))
    return reply.to_wire(max_size=65535)


async def test_an_answer_that_is_too_long_is_not_read(servers: Servers, nameserver: Start) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        wire = long(dns.message.from_wire(await reader.readexactly(size)))
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()

    port = await servers.raw(talk)
    result = await run(make("dns", port, transport="tcp"))
    assert (result.ok, result.reason) == (False, "an answer of 4850 bytes, more than 4096")
    result = await run(make("dns", port, transport="tcp", max_bytes=5000))
    assert (result.ok, result.measures["answers.count"]) == (True, 300)
    over_udp = await nameserver(lambda query: [long(query)])
    result = await run(make("dns", over_udp, timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "no answer within 100ms")


@pytest.mark.parametrize("setting", [{"qname": "a..b"}, {"qtype": "NOSUCH"}])
async def test_A7_a_question_that_cannot_be_asked_is_no_failure_of_the_endpoint(setting: dict[str, str]) -> None:
    result = await run(make("dns", 53, **setting))
    assert result.ok is None
    assert "cannot be asked" in result.reason
