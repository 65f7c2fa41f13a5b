"""A DASH manifest's bytes in, a `Manifest` out: read with expat as a stream of elements, nothing of it kept.

Manifests come from outside: a document type, and with it every entity, is refused; depth and number of elements and
attributes are bounded. Raises nothing but `MpdError`, whatever the bytes are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from gtm import errors
from gtm.probes import dates, mpd, mpd_timeline

MAX_DEPTH = 32  # a manifest nests eight deep
# Elements and attributes together, after long timelines were cut: a probe may not hold up the others for more than some
# milliseconds. Ten periods of forty representations have as many.
MAX_WORDS = 7_000
# What elements count that are more work than others: they open a level, hold text, or say times.
_WORDS = {"AdaptationSet": 3, "BaseURL": 3, "Period": 8, "Representation": 3, "S": 3}
SLICE_BYTES = 64 * 1024  # that are parsed at a time: a tag is heard of only at its end
MAX_TRACKS = 200  # as `multivariant.MAX_RENDITIONS`
MAX_TEXT = 2048  # of a BaseURL
MAX_NUMBER = 2**63

_HOLDERS = {"MPD", "Period", "AdaptationSet", "Representation"}
_TEMPLATE = ("media", "timescale", "duration", "startNumber", "presentationTimeOffset")


class MpdError(errors.GtmError, ValueError):
    """The bytes are no manifest that a player would take; the message says why."""


@dataclass(slots=True)
class _Level:
    """What an element of the hierarchy says, and what it has inherited."""

    bases: tuple[str, ...] = ()
    template: dict[str, str] = field(default_factory=dict)
    timeline: mpd.Timeline | None = None
    sort: str = ""
    based: bool = False


def read(body: bytes) -> mpd.Manifest:
    """Read a manifest. Raises `MpdError`."""
    try:
        body, before = mpd_timeline.cut(body)
    except ValueError as error:
        raise MpdError(str(error)) from None
    parser = expat.ParserCreate()
    reader = _Reader(parser, before)
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        for at in range(0, len(body), SLICE_BYTES):
            parser.Parse(body[at : at + SLICE_BYTES], False)
            if at - parser.CurrentByteIndex > SLICE_BYTES:
                raise MpdError(f"not a manifest: one tag of more than {SLICE_BYTES} bytes")
        parser.Parse(b"", True)
    except MpdError:
        raise
    except expat.ExpatError as error:
        raise MpdError(f"not a manifest: {expat.ErrorString(error.code)} in line {error.lineno}") from None
    except (ValueError, LookupError):  # an encoding that nobody knows
        raise MpdError("not a manifest: an unknown encoding") from None
    return reader.manifest()


def _refuse(*_: object) -> None:
    raise MpdError("the manifest has a document type, which is refused")


class _Reader:
    """The state of reading one manifest."""

    def __init__(self, parser: expat.XMLParserType, before: Mapping[int, mpd_timeline.Before]) -> None:
        self._parser = parser
        self._before = before
        self._path: list[str] = []
        self._levels: list[_Level] = [_Level()]
        self._words = 0
        self._mpd: Mapping[str, str] = {}
        self._clocks: list[tuple[str, str]] = []
        self._periods: list[tuple[float, list[mpd.Track]]] = []
        self._period_end_s = 0.0
        self._representation: Mapping[str, str] = {}
        self._text: list[str] | None = None
        self._line: _Line | None = None

    def start(self, tag: str, said: dict[str, str]) -> None:
        """Take the beginning of an element."""
        name = tag.rpartition(":")[2]
        self._words += len(said) + _WORDS.get(name, 1)
        if self._words > MAX_WORDS:
            raise MpdError(f"more than {MAX_WORDS} elements and attributes")
        if name == "S" and self._line is not None:
            self._line.add(said)
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise MpdError(f"elements nested deeper than {MAX_DEPTH}")
        if name in _HOLDERS:
            self._open(name, said)
        elif name == "SegmentTemplate":
            self._levels[-1].template |= {one: said[one] for one in _TEMPLATE if one in said}
        elif name == "SegmentTimeline":
            self._line = _Line(self._before.get(self._parser.CurrentByteIndex))
        elif name == "BaseURL":
            self._text, self._parser.CharacterDataHandler = [], self.text
        elif name == "UTCTiming" and len(self._clocks) < MAX_DEPTH:
            self._clocks.append((said.get("schemeIdUri", ""), said.get("value", "")[:MAX_TEXT]))

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        name = self._path.pop()
        if name == "SegmentTimeline" and self._line is not None:
            self._levels[-1].timeline, self._line = self._line.sum(), None
        elif name == "BaseURL" and self._text is not None:
            level, text = self._levels[-1], "".join(self._text).strip()
            if text and not level.based:  # the first of several; the others are other places
                level.bases, level.based = (*level.bases, text), True
            self._text = self._parser.CharacterDataHandler = None
        elif name in _HOLDERS:
            if name == "Representation":
                self._track()
            self._levels.pop()

    def text(self, text: str) -> None:
        """Take text, of which only a BaseURL's matters."""
        if self._text is not None:
            self._text.append(text[:MAX_TEXT])
            if len(self._text) > MAX_TEXT:
                raise MpdError("a BaseURL without end")

    def manifest(self) -> mpd.Manifest:
        """Return what was read."""
        said = self._mpd
        if not said:
            raise MpdError("not a manifest: no MPD element")
        started = [tracks for _, tracks in self._periods if tracks]
        return mpd.Manifest(
            dynamic=said.get("type", "static") == "dynamic",
            available_at=_moment(said, "availabilityStartTime"),
            published_at=_moment(said, "publishTime"),
            update_s=_span(said, "minimumUpdatePeriod"),
            buffer_s=_span(said, "timeShiftBufferDepth"),
            clocks=tuple(self._clocks),
            tracks=tuple(started[-1]) if started else (),
        )

    def _open(self, name: str, said: dict[str, str]) -> None:
        above = self._levels[-1]
        sort = said.get("contentType") or said.get("mimeType", "").partition("/")[0] or above.sort
        self._levels.append(_Level(above.bases, dict(above.template), above.timeline, sort))
        if name == "MPD":
            if len(self._path) > 1:
                raise MpdError("not a manifest: an MPD inside another element")
            self._mpd = {**said, "": ""}
        elif name == "Period":
            start_s = _span(said, "start")
            start_s = self._period_end_s if start_s is None else start_s
            self._period_end_s = start_s + (_span(said, "duration") or 0.0)
            self._periods = [*self._periods[-1:], (start_s, [])]
        elif name == "Representation":
            self._representation = said

    def _track(self) -> None:
        """Take a representation, with what it has inherited."""
        level, said = self._levels[-1], self._representation
        if not self._periods:
            raise MpdError("a Representation outside a Period")
        start_s, tracks = self._periods[-1]
        if len(tracks) >= MAX_TRACKS:
            raise MpdError(f"more than {MAX_TRACKS} representations")
        template = level.template
        tracks.append(
            mpd.Track(
                id=said.get("id", "")[:256],
                sort=level.sort,
                bandwidth=_whole(said, "bandwidth", 0),
                bases=level.bases,
                media=template.get("media", "")[:MAX_TEXT],
                timescale=max(1, _whole(template, "timescale", 1)),
                duration=_whole(template, "duration", 0),
                start_number=_whole(template, "startNumber", 1),
                offset=_whole(template, "presentationTimeOffset", 0),
                period_s=start_s,
                timeline=level.timeline,
            )
        )


class _Line:
    """The sum of a SegmentTimeline while it is read."""

    def __init__(self, before: mpd_timeline.Before | None) -> None:
        self._end: int | None = before.end if before else None
        self._last = (0, 0)
        self._count = (before.count if before else 0) - 1
        self._open = False
        self._gaps = 0

    def add(self, said: Mapping[str, str]) -> None:
        """Take an `S`: `d` long from `t` (else from the end of the last), and `r` times more (section 5.3.9.6)."""
        duration, repeats = _whole(said, "d", 0), _whole(said, "r", 0, low=-1)
        start = _whole(said, "t", self._end or 0)
        if self._end is not None and start > self._end:
            self._gaps += 1
        self._open = repeats < 0
        more = max(0, repeats)
        self._count += 1 + more
        self._last = start + more * duration, duration
        self._end = start + (more + 1) * duration
        if self._end > MAX_NUMBER:
            raise MpdError("a SegmentTimeline without end")

    def sum(self) -> mpd.Timeline | None:
        """Return the sum; None for an empty one."""
        return mpd.Timeline(*self._last, self._count, self._open, self._gaps) if self._count >= 0 else None


def _whole(said: Mapping[str, str], name: str, absent: int, *, low: int = 0) -> int:
    text = said.get(name, "").strip()
    if not text:
        return absent
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19):
        raise MpdError(f"{name} is {text[:40]!r}")
    return max(low, int(text))


def _moment(said: Mapping[str, str], name: str) -> float | None:
    return dates.moment(said[name]) if name in said else None


def _span(said: Mapping[str, str], name: str) -> float | None:
    return dates.duration_s(said[name]) if name in said else None
