"""Where the live edge stands on every node that carries a stream in, which node stands apart and why out.

Each node is compared with the median of its siblings, so that nobody's clock has to be right, only the others' alike.
The thresholds are those of the streaming notes: two target durations are worth a word, three are a failure.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gtm import model

MIN_NODES = 3  # of two that differ, nobody knows which is right
WARN, FAIL = 2.0, 3.0  # target durations behind the others
# A look meets a stream somewhere between two segments, and the others' looks were a while ago: what has changed by less
# than this many target durations is the same distance still.
MOVED = 3.0
STALLED = 1.5  # target durations without a segment: it stands still (rfc8216bis section 6.2.1)
SKEW_S = 2.0  # a clock that is off by less has explained nothing
HICCUPS = 4  # one in so many comparisons may be a hiccup
OLDEST = 3  # comparisons that say together how it was at first
FRESH = 2.0  # intervals: who was last looked at before that is no measure for others
PAST = 12  # comparisons that tell a constant distance from one that comes and goes
# Once there are so many, one in this time is remembered. So a node that falls behind and stays there is held to have
# fallen behind for four to five minutes, and is known to be another encoder's clock only then: nothing but time
# tells one from the other, and a stale edge that came back into the answers by itself after ten looks would be no help.
LEARNS_EVERY_S = 30.0
KINDS = (  # measures of the same thing in HLS and DASH: latency, target duration, age in caches, time without news
    ("playlist.latency", "playlist.target", "playlist.cached", "playlist.age"),
    ("manifest.latency", "manifest.segment", "manifest.cached", "manifest.age"),
)


@dataclass(frozen=True, slots=True)
class Edge:
    """How far a node's newest segment is behind the present, by its own dates; all in seconds."""

    latency_s: float
    target_s: float
    cached_s: float = 0.0
    skew_s: float = 0.0
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Remark:
    """What sets a node apart, in a sentence; `severe` when the node is to count as failed for this stream.

    `harmless`: viewers do not notice, so that it is for people to know and moves no answer.
    """

    text: str
    severe: bool = False
    harmless: bool = False


def edge(measures: Mapping[str, model.Value]) -> Edge | None:
    """Return where the edge is by one probe's measures; None when it does not tell."""
    for latency, target, cached, age in KINDS:
        latency_s, target_s = _number(measures, latency), _number(measures, target)
        if latency_s is not None and target_s:
            held_s, skew_s, age_s = (_number(measures, one) or 0.0 for one in (cached, "clock.skew", age))
            return Edge(latency_s, target_s, held_s, skew_s, age_s)
    return None


def lag_s(mine: Edge, others: Sequence[Edge]) -> float | None:
    """Return how far a node is behind the median of its siblings, in seconds; None when they are too few."""
    if len(others) + 1 < MIN_NODES:
        return None
    return mine.latency_s - statistics.median(one.latency_s for one in others)


def remark(mine: Edge, lags_s: Sequence[float]) -> Remark | None:
    """Return what sets a node apart that is `lags_s[-1]` behind its siblings now, and was as the others before.

    A distance that has been the same since the first look may be another encoder's clock, and is no failure.
    """
    behind_s = lags_s[-1]
    if abs(behind_s) <= WARN * mine.target_s:
        return None
    # A distance that shrank for some looks and is back was the others' hiccup: the least of them count for nothing.
    usual_s = sorted(lags_s)[len(lags_s) // HICCUPS]
    moved = abs(behind_s - usual_s) > MOVED * mine.target_s
    where = f"{abs(behind_s):.1f}s {'behind' if behind_s > 0 else 'ahead of'} the other nodes"
    if mine.skew_s > SKEW_S and abs(mine.skew_s - abs(behind_s)) <= mine.target_s:
        return Remark(f"{where}: its clock is off by {mine.skew_s:.1f}s", harmless=True)
    if not moved:
        # The usual may be a step of some minutes ago: how it was at first tells, less a hiccup.
        first_s = statistics.median(lags_s[:OLDEST])
        steady = len(lags_s) >= PAST and abs(behind_s - first_s) <= MOVED * mine.target_s
        always = "always " if steady else ""
        return Remark(f"{always}{where}: another encoder's clock, or a longer way", harmless=True)
    if behind_s < 0:
        return None  # the others are late, and that is theirs
    severe = behind_s > FAIL * mine.target_s
    if mine.age_s > STALLED * mine.target_s:
        return Remark(f"{where}: it has stood still for {mine.age_s:.0f}s", severe)
    if mine.cached_s > mine.target_s:
        return Remark(f"{where}: a cache has held its playlist for {mine.cached_s:.0f}s", severe)
    return Remark(f"{where}: it pulls the stream too late", severe)


def _number(measures: Mapping[str, model.Value], name: str) -> float | None:
    value = measures.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
