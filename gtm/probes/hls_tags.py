"""One HLS tag's value in, its attributes or its number out (RFC 8216 section 4.2), and the one error for all else."""

from __future__ import annotations

import math
import re

from gtm import errors

SHOWN = 40
MAX_VALUE = 8192  # characters of an attribute list; the longest in the wild are signed addresses of some 2,000

_ATTRIBUTE = re.compile(r'([A-Z0-9-]{1,40})=(?:"([^"]*)"|([^",\s][^,]*))')
_BYTERANGE = re.compile(r"(\d{1,18})(?:@(\d{1,18}))?")
_DECIMAL = re.compile(r"\d{1,9}(?:\.\d{1,30})?")


class PlaylistError(errors.GtmError, ValueError):
    """The bytes are no playlist that a player would take; the message says why."""


def attributes(value: str) -> dict[str, str]:
    """Return the attributes of a tag by name, quotes taken off; what is not one is passed over, as players do."""
    if len(value) > MAX_VALUE:
        raise PlaylistError(f"a tag of {len(value)} characters")
    return {name: quoted or bare.strip() for name, quoted, bare in _ATTRIBUTE.findall(value)}


def decimal(value: str, tag: str) -> float:
    """Return a tag's number. Raises `PlaylistError`."""
    found = _DECIMAL.fullmatch(value.strip())
    if not found or not math.isfinite(float(found[0])):
        raise PlaylistError(f"{tag} is {value.strip()[:SHOWN]!r}")
    return float(found[0])


def loose(value: str) -> float:
    """Return a number that players can do without: 0 when there is none to be read."""
    found = _DECIMAL.fullmatch(value.strip())
    return float(found[0]) if found else 0.0


def whole(value: str, tag: str) -> int:
    """Return a tag's whole number: up to 20 digits (RFC 8216 section 4.2). Raises `PlaylistError`."""
    text = value.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise PlaylistError(f"{tag} is {text[:SHOWN]!r}")
    return int(text)


def byte_range(value: str, tag: str) -> tuple[int, int]:
    """Return (size, first byte), the latter -1 when it goes on where the last one ended. Raises `PlaylistError`."""
    found = _BYTERANGE.fullmatch(value.strip())
    if not found:
        raise PlaylistError(f"{tag} is {value.strip()[:SHOWN]!r}")
    return int(found[1]), int(found[2]) if found[2] else -1
