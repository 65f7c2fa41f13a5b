"""Ranges against brute force: flattening nested prefixes, laying them over ranges, merging."""

from __future__ import annotations

import bisect
import itertools

from hypothesis import given
from hypothesis import strategies as st

from gtm.steer import ranges

BITS = 6
END = 1 << BITS


@st.composite
def prefixes(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    found = []
    for mark in draw(st.lists(st.integers(0, 4), max_size=8)):
        size = 1 << draw(st.integers(0, BITS))
        low = draw(st.integers(0, END - 1)) // size * size
        found.append((low, low + size, mark))
    return found


@given(prefixes())
def test_each_address_belongs_to_the_first_rule_among_all_prefixes_that_hold_it(
    given_: list[tuple[int, int, int]],
) -> None:
    segments = ranges.flat(given_)
    assert all(one.high <= other.low for one, other in itertools.pairwise(segments))
    for address in range(END):
        wanted = [mark for low, high, mark in given_ if low <= address < high]
        found = [one.mark for one in segments if one.low <= address < one.high]
        assert found == ([min(wanted)] if wanted else [])


@given(prefixes(), st.sets(st.integers(1, END - 1), max_size=8), st.data())
def test_segments_cover_what_they_cover_and_nothing_else(
    given_: list[tuple[int, int, int]], cuts: set[int], data: st.DataObject
) -> None:
    starts = [0, *sorted(cuts)]
    values = data.draw(st.lists(st.integers(0, 2), min_size=len(starts), max_size=len(starts)))
    segments = ranges.flat(given_)
    new_starts, new_values = ranges.laid(
        (starts, values), [10, 10, 12], segments, lambda mark, value: mark * 3 + value, END
    )
    assert new_starts[0] == 0
    assert all(one != other for one, other in itertools.pairwise(new_values))
    for address in range(END):
        value = values[bisect.bisect_right(starts, address) - 1]
        mark = next((one.mark for one in segments if one.low <= address < one.high), None)
        wanted = [10, 10, 12][value] if mark is None else mark * 3 + value
        assert new_values[bisect.bisect_right(new_starts, address) - 1] == wanted


def test_neighbours_of_the_same_value_are_one() -> None:
    assert ranges.merged((0, 1, 2, 3), (5, 5, 6, 6)) == ((0, 2), (5, 6))
