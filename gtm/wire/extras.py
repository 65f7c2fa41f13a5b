"""What a question's OPT record asks for in, the options of its answer out, but for the client subnet's.

RFC 5001 (NSID), RFC 7828 (keepalive), RFC 7830 (padding), RFC 7873 (cookies).
"""

from __future__ import annotations

from collections.abc import Callable

from gtm.wire import cookies, edns, query, tsig, update

# Transports over which strangers on the way see lengths only: padding is for them alone (RFC 7830 sections 4 and 6).
ENCRYPTED = frozenset({"tls", "https"})
# Transports whose connection we keep, and whose askers are where they say they are.
CONNECTIONS = frozenset({"tcp", "tls"})


def nobody(packet: bytes, family: int, address: int) -> bytes | None:
    """Answer no UPDATE."""
    return None


class Extras:
    """What answers depend on besides the table and the question. `jar` None: cookies are ignored (an unknown option).

    `idle_s` is how long a connection may idle now, 0 where nobody keeps it; whoever keeps connections sets it. Who
    holds keys of TSIG sets those of `keyring`, and its clock.
    `updates` answers UPDATE (RFC 2136) where anybody may send one; None from it: the answer comes later.
    """

    def __init__(self, jar: cookies.Jar | None = None) -> None:
        self.jar = jar
        self.keyring = tsig.Keyring()
        self.updates: Callable[[bytes, int, int], bytes | None] = nobody
        self.idle_s = 0.0

    def updating(self, packet: bytes, transport: str) -> bool:
        """Say whether this packet is an UPDATE and anybody may send one; over HTTPS nobody may."""
        return self.updates is not nobody and transport != "https" and update.is_one(packet)

    def options(self, opt: edns.Opt, node: bytes, family: int, key: cookies.Key, transport: str) -> tuple[bytes, int]:
        """Return the options to answer with, and the rcode that they come to: BADCOOKIE where a good one is required.

        `key` is the sender's address, and all that stands behind its question.
        """
        out, rcode = edns.nsid_option(node) if opt.nsid else b"", query.NOERROR
        if opt.cookie and self.jar is not None:
            option, good = self.jar.option(opt.cookie, family, key)
            out += option
            if self.jar.require and not good and transport == "udp":  # RFC 7873 section 5.2.3
                rcode = query.BADCOOKIE
        if opt.keepalive and self.idle_s and transport in CONNECTIONS:  # RFC 7828 section 3.3.1: not over UDP
            out += edns.keepalive_option(self.idle_s)
        return out, rcode

    def keeps(self, opt: edns.Opt) -> bool:
        """Say whether the answer to this OPT record is the same the next time, so that the short road can give it."""
        return bool(opt.cookie and self.jar is not None and not (opt.subnet or opt.keepalive or opt.padding))


def finished(opt: bytes, before: int, transport: str, most: int) -> bytes:
    """Return the OPT record padded, where that helps. `before` bytes of the answer go ahead of it."""
    return edns.padded(opt, before, most) if transport in ENCRYPTED else opt
