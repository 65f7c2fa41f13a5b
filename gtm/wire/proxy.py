"""What a proxy put ahead of a message in, the client behind it out: the PROXY protocol, version 2 (HAProxy's).

A header is believed from the peers that the configuration names and from nobody else: whoever may write one may say
that they are anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gtm.wire import networks

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEAD_BYTES = 16
# Addresses take 36 bytes; what else a proxy says (names, TLS) is stepped over, up to here.
MAX_BYTES = 1024
_LOCAL, _PROXY = 0x20, 0x21
_SIZES = {0x1: (4, 4, 12), 0x2: (6, 16, 36)}  # by family: ours, bytes of an address, bytes of the block

Answer = Callable[[bytes, int, int, str], bytes | None]


class Header(NamedTuple):
    """What a header says: how long it is, and the client; family 0 when it speaks for itself (a health check)."""

    size: int
    family: int = 0
    address: int = 0


def read(data: bytes) -> Header | None:
    """Return the header that `data` begins with; None while it is incomplete. Raises `ValueError` for what is none."""
    if not data.startswith(SIGNATURE[: len(data)]) or (len(data) > 12 and data[12] not in {_LOCAL, _PROXY}):
        raise ValueError("there is no header of the PROXY protocol, version 2")
    if len(data) < HEAD_BYTES:
        return None
    size = HEAD_BYTES + int.from_bytes(data[14:16], "big")
    if size > MAX_BYTES:
        raise ValueError("the header of the PROXY protocol is too long")
    if len(data) < size:
        return None
    kind = data[13] >> 4
    if data[12] == _LOCAL or kind == 0:
        return Header(size)
    if kind not in _SIZES:
        raise ValueError("the client behind the proxy has no internet address")
    family, width, block = _SIZES[kind]
    if size - HEAD_BYTES < block:
        raise ValueError("the header of the PROXY protocol is cut off")
    return Header(size, family, int.from_bytes(data[HEAD_BYTES : HEAD_BYTES + width], "big"))


class Trust:
    """The peers that may say for whom they ask, as networks."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.holds = networks.Networks(texts).holds

    def over(self, answer: Answer, drop: Callable[[str], None]) -> Answer:
        """Return an answerer of datagrams behind headers. Others go to `drop`, with the word to count them under."""

        def behind(packet: bytes, family: int, address: int, transport: str) -> bytes | None:
            if not self.holds(family, address):
                drop("proxy_peer")
                return None
            try:
                header = read(packet)
            except ValueError:
                header = None
            if header is None:
                drop("proxy_header")
                return None
            if header.family:
                family, address = header.family, header.address
            return answer(packet[header.size :], family, address, transport)

        return behind
