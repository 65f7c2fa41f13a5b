"""Prints what one answer costs, in microseconds of CPU, by kind of question: `python benchmarks/respond.py`.

The table has a hundred thousand steered names, half of them split over two hundred regions. Best of five rounds, so
that what else the machine does counts little.
"""

from __future__ import annotations

import ipaddress
import struct
import time

from gtm import model, names, seen, table
from gtm.wire import compile as compiler
from gtm.wire import cookies, extras, pack, respond, unpack

NAMES = 100_000
REGIONS = 200
ROUNDS, ANSWERS = 5, 40_000
SENDER = "198.51.100.9"
CLIENT = b"\0\x0a\0\x0812345678"  # a cookie option that a client sends first


def world() -> model.Snapshot:
    """Return a configuration with NAMES names on two policies: one for everybody, one by region."""
    steer = {f"s{at}.live.example.": at % 2 for at in range(NAMES)} | {"*.ch.live.example.": 0}
    zone = model.Zone("live.example.", (("ns1.live.example.", ("192.0.2.53",)),), steer=steer)
    endpoints = {f"e{at}": model.Endpoint(f"e{at}", ipv4=f"192.0.2.{at}", ipv6=f"2001:db8::{at}") for at in range(4)}
    pool = model.Pool("p", tuple(model.Member(name) for name in endpoints))
    one = model.Policy((model.Rule(None, ("p",)),))
    many = model.Policy(tuple(model.Rule(None, ("p",)) for _ in range(REGIONS)))
    return model.Snapshot(
        "digest", "node", model.DnsSettings(), model.WebSettings(), "memory:", (), {}, {}, endpoints, {}, {"p": pool},
        (one, many), (zone,), {},
    )  # fmt: skip


def regions() -> table.PrefixTable:
    """Return REGIONS audiences over a hundred thousand IPv4 networks of changing sizes."""
    starts = tuple(at * 42_949 for at in range(100_000))
    return table.PrefixTable(starts, tuple(at % REGIONS for at in range(100_000)), (0,), (0,), 0)


def ring(*addresses: str) -> table.Ring:
    """Return a ring that gives two of `addresses` at a time."""
    family: model.Family = "ipv6" if ":" in addresses[0] else "ipv4"
    answers = tuple(seen.Answer(one, family, one) for one in addresses)
    replies = tuple((one, answers[at - 1]) for at, one in enumerate(answers))
    return compiler.ring(seen.Decision(1, "first", "p", (), replies, tuple(range(len(replies))), 5))


def question(name: str, kind: int, opt: bytes = b"") -> bytes:
    """Return a query for `name`."""
    head = struct.pack(">HHHHHH", 0xBEEF, 0x0100, 1, 0, 0, bool(opt))
    return head + names.wire(name) + struct.pack(">HH", kind, 1) + opt


def opt(data: bytes = b"") -> bytes:
    """Return an OPT record."""
    return b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, len(data)) + data


def microseconds(responder: respond.Responder, packets: list[bytes]) -> float:
    """Return the CPU time of one answer, over `packets` in turn."""
    sender = int(ipaddress.ip_address(SENDER))
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(ANSWERS // len(packets)):
            for packet in packets:
                responder.answer(packet, 4, sender, "udp")
        best = min(best, (time.process_time() - begun) / (ANSWERS // len(packets) * len(packets)))
    return best * 1e6


def main() -> None:
    """Build the table, then ask."""
    snapshot, marks = world(), [time.perf_counter()]
    v4 = ring(*(f"192.0.2.{at}" for at in range(4)))
    v6 = ring(*(f"2001:db8::{at}" for at in range(4)))
    steerings = (
        table.Steering(-1, (0,), (1,), (2,)),
        table.Steering(0, (0,) * REGIONS, (1,) * REGIONS, (2,) * REGIONS),
    )
    rings = (v4, v6, table.Ring())
    whole = compiler.build(snapshot, revision=1, steerings=steerings, prefixes=(regions(),), rings=rings)
    marks.append(time.perf_counter())
    packed = pack.pack_table(whole)
    marks.append(time.perf_counter())
    jar = cookies.Jar((bytes(16),), 1_700_000_000)
    sender = int(ipaddress.ip_address(SENDER))
    good, _ = jar.option(CLIENT[4:], 4, (sender, opt(CLIENT)))
    responder = respond.Responder(unpack.whole(packed), seed=1, more=extras.Extras(jar))
    marks.append(time.perf_counter())
    for word, begun, ended in zip(("compiled", "packed", "unpacked, loaded"), marks, marks[1:], strict=False):
        print(f"{NAMES:,} names {word:18} {ended - begun:8.2f} s")
    subnet = b"\0\x08\0\x07\0\1\x18\0\xcb\0\x71"
    kinds = {
        "A": [question(f"s{at}.live.example.", 1) for at in range(0, 2000, 2)],
        "A, one name": [question("s0.live.example.", 1)],
        "A, EDNS": [question(f"s{at}.live.example.", 1, opt()) for at in range(0, 2000, 2)],
        "A, regions": [question(f"s{at}.live.example.", 1) for at in range(1, 2000, 2)],
        "A, ECS, regions": [question(f"s{at}.live.example.", 1, opt(subnet)) for at in range(1, 2000, 2)],
        "AAAA, EDNS": [question(f"s{at}.live.example.", 28, opt()) for at in range(0, 2000, 2)],
        "HTTPS, no such type": [question("s0.live.example.", 65, opt())],
        "SOA": [question("live.example.", 6, opt())],
        "A, wildcard": [question("news.ch.live.example.", 1, opt())],
        "A, client cookie": [question(f"s{at}.live.example.", 1, opt(CLIENT)) for at in range(0, 2000, 2)],
        "A, good cookie": [question(f"s{at}.live.example.", 1, opt(good)) for at in range(0, 2000, 2)],
        "no such name": [question("nope.live.example.", 1, opt())],
        "not our zone": [question("www.example.net.", 1, opt())],
        "malformed": [question("s0.live.example.", 1) + b"x"],
    }
    for word, packets in kinds.items():
        cost = microseconds(responder, packets)
        print(f"{word:22} {cost:6.2f} µs {1e6 / cost:12,.0f} answers a second and core, without the sockets")


if __name__ == "__main__":
    main()
