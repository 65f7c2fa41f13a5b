"""Domain names as text in, as wire bytes out, and back (RFC 1035 sections 2.3.4, 3.1 and 5.1).

On the ground floor because configuration, tables and answers all need it. A *wire name* is the uncompressed form
with its length bytes and the root's zero byte; a *key* is a wire name in lower case (RFC 4343), which is how
tables look names up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gtm import errors

MAX_WIRE_BYTES = 255
MAX_LABEL_BYTES = 63
ROOT = b"\0"
# Nearly every name is made of these alone and needs no look at each byte: that halves what 100,000 names cost.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_PLAIN_LABEL = re.compile(rb"[A-Za-z0-9_-]+")


def labels(text: str) -> list[bytes]:
    """Return the labels of a name in presentation format, escapes (`\\.`, `\\000`) resolved, without the root.

    Raises `DomainNameError` for empty or over-long labels and names, and for what is not ASCII.
    """
    if text in {".", ""}:
        return []
    if len(text) <= MAX_WIRE_BYTES - 2 and _PLAIN.fullmatch(text):
        return text.encode().removesuffix(b".").split(b".")
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        raise errors.DomainNameError(f"{text!r} is not ASCII: write an internationalised name as xn--") from None
    found, label, at = [], bytearray(), 0
    while at < len(raw):
        byte = raw[at]
        if byte == 0x5C:  # backslash, RFC 1035 section 5.1
            escaped, size = _escape(raw[at + 1 : at + 4], text)
            label.append(escaped)
            at += 1 + size
        elif byte == 0x2E:
            found.append(_checked(label, text))
            label = bytearray()
            at += 1
        else:
            if byte <= 0x20 or byte == 0x7F:
                raise errors.DomainNameError(f"{text!r} has a blank or a control character in it")
            label.append(byte)
            at += 1
    if label:
        found.append(_checked(label, text))
    if sum(len(one) + 1 for one in found) + 1 > MAX_WIRE_BYTES:
        raise errors.DomainNameError(f"{text[:60]!r}... is longer than {MAX_WIRE_BYTES} bytes")
    return found


def _escape(after: bytes, text: str) -> tuple[int, int]:
    """Return the byte that stands behind a backslash, and how many characters it took."""
    if len(after) == 3 and after.isdigit():
        if int(after) > 255:
            raise errors.DomainNameError(f"{text!r} has an escape above \\255")
        return int(after), 3
    if not after:
        raise errors.DomainNameError(f"{text!r} ends in a backslash")
    return after[0], 1


def _checked(label: bytearray, text: str) -> bytes:
    if not label:
        raise errors.DomainNameError(f"{text!r} has an empty label")
    if len(label) > MAX_LABEL_BYTES:
        raise errors.DomainNameError(f"{text[:80]!r} has a label longer than {MAX_LABEL_BYTES} bytes")
    return bytes(label)


def wire(text: str) -> bytes:
    """Return an absolute name's wire form, case kept; a missing last dot is taken as there."""
    return b"".join(bytes((len(label),)) + label for label in labels(text)) + ROOT


def key(text: str) -> bytes:
    """Return the lower-case wire form, the one that tables are keyed by. (Length bytes are below 0x41: RFC 4343.)"""
    return wire(text).lower()


def text(name: bytes) -> str:
    """Return an uncompressed wire name as presentation text with its last dot. Raises `DomainNameError`."""
    at, out = 0, []
    while at < len(name) and name[at]:
        size = name[at]
        label = name[at + 1 : at + 1 + size]
        if size > MAX_LABEL_BYTES or len(label) != size:
            raise errors.DomainNameError("not an uncompressed name")
        out.append(label.decode() if _PLAIN_LABEL.fullmatch(label) else "".join(map(_shown, label)))
        at += 1 + size
    if at >= len(name):
        raise errors.DomainNameError("not an uncompressed name")
    return ".".join(out) + "."


def _shown(byte: int) -> str:
    if byte in b'.\\"();@$':
        return "\\" + chr(byte)
    return chr(byte) if 0x21 <= byte <= 0x7E else f"\\{byte:03d}"


def absolute(owner: str, origin: str) -> str:
    """Return an owner as written in a zone (`@`, `www`, `www.`) as an absolute lower-case name with its last dot."""
    base = origin.lower().rstrip(".") + "."
    if owner == "@":
        return base
    if owner.endswith(".") and not owner.endswith("\\."):
        return owner.lower()
    return owner.lower() + ("." + base if base != "." else ".")


def parent(name: bytes) -> bytes:
    """Return a wire name without its first label; the root's parent is the root."""
    return name[1 + name[0] :] if name[0] else name


def within(name: bytes, zone: bytes) -> bool:
    """Say whether a wire name is the zone's apex or below it. Both must be of one case."""
    while len(name) > len(zone):
        name = parent(name)
    return name == zone


def shown(text: str) -> str:
    """Return a name, or what ends in one, as people read it: without the root's dot. The root itself stays."""
    return text if text == "." else text.removesuffix(".")


def some(of: Sequence[str]) -> str:
    """Return the first three of some names (of whatever kind) as people read them, and how many more there are."""
    named = ", ".join(shown(one) for one in of[:3])
    return named + (f" and {len(of) - 3:,} more" if len(of) > 3 else "")
