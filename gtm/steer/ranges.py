"""Sorted ranges of addresses and prefixes in, sorted ranges that cover everything and differ from neighbour out.

Ranges are two sequences, as in `table.PrefixTable`: range i goes from `starts[i]` to before `starts[i + 1]`.
"""

from __future__ import annotations

import bisect
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

WIDTH = {4: 32, 6: 128}
Ranges = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Addresses from `low` to before `high`; `mark` is the least of the marks of all prefixes that hold them."""

    low: int
    high: int
    mark: int


def merged(starts: Sequence[int], values: Sequence[int]) -> Ranges:
    """Join neighbours of the same value."""
    changes = [True, *map(operator.ne, values[1:], values)]
    return tuple(itertools.compress(starts, changes)), tuple(itertools.compress(values, changes))


def flat(prefixes: Iterable[tuple[int, int, int]]) -> list[Segment]:
    """Flatten prefixes (low, high, mark), which nest but never cross, to sorted segments that do not overlap."""
    segments: list[Segment] = []
    around: list[tuple[int, int]] = []  # (high, least mark so far) of the prefixes that hold `at`, outermost first
    at = 0

    def advance(until: int | None) -> None:
        nonlocal at
        while around and (until is None or at < until or around[-1][0] <= until):
            high, mark = around[-1]
            stop = high if until is None else min(high, until)
            if at < stop:
                segments.append(Segment(at, stop, mark))
                at = stop
            if stop < high:
                break
            around.pop()

    for low, high, mark in sorted(prefixes, key=lambda one: (one[0], -one[1])):
        advance(low)
        at = low
        around.append((high, min(mark, around[-1][1]) if around else mark))
    advance(None)
    return segments


def laid(
    under: tuple[Sequence[int], Sequence[int]],
    base: Sequence[int],
    segments: Sequence[Segment],
    value: Callable[[int, int], int],
    end: int,
) -> Ranges:
    """Lay `segments` over the ranges `under`, which reach to `end`.

    Outside of segments a range becomes `base[its value]`, inside `value(mark, its value)`.
    """
    starts, values = under
    based = [base[one] for one in values]
    out_starts: list[int] = []
    out_values: list[int] = []
    at = 0
    for segment in [*segments, Segment(end, end, 0)]:
        if at < segment.low:
            first, last = bisect.bisect_right(starts, at) - 1, bisect.bisect_left(starts, segment.low)
            out_starts += [at, *starts[first + 1 : last]]
            out_values += based[first:last]
        if segment.low < segment.high:
            first, last = bisect.bisect_right(starts, segment.low) - 1, bisect.bisect_left(starts, segment.high)
            out_starts += [segment.low, *starts[first + 1 : last]]
            out_values += [value(segment.mark, one) for one in values[first:last]]
        at = segment.high
    return merged(out_starts, out_values)
