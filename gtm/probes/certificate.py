"""A certificate's DER bytes in, its dates and names out (X.509, RFC 5280 section 4.1).

The standard library reads a certificate only when it was verified, and the ones that fail are the ones to be told
about: when it expired, whose it is.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

_OID, _UTC_TIME, _GENERAL_TIME = 0x06, 0x17, 0x18
_SAN = bytes((0x55, 0x1D, 0x11))  # 2.5.29.17, subjectAltName (RFC 5280 section 4.2.1.6)
_COMMON_NAME = bytes((0x55, 0x04, 0x03))  # 2.5.4.3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is told of a certificate. Times are wall-clock seconds since the epoch."""

    not_before: float
    not_after: float
    names: tuple[str, ...]

    def days_left(self, now: float) -> float:
        """Return the days until it expires, negative once it has."""
        return (self.not_after - now) / 86400


def read(der: bytes) -> Certificate:
    """Read a certificate. Raises `ValueError` when the bytes are not one."""
    try:
        (_, whole), *_ = _parts(der)
        (_, body), *_ = _parts(whole)
        fields = _parts(body)
        if fields[0][0] == 0xA0:  # version, absent in version 1
            fields = fields[1:]
        # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, ..., [3] extensions
        before, after = (_time(tag, value) for tag, value in _parts(fields[3][1])[:2])
        names = [name for tag, value in fields[6:] if tag == 0xA3 for name in _alternative_names(value)]
        return Certificate(before, after, tuple(names or _common_names(fields[4][1])))
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a certificate: {error}") from None


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Return the (tag, content) pairs that stand one after another in `data` (X.690 section 8.1)."""
    out, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            length_bytes = size & 0x7F
            size = int.from_bytes(data[at : at + length_bytes], "big")
            at += length_bytes
        if at + size > len(data):
            raise ValueError("cut short")
        out.append((tag, data[at : at + size]))
        at += size
    return out


def _time(tag: int, value: bytes) -> float:
    """Return a Time as seconds; two-digit years from 50 on are of the last century (RFC 5280 section 4.1.2.5.1)."""
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERAL_TIME:
        raise ValueError("no time where one belongs")
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC).timestamp()


def _alternative_names(wrapped: bytes) -> list[str]:
    names = []
    for _, extension in _parts(_parts(wrapped)[0][1]):
        inner = _parts(extension)
        if inner[0] != (_OID, _SAN):
            continue
        for tag, value in _parts(_parts(inner[-1][1])[0][1]):
            if tag == _DNS_NAME:
                names.append(value.decode("ascii"))
            elif tag == _IP_ADDRESS:
                names.append(str(ipaddress.ip_address(value)))
    return names


def _common_names(subject: bytes) -> list[str]:
    names = []
    for _, one_set in _parts(subject):
        for _, pair in _parts(one_set):
            key, value = _parts(pair)[:2]
            if key == (_OID, _COMMON_NAME):
                names.append(value[1].decode("utf-8"))
    return names
