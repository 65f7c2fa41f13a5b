"""Response-rate limiting: a flood is cut to its rate, others do not feel it, and honest clients can come over TCP."""

from __future__ import annotations

import dns.flags
import dns.message
import pytest

from gtm.wire import limit
from tests.wire import test_subnet, world

SERVER = world.Server(test_subnet.geography())


def reply(name: str = "txt.live.example.", *, edns: bool = False) -> bytes:
    query = dns.message.make_query(name, "TXT", use_edns=0 if edns else None)
    found = SERVER.raw(query.to_wire())
    assert found is not None
    return found


def limiter(per_second: float = 10, slip: int = 0) -> limit.Limiter:
    return limit.Limiter(per_second, slip, seed=7)


def test_a_network_gets_its_rate_and_no_more() -> None:
    one, answer = limiter(), reply()
    passed = [
        one.passed(answer, *world.number(f"198.51.100.{at % 256}"), now_s=1000 + at / 1000) is not None
        for at in range(10_000)
    ]
    assert sum(passed[:1000]) == pytest.approx(20, abs=1)  # a second's worth at once, then the rate
    assert sum(passed[1000:]) == pytest.approx(90, abs=1)


def test_who_stays_below_the_rate_loses_nothing() -> None:
    one, answer = limiter(), reply()
    assert all(one.passed(answer, *world.number("198.51.100.1"), now_s=at / 9) == answer for at in range(500))


def test_other_networks_and_other_kinds_of_answer_do_not_feel_it() -> None:
    one, answer = limiter(), reply()
    for _ in range(100):
        one.passed(answer, *world.number("198.51.100.1"), now_s=5)
    assert one.passed(answer, *world.number("198.51.101.1"), now_s=5) == answer
    assert one.passed(answer, *world.number("2001:db8:0:100::1"), now_s=5) == answer
    assert one.passed(reply("nope.live.example."), *world.number("198.51.100.1"), now_s=5)
    assert one.passed(answer, *world.number("198.51.100.99"), now_s=5) is None
    asked = ("txt.live.example.", "nope.live.example.", "cut.live.example.", "com.", "geo.live.example.")
    once = limiter(1)
    for answer in map(reply, asked):
        assert once.passed(answer, *world.number("198.51.100.1"), now_s=5) == answer
        assert once.passed(answer, *world.number("198.51.100.1"), now_s=5) is None


def test_an_ipv6_network_is_a_56() -> None:
    one, answer = limiter(1), reply()
    assert one.passed(answer, *world.number("2001:db8:0:100::1"), now_s=5)
    assert one.passed(answer, *world.number("2001:db8:0:1ff::1"), now_s=5) is None
    assert one.passed(answer, *world.number("2001:db8:0:200::1"), now_s=5)


@pytest.mark.parametrize(("slip", "expected"), [(0, 0), (1, 90), (2, 45), (10, 9)])
def test_every_so_many_th_is_truncated_instead_of_dropped(slip: int, expected: int) -> None:
    one, answer = limiter(10, slip), reply()
    given = [one.passed(answer, *world.number("198.51.100.1"), now_s=5) for _ in range(100)]
    assert given.count(answer) == 10
    assert sum(1 for found in given if found not in {answer, None}) == expected


@pytest.mark.parametrize("edns", [False, True])
@pytest.mark.parametrize("name", ["txt.live.example.", "nope.live.example.", "cut.live.example.", "com."])
def test_a_truncated_answer_is_an_answer_to_the_question_and_no_longer_than_it(name: str, edns: bool) -> None:
    query = dns.message.make_query(name, "TXT", use_edns=0 if edns else None)
    whole = SERVER.raw(query.to_wire())
    assert whole is not None
    cut = limit.truncated(whole)
    answer = dns.message.from_wire(cut)
    assert query.is_response(answer)
    assert answer.flags & dns.flags.TC
    assert (answer.answer, answer.authority, answer.additional) == ([], [], [])
    assert (answer.edns, answer.rcode()) == (0 if edns else -1, dns.message.from_wire(whole).rcode())
    assert len(cut) <= len(query.to_wire())


def test_an_answer_without_a_question_can_be_truncated() -> None:
    whole = SERVER.raw(b"\xbe\xef\x08\0" + bytes(8))
    assert whole is not None
    assert limit.truncated(whole) == whole[:2] + b"\x8a\x04" + bytes(8)
