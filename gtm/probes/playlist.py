"""An HLS playlist's bytes in, its live edge out (RFC 8216, draft-pantos-hls-rfc8216bis).

Strict where a player would stop, tolerant of what players pass over. Does no I/O and reads no clock, and raises
nothing but `PlaylistError`, whatever the bytes are. A long playlist (hours of rewind) is read at its head and its
tail, where its edge stands, so that the work is bounded.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gtm.probes import hls_tags, multivariant

MAX_LINES = 100_000  # a day of two-second segments has 43,200 with two lines each; a hostile body has more
MAX_TARGET_S = 3600.0  # no live stream has hour-long segments, and a huge one would excuse every freeze
WHOLE_CHARACTERS = 48 * 1024  # up to here all of it is read: some 800 segments
HEAD_CHARACTERS, TAIL_CHARACTERS = 8 * 1024, 24 * 1024
MAX_DATED = (
    10_000  # segments since the last date, whose lengths are added up to tell the time: five hours of two seconds
)
REMEMBERED = 64  # segments whose durations are told one by one: more than come between two looks

PlaylistError = hls_tags.PlaylistError
Multivariant = multivariant.Multivariant

_EXTINF = re.compile(r"\n#EXTINF:[ \t]*(\d{1,9}(?:\.\d{1,30})?)")
_DATE = re.compile(r"\n#EXT-X-PROGRAM-DATE-TIME:([^\n]{1,64})")
_SEGMENT, _CLOCK = "\n#EXTINF:", "\n#EXT-X-PROGRAM-DATE-TIME:"


@dataclass(frozen=True, slots=True)
class Segment:
    """One listed segment or part. `first` and `size` are its byte range, when it has one (else size 0)."""

    uri: str
    duration_s: float
    first: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Media:
    """A media playlist as far as its edge goes.

    `edge` is (number after the last full segment, parts behind that): it grows whenever the stream advances. `newest`
    is the last segment that is not a gap, `newest_part` the last part. `ends_at` is the wall-clock time of the end of
    the last segment or part, by EXT-X-PROGRAM-DATE-TIME. `durations_s` are those of the last segments, `breaks` the
    numbers of those of them before which a discontinuity stands. `blocks`: the server offers blocking reloads. `key`
    is the address of the newest segment's key, empty for none.
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
    part_target_s: float = 0.0
    blocks: bool = False
    newest_part: Segment | None = None
    durations_s: tuple[float, ...] = ()
    breaks: tuple[int, ...] = ()
    key: str = ""

    def grown_s(self, since: int) -> float:
        """Return how long the segments are from number `since` on; those no longer listed count a target each."""
        count = max(0, self.edge[0] - since)
        known = self.durations_s[-count:] if count else ()
        return sum(known) + (count - len(known)) * self.target_s


Playlist = Media | Multivariant


def scan(body: bytes) -> Playlist:
    """Read a playlist. Raises `PlaylistError`."""
    try:
        text = body.decode("utf-8")  # RFC 8216 section 4: UTF-8, without a byte order mark, else not a playlist
    except UnicodeDecodeError:
        raise PlaylistError("not a playlist: not UTF-8") from None
    first = text[: text.find("\n")] if "\n" in text else text
    if first.rstrip() != "#EXTM3U":
        begin = f"begins with {first.strip()[: hls_tags.SHOWN]!r}" if text.strip() else "is empty"
        raise PlaylistError(f"not a playlist: {begin} instead of #EXTM3U")
    if text.count("\n") > MAX_LINES:
        raise PlaylistError(f"more than {MAX_LINES} lines")
    if "\n#EXT-X-STREAM-INF:" in text:
        if _SEGMENT in text or "\n#EXT-X-TARGETDURATION:" in text:
            raise PlaylistError("both a multivariant and a media playlist")  # RFC 8216 section 4.3.3
        if len(text) > multivariant.MAX_CHARACTERS or text.count("\n") > multivariant.MAX_LINES:
            raise PlaylistError(f"a multivariant playlist of {len(text)} characters")
        return multivariant.read(text.split("\n"))  # lines end in LF or CR LF; nothing else is a line's end
    return _media(text) if len(text) <= WHOLE_CHARACTERS else _long(text)


def _media(text: str) -> Media:
    scan = _Scan()
    scan.lines(text.split("\n"))
    return scan.media()


def _long(text: str) -> Media:
    """Read head and tail; what lies between is counted."""
    scan = _Scan()
    head = text[: max(0, text.find(_SEGMENT, 0, HEAD_CHARACTERS))] or text[:HEAD_CHARACTERS].rpartition("\n")[0]
    scan.lines(head.split("\n"))
    tail = text[-TAIL_CHARACTERS:]
    lines = tail.split("\n")
    at = next((at for at, line in enumerate(lines[1:], 1) if line.strip() and not line.startswith("#")), 0)
    if not at:
        raise PlaylistError(f"no segment in the last {TAIL_CHARACTERS} characters")
    rest = "\n" + "\n".join(lines[at + 1 :])
    before = len(text) - len(rest)
    scan.skip(
        text.count(_SEGMENT, 0, before),
        text.count("\n#EXT-X-GAP", 0, before),
        text.count("\n#EXT-X-DISCONTINUITY", 0, before) - text.count("\n#EXT-X-DISCONTINUITY-", 0, before),
    )
    if _CLOCK not in rest and _CLOCK in text:
        scan.clock = _clock_at(text, before)
    scan.lines(lines[at + 1 :])
    return scan.media()


def _clock_at(text: str, until: int) -> float | None:
    """Return the date at `until`: the last one before it, and the segments since. None where those are too many."""
    at = text.rfind(_CLOCK, 0, until)
    found = _DATE.match(text, at) if at >= 0 else None
    since = _date(found[1]) if found and text.count(_SEGMENT, at, until) <= MAX_DATED else None
    return None if since is None else since + sum(map(float, _EXTINF.findall(text, at + 1, until)))


class _Scan:
    """The state of reading one media playlist."""

    def __init__(self) -> None:
        self.clock: float | None = None  # PROGRAM-DATE-TIME carried on to the end of what was read
        self._target_s = self._part_target_s = 0.0
        self._sequence = self._segments = self._parts = self._gaps = self._discontinuities = 0
        self._newest: Segment | None = None
        self._newest_part: Segment | None = None
        self._parts_s = 0.0  # of parts behind the last full segment
        self._durations_s: list[float] = []
        self._breaks: list[int] = []
        self._ended = self._blocks = self._gap = False
        self._key = ""
        self._duration_s = -1.0  # of the segment whose address is still to come
        self._range: tuple[int, int] | None = None
        self._ranges: dict[bool, tuple[str, int]] = {}  # where the last byte range ended, of segments and of parts

    def lines(self, lines: list[str]) -> None:
        """Take lines in."""
        for raw in lines:
            line = raw.rstrip()
            if line.startswith("#EXT"):
                name, _, value = line.partition(":")
                act = _TAGS.get(name)
                if act is not None:
                    act(self, value)
            elif line and not line.startswith("#"):
                self._on_uri(line)

    def skip(self, segments: int, gaps: int, discontinuities: int) -> None:
        """Count what is not read."""
        self._segments += segments
        self._gaps += gaps
        self._discontinuities += discontinuities

    def media(self) -> Media:
        """Return what was read. Raises `PlaylistError` where a player would stop."""
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
            ends_at=None if self.clock is None else self.clock + self._parts_s,
            ended=self._ended,
            gaps=self._gaps,
            discontinuities=self._discontinuities,
            part_target_s=self._part_target_s,
            blocks=self._blocks,
            newest_part=self._newest_part,
            durations_s=tuple(self._durations_s[-REMEMBERED:]),
            breaks=tuple(one for one in self._breaks if one >= self._sequence + self._segments - REMEMBERED),
            key=self._key,
        )

    def _on_extinf(self, value: str) -> None:
        self._duration_s = hls_tags.decimal(value.partition(",")[0], "EXTINF")

    def _on_target(self, value: str) -> None:
        target_s = hls_tags.decimal(value, "EXT-X-TARGETDURATION")
        if not 0 < target_s <= MAX_TARGET_S:
            raise PlaylistError(f"EXT-X-TARGETDURATION is {value.strip()[: hls_tags.SHOWN]}")
        self._target_s = target_s

    def _on_sequence(self, value: str) -> None:
        if self._segments:
            raise PlaylistError("EXT-X-MEDIA-SEQUENCE after a segment")  # RFC 8216 section 4.3.3.2
        self._sequence = hls_tags.whole(value, "EXT-X-MEDIA-SEQUENCE")

    def _on_clock(self, value: str) -> None:
        """Take the time of the next segment; one that cannot be read, or has no zone, is as good as none."""
        self.clock, self._parts_s = _date(value), 0.0

    def _on_part(self, value: str) -> None:
        said = hls_tags.attributes(value)
        duration_s = hls_tags.loose(said.get("DURATION", ""))
        self._parts += 1
        self._parts_s += duration_s
        if said.get("URI") and said.get("GAP") != "YES":
            where = hls_tags.byte_range(said["BYTERANGE"], "BYTERANGE") if "BYTERANGE" in said else None
            self._newest_part = self._placed(said["URI"], duration_s, where, part=True)

    def _on_part_inf(self, value: str) -> None:
        self._part_target_s = min(MAX_TARGET_S, hls_tags.loose(hls_tags.attributes(value).get("PART-TARGET", "")))

    def _on_control(self, value: str) -> None:
        self._blocks = hls_tags.attributes(value).get("CAN-BLOCK-RELOAD") == "YES"

    def _on_skip(self, value: str) -> None:
        said = hls_tags.attributes(value).get("SKIPPED-SEGMENTS", "")
        self._segments += int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else 0

    def _on_byterange(self, value: str) -> None:
        self._range = hls_tags.byte_range(value, "EXT-X-BYTERANGE")

    def _on_gap(self, _value: str) -> None:
        self._gap = True

    def _on_discontinuity(self, _value: str) -> None:
        self._discontinuities += 1
        self._breaks.append(self._sequence + self._segments)

    def _on_key(self, value: str) -> None:
        said = hls_tags.attributes(value)
        self._key = said.get("URI", "") if said.get("METHOD") != "NONE" else ""

    def _on_end(self, _value: str) -> None:
        self._ended = True

    def _on_uri(self, uri: str) -> None:
        """End a segment: all that was said before its address belongs to it."""
        if self._duration_s < 0:
            raise PlaylistError(f"no EXTINF before {uri[: hls_tags.SHOWN]!r}")  # required, RFC 8216 section 4.3.2.1
        segment = self._placed(uri, self._duration_s, self._range, part=False)
        if self._gap:
            self._gaps += 1
        else:
            self._newest = segment
        if self.clock is not None:
            self.clock += self._duration_s
        self._durations_s.append(self._duration_s)
        self._segments += 1
        self._parts, self._parts_s = 0, 0.0
        self._duration_s, self._gap, self._range = -1.0, False, None

    def _placed(self, uri: str, duration_s: float, where: tuple[int, int] | None, *, part: bool) -> Segment:
        """Return a segment or part with its byte range, which may go on where the last one of its sort ended."""
        if where is None:
            return Segment(uri, duration_s)
        size, first = where
        if first < 0:  # RFC 8216 section 4.3.2.2
            last_uri, last_end = self._ranges.get(part, ("", 0))
            first = last_end if last_uri == uri else 0
        self._ranges[part] = (uri, first + size)
        return Segment(uri, duration_s, first, size)


# Not of each scan: one that held its own methods would be left to the collector, which stops every probe meanwhile.
_TAGS: Mapping[str, Callable[[_Scan, str], None]] = {
    "#EXTINF": _Scan._on_extinf,
    "#EXT-X-TARGETDURATION": _Scan._on_target,
    "#EXT-X-MEDIA-SEQUENCE": _Scan._on_sequence,
    "#EXT-X-PROGRAM-DATE-TIME": _Scan._on_clock,
    "#EXT-X-PART": _Scan._on_part,
    "#EXT-X-PART-INF": _Scan._on_part_inf,
    "#EXT-X-SERVER-CONTROL": _Scan._on_control,
    "#EXT-X-SKIP": _Scan._on_skip,
    "#EXT-X-BYTERANGE": _Scan._on_byterange,
    "#EXT-X-GAP": _Scan._on_gap,
    "#EXT-X-DISCONTINUITY": _Scan._on_discontinuity,
    "#EXT-X-KEY": _Scan._on_key,
    "#EXT-X-ENDLIST": _Scan._on_end,
}


def _date(value: str) -> float | None:
    try:
        when = datetime.datetime.fromisoformat(value.strip())
        return when.timestamp() if when.tzinfo else None
    except (ValueError, OverflowError):
        return None
