"""A question and its answer become frames that anybody reads by the schema; what a reader says is taken with care."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as some

from gtm.wire import dnstap


def fields(data: bytes) -> dict[int, Any]:
    """Read one protobuf message, as its encoding is described: numbers, fixed 32 bits, and bytes."""
    at = 0
    found: dict[int, Any] = {}

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            at += 1
            number |= (data[at - 1] & 0x7F) << shift
            shift += 7
            if data[at - 1] < 0x80:
                return number

    while at < len(data):
        field, kind = divmod(varint(), 8)
        size = {0: 0, 5: 4}.get(kind, -1)
        if size == 0:
            found[field] = varint()
        else:
            size = varint() if size < 0 else size
            found[field] = data[at : at + size] if kind == 2 else int.from_bytes(data[at : at + size], "little")
            at += size
    return found


def frames(answer: bytes = b"answer", **more: Any) -> tuple[bytes, ...]:
    words: dict[str, Any] = {
        "begin": dnstap.head(b"ns1", b"GTM 1"), "at": 1_700_000_000.25, "family": 4, "address": 0xC0000201,
        "port": 5353, "transport": "udp", "question": b"question", "answer": answer,
    }  # fmt: skip
    return dnstap.frames(**words | more)


def test_a_question_and_its_answer_are_two_frames() -> None:
    asked, answered = (fields(frame[4:]) for frame in frames())
    assert {number: asked[number] for number in (1, 2, 15)} == {1: b"ns1", 2: b"GTM 1", 15: 1}
    common = {2: 1, 3: 1, 4: b"\xc0\0\x02\x01", 6: 5353, 8: 1_700_000_000, 9: 250_000_000}
    assert fields(asked[14]) == common | {1: 1, 10: b"question"}
    assert fields(answered[14]) == common | {1: 2, 12: 1_700_000_000, 13: 250_000_000, 14: b"answer"}


def test_a_question_without_an_answer_is_one_frame_and_ipv6_and_tcp_say_so() -> None:
    (only,) = frames(b"", family=6, address=1, port=0, transport="tcp")
    message = fields(fields(only[4:])[14])
    assert (message[2], message[3], message[4]) == (2, 2, bytes(15) + b"\1")
    assert 6 not in message


@hypothesis.given(some.binary(max_size=5000), some.binary(max_size=70_000), some.floats(0, 1e10))
def test_whatever_is_in_them_is_framed_whole(question: bytes, answer: bytes, at: float) -> None:
    for frame in frames(answer, question=question, at=at):
        assert int.from_bytes(frame[:4]) == len(frame) - 4
        message = fields(fields(frame[4:])[14])
        assert message.get(10, question) == question
        assert message.get(14, answer) == answer


def test_a_reader_accepts_what_it_was_offered_or_everything() -> None:
    assert dnstap.accepts(dnstap.control(dnstap.ACCEPT)[8:])
    assert dnstap.accepts(dnstap.control(dnstap.ACCEPT, says_what=False)[8:])


@pytest.mark.parametrize("body", [b"", b"\0\0\0\2", b"\0\0\0\1" + b"\0\0\0\1\0\0\0\3abc", b"\0\0\0\5"])
def test_anything_else_is_no_acceptance(body: bytes) -> None:
    assert not dnstap.accepts(body)


@hypothesis.given(some.binary(max_size=600))
def test_no_bytes_of_a_reader_do_harm(body: bytes) -> None:
    assert dnstap.accepts(body) in {True, False}
