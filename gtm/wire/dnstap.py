"""Questions and answers in, dnstap messages and Frame Streams out: what DNS people's tools read (dnstap.info).

The schema is dnstap.proto (CC0), of which this writes the fields that a nameserver knows; a protobuf field is a key
(number and kind) and a value, so a dozen lines do it. Frame Streams are lengths in front of frames; length 0 announces
a control frame (`fstrm/control.h`).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5
MAX_CONTROL_BYTES = 512  # FSTRM_CONTROL_FRAME_LENGTH_MAX

_MESSAGE = 1  # Dnstap.Type
_AUTH_QUERY, _AUTH_RESPONSE = 1, 2  # Message.Type
_PROTOCOLS = {"udp": 1, "tcp": 2, "tls": 3, "https": 4}
_CONTENT_TYPE_FIELD = 1  # FSTRM_CONTROL_FIELD_CONTENT_TYPE
_FIXED_32, _LENGTH = struct.Struct("<I"), struct.Struct(">I")
_KNOWN = 8192  # numbers whose bytes are remembered: sizes, this second, the askers' ports


def head(identity: bytes, version: bytes) -> bytes:
    """Return what every frame of a node begins with."""
    return _bytes(1, identity) + _bytes(2, version)


def frames(  # noqa: PLR0917 - as in `answer`: these are what there is
    begin: bytes, at: float, family: int, address: int, port: int, transport: str, question: bytes, answer: bytes
) -> tuple[bytes, ...]:
    """Return the data frames of one question and of its answer, where there is one.

    `begin` is the node's `head`, `at` wall-clock seconds, `family` and `address` the asker's (4 or 6, a number), `port`
    0 when it is not known.
    """
    seconds, rest = divmod(round(at * 1e6), 1_000_000)
    nanoseconds = _FIXED_32.pack(rest * 1000)
    asker = b"".join((
        _number(2, 1 if family == 4 else 2), _number(3, _PROTOCOLS[transport]),
        _bytes(4, address.to_bytes(4 if family == 4 else 16, "big")), _number(6, port) if port else b"",
        _number(8, seconds), _key(9, 5), nanoseconds,
    ))  # fmt: skip
    found = _frame(begin, (_number(1, _AUTH_QUERY), asker, _key(10, 2), _varint(len(question)), question))
    if not answer:
        return (found,)
    answered = _number(12, seconds), _key(13, 5), nanoseconds, _key(14, 2), _varint(len(answer)), answer
    return found, _frame(begin, (_number(1, _AUTH_RESPONSE), asker, *answered))


def _frame(begin: bytes, message: Sequence[bytes]) -> bytes:
    size = sum(map(len, message))
    body = begin, _key(14, 2), _varint(size), *message, _number(15, _MESSAGE)
    return b"".join((_LENGTH.pack(sum(map(len, body))), *body))


def control(kind: int, *, says_what: bool = True) -> bytes:
    """Return a control frame; all but STOP and FINISH say what the stream holds."""
    body = struct.pack(">I", kind)
    if says_what:
        body += struct.pack(">II", _CONTENT_TYPE_FIELD, len(CONTENT_TYPE)) + CONTENT_TYPE
    return struct.pack(">II", 0, len(body)) + body


def accepts(body: bytes) -> bool:
    """Say whether the body of a control frame is a reader's ACCEPT of dnstap."""
    if len(body) < 4 or struct.unpack_from(">I", body)[0] != ACCEPT:
        return False
    at, kinds = 4, []
    while at + 8 <= len(body):
        field, size = struct.unpack_from(">II", body, at)
        if field == _CONTENT_TYPE_FIELD:
            kinds.append(body[at + 8 : at + 8 + size])
        at += 8 + size
    return not kinds or CONTENT_TYPE in kinds


@functools.lru_cache(_KNOWN)
def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@functools.lru_cache(_KNOWN)
def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value
