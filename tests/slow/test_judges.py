"""What the judges say of two GTM nodes below a fake root: Zonemaster, DNSViz, dig with RFC 8906's list, delv and drill.

Each judge is also shown something that is wrong, so that its silence means something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slow import delegated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

Z = delegated.ZONE
SERVERS = [address for addresses in delegated.OURS.values() for address in addresses]
LAME, LONELY = "lame.example", f"child.{Z}"
SHARE = Path("/usr/share/perl5/auto/share/dist/Zonemaster-Engine/profile.json")

LEFT_OUT = {
    "address01": "the closed world has documentation addresses, which are none of the internet's",
    "address02": "it has no reverse zones",
    "address03": "it has no reverse zones",
    "connectivity03": "it has no autonomous systems",
}
"""Zonemaster's test cases that judge the world around a nameserver, and why this world is not judged by them."""

ACCEPTED = {
    "NEITHER_DNSKEY_NOR_DS": "GTM does not sign, and the parent knows of no key: that is consistent",
    "NOT_SIGNED": "the same, said once more",
}
"""What Zonemaster remarks of our zone from NOTICE on, and why that is well."""

NAMES = (Z, f"play.{Z}", f"x.geo.{Z}", f"x.ch.{Z}", f"pool.{Z}", f"alias.{Z}", f"x.wild.{Z}", f"nope.{Z}", LONELY)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[delegated.World]:
    with delegated.world(tmp_path_factory.mktemp("judges")) as made:
        (made.logs / "hints").write_text(delegated.HINTS)
        cases = json.loads(SHARE.read_text())["test_cases"]
        kept = [one for one in cases if one not in LEFT_OUT]
        assert len(kept) == len(cases) - len(LEFT_OUT)
        (made.logs / "profile").write_text(json.dumps({"test_cases": kept}))
        yield made


# --- Zonemaster ----------------------------------------------------------------------------------------------------


def zonemaster(world: delegated.World, zone: str, level: str = "NOTICE") -> list[dict[str, Any]]:
    """Return what Zonemaster says of a zone, from `level` on."""
    said = world.run(
        *("zonemaster-cli", "--hints", str(world.logs / "hints"), "--profile", str(world.logs / "profile")),
        *(f"--level={level}", "--no-progress", "--no-time", "--json", zone),
    )
    found: list[dict[str, Any]] = json.loads(said)
    return found


def test_zonemaster_finds_nothing_but_that_the_zone_is_not_signed(world: delegated.World) -> None:
    said = zonemaster(world, Z, "INFO")
    remarks = [one for one in said if one["level"] not in {"INFO", "DEBUG"} and one["tag"] not in ACCEPTED]
    assert remarks == []
    looked_at = {one["tag"] for one in said}
    assert {"ADDRESSES_MATCH", "EDNS0_SUPPORT", "ONE_SOA_SERIAL", "QNAME_CASE_SENSITIVE"} <= looked_at
    supported = next(one["args"]["ns_list"] for one in said if one["tag"] == "EDNS0_SUPPORT")
    assert all(address in supported for address in SERVERS), "it did not reach all of our addresses"


def test_zonemaster_finds_that_our_child_has_but_one_nameserver_and_our_delegation_right(
    world: delegated.World,
) -> None:
    errors = {one["tag"] for one in zonemaster(world, LONELY) if one["level"] in {"WARNING", "ERROR", "CRITICAL"}}
    assert errors == {f"NOT_ENOUGH_{what}" for what in ("NS_DEL", "NS_CHILD", "IPV4_NS_DEL", "IPV4_NS_CHILD")}


def test_zonemaster_finds_a_lame_delegation(world: delegated.World) -> None:
    assert any(one["level"] in {"ERROR", "CRITICAL"} for one in zonemaster(world, LAME))


# --- DNSViz --------------------------------------------------------------------------------------------------------


def dnsviz(world: delegated.World, *names: str) -> dict[str, Any]:
    """Return DNSViz's warnings and errors for names, diagnosing EDNS over both families; empty when there are none."""
    probed = world.logs / "probed.json"
    world.run("dnsviz", "probe", "-A", "-E", "-x", f".:a.root={delegated.ROOT}", "-o", str(probed), *names)
    assert all(f'"{name}."' in probed.read_text() for name in names), "it did not look"
    said = world.run("dnsviz", "grok", "-l", "warning", "-r", str(probed))
    found: dict[str, Any] = json.loads(said or "{}")
    return found


def test_dnsviz_has_no_warning_for_any_kind_of_name(world: delegated.World) -> None:
    assert dnsviz(world, *NAMES) == {}


def test_dnsviz_finds_a_lame_delegation(world: delegated.World) -> None:
    assert "REFUSED" in json.dumps(dnsviz(world, LAME))


# --- RFC 8906 section 8, with dig ----------------------------------------------------------------------------------

PLAIN, EDNS, EDNS1 = ("+noedns",), ("+edns=0", "+nocookie"), ("+edns=1", "+noednsneg", "+nocookie")
GOOD = {"status: NOERROR": True, r"flags: qr aa(?: rd)?[; ]": True, r"\sSOA\s": True, "MBZ": False}
BADVERS = {"status: BADVERS": True, "version: 0": True, r"\sSOA\tns": False, "MBZ": False}
OPT = {"OPT PSEUDOSECTION": True, "EDNS: version: 0": True}

LIST: dict[str, tuple[tuple[str, ...], dict[str, bool]]] = {
    "8.1.1 a known type": ((*PLAIN, "SOA"), GOOD | {"OPT PSEUDO": False}),
    "8.1.2 an unknown type": ((*PLAIN, "TYPE1000"), GOOD | {"ANSWER: 0, AUTHORITY: 1": True}),
    "8.1.3.1 CD": ((*PLAIN, "+cd", "SOA"), GOOD),
    "8.1.3.2 AD": ((*PLAIN, "+ad", "SOA"), GOOD | {r"flags:[^;]* ad": False}),
    "8.1.3.3 the last reserved bit": ((*PLAIN, "+zflag", "SOA"), GOOD),
    "8.1.3.4 RD": ((*PLAIN, "+rec", "SOA"), GOOD | {r"flags: qr aa rd;": True}),
    "8.1.4 an unknown opcode": (
        ("+noedns", "+opcode=15", "+header-only"),
        {"status: NOTIMP": True, "opcode: RESERVED15": True, r"flags: qr;": True, r"\sSOA\tns": False},
    ),
    "8.1.5 over TCP": ((*PLAIN, "+tcp", "SOA"), GOOD),
    "8.2.1 EDNS": ((*EDNS, "SOA"), GOOD | OPT),
    "8.2.2 an unknown version": ((*EDNS1, "SOA"), BADVERS),
    "8.2.3 an unknown option": ((*EDNS, "+ednsopt=100", "SOA"), GOOD | OPT | {"OPT=100": False}),
    "8.2.4 unknown flags": ((*EDNS, "+ednsflags=0x40", "SOA"), GOOD | OPT),
    "8.2.5 an unknown version with unknown flags": ((*EDNS1, "+ednsflags=0x40", "SOA"), BADVERS),
    "8.2.6 an unknown version with an unknown option": (
        (*EDNS1, "+ednsopt=100", "SOA"), BADVERS | {"OPT=100": False},
    ),
    "8.2.7 a long answer": (
        (*EDNS, "+bufsize=512", "+ignore", "TXT", f"long.{Z}"),
        OPT | {r"flags: qr aa tc;": True, r"MSG SIZE  rcvd: (?:\d\d|[1-4]\d\d)\n": True},
    ),
    "8.2.8 DO": ((*EDNS, "+dnssec", "SOA"), GOOD | OPT | {"flags: do": True}),
    "8.2.9 an unknown version with DO": ((*EDNS1, "+dnssec", "SOA"), BADVERS),
    "8.2.10 many options": (
        ("+edns=0", "+cookie", "+nsid", "+expire", "+subnet=192.0.2.0/24", "+ednsopt=100", "SOA"),
        GOOD | OPT | {"COOKIE": True, "NSID": True, "CLIENT-SUBNET: 192.0.2.0/24/0": True, "OPT=100": False},
    ),
    "EDNS over TCP": ((*EDNS, "+tcp", "SOA"), GOOD | OPT),
    "a name in no zone of ours": (
        (*EDNS, "SOA", "example.com"), OPT | {"status: REFUSED": True, "ANSWER: 0, AUTHORITY: 0": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_the_list_of_rfc_8906_is_answered_as_it_demands(world: delegated.World, server: str) -> None:
    wrong = {}
    for what, (words, patterns) in LIST.items():
        names = () if any("." in word for word in words if not word.startswith("+")) else (Z,)
        said = world.dig(server, "+noad", "+norec", *words, *names)
        failed = [one for one, there in patterns.items() if bool(re.search(one, said)) is not there]
        if failed:
            wrong[what] = (failed, said)
    assert wrong == {}


# --- delv and drill ------------------------------------------------------------------------------------------------


def test_delv_and_drill_read_our_answers_and_drill_walks_down_from_the_root(world: delegated.World) -> None:
    address = delegated.EDGES["a"][0]
    for server in SERVERS:
        assert address in world.run("delv", "-i", f"@{server}", f"play.{Z}", "A")
        assert re.search(rf"rcode: NOERROR.*{address}", world.run("drill", f"@{server}", f"play.{Z}", "A"), re.DOTALL)
    walked = world.run("drill", "-T", "-r", str(world.logs / "hints"), f"play.{Z}", "A")
    assert [line.split()[0] for line in walked.splitlines() if line] == [
        ".",
        "example.",
        f"{Z}.",
        f"{Z}.",
        f"play.{Z}.",
    ]
