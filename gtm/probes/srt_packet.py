"""SRT's handshake packets in and out, as plain values (draft-sharabayko-srt sections 3.2.1 and 4.3). No I/O.

All words are big-endian; a control packet's head is 16 bytes, a handshake's body 48, extensions follow it.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

HANDSHAKE, SHUTDOWN = 0x8000, 0x8005  # control bit and type
INDUCTION, CONCLUSION = 1, 0xFFFFFFFF  # handshake types
MAGIC = 0x4A17  # in the extension field of an induction's answer
_HEAD, _BODY = struct.Struct(">HHIII"), struct.Struct(">IHHIIIIII16s")
PACKET_BYTES = _HEAD.size + _BODY.size
_MTU, _WINDOW = 1500, 8192
_HSREQ, _CONFIG = 1, 4  # bits of the extension field
_EXT_HSREQ, _EXT_STREAM_ID = 1, 5
_SRT_VERSION = 0x00010501
_FLAGS = 0xBF  # what a caller of live streams says: time stamps, drops, NAK reports (section 3.2.1.1.1)
_LATENCY_MS = 120
STREAM_ID_BYTES = 512  # section 3.2.1.3
_CIPHERS = {0: "none", 2: "AES-128", 3: "AES-192", 4: "AES-256"}

# Rejections (libsrt's API, rejection codes): 1000 + n as they come, applications' own from 1000 on again above that.
_REASONS = {
    0: "unknown reason", 1: "system error", 2: "rejected by the application", 3: "out of resources",
    4: "bad handshake", 5: "backlog full", 6: "internal error", 7: "closing", 8: "version too old", 9: "bad cookie",
    10: "wrong passphrase", 11: "passphrase required", 12: "other transmission mode", 13: "other congestion control",
    14: "other packet filter", 15: "group not accepted", 16: "timed out", 17: "other cipher",
    1400: "bad request", 1401: "not authorised", 1402: "overloaded", 1403: "forbidden", 1404: "not found",
    1405: "bad mode", 1406: "unacceptable", 1409: "already published", 1415: "unsupported media", 1423: "locked",
    1424: "failed dependency", 1500: "internal error", 1501: "not implemented", 1502: "gateway failed", 1503: "down",
    1505: "version not supported", 1507: "out of storage",
}  # fmt: skip


class Meaning(enum.Enum):
    """What a rejection says of the endpoint."""

    ALIVE = "alive"  # it turned this caller away, as it should
    OVERLOADED = "overloaded"
    ABSENT = "absent"  # no such stream
    PUBLISHED = "published"  # the stream has its publisher
    BROKEN = "broken"


_MEANINGS = {
    Meaning.OVERLOADED: {3, 5, 1402, 1503},
    Meaning.ABSENT: {1404},
    Meaning.PUBLISHED: {1409},
    Meaning.BROKEN: {1, 4, 6, 7, 16, 1500, 1502, 1507},
}


@dataclass(frozen=True, slots=True)
class Handshake:
    """A handshake packet as it came. `to` is the socket id that it was sent to."""

    to: int
    version: int
    encryption: int
    extension: int
    type: int
    socket: int
    cookie: int

    @property
    def cipher(self) -> str:
        """The encryption that a listener advertises."""
        return _CIPHERS.get(self.encryption, str(self.encryption))

    @property
    def rejection(self) -> int:
        """The code of a rejection; 0 when this is none. Application codes are as libsrt's users know them: 1404.

        They come as 2404, and from those who add nothing as 1404.
        """
        code = self.type - 1000 if self.rejected else 0
        return code + 1000 if 400 <= code < 600 else code

    @property
    def rejected(self) -> bool:
        """Whether this is a rejection; code 0 is one, too."""
        return 1000 <= self.type < 1_000_000


def read(data: bytes) -> Handshake | None:
    """Return a handshake packet; None for anything else."""
    if len(data) < PACKET_BYTES:
        return None
    kind, _, _, _, to = _HEAD.unpack_from(data)
    if kind != HANDSHAKE:
        return None
    version, encryption, extension, _, _, _, shape, socket, cookie, _ = _BODY.unpack_from(data, _HEAD.size)
    return Handshake(to, version, encryption, extension, shape, socket, cookie)


def induction(socket: int) -> bytes:
    """Return the first packet of a caller, which a listener answers without remembering it (section 4.3.1.1)."""
    return _packet(4, 2, INDUCTION, socket, 0)


def conclusion(socket: int, cookie: int, stream_id: str) -> bytes:
    """Return the packet that asks to be let in. Goes to socket 0: libsrt ignores it under the listener's own id."""
    extensions = struct.pack(">HHIII", _EXT_HSREQ, 3, _SRT_VERSION, _FLAGS, _LATENCY_MS << 16 | _LATENCY_MS)
    raw = stream_id.encode()[:STREAM_ID_BYTES]
    if raw:
        raw += bytes(-len(raw) % 4)
        words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))  # section 3.2.1.3: each word swapped
        extensions += struct.pack(">HH", _EXT_STREAM_ID, len(words) // 4) + words
    return _packet(5, _HSREQ | (_CONFIG if raw else 0), CONCLUSION, socket, cookie) + extensions


def socket_of(packet: bytes) -> int:
    """Return the socket id that a handshake of ours speaks for."""
    found = read(packet)
    return found.socket if found else 0


def shutdown(to: int) -> bytes:
    """Return the packet that ends a connection (section 3.2.7), with the four empty bytes that libsrt expects."""
    return _HEAD.pack(SHUTDOWN, 0, 0, 0, to) + bytes(4)


def words(code: int) -> str:
    """Return a rejection in plain words, with its code."""
    return f"{_REASONS.get(code, 'rejected by its own code')} ({code})"


def meaning(code: int) -> Meaning:
    """Return what a rejection says of the endpoint. Codes that nobody knows say that it lives."""
    return next((one for one, codes in _MEANINGS.items() if code in codes), Meaning.ALIVE)


def _packet(version: int, extension: int, shape: int, socket: int, cookie: int) -> bytes:
    body = _BODY.pack(version, 0, extension, socket & 0x7FFFFFFF, _MTU, _WINDOW, shape, socket, cookie, bytes(16))
    return _HEAD.pack(HANDSHAKE, 0, 0, 0, 0) + body
