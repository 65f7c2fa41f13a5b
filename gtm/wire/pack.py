"""An answer table or rings in, bytes out: what travels from the control process to the workers and to disk.

A frame (magic, format version, SHA-256 of the rest) around pieces, each a few hundred plain tuples in `marshal`'s form,
so that a worker reads a hundred thousand names between its answers (`gtm.wire.unpack`). The digest is looked at first,
so that a torn or foreign file is refused and never decoded; it is no seal against a forger, who would have to be root
or the `gtm` user already. `docs/architecture.md` specifies the form.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gtm import table
from gtm.wire import steps

MAGIC: Final = b"GTM"
TABLE, RINGS = b"T", b"R"
FORMAT: Final = b"\x03"
DIGEST_BYTES: Final = 32
HEAD_BYTES: Final = len(MAGIC) + 2 + DIGEST_BYTES
LENGTH_BYTES: Final = 4  # of a piece, before it
# Sections of a table, in the order in which they come: whatever is named by number has come before.
HEAD, ANSWERS, ZONES, RING, PREFIXES, STEERINGS, ENTRIES, NAMES = range(8)
NOTHING: Final[table.Changed] = {}
# Numbers of a prefix table in one piece.
_NUMBERS = 4096
# Version 2 knows no references, so that equal tables are equal bytes.
_MARSHAL_VERSION = 2


def pack_table(t: table.AnswerTable) -> bytes:
    """Return `t` as bytes; entries and answers that are shared in it are written once."""
    fixed, entries = _Shelf(), _Shelf()
    owners = []
    for owner, entry in t.names.items():
        number = entries.numbers.get(id(entry))
        if number is None:
            number = entries.put(entry, _entry(entry, fixed))
        owners.append((owner, number))
    zones = [(zone.apex, fixed.number(zone.nodata), fixed.number(zone.nxdomain)) for zone in t.zones]
    head = (t.revision, t.digest, t.node, t.place_names, t.explain_to, t.shared_key, len(t.prefixes), len(owners))
    prefixes = t.prefixes if t.places is None else (*t.prefixes, t.places)
    steerings = [(one.prefixes, one.a, one.aaaa, one.other, one.sticky, dict(one.more)) for one in t.steerings]
    pieces = [
        (HEAD, head),
        *_cut(ANSWERS, fixed.shapes),
        *_cut(ZONES, zones),
        *_cut(RING, [_ring(one) for one in t.rings]),
        *(piece for at, one in enumerate(prefixes) for piece in _prefixes(at, one)),
        *_cut(STEERINGS, steerings),
        *_cut(ENTRIES, entries.shapes),
        *_cut(NAMES, owners),
    ]
    return _framed(TABLE, b"".join(map(_piece, pieces)))


def pack_rings(revision: int, rings: Mapping[int, table.Ring], entries: table.Changed = NOTHING) -> bytes:
    """Return rings, by index into the table's, as bytes; and the entries of names that changed, where any did."""
    value: tuple[Any, ...] = (revision, {index: _ring(one) for index, one in rings.items()})
    if entries:
        value += ({owner: None if one is None else _alone(one) for owner, one in entries.items()},)
    return _framed(RINGS, marshal.dumps(value, _MARSHAL_VERSION))


def _framed(kind: bytes, body: bytes) -> bytes:
    return MAGIC + kind + FORMAT + hashlib.sha256(body).digest() + body


def _piece(value: tuple[int, Any]) -> bytes:
    data = marshal.dumps(value, _MARSHAL_VERSION)
    return len(data).to_bytes(LENGTH_BYTES) + data


def _cut(section: int, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    for at in range(0, len(items), steps.ITEMS):
        yield section, items[at : at + steps.ITEMS]


# --- shapes: plain tuples of what the dataclasses hold ---


class _Shelf:
    """Numbers objects by identity, so that a shared one is written once."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.shapes: list[tuple[Any, ...]] = []

    def put(self, one: object, shape: tuple[Any, ...]) -> int:
        number = self.numbers[id(one)] = len(self.shapes)
        self.shapes.append(shape)
        return number

    def number(self, one: table.Fixed) -> int:
        known = self.numbers.get(id(one))
        return self.put(one, _fixed(one)) if known is None else known


def _fixed(one: table.Fixed) -> tuple[Any, ...]:
    return one.flags, one.answers, one.authority, one.additional, one.body


def _entry(one: table.Entry, fixed: _Shelf) -> tuple[Any, ...]:
    return (
        one.zone,
        {kind: fixed.number(answer) for kind, answer in one.fixed.items()},
        one.steering,
        None if one.cname is None else fixed.number(one.cname),
        None if one.cut is None else fixed.number(one.cut),
    )


def _alone(one: table.Entry) -> tuple[Any, ...]:
    """Return an entry that has its answers with it, since it stands outside of the table."""
    return (
        one.zone,
        {kind: _fixed(answer) for kind, answer in one.fixed.items()},
        one.steering,
        None if one.cname is None else _fixed(one.cname),
        None if one.cut is None else _fixed(one.cut),
    )


def _prefixes(at: int, one: table.PrefixTable) -> Iterator[tuple[int, Any]]:
    """Yield runs of numbers: the table's number, which of its five parts (`nowhere` is the last), and the numbers."""
    parts = one.v4_starts, one.v4_values, one.v6_starts, one.v6_values, (one.nowhere,)
    for which, numbers in enumerate(parts):
        for start in range(0, len(numbers), _NUMBERS):
            yield PREFIXES, (at, which, numbers[start : start + _NUMBERS])


def _ring(one: table.Ring) -> tuple[Any, ...]:
    replies = [_fixed(reply) for reply in one.replies]
    return (
        one.slots, replies, one.endpoints, one.sticky, one.rcode, one.ttl_s, one.pool, one.rung, one.rule, one.why,
    )  # fmt: skip
