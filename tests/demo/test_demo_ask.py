"""The demo's stub resolver: what it asks is what dnspython reads, and what dnspython writes is what it reads."""

from __future__ import annotations

import socket
import threading

import dns.edns
import dns.message
import dns.rcode
import pytest

from gtm.cli import demo_ask


def reply_to(packet: bytes, *texts: str, rcode: int = 0, why: str = "") -> bytes:
    asked = dns.message.from_wire(packet)
    answer = dns.message.make_response(asked)
    answer.set_rcode(dns.rcode.Rcode(rcode))
    for text in texts:
        answer.answer.append(dns.rrset.from_text(asked.question[0].name, 7, "IN", "A", text))
    if why:
        subnet = dns.edns.ECSOption("192.0.2.0", 24, 24)
        answer.use_edns(0, 0, 1232, options=[subnet, dns.edns.EDEOption(dns.edns.EDECode.OTHER, why)])
    return answer.to_wire()


@pytest.mark.parametrize("subnet", ["192.0.2.0/24", "198.51.100.0/25", "2001:db8:e000::/36", "0.0.0.0/0"])
def test_a_question_says_what_it_should_to_another_library(subnet: str) -> None:
    message = dns.message.from_wire(demo_ask.question("news.live.example.com", subnet, 0x1234))
    assert message.id == 0x1234
    assert str(message.question[0]) == "news.live.example.com. IN A"
    (option,) = message.options
    assert isinstance(option, dns.edns.ECSOption)
    assert f"{option.address}/{option.srclen}" == subnet
    assert (message.payload, option.scopelen) == (1232, 0)


def test_an_answer_is_read_with_its_addresses_ttl_and_reason() -> None:
    packet = reply_to(demo_ask.question("a.example", "192.0.2.0/24", 1), "127.0.0.11", "127.0.0.12", why="rule 1")
    assert demo_ask.read(packet) == demo_ask.Answer(frozenset({"127.0.0.11", "127.0.0.12"}), 7, "rule 1")


def test_an_answer_without_addresses_or_reason_is_empty() -> None:
    packet = reply_to(demo_ask.question("a.example", "192.0.2.0/24", 1))
    assert demo_ask.read(packet) == demo_ask.Answer(frozenset(), 0, "")


def test_an_error_is_no_answer_and_is_named() -> None:
    packet = reply_to(demo_ask.question("a.example", "192.0.2.0/24", 1), rcode=5)
    with pytest.raises(demo_ask.NoAnswer, match="rcode 5"):
        demo_ask.read(packet)


def test_every_broken_packet_is_no_answer() -> None:
    packet = reply_to(demo_ask.question("a.example", "192.0.2.0/24", 1), "127.0.0.11", why="rule 1")
    for cut in range(12, len(packet)):
        with pytest.raises(demo_ask.NoAnswer):
            demo_ask.read(packet[:cut])


def test_a_stray_packet_with_another_id_is_not_taken_for_the_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            packet, client = server.recvfrom(4096)
            server.sendto(bytes((packet[0] ^ 1,)) + reply_to(packet, "127.0.0.66")[1:], client)
            server.sendto(reply_to(packet, "127.0.0.11"), client)

        thread = threading.Thread(target=answer)
        thread.start()
        found = demo_ask.ask(server.getsockname(), "a.example", "192.0.2.0/24")
        thread.join()
    assert found.addresses == {"127.0.0.11"}


def test_a_closed_port_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        where = held.getsockname()
    with pytest.raises(demo_ask.NoAnswer, match="does not answer"):
        demo_ask.ask(where, "a.example", "192.0.2.0/24")
