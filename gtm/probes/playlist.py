"""An HLS playlist's bytes in, its live edge out (RFC 8216, draft-pantos-hls-rfc8216bis).

Strict where a player would stop, tolerant of what players pass over: unknown tags, parts, rendition reports. Does no
I/O and reads no clock, and raises nothing but `PlaylistError`, whatever the bytes are.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from gtm import errors

MAX_LINES = 100_000  # a day of two-second segments has 43,200 with two lines each; a hostile body has more
MAX_TARGET_S = 3600.0  # no live stream has hour-long segments, and a huge one would excuse every freeze
_SHOWN = 40

_BANDWIDTH = re.compile(r"(?:^|,)\s*BANDWIDTH=(\d{1,18})(?:,|\s|$)")
_SKIPPED = re.compile(r"SKIPPED-SEGMENTS=(\d{1,9})(?:,|$)")
_PART_DURATION = re.compile(r"(?:^|,)DURATION=(\d{1,9}(?:\.\d+)?)(?:,|$)")
_BYTERANGE = re.compile(r"(\d{1,18})(?:@(\d{1,18}))?")
_DECIMAL = re.compile(r"\d{1,9}(?:\.\d{1,30})?")


class PlaylistError(errors.GtmError, ValueError):
    """The bytes are no playlist that a player would take; the message says why."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One listed segment. `first` and `size` are its byte range, when it has one (else size 0)."""

    uri: str
    duration_s: float
    first: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Media:
    """A media playlist as far as its edge goes.

    `edge` is (number after the last full segment, parts behind that): it grows whenever the stream advances. `newest`
    is the last segment that is not a gap. `ends_at` is the wall-clock time of the end of the last segment or part, by
    EXT-X-PROGRAM-DATE-TIME.
    """

    target_s: float
    sequence: int
    segments: int
    edge: tuple[int, int]
    newest: Segment | None
    ends_at: float | None
    ended: bool
    gaps: int
    discontinuities: int


@dataclass(frozen=True, slots=True)
class Multivariant:
    """A multivariant playlist: (bandwidth, uri) of its variants, lowest first."""

    variants: tuple[tuple[int, str], ...]


def scan(body: bytes) -> Media | Multivariant:
    """Read a playlist. Raises `PlaylistError`."""
    try:
        text = body.decode("utf-8")  # RFC 8216 section 4: UTF-8, without a byte order mark, else not a playlist
    except UnicodeDecodeError:
        raise PlaylistError("not a playlist: not UTF-8") from None
    # Lines end in LF or CR LF; nothing else that Python takes for a line's end is one.
    lines = text.split("\n", MAX_LINES)
    if lines[0].rstrip() != "#EXTM3U":
        begin = f"begins with {lines[0].strip()[:_SHOWN]!r}" if text.strip() else "is empty"
        raise PlaylistError(f"not a playlist: {begin} instead of #EXTM3U")
    if len(lines) > MAX_LINES:
        raise PlaylistError(f"more than {MAX_LINES} lines")
    if "\n#EXT-X-STREAM-INF:" in text:
        if "\n#EXTINF:" in text or "\n#EXT-X-TARGETDURATION:" in text:
            raise PlaylistError("both a multivariant and a media playlist")  # RFC 8216 section 4.3.3
        return _multivariant(lines)
    return _Scan().media(lines)


def _multivariant(lines: list[str]) -> Multivariant:
    variants: list[tuple[int, str]] = []
    bandwidth = -1
    for raw in lines:
        line = raw.rstrip()
        if line.startswith("#EXT-X-STREAM-INF:"):
            found = _BANDWIDTH.search(line[18:])
            bandwidth = int(found[1]) if found else 0
        elif line and not line.startswith("#") and bandwidth >= 0:
            variants.append((bandwidth, line))
            bandwidth = -1
    if not variants:
        raise PlaylistError("a multivariant playlist without variants")
    return Multivariant(tuple(sorted(variants)))


class _Scan:
    """The state of reading one media playlist."""

    def __init__(self) -> None:
        self._target_s = 0.0
        self._sequence = 0
        self._segments = 0
        self._parts = 0
        self._newest: Segment | None = None
        self._clock: float | None = None  # PROGRAM-DATE-TIME carried on to the end of what was read
        self._parts_s = 0.0  # of parts behind the last full segment
        self._ended = False
        self._gaps = 0
        self._discontinuities = 0
        self._duration_s = -1.0  # of the segment whose address is still to come
        self._gap = False
        self._range: tuple[int, int] | None = None
        self._range_end: tuple[str, int] = ("", 0)
        self._tags: dict[str, Callable[[str], None]] = {
            "#EXTINF": self._extinf,
            "#EXT-X-TARGETDURATION": self._on_target,
            "#EXT-X-MEDIA-SEQUENCE": self._on_sequence,
            "#EXT-X-PROGRAM-DATE-TIME": self._on_clock,
            "#EXT-X-PART": self._on_part,
            "#EXT-X-SKIP": self._on_skip,
            "#EXT-X-BYTERANGE": self._on_byterange,
            "#EXT-X-GAP": self._on_gap,
            "#EXT-X-DISCONTINUITY": self._on_discontinuity,
            "#EXT-X-ENDLIST": self._on_end,
        }

    def media(self, lines: list[str]) -> Media:
        tags = self._tags
        for raw in lines:
            line = raw.rstrip()
            if line.startswith("#EXT"):
                name, _, value = line.partition(":")
                act = tags.get(name)
                if act is not None:
                    act(value)
            elif line and not line.startswith("#"):
                self._on_uri(line)
        if not self._target_s:
            raise PlaylistError("no EXT-X-TARGETDURATION")  # required, RFC 8216 section 4.3.3.1
        if self._duration_s >= 0:
            raise PlaylistError("breaks off after an EXTINF")
        return Media(
            target_s=self._target_s,
            sequence=self._sequence,
            segments=self._segments,
            edge=(self._sequence + self._segments, self._parts),
            newest=self._newest,
            ends_at=None if self._clock is None else self._clock + self._parts_s,
            ended=self._ended,
            gaps=self._gaps,
            discontinuities=self._discontinuities,
        )

    def _extinf(self, value: str) -> None:
        self._duration_s = _decimal(value.partition(",")[0], "EXTINF")

    def _on_target(self, value: str) -> None:
        target_s = _decimal(value, "EXT-X-TARGETDURATION")
        if not 0 < target_s <= MAX_TARGET_S:
            raise PlaylistError(f"EXT-X-TARGETDURATION is {value.strip()[:_SHOWN]}")
        self._target_s = target_s

    def _on_sequence(self, value: str) -> None:
        if self._segments:
            raise PlaylistError("EXT-X-MEDIA-SEQUENCE after a segment")  # RFC 8216 section 4.3.3.2
        self._sequence = _whole(value, "EXT-X-MEDIA-SEQUENCE")

    def _on_clock(self, value: str) -> None:
        """Take the time of the next segment; one that cannot be read, or has no zone, is as good as none."""
        try:
            when = datetime.datetime.fromisoformat(value.strip())
            self._clock = when.timestamp() if when.tzinfo else None
        except (ValueError, OverflowError):
            self._clock = None
        self._parts_s = 0.0

    def _on_part(self, value: str) -> None:
        self._parts += 1
        found = _PART_DURATION.search(value)
        self._parts_s += float(found[1]) if found else 0.0

    def _on_skip(self, value: str) -> None:
        found = _SKIPPED.search(value)
        self._segments += int(found[1]) if found else 0

    def _on_byterange(self, value: str) -> None:
        found = _BYTERANGE.fullmatch(value.strip())
        if not found:
            raise PlaylistError(f"EXT-X-BYTERANGE is {value.strip()[:_SHOWN]!r}")
        self._range = (int(found[1]), int(found[2]) if found[2] else -1)

    def _on_gap(self, _value: str) -> None:
        self._gap = True

    def _on_discontinuity(self, _value: str) -> None:
        self._discontinuities += 1

    def _on_end(self, _value: str) -> None:
        self._ended = True

    def _on_uri(self, uri: str) -> None:
        """End a segment: all that was said before its address belongs to it."""
        if self._duration_s < 0:
            raise PlaylistError(f"no EXTINF before {uri[:_SHOWN]!r}")  # required, RFC 8216 section 4.3.2.1
        first = size = 0
        if self._range is not None:
            size, first = self._range
            if first < 0:  # goes on where the range before it ended, RFC 8216 section 4.3.2.2
                first = self._range_end[1] if self._range_end[0] == uri else 0
            self._range_end = (uri, first + size)
        if self._gap:
            self._gaps += 1
        else:
            self._newest = Segment(uri, self._duration_s, first, size)
        if self._clock is not None:
            self._clock += self._duration_s
        self._segments += 1
        self._parts, self._parts_s = 0, 0.0
        self._duration_s, self._gap, self._range = -1.0, False, None


def _decimal(value: str, tag: str) -> float:
    found = _DECIMAL.fullmatch(value.strip())
    if not found or not math.isfinite(float(found[0])):
        raise PlaylistError(f"{tag} is {value.strip()[:_SHOWN]!r}")
    return float(found[0])


def _whole(value: str, tag: str) -> int:
    text = value.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):  # RFC 8216 section 4.2: up to 20 digits
        raise PlaylistError(f"{tag} is {text[:_SHOWN]!r}")
    return int(text)
