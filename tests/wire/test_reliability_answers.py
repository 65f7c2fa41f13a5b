"""Answers, row by row of reliability.md section 2.2: what an authoritative server must do, named by the RFC."""

from __future__ import annotations

import dns.edns
import dns.message
import pytest

from gtm import errors, names
from tests.wire import world

TEXT = "\n".join(
    [
        "@ 300 SOA ns1 ops 1 2 3 4 60",
        "@ NS ns1",
        "ns1 A 192.0.2.53",
        "www A 192.0.2.1",
        "www A 192.0.2.2",
        "www TXT hello",
        r"odd TYPE62347 \# 5 00ff2e8001",
        r"big TXT " + " ".join(["x" * 200] * 8),
        "a.ent A 192.0.2.3",
        "x.c.ent2 A 192.0.2.4",
        "*.wild A 192.0.2.5",
        "sib.wild A 192.0.2.6",
        "cname CNAME www",
        "loop CNAME pool",
        "pool CNAME loop",
        "away CNAME www.elsewhere.example.net.",
        "gone CNAME nothing",
        "https HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1 port=8443",
        "alias HTTPS 0 www",
        "svc SVCB 2 WwW port=53 alpn=dot",
        "sub NS ns.sub",
        "sub NS ns.other",
        "ns.sub A 192.0.2.54",
        "ns.sub AAAA 2001:db8::54",
        "ns.other A 192.0.2.55",
        *(f"many NS ns{at}.many" for at in range(10)),
        *(f"ns{at}.many AAAA 2001:db8::{at:x}" for at in range(10)),
    ]
)
ZONE = world.zone("plain.example.", TEXT)
SERVER = world.serve(ZONE)


def packet_of(name: str, rtype: str) -> bytes:
    """Return a question for a name of the zone (empty: its apex), as a resolver sends it."""
    return dns.message.make_query(f"{name}.plain.example.".lstrip("."), rtype, use_edns=0, payload=1232).to_wire()


def ask(name: str, rtype: str = "A", **more: object) -> dns.message.Message:
    return SERVER.ask(f"{name}.plain.example.", rtype, **more)  # type: ignore[arg-type]


def test_1034_an_rrset_is_whole_and_alone() -> None:
    answer = ask("www")
    assert world.is_authoritative(answer)
    assert sorted(world.values(answer)) == ["192.0.2.1", "192.0.2.2"]
    assert (answer.authority, answer.additional) == ([], [])


@pytest.mark.parametrize(("name", "rcode"), [("www", "NOERROR"), ("nope", "NXDOMAIN"), ("ent", "NOERROR")])
def test_2308_a_negative_answer_has_the_soa_for_the_smaller_time(name: str, rcode: str) -> None:
    answer = ask(name, "MX")
    assert (world.rcode(answer), world.soa(answer)) == (rcode, "plain.example.")
    assert (answer.authority[0].ttl, answer.answer) == (60, [])


@pytest.mark.parametrize("name", ["ent", "c.ent2", "ent2"])
def test_8020_an_empty_non_terminal_is_nodata(name: str) -> None:
    assert world.rcode(ask(name)) == "NOERROR"
    assert world.rcode(ask(f"nope.{name}")) == "NXDOMAIN"  # and nothing exists below what does not


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("any.wild", "A", ["192.0.2.5"]),
        ("any.wild", "TXT", []),
        ("deep.any.wild", "A", ["192.0.2.5"]),
        ("sib.wild", "TXT", []),
        ("*.wild", "A", ["192.0.2.5"]),
    ],
)
def test_4592_a_wildcard_is_synthesised_under_the_asked_name(name: str, rtype: str, expected: list[str]) -> None:
    answer = ask(name, rtype)
    assert (world.rcode(answer), world.values(answer)) == ("NOERROR", expected)
    assert world.owners(answer) == ([f"{name}.plain.example. A"] if expected else [])


def test_4592_below_a_sibling_of_a_wildcard_is_nxdomain() -> None:
    assert world.rcode(ask("below.sib.wild")) == "NXDOMAIN"


def test_1034_cnames_are_chased_inside_left_alone_outside_and_never_lost() -> None:
    assert world.values(ask("cname"))[0] == "www.plain.example."
    assert len(world.values(ask("cname"))) == 3
    assert world.values(ask("cname", "CNAME")) == ["www.plain.example."]
    assert (world.rcode(ask("away")), world.values(ask("away"))) == ("NOERROR", ["www.elsewhere.example.net."])


def test_6604_a_cname_to_nothing_is_nxdomain_with_the_chain_and_the_soa() -> None:
    answer = ask("gone")
    assert (world.rcode(answer), world.values(answer)) == ("NXDOMAIN", ["nothing.plain.example."])
    assert world.soa(answer) == "plain.example."


def test_9471_a_referral_brings_all_glue() -> None:
    answer = ask("deep.sub")
    assert not world.is_authoritative(answer)
    assert [str(one.name) for one in answer.authority] == ["sub.plain.example."]
    glue = {rdata.to_text() for rrset in answer.additional for rdata in rrset}
    assert glue == {"192.0.2.54", "2001:db8::54", "192.0.2.55"}


@pytest.mark.parametrize(("payload", "whole"), [(512, False), (1232, True)])
def test_9471_glue_that_does_not_fit_is_truncation_and_not_a_part_of_it(payload: int, whole: bool) -> None:
    answer = ask("deep.many", edns=True, payload=payload)
    assert bool(answer.flags & 0x0200) is not whole
    assert len(answer.additional) == (10 if whole else 0)
    assert len(ask("deep.many", transport="tcp").additional) == 10


def test_8482_any_is_one_small_answer() -> None:
    (rrset,) = ask("www", "ANY").answer
    assert rrset[0].to_text() == '"RFC8482" ""'


def test_3597_unknown_types_keep_their_bits_and_unknown_questions_are_nodata() -> None:
    assert world.values(ask("odd", "TYPE62347")) == [r"\# 5 00ff2e8001"]
    for rtype in ("TYPE0", "TYPE62348", "TYPE65535"):
        assert (world.rcode(ask("odd", rtype)), world.values(ask("odd", rtype))) == ("NOERROR", [])


def test_9460_parameters_are_sorted_and_targets_are_whole_names() -> None:
    assert world.values(ask("https", "HTTPS")) == ['1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1"']
    assert world.values(ask("alias", "HTTPS")) == ["0 www.plain.example."]
    reply = SERVER.raw(dns.message.make_query("svc.plain.example.", "SVCB").to_wire())
    assert reply is not None
    # Section 2.2: the target is never compressed.
    assert reply.endswith(b"\0\2\3WwW\5plain\7example\0\0\1\0\4\3dot\0\3\0\2\0\x35")


def test_9460_2_4_2_an_alias_is_two_zeros_and_a_name_at_the_apex_too() -> None:
    text = (
        "@ SOA ns ops 1 2 3 4 5\n@ HTTPS 0 CDN.example.net.\nnone HTTPS 0 .\n_8443._https SVCB 0 www\nwww HTTPS 1 .\n"
    )
    server = world.serve(world.zone("alias.example.", text))
    for name, rtype, rdata in (
        ("", "HTTPS", b"\0\0" + names.wire("CDN.example.net.")),
        ("none.", "HTTPS", b"\0\0\0"),
        ("_8443._https.", "SVCB", b"\0\0" + names.wire("www.alias.example.")),
    ):
        reply = server.raw(dns.message.make_query(f"{name}alias.example.", rtype).to_wire())
        assert reply is not None
        assert reply.endswith(len(rdata).to_bytes(2) + rdata)  # no parameters, no compression
        assert reply[6:12] == b"\0\1\0\0\0\0"  # and nothing beside it
    with pytest.raises(errors.RecordError):
        world.zone("alias.example.", "@ HTTPS 0 cdn alpn=h2\n")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("rtype", ["AXFR", "IXFR"])
def test_5936_transfers_are_refused_on_every_transport(rtype: str, transport: str) -> None:
    answer = SERVER.ask("plain.example.", rtype, transport=transport)
    assert (world.rcode(answer), answer.answer) == ("REFUSED", [])


def test_2181_a_truncated_answer_is_empty() -> None:
    answer = ask("big", "TXT", payload=4096)
    assert answer.flags & 0x0200
    assert (answer.answer, answer.authority) == ([], [])
    assert len(ask("big", "TXT", transport="tcp").answer) == 1


@pytest.mark.parametrize(
    ("name", "rtype", "code"),
    [("www.example.net.", "A", 20), (".", "NS", 20), ("plain.example.", "AXFR", 18), ("plain.example.", "TYPE128", 30)],
)
def test_8914_a_refusal_says_why_to_who_sent_edns(name: str, rtype: str, code: int) -> None:
    (error,) = SERVER.ask(name, rtype, edns=True).options
    assert isinstance(error, dns.edns.EDEOption)
    assert (error.code, error.text) == (code, None)
    assert SERVER.ask(name, rtype).options == ()


@pytest.mark.parametrize("name", ["example.", "example.net.", "com.", "."])
def test_8499_what_is_not_ours_is_refused_without_a_referral(name: str) -> None:
    answer = SERVER.ask(name, "NS")
    assert (world.rcode(answer), world.is_authoritative(answer)) == ("REFUSED", False)
    assert (answer.answer, answer.authority, answer.additional) == ([], [], [])


@pytest.mark.parametrize("rtype", ["SOA", "NS", "A", "MX", "TXT"])
def test_4343_letters_come_back_as_they_were_sent(rtype: str) -> None:
    query = dns.message.make_query("wWw.PlAiN.eXaMpLe.", rtype)
    packet = query.to_wire()
    reply = SERVER.raw(packet)
    assert reply is not None
    assert reply[12 : len(packet)] == packet[12:]
    assert reply.count(b"wWw") == 1  # the owner is a pointer, so it has the same letters
