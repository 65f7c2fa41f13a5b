"""TSIG (RFC 8945) as dnspython, the independent witness, signs and verifies it; whatever is wrong is found."""

from __future__ import annotations

import time

import dns.message
import dns.rcode
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import names
from gtm.wire import query, tsig

SECRET = bytes(range(32))


def pair(algorithm: str = "hmac-sha256") -> tuple[tsig.Key, dns.tsig.Key]:
    mine = tsig.Key(names.key("follow.key."), algorithm, SECRET)
    return mine, dns.tsig.Key("follow.key.", SECRET, algorithm)


def signed(algorithm: str = "hmac-sha256") -> tuple[bytes, tsig.Key, dns.tsig.Key, dns.message.QueryMessage]:
    mine, theirs = pair(algorithm)
    question = dns.message.make_query("live.example", "SOA", use_edns=0)
    question.use_tsig(theirs)
    return question.to_wire(), mine, theirs, question


@pytest.mark.parametrize("algorithm", tsig.ALGORITHMS)
def test_rfc_8945_what_dnspython_signed_is_verified_and_what_we_sign_it_verifies(algorithm: str) -> None:
    packet, mine, theirs, question = signed(algorithm)
    verified = tsig.verify(packet, {mine.name: mine}, time.time())
    assert verified is not None
    assert (verified.error, verified.key) == (0, mine)
    assert dns.message.from_wire(verified.message).question == question.question
    plain = dns.message.make_response(dns.message.from_wire(verified.message)).to_wire()
    reply = tsig.Signer(mine, verified.mac).sign(plain, time.time())
    assert dns.message.from_wire(reply, keyring={theirs.name: theirs}, request_mac=question.mac).had_tsig
    again = tsig.verify(reply, {mine.name: mine}, time.time(), verified.mac)
    assert again is not None
    assert again.error == 0


def test_rfc_8945_5_3_1_each_message_of_a_stream_is_signed_over_the_one_before() -> None:
    packet, mine, theirs, question = signed()
    verified = tsig.verify(packet, {mine.name: mine}, time.time())
    assert verified is not None
    signer, context = tsig.Signer(mine, verified.mac), None
    plain = dns.message.make_response(dns.message.from_wire(verified.message)).to_wire()
    for _ in range(3):
        message = dns.message.from_wire(
            signer.sign(plain, time.time()), keyring={theirs.name: theirs}, request_mac=question.mac,
            multi=True, tsig_ctx=context,
        )  # fmt: skip
        context = message.tsig_ctx
        assert message.had_tsig


def test_rfc_8945_5_2_keys_signatures_and_clocks_that_are_wrong_are_told_apart() -> None:
    packet, mine, theirs, question = signed()
    other = mine._replace(secret=bytes(32))
    for keys, now_s, error in (
        ({}, time.time(), tsig.BADKEY),
        ({mine.name: mine._replace(algorithm="hmac-sha512")}, time.time(), tsig.BADKEY),
        ({mine.name: other}, time.time(), tsig.BADSIG),
        ({mine.name: mine}, time.time() + 1000, tsig.BADTIME),
        ({mine.name: mine}, time.time() - 1000, tsig.BADTIME),
    ):
        verified = tsig.verify(packet, keys, now_s)
        assert verified is not None
        assert verified.error == error
        reply = tsig.refusal(packet, verified, now_s)
        if error == tsig.BADTIME:  # signed, so that nobody else can tell a client that its clock is wrong
            with pytest.raises(dns.tsig.PeerBadTime):
                dns.message.from_wire(reply, keyring={theirs.name: theirs}, request_mac=question.mac)
        else:
            told = dns.message.from_wire(reply, keyring=False)
            assert (told.rcode(), told.tsig_error) == (dns.rcode.NOTAUTH, error)


@given(st.data())
def test_one_changed_byte_of_a_signed_question_is_never_taken_for_the_real_one(data: st.DataObject) -> None:
    packet, mine, _, _ = signed()
    at = data.draw(st.integers(2, len(packet) - 1))  # the id is signed as it was, and may be changed on the way
    damaged = packet[:at] + bytes((packet[at] ^ data.draw(st.integers(1, 255)),)) + packet[at + 1 :]
    verified = tsig.verify(damaged, {mine.name: mine}, time.time())
    # Names are compared in lower case: a capital in the key's name is no change.
    same = verified is not None and tsig.read(damaged) == tsig.read(packet)
    assert verified is None or verified.error or same


@given(st.binary(max_size=300))
def test_E8_any_bytes_are_no_signed_message_or_one_with_an_error(foreign: bytes) -> None:
    mine, _ = pair()
    for packet in (foreign, b"\0" * 11 + b"\1" + foreign):
        verified = tsig.verify(packet, {mine.name: mine}, time.time())
        assert verified is None or verified.error


def test_a_keyring_signs_answers_and_cuts_what_would_not_fit() -> None:
    packet, mine, theirs, question = signed()
    ring = tsig.Keyring()
    ring.use([mine])
    ring.now_s = time.time()

    def answer(plain: bytes) -> bytes:
        return plain[:2] + b"\x84\0" + plain[4:] if len(plain) < len(packet) else b""

    reply = ring.answered(packet, answer, 1232)
    assert reply is not None
    assert dns.message.from_wire(reply, keyring={theirs.name: theirs}, request_mac=question.mac).had_tsig
    cut = ring.answered(packet, lambda plain: answer(plain) + bytes(600), 512)
    assert cut is not None
    assert len(cut) <= 512
    assert cut[2] & 2
    assert len(packet) < query.MAX_QUERY_BYTES
