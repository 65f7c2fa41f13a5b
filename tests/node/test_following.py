"""A real node follows a host name at its apex by a real resolver, and keeps the last addresses when that fails."""

from __future__ import annotations

import asyncio
import types
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rrset

from gtm.app import following
from gtm.store import memory
from tests.node import running

HOST = "edge.cdn.example."
CONFIG = """
node: ns1
dns: {listen: "127.0.0.1:0", workers: 1, resolvers: ["127.0.0.1:PORT"]}
web: {listen: "127.0.0.1:0"}
store: STORE
endpoints: {cdn: {hostname: edge.cdn.example., check: none}}
pools: {far: {members: [cdn]}}
zones:
  live.example:
    nameservers: {ns1: [203.0.113.53]}
    steer: {"@": far}
"""


async def test_G6_names_that_nobody_follows_any_more_are_forgotten_when_they_are_many() -> None:
    store = memory.MemoryStore(now=lambda: 0.0)
    papers: dict[tuple[str, str], Any] = {(following.PAPER, f"h{at}."): '["192.0.2.1"]' for at in range(following.MOST)}
    await store.keep_papers(papers)
    node: Any = types.SimpleNamespace(store=store, brain=types.SimpleNamespace(hosts={}))
    one = following.Following(node)
    await one.recall()
    await one._forget()
    assert len(await store.papers()) == following.MOST
    await store.keep_papers({(following.PAPER, "more."): '["192.0.2.1"]'})
    await one.recall()
    await one._forget()
    assert len(await store.papers()) == 0


class Resolver(asyncio.DatagramProtocol):
    """Answers for the host name; with no address it fails."""

    def __init__(self) -> None:
        self.address = "192.0.2.1"
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query, recursion_available=True)
        if not self.address:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif query.question[0].rdtype == 1:
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 1, "IN", "A", self.address))
        self.transport.sendto(reply.to_wire(), addr)


def test_the_apex_follows_a_host_name_and_keeps_what_it_knew_over_failures_and_restarts(tmp_path: Path) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        transport, resolver = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
        text = CONFIG.replace("PORT", str(transport.get_extra_info("sockname")[1]))
        text = text.replace("STORE", f"sqlite://{tmp_path}/gtm.db")
        async with running.node(text, tmp_path) as node:
            await node.until(lambda: node.answers("live.example", times=2), lambda found: found == {"192.0.2.1"})
            resolver.address = "192.0.2.2"  # a TTL of one second is held for five
            await node.until(lambda: node.answers("live.example", times=2), lambda found: found == {"192.0.2.2"})
        resolver.address = ""
        async with running.node(text, tmp_path) as node:
            await node.said_line(r"host name edge.cdn.example.*unusable.*last addresses stay")
            assert await node.answers("live.example", times=2) == {"192.0.2.2"}
        transport.close()

    asyncio.run(story())
