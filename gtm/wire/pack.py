"""An answer table or rings in, bytes out, and back: what travels from the control process to the workers and to disk.

A frame (magic, format version, SHA-256 of the rest) around `marshal` of plain tuples, which reads a hundred thousand
names in a fraction of a second. The digest is looked at first, so that a torn or foreign file is refused and never
decoded; it is no seal against a forger, who would have to be root or the `gtm` user already.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping
from typing import Any

from gtm import errors, table

_MAGIC = b"GTM"
_TABLE, _RINGS = b"T", b"R"
_FORMAT = b"\x01"
_DIGEST_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + 2 + _DIGEST_BYTES
# Version 2 knows no references, so that equal tables are equal bytes.
_MARSHAL_VERSION = 2


def pack_table(t: table.AnswerTable) -> bytes:
    """Return `t` as bytes; entries and answers that are shared in it are written once."""
    fixed = _Shelf()
    entries = _Shelf()
    owners = {}
    for owner, entry in t.names.items():
        number = entries.numbers.get(id(entry))
        if number is None:
            number = entries.put(entry, _entry(entry, fixed))
        owners[owner] = number
    zones = [(zone.apex, fixed.number(zone.nodata), fixed.number(zone.nxdomain)) for zone in t.zones]
    return _framed(
        _TABLE,
        (
            (t.revision, t.digest, t.node, t.place_names, t.explain_to, t.shared_key),
            fixed.shapes,
            zones,
            entries.shapes,
            owners,
            [(one.prefixes, one.a, one.aaaa, one.other, one.sticky) for one in t.steerings],
            [_prefixes(one) for one in t.prefixes],
            [_ring(one) for one in t.rings],
            None if t.places is None else _prefixes(t.places),
        ),
    )


def unpack_table(b: bytes) -> table.AnswerTable:
    """Return the table in `b`. Raises `TableError` when there is none, or one that does not hang together."""
    try:
        return _checked(_table(_unframed(_TABLE, b)))
    except (ValueError, TypeError, LookupError, EOFError, AttributeError, OverflowError) as error:
        raise errors.TableError(f"not an answer table: {error}") from None


def pack_rings(revision: int, rings: Mapping[int, table.Ring]) -> bytes:
    """Return rings, by index into the table's, as bytes."""
    return _framed(_RINGS, (revision, {index: _ring(one) for index, one in rings.items()}))


def unpack_rings(b: bytes) -> tuple[int, dict[int, table.Ring]]:
    """Return the revision and the rings in `b`. Raises `TableError`."""
    try:
        revision, rings = _unframed(_RINGS, b)
        found = {index: _ring_of(one) for index, one in rings.items()}
        _whole_rings(found.values())
        if not isinstance(revision, int) or not all(isinstance(index, int) for index in found):
            raise TypeError("revision or index is no number")
    except (ValueError, TypeError, LookupError, EOFError, AttributeError, OverflowError) as error:
        raise errors.TableError(f"not rings: {error}") from None
    return revision, found


# --- the frame ---


def _framed(kind: bytes, value: Any) -> bytes:
    body = marshal.dumps(value, _MARSHAL_VERSION)
    return _MAGIC + kind + _FORMAT + hashlib.sha256(body).digest() + body


def _unframed(kind: bytes, b: bytes) -> Any:
    head = _MAGIC + kind + _FORMAT
    if b[: len(head)] != head:
        raise errors.TableError("these bytes are no table of this version of GTM")
    body = b[_HEAD_BYTES:]
    if hashlib.sha256(body).digest() != b[len(head) : _HEAD_BYTES]:
        raise errors.TableError("the bytes are damaged: their digest differs")
    return marshal.loads(body)  # noqa: S302 - our own bytes, by their digest


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


def _prefixes(one: table.PrefixTable) -> tuple[Any, ...]:
    return one.v4_starts, one.v4_values, one.v6_starts, one.v6_values, one.nowhere


def _ring(one: table.Ring) -> tuple[Any, ...]:
    replies = [_fixed(reply) for reply in one.replies]
    return (
        one.slots, replies, one.endpoints, one.sticky, one.rcode, one.ttl_s, one.pool, one.rung, one.rule, one.why,
    )  # fmt: skip


def _ring_of(shape: Any) -> table.Ring:
    slots, replies, *rest = shape
    return table.Ring(slots, tuple(table.Fixed(*reply) for reply in replies), *rest)


def _table(body: Any) -> table.AnswerTable:
    head, fixed_shapes, zones, entry_shapes, owners, steerings, prefixes, rings, places = body
    revision, digest, node, place_names, explain_to, shared_key = head
    fixed = [table.Fixed(*shape) for shape in fixed_shapes]
    entries = [
        table.Entry(
            zone,
            {kind: fixed[number] for kind, number in answers.items()},
            steering,
            None if cname is None else fixed[cname],
            None if cut is None else fixed[cut],
        )
        for zone, answers, steering, cname, cut in entry_shapes
    ]
    return table.AnswerTable(
        revision=revision,
        digest=digest,
        node=node,
        zones=tuple(table.ZoneEntry(apex, fixed[nodata], fixed[nxdomain]) for apex, nodata, nxdomain in zones),
        names={owner: entries[number] for owner, number in owners.items()},
        steerings=tuple(table.Steering(*shape) for shape in steerings),
        prefixes=tuple(table.PrefixTable(*shape) for shape in prefixes),
        rings=tuple(_ring_of(shape) for shape in rings),
        places=None if places is None else table.PrefixTable(*places),
        place_names=place_names,
        explain_to=explain_to,
        shared_key=shared_key,
    )


def _checked(t: table.AnswerTable) -> table.AnswerTable:
    """Return `t` when every index in it leads somewhere, so that answering never has to ask."""
    _whole_rings(t.rings)
    for one in t.prefixes:
        _whole_prefixes(one)
    for entry in {id(entry): entry for entry in t.names.values()}.values():
        _within(entry.zone, t.zones)
        _within(entry.steering, t.steerings, least=-1)
    for steering in t.steerings:
        _within(steering.prefixes, t.prefixes, least=-1)
        for rings in (steering.a, steering.aaaa, steering.other):
            for ring in rings:
                _within(ring, t.rings)
            if rings and steering.prefixes >= 0:
                found = t.prefixes[steering.prefixes]
                _within(max(*found.v4_values, *found.v6_values, found.nowhere), rings)
    if t.places is not None:
        _whole_prefixes(t.places)
        _within(max(*t.places.v4_values, *t.places.v6_values, t.places.nowhere), t.place_names)
    return t


def _whole_rings(rings: Iterable[table.Ring]) -> None:
    for ring in rings:
        if ring.slots:
            _within(min(ring.slots), ring.replies)
            _within(max(ring.slots), ring.replies)
        if len(ring.endpoints) != len(ring.replies):
            raise ValueError("a ring whose endpoints do not fit its replies")


def _whole_prefixes(one: table.PrefixTable) -> None:
    for starts, values in ((one.v4_starts, one.v4_values), (one.v6_starts, one.v6_values)):
        if len(starts) != len(values) or not starts or starts[0] != 0:
            raise ValueError("prefixes that do not cover all addresses")


def _within(index: int, of: Any, least: int = 0) -> None:
    if not least <= index < len(of):
        raise ValueError(f"index {index} leads nowhere")
