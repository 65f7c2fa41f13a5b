"""Floods, row by row of reliability.md section 4.1: they cost no memory, and nobody gets much for little."""

from __future__ import annotations

import random
import tracemalloc

import dns.message
import pytest

from gtm.wire import cookies, extras, respond
from tests.wire import test_questions, test_subnet, world
from tests.wire.test_reliability_answers import SERVER, packet_of

FLOOD = 20_000
NAME = "0123456789abcdef"
LABEL = NAME.encode()
GROWTH_BYTES = 512 * 1024


def grown(responder: respond.Responder, packets: list[bytes]) -> int:
    """Return by how many bytes memory has grown after these packets, of different senders."""
    for packet in packets[:100]:
        responder.answer(packet, 4, 1, "udp")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for at, packet in enumerate(packets):
        responder.answer(packet, 4, at, "udp")
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


def test_random_subdomains_leave_nothing_behind() -> None:
    dice = random.Random(1)
    packets = [
        packet.replace(LABEL, dice.randbytes(8).hex().encode()) for packet in FLOOD * [packet_of(f"{NAME}.nope", "A")]
    ]
    assert grown(SERVER.responder, packets) < GROWTH_BYTES


def test_names_below_a_wildcard_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respond, "MAX_KNOWN", 500)
    dice = random.Random(2)
    packets = [
        packet.replace(LABEL, dice.randbytes(8).hex().encode()) for packet in FLOOD * [packet_of(f"{NAME}.wild", "A")]
    ]
    assert grown(SERVER.responder, packets) < GROWTH_BYTES


def test_random_client_subnets_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respond, "MAX_MET", 500)
    dice = random.Random(3)
    packets = [
        test_questions.packet(
            counts=(1, 0, 0, 1),
            question=b"\3geo\4live\7example\0\0\1\0\1",
            rest=test_questions.opt(data=test_subnet.ecs(1, 24, 0, dice.randbytes(3))),
        )
        for _ in range(FLOOD)
    ]
    assert grown(respond.Responder(test_subnet.geography(), seed=1), packets) < GROWTH_BYTES


def test_random_cookies_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookies, "MAX_KEPT", 500)
    monkeypatch.setattr(cookies, "HASHES_A_SECOND", 100)
    dice = random.Random(4)
    data = [b"\0\x0a\0\x08" + dice.randbytes(8) for _ in range(FLOOD)]
    packets = [test_questions.packet(counts=(1, 0, 0, 1), rest=test_questions.opt(data=one)) for one in data]
    jar = cookies.Jar((bytes(16),), 1_700_000_000)
    one = respond.Responder(test_subnet.geography(), seed=1, more=extras.Extras(jar))
    assert grown(one, packets) < GROWTH_BYTES


@pytest.mark.parametrize(
    ("name", "rtype", "times"),
    [
        ("www", "A", 3.0),
        ("www", "ANY", 2.0),
        ("nope", "A", 3.0),
        ("", "AXFR", 1.5),
        ("big", "TXT", 1.1),  # 1.6 kB: truncated, and empty
    ],
)
def test_an_answer_over_udp_is_a_few_times_its_question(name: str, rtype: str, times: float) -> None:
    asked = packet_of(name, rtype)
    assert len(SERVER.raw(asked) or b"") <= times * len(asked)


def test_8499_what_is_not_ours_is_answered_with_no_more_than_was_asked() -> None:
    asked = dns.message.make_query("www.example.net.", "A", use_edns=0).to_wire()
    assert len(SERVER.raw(asked) or b"") <= len(asked) + 6  # why it is refused (RFC 8914)
    assert world.rcode(dns.message.from_wire(SERVER.raw(asked) or b"")) == "REFUSED"
