"""What a question and its answer say is read for people and counts, from any bytes."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import hypothesis
import pytest
from hypothesis import strategies as some

from gtm.wire import report

NAME = "Play.Live.example."


def pair(kind: str, *records: str, rcode: int = 0, subnet: str = "") -> tuple[bytes, bytes]:
    options: list[dns.edns.Option] = []
    if subnet:
        address, _, bits = subnet.partition("/")
        options.append(dns.edns.ECSOption(address, int(bits)))
    asked = dns.message.make_query(NAME, kind, use_edns=0, options=options)
    answer = dns.message.make_response(asked)
    if records:
        answer.answer.append(dns.rrset.from_text(NAME, 17, "IN", kind, *records))
    answer.set_rcode(dns.rcode.Rcode(rcode))
    return asked.to_wire(), answer.to_wire()


def test_addresses_names_ttl_and_subnet_are_read() -> None:
    found = report.read(*pair("A", "192.0.2.1", "192.0.2.2", subnet="198.51.100.0/24"))
    values = ("192.0.2.1", "192.0.2.2")
    assert found._replace(values=tuple(sorted(found.values))) == report.Report(
        "play.live.example.", "A", (4, 0xC6336400, 24), "NOERROR", 17, values, False
    )
    assert report.read(*pair("AAAA", "2001:db8::1")).values == ("2001:db8::1",)
    assert report.read(*pair("CNAME", "Edge.cdn.test.")).values == ("edge.cdn.test.",)


def test_an_answer_without_records_has_no_ttl_and_a_question_without_an_answer_no_rcode() -> None:
    asked, answer = pair("TYPE65280", rcode=3)
    assert report.read(asked, answer)[1:] == ("TYPE65280", None, "NXDOMAIN", None, (), False)
    assert report.read(asked, b"").rcode == ""
    assert report.read(asked, answer[:2] + b"\x86" + answer[3:]).truncated


def test_a_version_of_edns_that_is_too_new_was_answered_with_badvers() -> None:
    asked = dns.message.make_query(NAME, "A", use_edns=1)
    assert report.read(asked.to_wire(), pair("A")[1]).rcode == "BADVERS"


@pytest.mark.parametrize("bits", ["0.0.0.0/0", ""])
def test_who_opted_out_of_a_subnet_has_none(bits: str) -> None:
    assert report.read(*pair("A", subnet=bits)).subnet is None


@hypothesis.given(some.binary(max_size=300), some.binary(max_size=300))
def test_no_bytes_do_harm(question: bytes, answer: bytes) -> None:
    report.read(question, answer)


@hypothesis.given(some.integers(0, 60), some.binary(min_size=1, max_size=8))
def test_no_damage_to_an_answer_does_harm(at: int, damage: bytes) -> None:
    asked, answer = pair("CNAME", "edge.cdn.test.")
    report.read(asked, answer[:at] + damage + answer[at + len(damage) :])
