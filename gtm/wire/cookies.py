"""A DNS cookie and its sender in; the cookie to answer with, and whether the sender was proved, out (RFC 7873, 9018).

A good cookie proves that the sender got an answer of ours at its address lately, which a spoofed question cannot.
SipHash takes some ten microseconds in Python, so it is reckoned once for each client and cookie and then remembered.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence

OPTION = 10
CLIENT_BYTES, BYTES = 8, 24  # RFC 9018 section 4: 8 of the client, then 16 of ours
SHORTEST, LONGEST = 16, 40  # a client's cookie with some server's behind it (RFC 7873 section 4)
SECRET_BYTES = 16
# RFC 9018 section 4.3: a cookie is good for an hour, and from five minutes ahead; it is renewed after half an hour.
PAST_S, AHEAD_S, RENEWED_S = 3600, 300, 1800
# So long an answer is remembered. A cookie that would run out meanwhile is not.
KEPT_S = 300
# Clients that are remembered, of either sort (about 7 MB both); beyond it all of that sort are reckoned anew.
MAX_KEPT = 16_384
# Of what stands behind a question no more is remembered: an OPT record with the longest cookie and a little more. Else
# whoever likes long packets would fill the memory.
MAX_KEY_BYTES = 80
# SipHashes a second and worker, about 3 % of a core: forged cookies must not cost more than what they ask for. Beyond
# it a cookie is not looked at: its sender is answered as one who is not proved.
HASHES_A_SECOND = 2000

_VERSION = b"\1\0\0\0"  # RFC 9018 section 4.1, 4.2: version 1, three bytes reserved
_HEAD = struct.pack(">HH", OPTION, BYTES)
_WORDS = struct.Struct("<QQ")
_NUMBER = struct.Struct(">I")
_ALL = 0xFFFFFFFFFFFFFFFF

Key = tuple[int, bytes]  # the sender's address, and all that stands behind its question


def siphash(key: bytes, data: bytes) -> bytes:
    """Return SipHash-2-4 of `data` under a key of 16 bytes, as 8 bytes (RFC 9018 section 4.4; Aumasson, Bernstein)."""
    first, second = _WORDS.unpack(key)
    a, b = first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D
    c, d = first ^ 0x6C7967656E657261, second ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes((len(data) & 0xFF,))
    for (word,) in struct.iter_unpack("<Q", padded):
        d ^= word
        a, b, c, d = _rounds(a, b, c, d, 2)
        a ^= word
    a, b, c, d = _rounds(a, b, c ^ 0xFF, d, 4)
    return (a ^ b ^ c ^ d).to_bytes(8, "little")


def _rounds(a: int, b: int, c: int, d: int, count: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        a = (a + b) & _ALL
        b = ((b << 13 | b >> 51) & _ALL) ^ a
        a = (a << 32 | a >> 32) & _ALL
        c = (c + d) & _ALL
        d = ((d << 16 | d >> 48) & _ALL) ^ c
        a = (a + d) & _ALL
        d = ((d << 21 | d >> 43) & _ALL) ^ a
        c = (c + b) & _ALL
        b = ((b << 17 | b >> 47) & _ALL) ^ c
        c = (c << 32 | c >> 32) & _ALL
    return a, b, c, d


class Jar:
    """The secrets, the time, and who is remembered. The first secret makes cookies, the others (at most one is usual,
    while secrets change: RFC 9018 section 5) are still accepted. `require`: who sends a cookie over UDP must have a
    good one.
    """

    def __init__(self, secrets: Sequence[bytes], now_s: float, *, require: bool = False) -> None:
        self.require = require
        # What goes behind the answer to a question: its limit over UDP and its OPT record, for the short road.
        self.kept: dict[Key, tuple[int, bytes]] = {}
        self._good: dict[Key, bytes] = {}
        self._began_s = 0.0
        self._now_s, self._left = int(now_s), HASHES_A_SECOND
        self._secrets: tuple[bytes, ...] = ()
        self.use(secrets)

    def use(self, secrets: Sequence[bytes]) -> None:
        """Take other secrets."""
        if not secrets or any(len(one) != SECRET_BYTES for one in secrets):
            raise ValueError("a cookie secret has 16 bytes")
        self._secrets = tuple(secrets)
        self._forget()

    def tick(self, now_s: float) -> None:
        """Take the time, a wall clock in seconds; call it at least every second."""
        if int(now_s) != self._now_s:
            self._now_s, self._left = int(now_s), HASHES_A_SECOND
        if not 0 <= now_s - self._began_s < KEPT_S:
            self._forget()
            self._began_s = now_s

    def _forget(self) -> None:
        self.kept.clear()
        self._good.clear()

    def is_good(self, key: Key) -> bool:
        """Say whether this sender has proved itself with what it sent behind its question."""
        return key in self._good

    def keep(self, key: Key, answer: tuple[int, bytes]) -> None:
        """Remember what goes behind the answers to this sender."""
        if len(key[1]) > MAX_KEY_BYTES or (self.require and key not in self._good):
            return  # and where a cookie is required, the short road would answer what the long one refuses
        if len(self.kept) >= MAX_KEPT:
            self.kept.clear()
        self.kept[key] = answer

    def option(self, cookie: bytes, family: int, key: Key) -> tuple[bytes, bool]:
        """Return the option to answer with, and whether `cookie` was good."""
        option = self._good.get(key)
        if option is not None:
            return option, True
        client, address = cookie[:CLIENT_BYTES], key[0].to_bytes(4 if family == 4 else 16, "big")
        proof = self._proof(cookie, client, address)
        if proof is not None and proof <= RENEWED_S:
            option = _HEAD + cookie
        else:
            stamp = _VERSION + _NUMBER.pack(self._now_s & 0xFFFFFFFF)
            # Zeros, which prove nothing, when this second's work is done.
            option = _HEAD + client + stamp + (self._hash(self._secrets[0], client + stamp + address) or bytes(8))
        if proof is not None and proof <= PAST_S - KEPT_S and len(key[1]) <= MAX_KEY_BYTES:
            if len(self._good) >= MAX_KEPT:
                self._good.clear()
            self._good[key] = option
        return option, proof is not None

    def _proof(self, cookie: bytes, client: bytes, address: bytes) -> int | None:
        """Return the age of a good cookie, at least RENEWED_S + 1 with an earlier secret; None for every other."""
        if len(cookie) != BYTES or cookie[8] != 1:
            return None
        # RFC 9018 section 4.3 compares by RFC 1982 section 3.2: the number wraps in 2106.
        age_s = ((self._now_s - int(_NUMBER.unpack_from(cookie, 12)[0]) + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if not -AHEAD_S <= age_s <= PAST_S:
            return None
        for at, secret in enumerate(self._secrets):
            if hmac.compare_digest(cookie[16:], self._hash(secret, client + cookie[8:16] + address)):
                return max(age_s, RENEWED_S + 1) if at else age_s
        return None

    def _hash(self, secret: bytes, data: bytes) -> bytes:
        """Return the hash part of a server cookie; nothing when this second's work is done."""
        self._left -= 1
        return siphash(secret, data) if self._left >= 0 else b""
