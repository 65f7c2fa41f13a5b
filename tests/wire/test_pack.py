"""Tables and rings survive being packed, whole and shared; whatever else is unpacked is a TableError."""

from __future__ import annotations

import hashlib
import marshal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import errors, names, table
from gtm.wire import pack, unpack
from tests.wire import test_subnet, world

WHOLE = replace(test_subnet.geography(), places=world.prefixes(("203.0.113.0/24", 1)), place_names=("unknown", "EU"))
PACKED = pack.pack_table(WHOLE)


VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def test_a_table_comes_back_equal_and_equal_tables_are_equal_bytes() -> None:
    back = unpack.whole(PACKED)
    assert back == WHOLE
    assert pack.pack_table(back) == PACKED


def test_what_was_shared_is_shared_again() -> None:
    shared = WHOLE.names[names.key("geo.live.example.")]
    wide = replace(WHOLE, names={**WHOLE.names, **{names.key(f"s{at}.example."): shared for at in range(1000)}})
    back = unpack.whole(pack.pack_table(wide))
    assert len({id(entry) for entry in back.names.values()}) == len({id(entry) for entry in wide.names.values()})
    assert len(pack.pack_table(wide)) - len(PACKED) < 40 * 1000


def test_rings_come_back_equal() -> None:
    rings = {3: WHOLE.rings[0], 7: WHOLE.rings[4]}
    assert unpack.rings(pack.pack_rings(42, rings)) == (42, rings, {})


def test_entries_that_came_by_themselves_come_back_equal_and_cost_nothing_where_there_are_none() -> None:
    some = dict(list(WHOLE.names.items())[:20])
    changed: dict[bytes, table.Entry | None] = {**some, b"\x04gone\0": None}
    packed = pack.pack_rings(43, {1: WHOLE.rings[1]}, changed)
    assert unpack.rings(packed) == (43, {1: WHOLE.rings[1]}, changed)
    assert pack.pack_rings(42, {}, {}) == pack.pack_rings(42, {})


@pytest.mark.parametrize("value", [{"name": None}, {b"n": 7}, {b"n": (0,)}, {b"n": ("0", {}, -1, None, None)}, [], 7])
def test_entries_that_are_none_are_a_table_error(value: Any) -> None:
    with pytest.raises(errors.TableError):
        unpack.rings(framed(b"R", 3, marshal.dumps((42, {}, value), 2)))


def test_tables_and_rings_are_not_taken_for_each_other() -> None:
    with pytest.raises(errors.TableError):
        unpack.rings(PACKED)
    with pytest.raises(errors.TableError):
        unpack.whole(pack.pack_rings(1, {}))


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_a_table_error(at: int, by: int) -> None:
    damaged = PACKED[:at] + bytes((PACKED[at] ^ by,)) + PACKED[at + 1 :]
    with pytest.raises(errors.TableError):
        unpack.whole(damaged)


@given(st.integers(0, len(PACKED) - 1))
def test_a_torn_table_is_a_table_error(size: int) -> None:
    with pytest.raises(errors.TableError):
        unpack.whole(PACKED[:size])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_a_table_error(foreign: bytes) -> None:
    for unpacked in (unpack.whole, unpack.rings):
        with pytest.raises(errors.TableError):
            unpacked(foreign)


FOREIGN_VALUES: list[Any] = [
    None,
    1,
    (),
    (1, 2),
    {},
    [1] * 9,
    ((1,) * 6,) * 9,
    (None,) * 9,
    ("x",) * 2,
    (1, {0: (1, 2)}),
    (1, 5),
]


def framed(kind: bytes, version: int, body: bytes) -> bytes:
    return b"GTM" + kind + bytes((version,)) + hashlib.sha256(body).digest() + body


def piece(value: Any) -> bytes:
    data = marshal.dumps(value, 2)
    return len(data).to_bytes(4) + data


@pytest.mark.parametrize("value", FOREIGN_VALUES, ids=repr)
def test_a_whole_frame_around_something_else_is_a_table_error(value: Any) -> None:
    body = marshal.dumps(value, 2)
    frames = [framed(b"T", 1, body), framed(b"T", 3, body), framed(b"T", 3, piece(value))]
    frames += [framed(b"T", 3, piece((section, value))) for section in range(-1, 9)]
    for one in frames:
        with pytest.raises(errors.TableError):
            unpack.whole(one)
    for version in (1, 2, 3, 4):
        with pytest.raises(errors.TableError):
            unpack.rings(framed(b"R", version, body))


@given(st.integers(0, len(PACKED) - pack.HEAD_BYTES - 1))
def test_pieces_that_end_early_are_a_table_error_though_their_digest_is_right(size: int) -> None:
    with pytest.raises(errors.TableError):
        unpack.whole(framed(b"T", 3, PACKED[pack.HEAD_BYTES :][:size]))


@pytest.mark.parametrize("version", [1, 2])
def test_a_table_of_a_version_before_is_read(version: int) -> None:
    kept = bytes.fromhex((VECTORS / f"table-version-{version}.hex").read_text())
    assert kept[:5] == b"GTMT" + bytes((version,))
    assert replace(unpack.whole(kept), places=WHOLE.places, place_names=WHOLE.place_names) == WHOLE
    body = marshal.dumps((42, {}), 2)
    assert unpack.rings(framed(b"R", version, body)) == (42, {}, {})


def test_rings_of_further_types_come_back_and_lead_somewhere() -> None:
    more = replace(WHOLE.steerings[0], more={65: WHOLE.steerings[0].a, 33: ()})
    wide = replace(WHOLE, steerings=(more, *WHOLE.steerings[1:]))
    assert unpack.whole(pack.pack_table(wide)) == wide
    lost = replace(WHOLE, steerings=(replace(more, more={65: (len(WHOLE.rings),)}), *WHOLE.steerings[1:]))
    with pytest.raises(errors.TableError):
        unpack.whole(pack.pack_table(lost))


def test_a_table_of_a_version_to_come_is_refused_in_words() -> None:
    with pytest.raises(errors.TableError, match="no table of this version"):
        unpack.whole(framed(b"T", 4, PACKED[pack.HEAD_BYTES :]))


def test_a_big_table_is_read_in_short_steps() -> None:
    entry = WHOLE.names[names.key("geo.live.example.")]
    many = {names.key(f"n{at}.live.example."): entry for at in range(20_000)}
    starts = tuple(range(0, 1_000_000, 10))
    wide = replace(WHOLE.prefixes[0], v4_starts=starts, v4_values=(0,) * len(starts))
    big = replace(WHOLE, names={**WHOLE.names, **many}, rings=WHOLE.rings * 500, prefixes=(wide, *WHOLE.prefixes[1:]))
    reading, pieces, back = unpack.reading(pack.pack_table(big)), 0, None
    while back is None:
        try:
            next(reading)
            pieces += 1
        except StopIteration as done:
            back = done.value
    assert back == big
    assert pieces > 20_000 / 256 + 500 * len(WHOLE.rings) / 256 + 2 * len(starts) / 4096


def broken() -> dict[str, table.AnswerTable]:
    steering, ring, prefixes = WHOLE.steerings[0], WHOLE.rings[4], WHOLE.prefixes[0]

    def with_ring(**changes: Any) -> table.AnswerTable:
        return replace(WHOLE, rings=(*WHOLE.rings[:4], replace(ring, **changes), *WHOLE.rings[5:]))

    lost = replace(WHOLE.names[names.key("geo.live.example.")], steering=99)
    return {
        "a ring that is not there": replace(WHOLE, steerings=(replace(steering, a=(99,)), *WHOLE.steerings[1:])),
        "an audience without a ring": replace(WHOLE, steerings=(replace(steering, a=(0,)), *WHOLE.steerings[1:])),
        "prefixes that are not there": replace(WHOLE, steerings=(replace(steering, prefixes=5), *WHOLE.steerings[1:])),
        "a slot without a reply": with_ring(slots=(8,)),
        "a slot before all replies": with_ring(slots=(-1,)),
        "replies without endpoints": with_ring(endpoints=()),
        "a policy that is not there": replace(WHOLE, names={**WHOLE.names, b"\1x\0": lost}),
        "a zone that is not there": replace(WHOLE, zones=()),
        "a place without a name": replace(WHOLE, place_names=("unknown",)),
        "prefixes that begin late": replace(WHOLE, prefixes=(replace(prefixes, v6_starts=(1,)),)),
        "prefixes without values": replace(WHOLE, prefixes=(replace(prefixes, v6_values=()),)),
    }  # fmt: skip


@pytest.mark.parametrize("one", broken().values(), ids=broken().keys())
def test_a_table_that_does_not_hang_together_is_a_table_error(one: table.AnswerTable) -> None:
    with pytest.raises(errors.TableError):
        unpack.whole(pack.pack_table(one))
