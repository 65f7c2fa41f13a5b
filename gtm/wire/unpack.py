"""Bytes of `gtm.wire.pack` in, the answer table or the rings out, in short steps; `TableError` for all other bytes.

Nothing is decoded before its digest is right, and nothing comes out before it is whole and every index in it leads
somewhere, so that answering never has to ask. The versions before this one are read, too: a worker that starts anew
after an upgrade of the package on disk finds a journal of the version that still runs.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Iterator
from typing import Any

from gtm import errors, table
from gtm.wire import pack, steps

_FIRST = b"\x01"  # all of a table in one value, so it is read in one go
_KNOWN = {_FIRST, b"\x02", pack.FORMAT}  # version 2: steerings have no further types
_HASHED_BYTES = 256 * 1024  # half a millisecond's work
_FOREIGN = (ValueError, TypeError, LookupError, EOFError, AttributeError, OverflowError)
_NOWHERE = 4  # which part of a prefix table that is


def whole(b: bytes | memoryview) -> table.AnswerTable:
    """Return the table in `b`. Raises `TableError` when there is none, or one that does not hang together."""
    return steps.finish(reading(b))


def reading(b: bytes | memoryview) -> steps.Steps[table.AnswerTable]:
    """Return the table in `b`, step by step. Raises `TableError` as `whole` does."""
    body, version = yield from _body(pack.TABLE, b)
    parts = _Parts()
    try:
        for section, items in _pieces(body) if version != _FIRST else _pieces_before(body):
            parts.take(section, items)
            yield
        return parts.done()
    except _FOREIGN as error:
        raise errors.TableError(f"not an answer table: {error}") from None


def rings(b: bytes | memoryview) -> tuple[int, dict[int, table.Ring], dict[bytes, table.Entry | None]]:
    """Return the revision, the rings and the changed entries in `b`. Raises `TableError`."""
    body, _ = steps.finish(_body(pack.RINGS, b))
    try:
        revision, shapes, *more = marshal.loads(body)  # noqa: S302 - our own bytes, by their digest
        found = {index: _ring(one) for index, one in shapes.items()}
        if not isinstance(revision, int) or not all(isinstance(index, int) for index in found):
            raise TypeError("revision or index is no number")
        (changed,) = more or ({},)
        entries = {owner: None if one is None else _entry(*one) for owner, one in changed.items()}
        if not all(isinstance(owner, bytes) for owner in entries):
            raise TypeError("a name is no name")
    except _FOREIGN as error:
        raise errors.TableError(f"not rings: {error}") from None
    return revision, found, entries


def _body(kind: bytes, b: bytes | memoryview) -> steps.Steps[tuple[memoryview, bytes]]:
    """Return what is in a frame whose digest is right, and its version."""
    head, version = bytes(b[: len(pack.MAGIC) + 1]), bytes(b[len(pack.MAGIC) + 1 : len(pack.MAGIC) + 2])
    if head != pack.MAGIC + kind or version not in _KNOWN:
        raise errors.TableError("these bytes are no table of this version of GTM")
    body, hashed = memoryview(b)[pack.HEAD_BYTES :], hashlib.sha256()
    for at in range(0, len(body), _HASHED_BYTES):
        hashed.update(body[at : at + _HASHED_BYTES])
        yield
    if hashed.digest() != b[len(head) + 1 : pack.HEAD_BYTES]:
        raise errors.TableError("the bytes are damaged: their digest differs")
    return body, version


def _pieces(body: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(body):
        start = at + pack.LENGTH_BYTES
        at = start + int.from_bytes(body[at:start])
        if at > len(body):
            raise ValueError("a piece is cut off")
        section, items = marshal.loads(body[start:at])  # noqa: S302 - our own bytes, by their digest
        yield section, items


def _pieces_before(body: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield what version 1 held, as the sections of version 2."""
    value = marshal.loads(body)  # noqa: S302 - our own bytes, by their digest
    head, fixed, zones, entries, owners, steerings, prefixes, shapes, places = value
    yield pack.HEAD, (*head, len(prefixes), len(owners))
    yield pack.ANSWERS, fixed
    yield pack.ZONES, zones
    yield pack.RING, shapes
    for at, (*numbers, nowhere) in enumerate(prefixes if places is None else [*prefixes, places]):
        for which, run in enumerate((*numbers, (nowhere,))):
            yield pack.PREFIXES, (at, which, run)
    yield pack.STEERINGS, steerings
    yield pack.ENTRIES, entries
    yield pack.NAMES, owners.items()


class _Parts:
    """What there is of a table so far. What is wrong with a piece is a `ValueError`, or what Python says of it."""

    def __init__(self) -> None:
        self._head: Any = None
        self._fixed: list[table.Fixed] = []
        self._zones: list[table.ZoneEntry] = []
        self._rings: list[table.Ring] = []
        self._prefixes: list[tuple[list[int], ...]] = []
        self._highest: list[int] = []  # audience or place, by prefix table
        self._steerings: list[table.Steering] = []
        self._entries: list[table.Entry] = []
        self._names: dict[bytes, table.Entry] = {}
        self._sections = (
            self._take_head, self._take_answers, self._take_zones, self._take_rings, self._take_prefixes,
            self._take_steerings, self._take_entries, self._take_names,
        )  # fmt: skip

    def take(self, section: int, items: Any) -> None:
        """Take one piece."""
        _within(section, self._sections)
        self._sections[section](items)

    def _take_head(self, head: Any) -> None:
        self._head = head

    def _take_answers(self, items: Any) -> None:
        self._fixed += [table.Fixed(*shape) for shape in items]

    def _take_zones(self, items: Any) -> None:
        fixed = self._fixed
        self._zones += [table.ZoneEntry(apex, fixed[nodata], fixed[nxdomain]) for apex, nodata, nxdomain in items]

    def _take_rings(self, items: Any) -> None:
        self._rings += map(_ring, items)

    def _take_prefixes(self, run: Any) -> None:
        at, which, numbers = run
        if at == len(self._prefixes):
            self._prefixes.append(([], [], [], [], []))
            self._highest.append(0)
        _within(at, self._prefixes)
        _within(which, self._prefixes[at])
        self._prefixes[at][which].extend(numbers)
        if which % 2 or which == _NOWHERE:  # values, not starts
            self._highest[at] = max(self._highest[at], *numbers)
            if min(numbers) < -1:
                raise ValueError("an audience that is none")

    def _take_steerings(self, items: Any) -> None:
        for shape in items:
            one = table.Steering(*shape)
            _within(one.prefixes, self._prefixes, least=-1)
            for found in (one.a, one.aaaa, one.other, *one.more.values()):
                for ring in found:
                    _within(ring, self._rings)
                if found and one.prefixes >= 0:
                    _within(self._highest[one.prefixes], found)
            self._steerings.append(one)

    def _take_entries(self, items: Any) -> None:
        fixed = self._fixed
        for zone, answers, steering, cname, cut in items:
            _within(zone, self._zones)
            _within(steering, self._steerings, least=-1)
            self._entries.append(
                table.Entry(
                    zone,
                    {kind: fixed[number] for kind, number in answers.items()},
                    steering,
                    None if cname is None else fixed[cname],
                    None if cut is None else fixed[cut],
                )
            )

    def _take_names(self, items: Any) -> None:
        entries = self._entries
        self._names.update({owner: entries[number] for owner, number in items})

    def done(self) -> table.AnswerTable:
        """Return the table."""
        revision, digest, node, place_names, explain_to, shared_key, count, names = self._head
        prefixes = [_prefixes(one) for one in self._prefixes]
        if len(prefixes) - count not in {0, 1} or len(self._names) != names:
            raise ValueError("there are not as many names or prefix tables as are promised")
        places = prefixes[count] if count < len(prefixes) else None
        if places is not None:
            _within(self._highest[count], place_names)
        return table.AnswerTable(
            revision=revision,
            digest=digest,
            node=node,
            zones=tuple(self._zones),
            names=self._names,
            steerings=tuple(self._steerings),
            prefixes=tuple(prefixes[:count]),
            rings=tuple(self._rings),
            places=places,
            place_names=place_names,
            explain_to=explain_to,
            shared_key=shared_key,
        )


def _prefixes(parts: Iterable[list[int]]) -> table.PrefixTable:
    v4_starts, v4_values, v6_starts, v6_values, (nowhere,) = map(tuple, parts)
    for starts, values in ((v4_starts, v4_values), (v6_starts, v6_values)):
        if len(starts) != len(values) or not starts or starts[0] != 0:
            raise ValueError("prefixes that do not cover all addresses")
    return table.PrefixTable(v4_starts, v4_values, v6_starts, v6_values, nowhere)


def _ring(shape: Any) -> table.Ring:
    slots, replies, *rest = shape
    ring = table.Ring(slots, tuple(table.Fixed(*reply) for reply in replies), *rest)
    if slots:
        _within(min(slots), replies)
        _within(max(slots), replies)
    if len(ring.endpoints) != len(replies):
        raise ValueError("a ring whose endpoints do not fit its replies")
    return ring


def _entry(zone: int, answers: Any, steering: int, cname: Any, cut: Any) -> table.Entry:
    """Return an entry that has its answers with it. Whether its numbers lead somewhere, the table's reader knows."""
    if not all(isinstance(number, int) for number in (zone, steering, *answers)):
        raise TypeError("an index is no number")
    return table.Entry(
        zone,
        {kind: table.Fixed(*answer) for kind, answer in answers.items()},
        steering,
        None if cname is None else table.Fixed(*cname),
        None if cut is None else table.Fixed(*cut),
    )


def _within(index: int, of: Any, least: int = 0) -> None:
    if not least <= index < len(of):
        raise ValueError(f"index {index} leads nowhere")
