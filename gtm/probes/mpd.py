"""A DASH manifest as a probe needs it: its clocks, and for each track which segment is the newest (ISO/IEC 23009-1).

Arithmetic on what `mpd_reader` has read; the time is an argument.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_FIELD = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth)?(?:%0(\d{1,2})d)?\$")
MAX_WIDTH = 20  # digits that a template may ask for


@dataclass(frozen=True, slots=True)
class Timeline:
    """The sum of a SegmentTimeline, in units of the timescale: where the last segment starts, and how long it is.

    `count` segments came before it. `open` says that it repeats until the clock ends it (`r="-1"`). `gaps` counts the
    holes between segments, of a long one between its newest.
    """

    start: int
    duration: int
    count: int
    open: bool = False
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest segment of a track: when it ends, in seconds of the presentation, and where it is."""

    end_s: float
    duration_s: float
    uri: str
    number: int


@dataclass(frozen=True, slots=True)
class Track:
    """One representation. `bases` are its BaseURLs from the outermost in; times are seconds of the presentation."""

    id: str
    sort: str
    bandwidth: int
    bases: tuple[str, ...]
    media: str
    timescale: int
    duration: int
    start_number: int
    offset: int
    period_s: float
    timeline: Timeline | None

    def newest(self, since_start_s: float, back: int = 0) -> Newest | None:
        """Return the newest segment, or the one `back` before it; None when there is none or it has no template.

        `since_start_s` is the time since the presentation became available; it is needed where the clock tells.
        """
        if not self.media:
            return None
        found = self._by_clock(since_start_s) if self.timeline is None else self._by_timeline(since_start_s)
        if found is None:
            return None
        index, start, duration = found[0] - back, found[1] - back * found[2], found[2]
        if index < 0:
            return None
        end_s = self.period_s + (start + duration - self.offset) / self.timescale
        uri = self._fill(self.start_number + index, start)
        return Newest(end_s, duration / self.timescale, uri, self.start_number + index)

    def _by_timeline(self, since_start_s: float) -> tuple[int, int, int] | None:
        """Return index, start and duration of the last segment that is listed."""
        line = self.timeline
        if line is None or line.duration <= 0:
            return None
        if not line.open:
            return line.count, line.start, line.duration
        more = self._whole(since_start_s, line.start - self.offset, line.duration)
        return (line.count + more, line.start + more * line.duration, line.duration) if more >= 0 else None

    def _by_clock(self, since_start_s: float) -> tuple[int, int, int] | None:
        """Return the same for segments of one length, of which the last whole one should be there (section 5.3.9.5.3).

        With availabilityTimeOffset it can be had sooner, and trickles in as it is made: that is not waited for.
        """
        if self.duration <= 0:
            return None
        index = self._whole(since_start_s, 0, self.duration)
        return (index, index * self.duration + self.offset, self.duration) if index >= 0 else None

    def _whole(self, since_start_s: float, start: int, duration: int) -> int:
        """Return the index, from the one at `start`, of the last segment that has ended by now."""
        return math.floor(((since_start_s - self.period_s) * self.timescale - start) / duration) - 1

    def _fill(self, number: int, time: int) -> str:
        values = {"RepresentationID": self.id, "Number": number, "Time": time, "Bandwidth": self.bandwidth}

        def field(found: re.Match[str]) -> str:
            if found[1] is None:
                return "$"
            value = values[found[1]]
            return str(value).zfill(min(int(found[2]), MAX_WIDTH)) if found[2] else str(value)

        return _FIELD.sub(field, self.media)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest. Wall-clock times and spans in seconds, None where nothing is said; `clocks` are (scheme, value).

    `tracks` are those of its last period.
    """

    dynamic: bool
    available_at: float | None
    published_at: float | None
    update_s: float | None
    buffer_s: float | None
    clocks: tuple[tuple[str, str], ...]
    tracks: tuple[Track, ...]

    def spread_s(self) -> float:
        """Return how far apart the newest segments of picture and sound end that are listed one by one."""
        ends_s = [
            newest.end_s
            for one in self.tracks
            if one.timeline is not None and not one.timeline.open and one.sort in {"video", "audio"}
            if (newest := one.newest(0.0)) is not None
        ]
        return max(ends_s) - min(ends_s) if ends_s else 0.0

    def watched(self) -> Track | None:
        """Return the track to watch: of the pictures the lowest, else of all."""
        pictures = [one for one in self.tracks if one.sort == "video"] or list(self.tracks)
        return min(pictures, key=lambda one: (one.bandwidth, one.id), default=None)
