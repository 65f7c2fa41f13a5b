"""Signed messages in, who signed them and what they say out; and answers signed in return (RFC 8945).

A key proves who asks, and that nobody changed what was said. What somebody may do is decided elsewhere.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gtm import names
from gtm.wire import query

# RFC 8945 section 6, less those whose hash is broken; the digests' names are hashlib's.
ALGORITHMS: Mapping[str, str] = {
    "hmac-sha256": "sha256", "hmac-sha384": "sha384", "hmac-sha512": "sha512", "hmac-sha224": "sha224",
}  # fmt: skip
BADSIG, BADKEY, BADTIME = 16, 17, 18  # RFC 8945 section 3
FUDGE_S = 300  # RFC 8945 section 10
_TSIG, _ANY = 250, 255
_TC = 0x0200
_HEAD = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")


class Key(NamedTuple):
    """A shared secret. `name` is a lower-case wire name, `algorithm` one of `ALGORITHMS`."""

    name: bytes
    algorithm: str
    secret: bytes

    def mac(self, data: bytes) -> bytes:
        """Return the keyed hash of `data`."""
        return hmac.digest(self.secret, data, ALGORITHMS[self.algorithm])

    @property
    def algorithm_name(self) -> bytes:
        """The algorithm as a wire name."""
        return names.key(self.algorithm)


class Signed(NamedTuple):
    """What a signed message says of itself: the message without its TSIG, and the TSIG's fields."""

    message: bytes
    key: bytes
    algorithm: bytes
    at_s: int
    fudge_s: int
    mac: bytes
    original_id: int
    error: int
    other: bytes


class Verified(NamedTuple):
    """`error` 0: `key` signed `message`, and its answer is signed over `mac`. Else the key is None, or did not fit."""

    message: bytes
    key: Key | None
    mac: bytes
    at_s: int
    error: int


def read(packet: bytes) -> Signed | None:
    """Return a message that ends in a TSIG (RFC 8945 section 5.1), or None when it does not, or is malformed."""
    start = _last_record(packet)
    after = query.skip_name(packet, start) if start else 0
    if not after or after + _RECORD.size > len(packet):
        return None
    kind, klass, _, size = _RECORD.unpack_from(packet, after)
    rdata = packet[after + _RECORD.size :]
    end = query.skip_name(rdata, 0)
    if kind != _TSIG or klass != _ANY or len(rdata) != size or not end or len(rdata) < end + 16:
        return None
    high, low, fudge_s, mac_bytes = struct.unpack_from(">HIHH", rdata, end)
    at = end + 10 + mac_bytes
    if len(rdata) < at + 6:
        return None
    original_id, error, other_bytes = struct.unpack_from(">HHH", rdata, at)
    if len(rdata) != at + 6 + other_bytes or packet[after - 1] or rdata[end - 1]:  # neither name is compressed
        return None
    ident, flags, *counts, additional = _HEAD.unpack_from(packet)
    message = _HEAD.pack(ident, flags, *counts, additional - 1) + packet[12:start]
    return Signed(
        message, packet[start:after].lower(), rdata[:end].lower(), high << 32 | low, fudge_s,
        rdata[end + 10 : at], original_id, error, rdata[at + 6 :],
    )  # fmt: skip


def _last_record(packet: bytes) -> int:
    """Return where the last additional record begins, or 0."""
    if len(packet) < _HEAD.size:
        return 0
    _, _, questions, *counts, additional = _HEAD.unpack_from(packet)
    at, start = _HEAD.size, 0
    for _ in range(questions):
        at = query.skip_name(packet, at) + 4
        if at == 4 or at > len(packet):
            return 0
    for _ in range(sum(counts) + additional):
        start, after = at, query.skip_name(packet, at)
        if not after or after + _RECORD.size > len(packet):
            return 0
        at = after + _RECORD.size + int.from_bytes(packet[after + 8 : after + 10])
    return start if additional and at == len(packet) else 0


def verify(packet: bytes, keys: Mapping[bytes, Key], now_s: float, request_mac: bytes = b"") -> Verified | None:
    """Say who signed `packet`; None when it is not signed. `request_mac` is that of the question, for an answer."""
    signed = read(packet)
    if signed is None:
        return None
    key = keys.get(signed.key)
    if key is None or signed.algorithm != key.algorithm_name:
        return Verified(signed.message, None, b"", signed.at_s, BADKEY)
    before = _counted(request_mac) if request_mac else b""
    plain = signed.original_id.to_bytes(2) + signed.message[2:]
    data = before + plain + _variables(key, signed.at_s, signed.fudge_s, signed.error, signed.other)
    # RFC 8945 section 5.2.2.1 allows cut hashes; nobody sends them, so only whole ones are taken.
    if not hmac.compare_digest(key.mac(data), signed.mac):
        return Verified(signed.message, None, b"", signed.at_s, BADSIG)
    late = abs(now_s - signed.at_s) > signed.fudge_s
    return Verified(signed.message, key, signed.mac, signed.at_s, BADTIME if late else 0)


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def _time(at_s: int, fudge_s: int = FUDGE_S) -> bytes:
    return struct.pack(">HIH", at_s >> 32 & 0xFFFF, at_s & 0xFFFFFFFF, fudge_s)


def _variables(key: Key, at_s: int, fudge_s: int, error: int, other: bytes) -> bytes:
    """RFC 8945 section 4.3.3."""
    head = key.name + struct.pack(">HI", _ANY, 0) + key.algorithm_name + _time(at_s, fudge_s)
    return head + error.to_bytes(2) + _counted(other)


def _with(message: bytes, key: bytes, algorithm: bytes, *, at_s: int, mac: bytes, error: int, other: bytes) -> bytes:
    head = message[:10] + (int.from_bytes(message[10:12]) + 1).to_bytes(2)
    rdata = algorithm + _time(at_s) + _counted(mac) + message[:2] + error.to_bytes(2) + _counted(other)
    record = key + _RECORD.pack(_TSIG, _ANY, 0, len(rdata)) + rdata
    return head + message[12:] + record


class Signer:
    """Signs the messages of one answer, each over the one before (RFC 8945 section 5.3.1); or one question."""

    def __init__(self, key: Key, request_mac: bytes = b"") -> None:
        self._key = key
        self._before = request_mac
        self._first = True

    def sign(self, message: bytes, now_s: float, error: int = 0, other: bytes = b"") -> bytes:
        """Return `message` with its TSIG."""
        at_s = int(now_s)
        rest = _variables(self._key, at_s, FUDGE_S, error, other) if self._first else _time(at_s)
        before = _counted(self._before) if self._before else b""
        self._before, self._first = self._key.mac(before + message + rest), False
        return _with(
            message, self._key.name, self._key.algorithm_name, at_s=at_s, mac=self._before, error=error, other=other
        )


def refusal(packet: bytes, verified: Verified, now_s: float) -> bytes:
    """Return NOTAUTH with what is wrong with a signature (RFC 8945 section 5.2); only BADTIME is signed itself."""
    ident, flags = struct.unpack_from(">HH", packet)
    end = query.skip_name(packet, _HEAD.size) + 4
    flags = 0x8000 | flags & (query.OPCODE | query.RD) | query.NOTAUTH
    message = _HEAD.pack(ident, flags, 1, 0, 0, 0) + packet[_HEAD.size : end]
    if verified.key is not None:
        clock = int(now_s).to_bytes(6)
        return Signer(verified.key, verified.mac).sign(message, verified.at_s, verified.error, clock)
    signed = read(packet)
    if signed is None:
        return message
    return _with(message, signed.key, signed.algorithm, at_s=signed.at_s, mac=b"", error=verified.error, other=b"")


class Keyring:
    """The keys of a node, for questions that are signed; `now_s` is the wall clock, which somebody must set."""

    def __init__(self) -> None:
        self.keys: Mapping[bytes, Key] = {}
        self.now_s = 0.0

    def use(self, keys: Iterable[Key]) -> None:
        """Take these, and no others."""
        self.keys = {one.name: one for one in keys}

    def answered(self, packet: bytes, answer: Callable[[bytes], bytes | None], most: int) -> bytes | None:
        """Return the signed answer to a signed question; one longer than `most` bytes is cut, and signed."""
        verified = verify(packet, self.keys, self.now_s)
        if verified is None:
            return answer(packet)
        if verified.error or verified.key is None:
            return refusal(packet, verified, self.now_s)
        reply = answer(verified.message)
        if reply is None:
            return None
        whole = Signer(verified.key, verified.mac).sign(reply, self.now_s)
        if len(whole) <= most:
            return whole
        ident, flags = struct.unpack_from(">HH", reply)
        end = query.skip_name(reply, _HEAD.size) + 4
        cut = _HEAD.pack(ident, flags | _TC, 1, 0, 0, 0) + reply[_HEAD.size : end]
        return Signer(verified.key, verified.mac).sign(cut, self.now_s)
