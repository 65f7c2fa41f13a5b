"""One node asked in every way there is: UDP, TCP, TLS, HTTPS, from behind a proxy; and a certificate that changes."""

from __future__ import annotations

import asyncio
import signal
import ssl
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.edns
import dns.message
import pytest
import trustme

from tests.node import running
from tests.serve import test_tls_and_proxy

CONFIG = """
store: "memory:"
dns:
  listen: ["127.0.0.1:0"]
  workers: 2
  cookies: {{secret_file: cookies}}
  rate_limit: {{responses_per_second: 1000, exempt: [192.0.2.0/24]}}
  tls: {{listen: ["127.0.0.1:0"], certificate: chain, key: key}}
  proxy: {{listen: ["127.0.0.1:0"], from: [127.0.0.1]}}
web: {{listen: "127.0.0.1:0", doh: true, tls: {{certificate: chain, key: key}}}}
endpoints:
  here: {{address: 192.0.2.1}}
  there: {{address: 192.0.2.2}}
pools:
  near: {{members: [here]}}
  far: {{members: [there]}}
zones:
  live.example:
    steer:
      play: {{rules: [{{for: [198.51.100.0/24], try: near}}, {{try: far}}]}}
"""


def certificate(folder: Path, ca: trustme.CA, name: str) -> None:
    made = ca.issue_cert(name)
    (folder / "key").write_bytes(made.private_key_pem.bytes())
    (folder / "chain").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))


def told(answer: dns.message.Message) -> str:
    return str(answer.answer[0][0].to_text())


async def test_a_node_answers_over_every_transport_and_takes_new_certificates(tmp_path: Path) -> None:
    ca, context = trustme.CA(), ssl.create_default_context()
    ca.configure_trust(context)
    certificate(tmp_path, ca, "old.example")
    (tmp_path / "cookies").write_text("00112233445566778899aabbccddeeff\n")
    async with running.node(CONFIG.format(), tmp_path, ready=False) as node:
        web = (await node.said_line(r"web on (https://\S+)/"))[1]
        node.dns = await where(node, r"DNS on 127\.0\.0\.1:(\d+)")
        tls = await where(node, r"DNS inside of tls on 127\.0\.0\.1:(\d+)")
        proxy = await where(node, r"DNS inside of proxy on 127\.0\.0\.1:(\d+)")
        query = dns.message.make_query("play.live.example.", "A", use_edns=0, payload=1232)

        async def over_tls(name: str) -> dns.message.Message:
            return await dns.asyncquery.tls(
                query, tls[0], timeout=10, port=tls[1], server_hostname=name, ssl_context=context
            )

        assert told(await node.ask("play.live.example.")) == "192.0.2.2"
        assert told(await node.ask("play.live.example.", tcp=True)) == "192.0.2.2"
        assert told(await over_tls("old.example")) == "192.0.2.2"
        assert told(await behind(query, proxy)) == "192.0.2.1"
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as http:
            headers = {"Content-Type": "application/dns-message"}
            ask = http.post(f"{web}/dns-query", data=query.to_wire(), headers=headers, server_hostname="old.example")
            async with ask as reply:
                assert (reply.status, reply.headers["Cache-Control"]) == (200, "private, max-age=30")
                assert told(dns.message.from_wire(await reply.read())) == "192.0.2.2"
        cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
        asked = dns.message.make_query("play.live.example.", "A", use_edns=0, options=[cookie])
        given = {(await dns.asyncquery.udp(asked, node.dns[0], 5, node.dns[1])).options[0].to_wire() for _ in range(8)}
        assert {len(one or b"") for one in given} == {24}
        certificate(tmp_path, ca, "new.example")
        node.process.send_signal(signal.SIGHUP)

        async def newest() -> bool:
            try:
                return bool(await over_tls("new.example"))
            except ssl.SSLError:
                return False

        for _ in range(4):  # the kernel gives a connection to either worker
            await node.until(newest, lambda one: one)
        # The page and the API are served with the new pair too, to whoever connects from now on.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http:
            async with http.get(f"{web}/healthz", server_hostname="new.example") as reply:
                assert reply.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await http.get(f"{web}/healthz", server_hostname="old.example")
        said = "\n".join(node.said)
        assert "PRIVATE" not in said
        assert "0011223344" not in said
        assert "0011223344" not in command_lines(node.process.pid)


def command_lines(parent: int) -> str:
    """Return what everybody on this machine can read of a process's children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return "".join(Path(f"/proc/{child}/cmdline").read_text() for child in children)


async def where(node: running.Node, pattern: str) -> tuple[str, int]:
    return "127.0.0.1", int((await node.said_line(pattern))[1])


async def behind(query: dns.message.Message, address: tuple[str, int]) -> dns.message.Message:
    """Ask for a client of 198.51.100.0/24 over UDP, and see that TCP says the same."""
    packet = query.to_wire()
    reader, writer = await asyncio.open_connection(*address)
    head = test_tls_and_proxy.header(4, "198.51.100.9", kind=1)
    writer.write(head + len(packet).to_bytes(2, "big") + packet)
    size = int.from_bytes(await reader.readexactly(2), "big")
    over_tcp = dns.message.from_wire(await reader.readexactly(size))
    writer.close()
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            arrived.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=address)
    transport.sendto(test_tls_and_proxy.V4 + packet)
    async with asyncio.timeout(5):
        over_udp = dns.message.from_wire(await arrived)
    transport.close()
    assert told(over_udp) == told(over_tcp)
    return over_udp
