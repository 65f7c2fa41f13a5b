"""An answer, its asker and the time in; the answer, a truncated one, or nothing out: response-rate limiting for UDP.

A spoofed asker is flooded with our answers, so what is counted is answers per client network and kind of answer. A
truncated answer to every `slip`-th one above the rate lets an honest client in that network come back over TCP.
"""

from __future__ import annotations

from array import array

from gtm.wire import edns, runtime

# Fixed memory (640 kB) whoever asks. Networks that meet in a bucket share its rate: with 65,536 buckets a flood from
# one network hits another with a chance of 1 in 65,536.
BUCKETS = 65536
PREFIX_BITS = {4: 24, 6: 56}  # what one party is held to own, as for client subnets
_BEHIND = {family: runtime.WIDTH[family] - bits for family, bits in PREFIX_BITS.items()}
_OPT_HEAD = b"\0\0\x29" + edns.MAX_UDP_BYTES.to_bytes(2, "big")  # behind it the rest of the rcode, version and flags


class Limiter:
    """Holds the buckets. `per_second` answers a second for each network and kind, with as many at once at most.

    `slip` 0 drops all that is above the rate, 1 truncates all, 2 every other one. `seed` makes it unforeseeable which
    networks share a bucket.
    """

    def __init__(self, per_second: float, slip: int, *, seed: int) -> None:
        self._step_s = 1 / per_second
        self._slip = slip
        self._seed = seed
        # For each bucket, when it will be empty (the generic cell rate algorithm: one number instead of two).
        self._empty_at_s = array("d", bytes(8 * BUCKETS))
        self._above = array("H", bytes(2 * BUCKETS))

    def passed(self, reply: bytes, family: int, address: int, now_s: float) -> bytes | None:
        """Return what to send instead of `reply`: itself, its truncated form, or None.

        `now_s` is a monotonic clock of which only differences matter; `family` and `address` are the asker's.
        """
        # What kind of answer it is: its rcode, whether it holds records, whether we own the name. In line, and in
        # as few steps as will do, because every answer pays for it.
        kind = (reply[3] & 15) << 2 | (2 if reply[7] or reply[6] else 0) | (reply[2] & 4) >> 2
        bucket = hash((self._seed + (kind << 3) + family, address >> _BEHIND[family])) % BUCKETS
        empty_at_s = self._empty_at_s[bucket]
        if empty_at_s < now_s:  # noqa: PLR1730 - a third of what `max` costs
            empty_at_s = now_s
        empty_at_s += self._step_s
        if empty_at_s - now_s <= 1.0:
            self._empty_at_s[bucket] = empty_at_s
            return reply
        count = self._above[bucket] = (self._above[bucket] + 1) % 0xFFFF
        return truncated(reply) if self._slip and count % self._slip == 0 else None


def truncated(reply: bytes, *, with_cookie: bool = True) -> bytes:
    """Return `reply` with TC set and nothing behind its question but an OPT where there was one.

    Of its options a cookie stays (RFC 7873 section 5.2.3), so that who is held back can prove itself with the next.
    """
    end = 12
    if reply[5]:
        while reply[end]:
            end += 1 + reply[end]
        end += 5
    opt = b""
    at = reply.rfind(_OPT_HEAD)
    if at >= end and at + 11 + int.from_bytes(reply[at + 9 : at + 11], "big") == len(reply):
        cookie = edns.cookie_of(reply[at + 11 :]) if with_cookie else b""
        opt = reply[at : at + 9] + len(cookie).to_bytes(2) + cookie
    head = bytes((reply[2] | runtime.TC >> 8,)) + reply[3:6] + bytes(5) + bytes((bool(opt),))
    return reply[:2] + head + reply[12:end] + opt
