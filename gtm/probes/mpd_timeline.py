"""A DASH manifest's bytes in, the same with its long timelines cut to their newest entries out, and sums of the rest.

Hours of rewind are tens of thousands of entries. Where the edge stands is told by the last of them, by how many came
before, and by where those end: that is added up here without reading each as an element. What is not written as
packagers write it stays as it is.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass

WHOLE = 400  # entries, in all timelines together, that are read one by one: thirteen minutes without repetition
LEAST = 8  # of each timeline, however many there are: enough to see a new gap
MAX_TIMELINES = 200  # as many as there may be tracks
# Of all timelines together: lengths that are added up because no entry behind them says its time (five hours of
# two-second segments), and repeats, of which three cost as much. Times alone are bounded by the bytes.
MAX_LENGTHS, REPEATS_A_LENGTH = 10_000, 3
_OPEN, _CLOSE, _ENTRY, _LONG, _MORE = b"<SegmentTimeline>", b"</SegmentTimeline>", b"<S ", b' d="', b' r="'
_TIME = b' t="'
_MOMENT = re.compile(rb' t="(\d{1,19})"')
_LENGTH = re.compile(rb' d="(\d{1,19})"(?: r="(\d{1,10})")?')
_REPEATS = re.compile(rb' r="(\d{1,10})"')


@dataclass(frozen=True, slots=True)
class Before:
    """What was cut from the head of a timeline: how many segments, and where they end, in units of its timescale."""

    count: int
    end: int


def cut(body: bytes) -> tuple[bytes, dict[int, Before]]:
    """Return what is left of a manifest, and what went before in each timeline that was cut, by its offset there.

    Raises `ValueError` for one with too many entries.
    """
    timelines = body.count(_OPEN)
    if body.count(_ENTRY) <= WHOLE or not 0 < timelines <= MAX_TIMELINES:
        return body, {}
    keep = max(LEAST, WHOLE // timelines)
    pieces: list[bytes] = []
    before: dict[int, Before] = {}
    taken = seen = gone = dear = 0
    while (opened := body.find(_OPEN, seen)) >= 0 and (closed := body.find(_CLOSE, opened)) >= 0:
        first, seen = opened + len(_OPEN), closed
        kept = _newest(body, first, closed, keep)
        part = body[first:kept]
        dear += _dear(part)
        if dear > MAX_LENGTHS:
            raise ValueError(f"SegmentTimelines without times that are too long: more than {MAX_LENGTHS} entries")
        if (sum_ := _summed(part)) is not None:
            before[opened - gone] = sum_
            pieces.append(body[taken:first])
            taken, gone = kept, gone + kept - first
    return b"".join((*pieces, body[taken:])), before


def _newest(body: bytes, first: int, closed: int, keep: int) -> int:
    """Return where the newest `keep` entries begin."""
    at = closed
    for _ in range(keep):
        at = body.rfind(_ENTRY, first, at)
        if at < 0:
            return first
    return at


def _dear(part: bytes) -> int:
    """Return how much work it is to add entries up, in lengths."""
    at = max(0, part.rfind(_TIME))
    return part.count(_ENTRY, at) + part.count(_MORE, 0, at) // REPEATS_A_LENGTH


def _summed(part: bytes) -> Before | None:
    """Add entries up; None where there are none, or something else than plain `<S t="" d="" r=""/>`."""
    entries = part.count(_ENTRY)
    if not entries or part.count(b"<") != entries or part.count(_LONG) != entries:
        return None
    at = max(0, part.rfind(_TIME))  # from here on nothing but lengths says where they end
    moment = _MOMENT.match(part, at)
    repeats, found = _REPEATS.findall(part, 0, at), _LENGTH.findall(part, at)
    lengths = [int(length) for length, _ in found]
    again = [int(more) for _, more in found if more]
    if (len(repeats), len(again)) != (part.count(_MORE, 0, at), part.count(_MORE, at)):
        return None
    if len(found) != part.count(_ENTRY, at) + (moment is not None):
        return None
    if 0 < len(again) < len(found):
        longer = sum([int(length) * int(more) for length, more in found if more])
    else:
        longer = sum(map(operator.mul, lengths, again))
    end = (int(moment[1]) if moment else 0) + sum(lengths) + longer
    return Before(entries + sum(map(int, repeats)) + sum(again), end)
