"""The ready zone files load beside the ready health checks, and what they say is what is answered."""

from __future__ import annotations

from pathlib import Path

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from gtm import app, brain, events, seen
from gtm.wire import respond

ROOT = Path(__file__).resolve().parents[2]
FILES = {"live.example.com.": "live.example.com.zone", "example.net.": "example.net.zone"}


def sets(origin: str) -> dict[tuple[str, str], dns.rrset.RRset]:
    """Return a zone file's record sets as another library reads them, by owner and type."""
    text = (ROOT / "zones" / FILES[origin]).read_text()
    zone = dns.zone.from_text(text, origin, relativize=False, check_origin=False)
    found = {}
    for name, rdataset in zone.iterate_rdatasets():
        one = dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
        found[str(name), dns.rdatatype.to_text(rdataset.rdtype)] = one
    return found


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> respond.Responder:
    main = tmp_path_factory.mktemp("etc") / "gtm.yaml"
    main.write_text(f'include: ["{ROOT}/zones/*.yaml", "{ROOT}/healthchecks/hls-edge.yaml"]\n')
    loaded = app.load_configuration(str(main))
    assert app.refused_text(loaded) == ""
    assert loaded.snapshot
    mind = brain.Brain("ns1", dice=lambda: 0.5)
    mind.feed(events.ConfigCame(loaded.snapshot, seen.Networks()), 0.0)
    return respond.Responder(mind.current_table(), seed=1)


def ask(answering: respond.Responder, name: str, rtype: str) -> dns.message.Message:
    packet = answering.answer(dns.message.make_query(name, rtype).to_wire(), 4, 0x7F000001, "udp")
    assert packet
    return dns.message.from_wire(packet)


@pytest.mark.parametrize(
    ("origin", "owner", "rtype"), [(origin, *key) for origin in FILES for key in sets(origin) if "acme" not in key[0]]
)
def test_every_record_of_a_zone_file_is_answered(
    answering: respond.Responder, origin: str, owner: str, rtype: str
) -> None:
    answer = ask(answering, owner.replace("*", "anything"), rtype)
    assert answer.rcode() == dns.rcode.NOERROR
    wanted = sets(origin)[owner, rtype]
    got = answer.answer[0]
    assert (set(got), got.ttl) == (set(wanted), wanted.ttl)


def test_the_delegation_is_a_referral_with_glue(answering: respond.Responder) -> None:
    answer = ask(answering, "_acme-challenge.live.example.com.", "TXT")
    assert not answer.answer
    assert (
        answer.authority[0].to_text()
        == "_acme-challenge.live.example.com. 300 IN NS ns._acme-challenge.live.example.com."
    )
    assert answer.additional[0].to_text() == "ns._acme-challenge.live.example.com. 300 IN A 203.0.113.81"


def test_the_steered_zones_soa_and_nameservers_come_from_its_yaml(answering: respond.Responder) -> None:
    nameservers = ask(answering, "live.example.com.", "NS").answer[0]
    assert {str(one) for one in nameservers} == {"ns1.live.example.com.", "ns2.live.example.com."}
    assert "ops.example.com." in ask(answering, "live.example.com.", "SOA").answer[0].to_text()


@pytest.mark.parametrize("name", ["play.live.example.com.", "live.live.example.com."])
def test_the_steered_names_are_answered_from_their_first_pool(answering: respond.Responder, name: str) -> None:
    assert {str(one) for one in ask(answering, name, "A").answer[0]} == {"192.0.2.11", "192.0.2.21"}


def test_the_zones_page_names_every_file() -> None:
    page = (ROOT / "zones" / "README.md").read_text()
    for file in (ROOT / "zones").iterdir():
        assert file.name == "README.md" or f"[{file.name}]({file.name})" in page
