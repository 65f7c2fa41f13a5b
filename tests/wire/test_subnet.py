"""EDNS client subnet: every rule of section C; a resolver that caches by scope never serves a wrong answer."""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Sequence
from dataclasses import replace

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import model, table
from gtm.steer import audience
from gtm.wire import respond, runtime
from tests.wire import world

# Audience 0 everybody, 1 a region, 2 a network inside it, 3 a private network that the configuration names.
PREFIXES = world.prefixes(
    ("10.0.0.0/8", -1), ("192.168.0.0/16", -1), ("127.0.0.0/8", -1), ("fe80::/10", -1), ("::1/128", -1),
    ("203.0.112.0/22", 1), ("203.0.113.128/25", 2), ("10.1.0.0/16", 3), ("2001:db8::/32", 1), ("2001:db8:5::/48", 2),
)  # fmt: skip
NAMES = {"geo": 0, "sticky": 1, "geosticky": 2, "plain": 3, "*.ch": 0}
ZONE = world.zone(
    "live.example.",
    "@ SOA ns1 ops 1 2 3 4 10\n@ NS ns1\nns1 A 192.0.2.53\ntxt TXT hello\ncut NS ns.example.net.\n*.wild TXT wild\n",
    steer={f"{name}.live.example.": index for name, index in NAMES.items()},
)
MASK = (24, 56)


def geography() -> table.AnswerTable:
    endpoints = [model.Endpoint(f"e{at}", ipv4=f"192.0.2.{at}") for at in range(4)]
    pools = [
        world.pool("p", *(one.name for one in endpoints)),
        world.pool("s", *(one.name for one in endpoints), balance="sticky", sticky=MASK),
    ]
    policies = [world.policy("p", rules=4), world.policy("s"), world.policy("s", "p", rules=4), world.policy("p")]
    whole = world.snapshot(ZONE, endpoints=endpoints, pools=pools, policies=policies)
    geo = [world.decision([f"192.0.2.{at}"]) for at in range(4)]
    several = [[f"192.0.2.{at}"] for at in range(8)]
    sticky = world.decision(*several, slots=tuple(range(8)) * 8, sticky=MASK)
    rings = world.rings(*geo, sticky, world.decision())
    steerings = [
        table.Steering(0, (0, 1, 2, 3), (5, 5, 5, 5), (5, 5, 5, 5)),
        table.Steering(-1, (4,), (5,), (5,)),
        table.Steering(0, (4, 1, 2, 3), (5, 5, 5, 5), (5, 5, 5, 5)),
        table.Steering(-1, (0,), (5,), (5,)),
    ]
    return world.build(whole, steerings=steerings, prefixes=[PREFIXES], rings=rings)


@pytest.fixture
def server() -> world.Server:
    return world.Server(geography())


def member(answer: dns.message.Message) -> int:
    (value,) = world.values(answer)
    return int(value.rpartition(".")[2])


@pytest.mark.parametrize(
    ("subnet", "of", "scope"),
    [
        ("203.0.113.0/24", 1, 25),  # the address is in the lower half; the upper half is another audience
        ("203.0.113.128/25", 2, 25),
        ("203.0.113.200/32", 2, 25),
        ("203.0.112.0/24", 1, 24),
        ("203.0.114.0/23", 1, 23),
        ("203.0.115.0/24", 1, 23),
        ("8.8.8.0/24", 0, 7),  # up to where 10/8 begins: 8/7
        ("11.0.0.0/24", 0, 8),
        ("198.51.100.0/24", 0, 6),
        ("0.0.0.0/1", 0, 5),  # a short SOURCE; the scope is longer, which asks for more
        ("10.1.2.0/24", 3, 16),
        ("2001:db8:5::/56", 2, 48),
        ("2001:db8:4::/56", 1, 48),
        ("2001:db8:8::/56", 1, 45),
        ("2a00::/56", 0, 5),
    ],
)
def test_C2_the_scope_is_the_shortest_prefix_with_one_answer(
    server: world.Server, subnet: str, of: int, scope: int
) -> None:
    for kwargs in ({}, {"transport": "tcp"}, {"options": [dns.edns.NSIDOption(b"")]}):
        answer = server.ask("geo.live.example.", subnet=subnet, **kwargs)
        assert (member(answer), world.scope(answer)) == (of, scope)


def test_C1_the_option_comes_back_as_it_was_and_only_when_asked(server: world.Server) -> None:
    for name in ("geo", "txt", "nope", "cut", "sticky"):
        for subnet in ("203.0.113.0/24", "203.0.113.128/27", "0.0.0.0/0", "2001:db8::/56", "2001:db8::/61"):
            answer = server.ask(f"{name}.live.example.", subnet=subnet)
            (option,) = answer.options
            assert isinstance(option, dns.edns.ECSOption)
            assert f"{option.address}/{option.srclen}" == subnet
        assert server.ask(f"{name}.live.example.", edns=True).options == ()
        assert server.ask(f"{name}.live.example.").edns == -1


@pytest.mark.parametrize(
    ("name", "rtype"),
    [
        ("txt", "TXT"), ("txt", "A"), ("nope", "A"), ("cut", "A"), ("plain", "A"), ("plain", "AAAA"),
        ("geo", "AAAA"), ("geo", "TXT"), ("geo", "ANY"), ("geosticky", "AAAA"), ("sticky", "HTTPS"),
    ],
)  # fmt: skip
def test_C3_what_does_not_depend_on_the_client_has_scope_0(server: world.Server, name: str, rtype: str) -> None:
    for subnet in ("203.0.113.0/24", "2001:db8:5::/48"):
        assert world.scope(server.ask(f"{name}.live.example.", rtype, subnet=subnet)) == 0


def test_C3_soa_and_ns_have_scope_0(server: world.Server) -> None:
    for rtype in ("SOA", "NS"):
        assert world.scope(server.ask("live.example.", rtype, subnet="203.0.113.0/24")) == 0


def test_C7_a_family_that_is_down_keeps_its_scope(server: world.Server) -> None:
    before = [world.scope(server.ask("geo.live.example.", subnet=one)) for one in ("203.0.113.0/24", "8.8.8.0/24")]
    nothing = world.rings(world.decision(), world.decision(rcode=2))
    for ring in nothing:
        assert server.responder.update(2, dict.fromkeys(range(4), ring))
        after = [server.ask("geo.live.example.", subnet=one) for one in ("203.0.113.0/24", "8.8.8.0/24")]
        assert [world.scope(one) for one in after] == before


def test_C7_a_sticky_policy_keeps_its_scope_when_another_pool_serves(server: world.Server) -> None:
    plain, nothing = world.rings(world.decision(["192.0.2.1"]), world.decision())
    for ring in (None, plain, nothing):
        assert ring is None or server.responder.update(2, {4: ring})
        for name in ("sticky", "geosticky"):
            assert world.scope(server.ask(f"{name}.live.example.", subnet="8.8.8.0/24")) == 24


def test_C7_the_scope_is_the_same_whichever_pool_serves_when_the_table_is_made() -> None:
    whole = geography()
    fallen = replace(whole, rings=(*whole.rings[:4], whole.rings[0], whole.rings[5]))
    server = world.Server(fallen)
    for name in ("sticky", "geosticky"):
        assert world.scope(server.ask(f"{name}.live.example.", subnet="8.8.8.0/24")) == 24


def test_C4_an_opt_out_is_answered_for_the_resolver_with_scope_0(server: world.Server) -> None:
    for sender, of in (("203.0.113.200", 2), ("8.8.8.8", 0), ("2001:db8::1", 1)):
        for subnet in ("0.0.0.0/0", "::/0"):
            answer = server.ask("geo.live.example.", sender=sender, subnet=subnet)
            assert (member(answer), world.scope(answer)) == (of, 0)


def test_without_the_option_the_resolver_s_address_decides(server: world.Server) -> None:
    for sender, of in (("203.0.113.200", 2), ("203.0.113.1", 1), ("8.8.8.8", 0), ("192.168.1.1", 0), ("fe80::1", 0)):
        for kwargs in ({}, {"edns": True}, {"transport": "tcp"}):
            assert member(server.ask("geo.live.example.", sender=sender, **kwargs)) == of


@pytest.mark.parametrize(
    "subnet", ["10.0.0.0/8", "10.2.3.0/24", "192.168.7.0/24", "127.0.0.1/32", "fe80::/64", "::1/128"]
)
def test_C6_a_private_subnet_leaves_it_to_the_resolver_s_address(server: world.Server, subnet: str) -> None:
    for sender, of in (("203.0.113.200", 2), ("8.8.8.8", 0), ("10.9.9.9", 0)):
        answer = server.ask("geo.live.example.", sender=sender, subnet=subnet)
        assert (member(answer), world.scope(answer)) == (of, 0)


@pytest.mark.parametrize("subnet", ["10.2.3.0/24", "100.64.7.0/24", "172.16.0.0/24", "fc00::/56", "fe80::/56"])
def test_C6_holds_for_sticky_names_without_regions_too(server: world.Server, subnet: str) -> None:
    own = member(server.ask("sticky.live.example.", sender="8.8.8.8"))
    answer = server.ask("sticky.live.example.", sender="8.8.8.8", subnet=subnet)
    assert (member(answer), world.scope(answer)) == (own, 0)


def test_C6_documentation_prefixes_are_ordinary_addresses(server: world.Server) -> None:
    for subnet in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/56"):
        assert world.scope(server.ask("sticky.live.example.", subnet=subnet)) == (24 if "." in subnet else 56)


def ecs(family: int, source: int, scope: int, address: bytes) -> bytes:
    data = struct.pack(">HBB", family, source, scope) + address
    return struct.pack(">HH", 8, len(data)) + data


BAD = {
    "family 3": ecs(3, 24, 0, b"\xcb\0\x71"),
    "family 0 with a length": ecs(0, 24, 0, b"\xcb\0\x71"),
    "IPv4 of 33 bits": ecs(1, 33, 0, b"\xcb\0\x71\0\0"),
    "IPv6 of 129 bits": ecs(2, 129, 0, bytes(17)),
    "too short an address": ecs(1, 24, 0, b"\xcb\0"),
    "too long an address": ecs(1, 24, 0, b"\xcb\0\x71\0"),
    "an address behind a /0": ecs(1, 0, 0, b"\0"),
    "a bit past the prefix": ecs(1, 23, 0, b"\xcb\0\x71"),
    "a bit past an IPv6 prefix": ecs(2, 33, 0, b"\x20\x01\x0d\xb8\x40"),
    "a scope in a question": ecs(1, 24, 24, b"\xcb\0\x71"),
    "three bytes": struct.pack(">HH", 8, 3) + b"\0\1\x18",
    "nothing": struct.pack(">HH", 8, 0),
    "two of them": ecs(1, 24, 0, b"\xcb\0\x71") * 2,
    "a good one, then a bad one": ecs(1, 24, 0, b"\xcb\0\x71") + ecs(3, 0, 0, b""),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_C5_a_broken_option_is_formerr_with_opt_and_without_the_option(server: world.Server, data: bytes) -> None:
    for name in ("geo", "txt", "nope"):
        query = dns.message.make_query(f"{name}.live.example.", "A").to_wire()
        packet = query[:11] + b"\1" + query[12:] + b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(data)) + data
        for transport in ("udp", "tcp"):
            reply = server.raw(packet, transport=transport)
            assert reply is not None
            answer = dns.message.from_wire(reply)
            assert (world.rcode(answer), answer.edns, answer.options) == ("FORMERR", 0, ())


def test_C4_family_0_without_an_address_is_what_dig_sends_to_opt_out(server: world.Server) -> None:
    query = dns.message.make_query("geo.live.example.", "A").to_wire()
    data = ecs(0, 0, 0, b"")
    reply = server.raw(query[:11] + b"\1" + query[12:] + b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(data)) + data)
    assert reply is not None
    assert reply.endswith(data)
    assert reply[3] & 15 == 0


# --- stickiness ---


def test_B8_a_client_prefix_keeps_its_member_everywhere_and_always(server: world.Server) -> None:
    other = world.Server(geography(), seed=99)
    met = set()
    for third in range(64):
        subnet = f"198.51.{third}.0/24"
        first = member(server.ask("sticky.live.example.", subnet=subnet))
        met.add(first)
        for again in (server, other):
            assert member(again.ask("sticky.live.example.", subnet=subnet)) == first
            assert member(again.ask("sticky.live.example.", subnet=f"198.51.{third}.77/32")) == first
            assert member(again.ask("sticky.live.example.", sender=f"198.51.{third}.5")) == first
    assert met == set(range(8))


def test_C2_a_sticky_scope_is_the_mask_or_the_region_whichever_is_longer(server: world.Server) -> None:
    assert world.scope(server.ask("geosticky.live.example.", subnet="8.8.8.8/32")) == 24
    assert world.scope(server.ask("geosticky.live.example.", subnet="203.0.113.200/32")) == 25
    assert world.scope(server.ask("sticky.live.example.", subnet="8.8.8.8/32")) == 24
    assert world.scope(server.ask("sticky.live.example.", subnet="2a00::1/128")) == 56


def test_C2_no_more_than_source_is_hashed(server: world.Server) -> None:
    for source in range(8, 25):
        network = ipaddress.ip_network(f"198.51.100.0/{source}", strict=False)
        cut = member(server.ask("sticky.live.example.", subnet=str(network)))
        padded = member(server.ask("sticky.live.example.", sender=str(network.network_address)))
        assert cut == padded  # what lies behind SOURCE counts as zero, as it came


@pytest.mark.parametrize("most", [4, 10_000])
def test_who_was_met_before_is_answered_as_one_who_is_new(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(respond, "MAX_MET", most)
    old, whole = world.Server(geography()), geography()
    subnets = ("203.0.113.0/24", "203.0.113.128/25", "8.8.8.0/24", "10.1.2.0/24", "10.9.9.0/24", "2001:db8:5::/56",
               "fe80::/64", "192.168.1.0/24")  # fmt: skip
    senders = ("203.0.113.200", "8.8.8.8", "10.1.2.3", "10.9.9.0", "2001:db8:5::1", "2a00::1")
    dice = random.Random(5)
    for _ in range(600):
        name = dice.choice(("geo", "sticky", "geosticky", "plain", "x.ch"))
        sender, subnet = dice.choice(senders), dice.choice(subnets)
        answers = [one.ask(f"{name}.live.example.", sender=sender, subnet=subnet) for one in (old, world.Server(whole))]
        assert world.scope(answers[0]) == world.scope(answers[1])
        assert world.values(answers[0]) == world.values(answers[1])


# --- the resolver that caches ---

_PREFIX = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 24)).map(
    lambda one: str(ipaddress.ip_network((one[0] >> 32 - one[1] << 32 - one[1], one[1])))
)
# Clients near edges find more than clients anywhere, so a client is a prefix's first or last address, or a neighbour.
_PARTS = st.lists(st.tuples(_PREFIX, st.integers(0, 3)), min_size=1, max_size=8)


@given(_PARTS, st.randoms(use_true_random=False), st.sampled_from([24, 32]))
def test_C2_in_whatever_order_networks_ask_a_cache_by_scope_is_right_for_all(
    parts: Sequence[tuple[str, int]], chance: object, source: int
) -> None:
    prefixes = world.prefixes(*parts)
    find = runtime.Prefixes(prefixes)
    clients = set()
    for text, _ in parts:
        network = ipaddress.ip_network(text)
        for edge in (int(network.network_address), int(network.broadcast_address)):
            clients |= {max(0, min(2**32 - 1, edge + by)) for by in (-256, -1, 0, 1, 256)}
    order = sorted(clients)
    chance.shuffle(order)  # type: ignore[attr-defined]
    cache: dict[tuple[int, int], int] = {}
    for client in order:
        asked = client >> 32 - source << 32 - source
        hits = {cache[asked >> 32 - bits, bits] for bits in range(33) if (asked >> 32 - bits, bits) in cache}
        value, scope = find.find(4, asked)
        assert value == prefixes.v4_values[max(i for i, start in enumerate(prefixes.v4_starts) if start <= asked)]
        assert hits <= {value}
        kept = min(scope, source)  # RFC 7871 section 7.3.1
        cache[asked >> 32 - kept, kept] = value


@given(_PARTS, st.integers(0, 2**32 - 1))
def test_C2_the_scope_is_exactly_the_shortest(parts: Sequence[tuple[str, int]], address: int) -> None:
    prefixes = world.prefixes(*parts)
    value, scope = runtime.Prefixes(prefixes).find(4, address)
    assert (value, scope) == audience.find(prefixes, 4, address, 32)  # what `explain` shows is what is answered

    def one_answer(bits: int) -> bool:
        low = address >> 32 - bits << 32 - bits
        high = low + (1 << 32 - bits) - 1
        at = [i for i, start in enumerate(prefixes.v4_starts) if start <= high]
        return prefixes.v4_starts[at[-1]] <= low and prefixes.v4_values[at[-1]] == value

    assert one_answer(scope)
    assert scope == 0 or not one_answer(scope - 1)
