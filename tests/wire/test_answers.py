"""What static data answers: E1, E5 to E7, D2, and the zone rules of RFC 1034, 2308, 4592, 6604, 8482 and 9471."""

from __future__ import annotations

import dns.message
import pytest

from gtm import model, names, table
from gtm.wire import zone as zones
from tests.wire import world

# RFC 4592 section 2.2.1, the zone of its examples.
EXAMPLE = world.zone(
    "example.",
    """
@                 3600 SOA ns.example.com. admin.example. 1 14400 3600 1209600 10
@                 3600 NS  ns.example.com.
@                 3600 NS  ns.example.net.
*                 3600 TXT "this is a wildcard"
*                 3600 MX  10 host1.example.
sub.*             3600 TXT "this is not a wildcard"
host1             3600 A   192.0.2.1
_ssh._tcp.host1   3600 SRV 0 0 22 host1
_ssh._tcp.host2   3600 SRV 0 0 22 host2
subdel            3600 NS  ns.example.com.
subdel            3600 NS  ns.example.net.
""",
)


@pytest.fixture(scope="module")
def example() -> world.Server:
    return world.serve(EXAMPLE)


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("host3.example.", "MX", ["10 host1.example."]),
        ("foo.bar.example.", "TXT", ['"this is a wildcard"']),
        ("sub.*.example.", "TXT", ['"this is not a wildcard"']),
        ("*.example.", "TXT", ['"this is a wildcard"']),
    ],
)
def test_E6_a_wildcard_answers_for_names_that_do_not_exist(
    example: world.Server, name: str, rtype: str, expected: list[str]
) -> None:
    answer = example.ask(name, rtype)
    assert world.values(answer) == expected
    assert str(answer.answer[0].name) == name  # the name that was asked, not the wildcard's
    assert world.is_authoritative(answer)


@pytest.mark.parametrize(
    ("name", "rtype"),
    [
        ("host3.example.", "A"),  # synthesized, but not this type
        ("host1.example.", "MX"),  # exists
        ("_tcp.host1.example.", "MX"),  # an empty non-terminal
        ("host2.example.", "TXT"),  # an empty non-terminal
        ("*.example.", "A"),
    ],
)
def test_E6_existing_names_and_empty_non_terminals_are_nodata(example: world.Server, name: str, rtype: str) -> None:
    answer = example.ask(name, rtype)
    assert (world.rcode(answer), world.values(answer), world.soa(answer)) == ("NOERROR", [], "example.")


@pytest.mark.parametrize("name", ["_telnet._tcp.host1.example.", "ghost.*.example.", "a.host1.example."])
def test_E6_no_wildcard_reaches_past_an_existing_name(example: world.Server, name: str) -> None:
    answer = example.ask(name, "MX")
    assert (world.rcode(answer), world.soa(answer)) == ("NXDOMAIN", "example.")


def test_E6_below_a_delegation_everything_is_referred(example: world.Server) -> None:
    for name in ("subdel.example.", "host.subdel.example.", "a.b.subdel.example."):
        answer = example.ask(name, "A")
        assert not world.is_authoritative(answer)
        assert (world.rcode(answer), world.values(answer)) == ("NOERROR", [])
        (referral,) = answer.authority
        assert str(referral.name) == "subdel.example."
        assert {rdata.to_text() for rdata in referral} == {"ns.example.com.", "ns.example.net."}


ZONE = """
@        60  SOA ns1 ops 7 14400 3600 1209600 300
@        300 NS ns1
ns1      300 A 192.0.2.53
@        300 MX 10 mx
txt      300 TXT "hello"
many     300 A 192.0.2.1
many     60  A 192.0.2.2
many     300 A 192.0.2.1
www      300 CNAME txt
hop1     300 CNAME hop2
hop2     300 CNAME Hop3
hop3     300 CNAME txt
missing  300 CNAME nonesuch
outside  300 CNAME www.example.net.
loop1    300 CNAME loop2
loop2    300 CNAME loop1
self     300 CNAME self
tocut    300 CNAME www.cut
toplay   300 CNAME play
hopplay  300 CNAME toplay
towild   300 CNAME x.wild
*.wild   300 TXT "wild"
*.alias  300 CNAME txt
cut      300 NS ns.cut
cut      300 NS ns1
cut      300 NS ns.example.net.
cut      300 DS 1 13 1 2BB183AF5F22588179A53B0A98631FAD1A292118
cut2     300 NS ns.example.net.
ns.cut   300 A 192.0.2.77
ns.cut   300 AAAA 2001:db8::77
www.cut  300 A 192.0.2.78
a.b.ent  300 A 192.0.2.9
unknown  300 TYPE65280 \\# 3 010203
hinfo    300 HINFO "cpu" "os"
"""


@pytest.fixture(scope="module")
def live() -> world.Server:
    zone = world.zone("live.example.", ZONE, steer={"play.live.example.": 0, "*.ch.live.example.": 0})
    endpoints = [model.Endpoint("e", ipv4="192.0.2.1")]
    whole = world.snapshot(zone, endpoints=endpoints, pools=[world.pool("p", "e")], policies=[world.policy("p")])
    rings = world.rings(world.decision(["192.0.2.1"]), world.decision(), world.decision())
    return world.Server(world.build(whole, steerings=[table.Steering(-1, (0,), (1,), (2,))], rings=rings))


def test_E1_soa_and_ns_stand_at_the_apex(live: world.Server) -> None:
    assert world.values(live.ask("live.example.", "SOA")) == [
        "ns1.live.example. ops.live.example. 7 14400 3600 1209600 300"
    ]
    answer = live.ask("live.example.", "NS")
    assert world.values(answer) == ["ns1.live.example."]
    assert not answer.authority
    assert not answer.additional


def test_E1_a_known_name_of_another_type_is_nodata_with_soa(live: world.Server) -> None:
    for name in ("txt.live.example.", "live.example.", "play.live.example.", "x.ch.live.example."):
        answer = live.ask(name, "SRV")
        assert (world.rcode(answer), world.values(answer), world.soa(answer)) == ("NOERROR", [], "live.example.")
        assert world.is_authoritative(answer)


def test_E1_outside_our_zones_is_refused_without_a_word(live: world.Server) -> None:
    for name in ("example.", ".", "live.example.net.", "xlive.example.", "com."):
        answer = live.ask(name, "A")
        assert world.rcode(answer) == "REFUSED"
        assert not world.is_authoritative(answer)
        assert [*answer.answer, *answer.authority, *answer.additional] == []


def test_D2_a_negative_answer_lives_for_the_smaller_of_soa_ttl_and_minimum(live: world.Server) -> None:
    for name in ("nonesuch.live.example.", "txt.live.example."):
        assert live.ask(name, "A").authority[0].ttl == 60
    other = world.serve(
        model.Zone("z.example.", (("ns.example.net.", ()),), "ops@z.example", ttl_s=300, negative_ttl_s=10)
    )
    answer = other.ask("nonesuch.z.example.")
    assert (world.rcode(answer), answer.authority[0].ttl, answer.authority[0][0].minimum) == ("NXDOMAIN", 10, 10)


def test_an_rrset_is_whole_with_one_ttl_and_no_record_twice(live: world.Server) -> None:
    answer = live.ask("many.live.example.")
    assert world.values(answer) == ["192.0.2.1", "192.0.2.2"]
    assert answer.answer[0].ttl == 60
    assert live.raw(dns.message.make_query("many.live.example.", "A").to_wire())[6:8] == b"\0\2"  # type: ignore[index]


def test_records_of_unknown_types_keep_their_bits(live: world.Server) -> None:
    assert world.values(live.ask("unknown.live.example.", "TYPE65280")) == ["\\# 3 010203"]


def test_E5_any_gets_one_small_answer(live: world.Server) -> None:
    for name in ("live.example.", "txt.live.example.", "play.live.example.", "x.ch.live.example."):
        answer = live.ask(name, "ANY")
        assert world.values(answer) == ['"RFC8482" ""']
    assert world.values(live.ask("hinfo.live.example.", "ANY")) == ['"cpu" "os"']
    assert world.owners(live.ask("www.live.example.", "ANY")) == ["www.live.example. CNAME"]
    assert world.soa(live.ask("ent.live.example.", "ANY")) == "live.example."


def test_E6_names_between_are_nodata_and_names_beside_are_not_there(live: world.Server) -> None:
    for name in ("ent.live.example.", "b.ent.live.example.", "ch.live.example.", "wild.live.example."):
        answer = live.ask(name)
        assert (world.rcode(answer), world.soa(answer)) == ("NOERROR", "live.example.")
    assert world.rcode(live.ask("c.ent.live.example.")) == "NXDOMAIN"


def test_E6_a_delegation_brings_its_glue(live: world.Server) -> None:
    for name in ("cut.live.example.", "www.cut.live.example.", "ns.cut.live.example.", "play.cut.live.example."):
        answer = live.ask(name, "A")
        assert not world.is_authoritative(answer)
        assert (world.rcode(answer), world.values(answer)) == ("NOERROR", [])
        assert str(answer.authority[0].name) == "cut.live.example."
        glue = {(str(rrset.name), rdata.to_text()) for rrset in answer.additional for rdata in rrset}
        assert glue == {
            ("ns.cut.live.example.", "192.0.2.77"),
            ("ns.cut.live.example.", "2001:db8::77"),
            ("ns1.live.example.", "192.0.2.53"),
        }


def test_E6_ds_at_a_cut_is_answered_from_above(live: world.Server) -> None:
    answer = live.ask("cut.live.example.", "DS")
    assert world.values(answer) == ["1 13 1 2bb183af5f22588179a53b0a98631fad1a292118"]
    assert world.is_authoritative(answer)
    answer = live.ask("cut2.live.example.", "DS")
    assert (world.values(answer), world.soa(answer)) == ([], "live.example.")
    assert world.is_authoritative(answer)
    assert not world.is_authoritative(live.ask("below.cut.live.example.", "DS"))


def test_E7_a_cname_is_followed_through_our_own_static_names(live: world.Server) -> None:
    answer = live.ask("www.live.example.", "TXT")
    assert world.owners(answer) == ["www.live.example. CNAME", "txt.live.example. TXT"]
    answer = live.ask("hop1.live.example.", "TXT")
    assert [owner.lower() for owner in world.owners(answer)] == [
        "hop1.live.example. cname", "hop2.live.example. cname", "hop3.live.example. cname", "txt.live.example. txt",
    ]  # fmt: skip
    assert world.values(live.ask("towild.live.example.", "TXT"))[-1] == '"wild"'
    answer = live.ask("any.alias.live.example.", "TXT")
    assert world.owners(answer) == ["any.alias.live.example. CNAME", "txt.live.example. TXT"]


def test_a_cname_asked_for_as_such_stands_alone(live: world.Server) -> None:
    answer = live.ask("hop1.live.example.", "CNAME")
    assert (world.values(answer), answer.authority) == (["hop2.live.example."], [])


def test_a_cname_whose_target_lacks_the_type_is_nodata_with_soa(live: world.Server) -> None:
    answer = live.ask("www.live.example.", "AAAA")
    assert (world.rcode(answer), world.owners(answer)) == ("NOERROR", ["www.live.example. CNAME"])
    assert world.soa(answer) == "live.example."


def test_a_cname_to_nowhere_is_nxdomain_with_the_chain(live: world.Server) -> None:
    answer = live.ask("missing.live.example.")
    assert (world.rcode(answer), world.values(answer)) == ("NXDOMAIN", ["nonesuch.live.example."])
    assert world.soa(answer) == "live.example."


@pytest.mark.parametrize("name", ["outside", "tocut", "toplay"])
def test_E7_a_foreign_delegated_or_steered_target_is_left_to_the_asker(live: world.Server, name: str) -> None:
    answer = live.ask(f"{name}.live.example.")
    assert (world.rcode(answer), len(answer.answer), answer.authority) == ("NOERROR", 1, [])


def test_E7_a_chain_to_a_steered_name_ends_with_the_name(live: world.Server) -> None:
    assert world.values(live.ask("hopplay.live.example.")) == ["toplay.live.example.", "play.live.example."]


def test_B12_a_loop_of_cnames_is_a_finite_chain(live: world.Server) -> None:
    assert world.values(live.ask("loop1.live.example.")) == ["loop2.live.example.", "loop1.live.example."]
    assert world.values(live.ask("self.live.example.")) == ["self.live.example."]
    for name, count in (("loop1.live.example.", 2), ("self.live.example.", 1)):  # dnspython shows doubled records once
        assert live.raw(dns.message.make_query(name, "A").to_wire())[6:8] == bytes((0, count))  # type: ignore[index]


def test_B12_a_long_chain_is_cut_at_eight() -> None:
    text = "@ SOA ns ops 1 2 3 4 5\n" + "".join(f"h{at} CNAME h{at + 1}\n" for at in range(20)) + "h20 A 192.0.2.1\n"
    server = world.serve(world.zone("z.example.", text))
    assert len(world.values(server.ask("h0.z.example."))) == 8
    assert world.values(server.ask("h14.z.example."))[-1] == "192.0.2.1"


def test_a_configured_name_is_never_nxdomain_but_names_below_it_are(live: world.Server) -> None:
    for rtype in ("A", "AAAA", "TXT", "HTTPS", "SOA", "NS"):
        assert world.rcode(live.ask("play.live.example.", rtype)) == "NOERROR"
    assert world.rcode(live.ask("x.play.live.example.")) == "NXDOMAIN"


def test_a_steered_wildcard_answers_at_any_depth_below_it(live: world.Server) -> None:
    for name in ("news.ch.live.example.", "a.b.ch.live.example.", "NEWS.CH.live.example.", "*.ch.live.example."):
        assert world.values(live.ask(name)) == ["192.0.2.1"]


PARENT = world.zone(
    "example.",
    """
@ SOA ns ops 1 2 3 4 10
@ NS ns.example.net.
live NS ns.example.net.
live DS 7 13 1 2BB183AF5F22588179A53B0A98631FAD1A292118
www.live A 192.0.2.66
far.off A 192.0.2.1
""",
)


def test_a_zone_inside_another_answers_for_itself_and_ds_comes_from_above() -> None:
    child = world.zone("live.example.", "@ SOA ns ops 1 2 3 4 10\n@ NS ns.example.net.\nwww A 192.0.2.1\n")
    deep = world.zone("a.deep.example.", "@ SOA ns ops 1 2 3 4 10\n@ NS ns.example.net.\n")
    grandchild = world.zone("x.y.live.example.", "@ SOA ns ops 1 2 3 4 10\n@ NS ns.example.net.\n")
    for order in ((PARENT, child, deep, grandchild), (grandchild, deep, child, PARENT)):
        server = world.serve(*order)
        assert world.soa(server.ask("x.y.live.example.", "DS")) == "live.example."
        assert world.values(server.ask("www.live.example.")) == ["192.0.2.1"]
        assert world.values(server.ask("live.example.", "DS")) == ["7 13 1 2bb183af5f22588179a53b0a98631fad1a292118"]
        assert world.soa(server.ask("a.deep.example.", "DS")) == "example."
        assert world.soa(server.ask("x.live.example.")) == "live.example."
        assert world.rcode(server.ask("deep.example.")) == "NOERROR"  # something exists below it
        assert world.rcode(server.ask("shallow.example.")) == "NXDOMAIN"
        assert world.values(server.ask("far.off.example.")) == ["192.0.2.1"]


def test_the_root_can_be_served() -> None:
    server = world.serve(world.zone(".", "@ SOA ns. ops. 1 2 3 4 10\n@ NS ns.\nns A 192.0.2.1\ncom NS ns.com.\n"))
    assert world.values(server.ask("ns.")) == ["192.0.2.1"]
    assert world.soa(server.ask(".", "A")) == "."
    assert world.rcode(server.ask("nonesuch.")) == "NXDOMAIN"
    assert not world.is_authoritative(server.ask("www.com."))


def test_soa_ns_and_glue_are_made_from_the_zone_s_fields() -> None:
    zone = model.Zone(
        "live.example.",
        (("ns1.live.example.", ("192.0.2.53", "2001:db8::53")), ("ns.example.net.", ())),
        "first.last@example.com",
        records=world.zone("live.example.", "@ SOA x y 1 2 3 4 5\n@ NS wrong\n@ TXT kept\n").records,
    )
    server = world.serve(zone)
    (soa,) = world.values(server.ask("live.example.", "SOA"))
    serial = soa.split()[2]
    assert soa == f"ns1.live.example. first\\.last.example.com. {serial} 14400 3600 1209600 10"
    assert int(serial) > 0
    assert world.values(server.ask("live.example.", "NS")) == ["ns1.live.example.", "ns.example.net."]
    assert world.values(server.ask("ns1.live.example.", "AAAA")) == ["2001:db8::53"]
    assert world.values(server.ask("live.example.", "TXT")) == ['"kept"']


def test_a_zone_without_nameservers_still_has_a_soa() -> None:
    server = world.serve(model.Zone("live.example."))
    (soa,) = world.values(server.ask("live.example.", "SOA"))
    assert soa.startswith("live.example. hostmaster.live.example. ")


def test_a_hundred_thousand_names_share_what_they_have_in_common() -> None:
    steer = {f"s{at}.live.example.": at % 2 for at in range(2000)}
    zone = model.Zone("live.example.", (("ns.example.net.", ()),), steer=steer)
    whole = world.snapshot(
        zone,
        endpoints=[model.Endpoint("e", ipv4="192.0.2.1")],
        pools=[world.pool("p", "e")],
        policies=[world.policy("p"), world.policy("p")],
    )
    ring = world.rings(world.decision(["192.0.2.1"]))
    built = world.build(whole, steerings=[table.Steering(-1, (0,), (0,), (0,))] * 2, rings=ring)
    entries = {id(built.names[names.key(name)]) for name in steer}
    assert len(entries) == 2
    assert zones.NS in built.names[names.key("live.example.")].fixed
