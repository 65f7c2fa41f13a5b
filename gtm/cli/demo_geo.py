"""Prefixes with their places in, the bytes of a small MaxMind DB file out (format 2.0, as MaxMind specifies it).

The demo and the examples need a database that says where the documentation prefixes are; no real one does.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping, Sequence

Data = str | int | float | bytes | Mapping[str, "Data"] | Sequence["Data"]

MARKER = b"\xab\xcd\xefMaxMind.com"
RECORD_BITS = 24  # enough for 16 million nodes and bytes of data together
SEPARATOR = bytes(16)
_STRING, _DOUBLE, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 3, 5, 6, 7, 9, 11
_EMPTY = -1  # a record of the tree that leads nowhere; data offsets are kept as ~offset - 1, below it


def database(places: Mapping[str, Mapping[str, Data]], *, kind: str, build_epoch: int) -> bytes:
    """Return a database with one record for each prefix of `places`; prefixes must not hold each other.

    `kind` is the database's type (`GTM-Demo-City`), `build_epoch` seconds since 1970. IPv4 stands under `::/96`.
    """
    tree: list[list[int]] = [[_EMPTY, _EMPTY]]
    data = b""
    for prefix, record in places.items():
        _plant(tree, prefix, ~len(data) - 1)
        data += encode(record)
    count = len(tree)
    nodes = b"".join(_record(value, count) for node in tree for value in node)
    about: Mapping[str, Data] = {  # readers insist on these very widths
        "binary_format_major_version": _number(_UINT16, 2),
        "binary_format_minor_version": _number(_UINT16, 0),
        "build_epoch": _number(_UINT64, build_epoch),
        "database_type": kind,
        "description": {"en": "Documentation prefixes, placed by hand for a demonstration"},
        "ip_version": _number(_UINT16, 6),
        "languages": ["en"],
        "node_count": _number(_UINT32, count),
        "record_size": _number(_UINT16, RECORD_BITS),
    }
    return nodes + SEPARATOR + data + MARKER + encode(about)


def _plant(tree: list[list[int]], prefix: str, leaf: int) -> None:
    """Put a leaf at the end of a prefix's bits, growing the tree on the way."""
    network = ipaddress.ip_network(prefix)
    bits = f"{int(network.network_address):0128b}"[: network.prefixlen + (96 if network.version == 4 else 0)]
    at = 0
    for bit in bits[:-1]:
        if tree[at][int(bit)] < _EMPTY:
            raise ValueError(f"{prefix} lies inside another prefix")
        if tree[at][int(bit)] == _EMPTY:
            tree.append([_EMPTY, _EMPTY])
            tree[at][int(bit)] = len(tree) - 1
        at = tree[at][int(bit)]
    if tree[at][int(bits[-1])] != _EMPTY:
        raise ValueError(f"{prefix} holds another prefix")
    tree[at][int(bits[-1])] = leaf


def _record(value: int, count: int) -> bytes:
    """One half of a node: another node's number, `count` for nothing, or beyond it a place in the data."""
    if value == _EMPTY:
        value = count
    elif value < _EMPTY:
        value = count + len(SEPARATOR) + ~(value + 1)
    return value.to_bytes(RECORD_BITS // 8, "big")


def encode(value: Data) -> bytes:
    """Return a value as the format's data section has it; whole numbers fit 32 bits, bytes are encoded already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        raw = value.encode()
        return _control(_STRING, len(raw)) + raw
    if isinstance(value, float):
        return _control(_DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return _number(_UINT32, value)
    if isinstance(value, Mapping):
        return _control(_MAP, len(value)) + b"".join(encode(key) + encode(one) for key, one in value.items())
    return _control(_ARRAY, len(value)) + b"".join(encode(one) for one in value)


def _number(kind: int, value: int) -> bytes:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(raw)) + raw


def _control(kind: int, size: int) -> bytes:
    """The control byte: type in three bits, or extended in a byte of its own, and the size."""
    if size < 29:
        low, more = size, b""
    elif size < 29 + 256:
        low, more = 29, bytes((size - 29,))
    else:
        raise ValueError("longer than this small writer has use for")
    return (bytes((kind << 5 | low,)) if kind <= 7 else bytes((low, kind - 7))) + more
