"""Secondaries of a real node: dnspython transfers its zones whole and by differences, signed, and hears of changes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.versioned
import dns.xfr

from tests.node import running

SECRET = base64.b64encode(bytes(range(32))).decode()
KEY = dns.tsig.Key("follow.key.", SECRET, "hmac-sha256")
ZONE = "live.example"

CONFIG = """
node: ns1
dns: {listen: "127.0.0.1:0", workers: 2}
web: {listen: "127.0.0.1:0"}
store: STORE
endpoints:
  a: {address: [192.0.2.1, "2001:db8::1"], check: none}
  b: {address: 192.0.2.2, check: none}
  c: {address: 192.0.2.3, check: none}
pools: {p: [a, b], q: [c]}
zones:
  live.example:
    nameservers: {ns1: [203.0.113.53]}
    records: {www: {A: 192.0.2.80}}
    steer:
      "@": {try: [p, q], https: {alpn: h2}}
      play: {try: [p, q], ttl: 5s, srv: {_rtmp._tcp: 1935}}
      "*.ch": {try: [p, q], ttl: 5s}
    transfer: {allow: [127.0.0.1/32], tsig: {name: follow.key, secret_env: FOLLOW}, notify: ["127.0.0.1:NOTIFY"]}
  open.example:
    nameservers: {ns1: [203.0.113.53]}
    steer: {play: {try: p}}
    transfer: {allow: [127.0.0.1/32]}
  shut.example:
    nameservers: {ns1: [203.0.113.53]}
    steer: {play: {try: p}}
    transfer: {allow: [198.51.100.0/24]}
"""
CONFIG = CONFIG.replace("pools: {p: [a, b], q: [c]}", "pools: {p: {members: [a, b]}, q: {members: [c]}}")


class Secondary(asyncio.DatagramProtocol):
    """Hears NOTIFY; answers from the second on, as a lossy way would let it."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[int, dns.message.Message]] = asyncio.Queue()
        self.deaf = 0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        message = dns.message.from_wire(data, keyring={KEY.name: KEY})
        serial = message.answer[0][0].serial
        self.heard.put_nowait((serial, message))
        reply = dns.message.make_response(message)
        reply.use_tsig(KEY)
        self.transport.sendto(reply.to_wire(), addr)


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[running.Node, Secondary]]:
    loop = asyncio.get_running_loop()
    transport, secondary = await loop.create_datagram_endpoint(Secondary, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    text = CONFIG.replace("NOTIFY", str(port)).replace("STORE", f"sqlite://{folder}/gtm.db")
    async with running.node(text, folder, environment={"FOLLOW": SECRET}) as node:
        yield node, secondary
    transport.close()


def transferred(node: running.Node, into: dns.versioned.Zone, key: Any, whole: bool) -> None:
    query = dns.message.make_query(into.origin or "", "AXFR") if whole else dns.xfr.make_query(into)[0]
    if key is not None:
        query.use_tsig(key)
    dns.query.inbound_xfr(node.dns[0], into, query, port=node.dns[1], timeout=5, lifetime=10)


async def follow(node: running.Node, into: dns.versioned.Zone, *, key: Any = KEY, whole: bool = False) -> None:
    """Bring a zone up to date, as dnspython does it: `whole`, or by differences."""
    await asyncio.to_thread(transferred, node, into, key, whole)


async def differences(node: running.Node, of: dns.versioned.Zone) -> int:
    """Return how many record sets stand in the answer to an IXFR."""
    query, _ = dns.xfr.make_query(of, keyring={KEY.name: KEY}, keyname=KEY.name)
    reply = await dns.asyncquery.tcp(query, node.dns[0], timeout=5, port=node.dns[1], one_rr_per_rrset=True)
    return len(reply.answer)


def records(zone: dns.versioned.Zone, owner: str, kind: str) -> set[str]:
    found = zone.get_rdataset(owner, kind)
    return {rdata.to_text() for rdata in found} if found is not None else set()


def text(zone: dns.versioned.Zone) -> set[str]:
    return set(zone.to_text(sorted=True, relativize=False).splitlines())


def serial_of(zone: dns.versioned.Zone) -> int:
    return zone.get_soa().serial


async def told(secondary: Secondary, above: int) -> int:
    async with asyncio.timeout(running.PATIENCE_S):
        while True:
            serial, _ = await secondary.heard.get()
            if serial > above:
                return serial


async def drain(node: running.Node, target: str, order: str = "drain") -> None:
    status, said = await node.post("/api/v1/orders", {"target": target, "order": order, "why": "test"})
    assert status in {200, 201}, said


def test_a_secondary_gets_the_zone_whole_then_follows_by_differences_and_hears_of_each(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (node, secondary):
            first = await told(secondary, 0)
            assert abs(first - time.time()) < 60  # the serial is the time, so that a lost store is no trouble
            zone = dns.versioned.Zone(ZONE, relativize=False)
            await follow(node, zone, whole=True)
            assert serial_of(zone) == first
            play = records(zone, f"play.{ZONE}.", "A")
            assert play == await node.answers(f"play.{ZONE}") == {"192.0.2.1", "192.0.2.2"}
            assert records(zone, f"www.{ZONE}.", "A") == {"192.0.2.80"}
            assert zone.get_rdataset(f"{ZONE}.", "HTTPS") is not None
            assert len(records(zone, f"_rtmp._tcp.play.{ZONE}.", "SRV")) == 2
            assert records(zone, f"*.ch.{ZONE}.", "AAAA") == {"2001:db8::1"}

            began = time.monotonic()
            await drain(node, "a")
            second = await told(secondary, first)
            assert time.monotonic() - began < 5
            (soa,) = (await node.ask(ZONE, "SOA")).answer
            assert soa[0].serial >= second  # who asks after a NOTIFY finds what it was told of
            assert 4 < await differences(node, zone) < 20
            await follow(node, zone)
            assert records(zone, f"play.{ZONE}.", "A") == {"192.0.2.2"}
            assert zone.get_rdataset(f"play.{ZONE}.", "AAAA") is None

            secondary.deaf = 2  # the first two packets are lost
            await drain(node, "b")
            await told(secondary, second)
            await follow(node, zone)
            fresh = dns.versioned.Zone(ZONE, relativize=False)
            await follow(node, fresh, whole=True)
            assert text(fresh) == text(zone)
            assert records(fresh, f"play.{ZONE}.", "A") == {"192.0.2.3"}
            assert await differences(node, zone) == 1  # nothing is new: the SOA alone

    asyncio.run(story())


def test_challenges_are_transferred_and_told_as_they_come_and_go(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (node, secondary):
            serial = await told(secondary, 0)
            zone = dns.versioned.Zone(ZONE, relativize=False)
            await follow(node, zone, whole=True)
            before = text(zone)
            for name, value in ((ZONE, "one"), (ZONE, "two"), (f"x.y.ch.{ZONE}", "three")):
                assert (await node.post("/api/v1/acme", {"name": name, "value": value}))[0] == 201
                serial = await told(secondary, serial)
            assert await differences(node, zone) > 1
            await follow(node, zone)
            assert records(zone, f"_acme-challenge.{ZONE}.", "TXT") == {'"one"', '"two"'}
            assert records(zone, f"_acme-challenge.x.y.ch.{ZONE}.", "TXT") == {'"three"'}
            # Names that exist now only because of the challenge below them are what the wildcard was (RFC 4592).
            for above in (f"x.y.ch.{ZONE}.", f"y.ch.{ZONE}.", f"*.y.ch.{ZONE}."):
                assert records(zone, above, "A") == {"192.0.2.1", "192.0.2.2"}
            await drain(node, "a")
            serial = await told(secondary, serial)
            await follow(node, zone)
            assert records(zone, f"x.y.ch.{ZONE}.", "A") == records(zone, f"*.ch.{ZONE}.", "A") == {"192.0.2.2"}
            fresh = dns.versioned.Zone(ZONE, relativize=False)
            await follow(node, fresh, whole=True)
            assert text(fresh) == text(zone)
            node.path.write_text(node.path.read_text().replace("192.0.2.80", "192.0.2.81"))
            assert (await node.post("/api/v1/reload", {"yes": True}))[0] == 200
            serial = await told(secondary, serial)
            await follow(node, zone)
            assert records(zone, f"_acme-challenge.{ZONE}.", "TXT") == {'"one"', '"two"'}
            assert records(zone, f"x.y.ch.{ZONE}.", "A") == {"192.0.2.2"}
            for name in (ZONE, f"x.y.ch.{ZONE}"):
                async with node.http.delete(f"{node.web}/api/v1/acme/{name}") as reply:
                    assert reply.status == 200
                serial = await told(secondary, serial)
            await follow(node, zone)
            assert {line.split()[0] for line in text(zone)} == {line.split()[0] for line in before}

    asyncio.run(story())


def test_what_changes_while_a_zone_is_made_anew_is_in_it_afterwards(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (node, secondary):
            await told(secondary, 0)
            zone = dns.versioned.Zone(ZONE, relativize=False)
            await follow(node, zone, whole=True)
            for number in range(3):
                await asyncio.to_thread(written, node.path, f"192.0.2.8{number}", f"192.0.2.8{number + 1}")
                reload = node.post("/api/v1/reload", {"yes": True})
                (status, _), _ = await asyncio.gather(reload, drain(node, "a", "up" if number % 2 else "drain"))
                assert status == 200

                async def same(number: int = number) -> tuple[set[str], ...]:
                    await follow(node, zone)
                    www, play = records(zone, f"www.{ZONE}.", "A"), records(zone, f"play.{ZONE}.", "A")
                    return www ^ {f"192.0.2.8{number + 1}"}, play ^ await node.answers(f"play.{ZONE}")

                await node.until(same, lambda found: not any(found))

    asyncio.run(story())


def written(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def test_who_is_not_allowed_or_does_not_sign_well_is_refused_and_written_down_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (node, secondary):
            await told(secondary, 0)
            wrong = dns.tsig.Key("follow.key.", base64.b64encode(bytes(32)).decode(), "hmac-sha256")
            strange = dns.tsig.Key("other.key.", SECRET, "hmac-sha256")
            for zone, key, rcode in (
                (ZONE, None, dns.rcode.REFUSED),
                (ZONE, wrong, dns.rcode.NOTAUTH),
                (ZONE, strange, dns.rcode.NOTAUTH),
                ("shut.example", KEY, dns.rcode.REFUSED),
                ("other.example", KEY, dns.rcode.NOTAUTH),
            ):
                assert await _refused(node, zone, key) == rcode, zone
            whole = dns.versioned.Zone("open.example", relativize=False)
            await follow(node, whole, key=None, whole=True)
            assert whole.get_rdataset("play.open.example.", "A") is not None
            await node.said_line(r"transfer of live.example.*refused")
            assert sum("transfer of" in line for line in node.said) == 1

    asyncio.run(story())


async def _refused(node: running.Node, zone: str, key: Any) -> int:
    query = dns.message.make_query(zone, "AXFR")
    if key is not None:
        query.use_tsig(key)
    try:
        reply = await dns.asyncquery.tcp(query, node.dns[0], timeout=5, port=node.dns[1])
    except dns.tsig.PeerError:
        return dns.rcode.NOTAUTH
    return reply.rcode()


def test_rfc_8945_signed_questions_are_answered_signed_over_udp_and_tcp(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (node, _):
            for how in (dns.asyncquery.udp, dns.asyncquery.tcp):
                query = dns.message.make_query(ZONE, "SOA")
                query.use_tsig(KEY)
                reply = await how(query, node.dns[0], timeout=5, port=node.dns[1])
                assert reply.had_tsig
                assert reply.answer

    asyncio.run(story())


def test_the_serial_is_kept_over_a_restart_and_never_goes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (node, secondary):
            first = await told(secondary, 0)
            await drain(node, "a")
            second = await told(secondary, first)
            await asyncio.sleep(0.3)
        async with world(tmp_path) as (node, secondary):
            assert await told(secondary, 0) >= second
            zone = dns.versioned.Zone(ZONE, relativize=False)
            await follow(node, zone, whole=True)
            assert records(zone, f"play.{ZONE}.", "A") == {"192.0.2.2"}

    asyncio.run(story())
