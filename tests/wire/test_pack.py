"""Tables and rings survive being packed, whole and shared; whatever else is unpacked is a TableError."""

from __future__ import annotations

import hashlib
import marshal
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import errors, names, table
from gtm.wire import pack
from tests.wire import test_subnet, world

WHOLE = replace(test_subnet.geography(), places=world.prefixes(("203.0.113.0/24", 1)), place_names=("unknown", "EU"))
PACKED = pack.pack_table(WHOLE)


def test_a_table_comes_back_equal_and_equal_tables_are_equal_bytes() -> None:
    back = pack.unpack_table(PACKED)
    assert back == WHOLE
    assert pack.pack_table(back) == PACKED


def test_what_was_shared_is_shared_again() -> None:
    shared = WHOLE.names[names.key("geo.live.example.")]
    wide = replace(WHOLE, names={**WHOLE.names, **{names.key(f"s{at}.example."): shared for at in range(1000)}})
    back = pack.unpack_table(pack.pack_table(wide))
    assert len({id(entry) for entry in back.names.values()}) == len({id(entry) for entry in wide.names.values()})
    assert len(pack.pack_table(wide)) - len(PACKED) < 40 * 1000


def test_rings_come_back_equal() -> None:
    rings = {3: WHOLE.rings[0], 7: WHOLE.rings[4]}
    assert pack.unpack_rings(pack.pack_rings(42, rings)) == (42, rings)


def test_tables_and_rings_are_not_taken_for_each_other() -> None:
    with pytest.raises(errors.TableError):
        pack.unpack_rings(PACKED)
    with pytest.raises(errors.TableError):
        pack.unpack_table(pack.pack_rings(1, {}))


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_a_table_error(at: int, by: int) -> None:
    damaged = PACKED[:at] + bytes((PACKED[at] ^ by,)) + PACKED[at + 1 :]
    with pytest.raises(errors.TableError):
        pack.unpack_table(damaged)


@given(st.integers(0, len(PACKED) - 1))
def test_a_torn_table_is_a_table_error(size: int) -> None:
    with pytest.raises(errors.TableError):
        pack.unpack_table(PACKED[:size])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_a_table_error(foreign: bytes) -> None:
    for unpack in (pack.unpack_table, pack.unpack_rings):
        with pytest.raises(errors.TableError):
            unpack(foreign)


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


@pytest.mark.parametrize("value", FOREIGN_VALUES, ids=repr)
def test_a_whole_frame_around_something_else_is_a_table_error(value: Any) -> None:
    body = marshal.dumps(value, 2)
    for kind, unpack in ((b"T", pack.unpack_table), (b"R", pack.unpack_rings)):
        with pytest.raises(errors.TableError):
            unpack(b"GTM" + kind + b"\x01" + hashlib.sha256(body).digest() + body)


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
        pack.unpack_table(pack.pack_table(one))
