"""What the world's resolvers make of our answers: unbound, BIND, Knot Resolver and PowerDNS Recursor, from a fake root.

They reach two GTM nodes by delegation alone, with minimised questions, odd upper case, and client subnets.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterator

import pytest

from tests.slow import delegated, recursors

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

Z = delegated.ZONE
A, B = delegated.EDGES["a"], delegated.EDGES["b"]
TRIES = 3  # Knot Resolver's first answer below a new cut is often SERVFAIL, behind Knot's own nameserver too
FOLLOWED_S = (
    1 + 0.5 + 3 * 0.7 + 2 + 2
)  # an interval, its time-out, its confirmations, the TTL, and a slow machine's due

Answer = tuple[str, list[str]]  # rcode, data
NODATA: Answer = ("NOERROR", [])
NXDOMAIN: Answer = ("NXDOMAIN", [])
ROWS: dict[str, Answer] = {
    f"{Z} A": ("NOERROR", ["192.0.2.103"]),
    f"{Z} AAAA": NODATA,
    f"{Z} NS": ("NOERROR", [f"ns1.{Z}.", f"ns2.{Z}."]),
    f"{Z} TXT": ("NOERROR", ['"hello"']),
    f"{Z} CAA": ("NOERROR", ['0 issue "ca.example"']),
    f"{Z} MX": ("NOERROR", [f"10 mail.{Z}."]),
    f"play.{Z} A": ("NOERROR", [A[0]]),
    f"play.{Z} AAAA": ("NOERROR", [A[1]]),
    f"PlAy.{Z.upper()} A": ("NOERROR", [A[0]]),
    f"play.{Z} MX": NODATA,
    f"single.{Z} A": ("NOERROR", ["192.0.2.103"]),
    f"single.{Z} AAAA": NODATA,
    f"any.ch.{Z} A": ("NOERROR", ["192.0.2.103"]),
    f"a.b.c.ch.{Z} A": ("NOERROR", ["192.0.2.103"]),
    f"any.ch.{Z} AAAA": NODATA,
    f"ch.{Z} A": NODATA,
    f"pool.{Z} A": ("NOERROR", ["192.0.2.120", "edge.cdn.example."]),
    f"pool.{Z} AAAA": ("NOERROR", ["edge.cdn.example."]),
    f"pool.{Z} CNAME": ("NOERROR", ["edge.cdn.example."]),
    f"x.geo.{Z} A": ("NOERROR", ["192.0.2.113"]),
    f"_rtmp._tcp.{Z} SRV": ("NOERROR", [f"10 5 1935 mail.{Z}."]),
    f"_tcp.{Z} A": NODATA,
    f"svc.{Z} HTTPS": ("NOERROR", ['1 . alpn="h2,h3" ipv4hint=192.0.2.143']),
    f"strange.{Z} TYPE65280": ("NOERROR", ["\\# 4 01020304"]),
    f"long.{Z} TXT": ("NOERROR", [delegated.LONG_TEXT]),
    f"two.{Z} A": ("NOERROR", ["192.0.2.141", "192.0.2.142"]),
    f"two.{Z} TXT": NODATA,
    f"deep.under.nothing.{Z} A": ("NOERROR", ["192.0.2.144"]),
    f"under.nothing.{Z} A": NODATA,
    f"nothing.{Z} TXT": NODATA,
    f"beside.under.nothing.{Z} A": NXDOMAIN,
    f"x.wild.{Z} A": ("NOERROR", ["192.0.2.145"]),
    f"x.y.wild.{Z} TXT": ("NOERROR", ['"any"']),
    f"x.wild.{Z} AAAA": NODATA,
    f"sibling.wild.{Z} TXT": NODATA,
    f"below.sibling.wild.{Z} A": NXDOMAIN,
    f"alias.{Z} A": ("NOERROR", ["192.0.2.140", f"mail.{Z}."]),
    f"alias.{Z} TXT": ("NOERROR", [f"mail.{Z}."]),
    f"away.{Z} A": ("NOERROR", ["192.0.2.120", "edge.cdn.example."]),
    f"www.child.{Z} A": ("NOERROR", ["192.0.2.130"]),
    f"child.{Z} NS": ("NOERROR", [f"ns.child.{Z}."]),
    f"nope.child.{Z} A": NXDOMAIN,
    f"nope.{Z} A": NXDOMAIN,
    f"a.b.nope.{Z} A": NXDOMAIN,
}
BY = ("unbound", "bind", "kresd", "recursor", "unbound-ecs")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[delegated.World]:
    with delegated.world(tmp_path_factory.mktemp("resolvers")) as made:
        recursors.start(made)
        yield made


def said(world: delegated.World, server: str, *words: str) -> Answer:
    """Return the rcode and the sorted data of an answer."""
    out = world.dig(server, "+noall", "+answer", "+comments", *words)
    rcode = re.search(r"status: (\w+)", out)
    data = re.findall(r"^[^;\s]\S*\s+\d+\s+IN\s+\S+\s+(.*)$", out, re.MULTILINE)
    return rcode[1] if rcode else out, sorted(data)


def patiently(world: delegated.World, by: str, *words: str) -> Answer:
    """Ask again where a resolver says that it failed; return its last word."""
    for _ in range(TRIES):
        found = said(world, recursors.ALL[by].address, *words)
        if found[0] != "SERVFAIL":
            break
    return found


@pytest.mark.parametrize("by", BY)
def test_every_kind_of_name_is_resolved_as_it_was_meant(world: delegated.World, by: str) -> None:
    wrong = {
        question: (found, wanted)
        for question, wanted in ROWS.items()
        if (found := patiently(world, by, *question.split())) != wanted
    }
    assert wrong == {}


@pytest.mark.parametrize("by", [one for one in BY if one != "kresd"])
def test_E5_any_is_one_small_answer_for_a_resolver_too(world: delegated.World, by: str) -> None:
    assert patiently(world, by, f"new-to-{by}.wild.{Z}", "ANY") == ("NOERROR", ['"RFC8482" ""'])


def test_knot_resolver_answers_any_to_nobody(world: delegated.World) -> None:
    """The reason why it is left out above: it refuses NSD's answers to ANY in the same way."""
    for name in (f"x.wild.{Z}", "edge.cdn.example"):
        assert patiently(world, "kresd", name, "ANY") == ("SERVFAIL", [])


def test_unbound_never_had_to_give_up_its_upper_case_dice(world: delegated.World) -> None:
    assert patiently(world, "unbound", f"dice.wild.{Z}", "A") == ("NOERROR", ["192.0.2.145"])
    log = (world.logs / "unbound.log").read_text()
    assert f"dice.wild.{Z}." in log, "its log says nothing"
    assert "apsforid" not in log


@pytest.mark.parametrize("by", recursors.SEND_SUBNETS)
@pytest.mark.parametrize("first", ["8.8.8.0/24", "203.0.113.0/24"])
def test_C2_answers_for_subnets_are_cached_apart_whoever_asks_first(
    world: delegated.World, by: str, first: str
) -> None:
    server, name = recursors.ALL[by].address, f"{by}-{first[0]}.geo.{Z}"
    asked = {first: "", "203.0.113.0/24": "", "198.51.100.0/24": "", "8.8.4.0/24": "", "100.0.0.0/8": ""}
    wanted = {one: ("NOERROR", [delegated.PLACES.get(one, delegated.PLACES[""])]) for one in asked}
    assert {one: said(world, server, f"+subnet={one}", name) for one in asked} == wanted
    with world.without_us():
        assert {one: said(world, server, f"+subnet={one}", name) for one in asked} == wanted


@pytest.mark.parametrize(
    ("after", "within_s"), [(B, FOLLOWED_S), (A, delegated.SETTLE_S)], ids=["to the fallback", "and back"]
)
def test_a_failover_is_followed_by_every_resolver_inside_of_the_ttl(
    world: delegated.World, after: tuple[str, str], within_s: float
) -> None:
    if after == B:
        world.end("edge-a")
    else:
        world.edge("a")
    ends = time.monotonic() + within_s
    for by in BY:
        for kind, address in zip(("A", "AAAA"), after, strict=True):
            look = functools.partial(patiently, world, by, f"play.{Z}", kind)
            world.until(look, ("NOERROR", [address]), max(0.0, ends - time.monotonic()))
