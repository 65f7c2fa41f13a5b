"""For how long an answer holds: the shortest TTL in it, whatever section that stands in."""

from __future__ import annotations

import dns.message
import pytest

from gtm.wire import freshness
from tests.wire import test_reliability_answers


@pytest.mark.parametrize(
    ("name", "rtype"),
    [("www", "A"), ("nope", "A"), ("cname", "A"), ("deep.sub", "A"), ("www", "MX"), ("www", "ANY"), ("big", "TXT")],
)
def test_an_answer_holds_for_its_shortest_ttl(name: str, rtype: str) -> None:
    query = dns.message.make_query(f"{name}.plain.example.", rtype, use_edns=0)
    reply = test_reliability_answers.SERVER.raw(query.to_wire(), transport="tcp")
    assert reply is not None
    answer = dns.message.from_wire(reply)
    found = [rrset.ttl for section in (answer.answer, answer.authority, answer.additional) for rrset in section]
    assert freshness.seconds(reply) == min(found)


def test_an_answer_without_records_does_not_hold() -> None:
    reply = test_reliability_answers.SERVER.raw(dns.message.make_query("example.", "A", use_edns=0).to_wire())
    assert reply is not None
    assert freshness.seconds(reply) == 0
