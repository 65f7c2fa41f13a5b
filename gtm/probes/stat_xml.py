"""The statistics page of nginx-rtmp in, its live publishers out (XML as Debian's libnginx-mod-rtmp writes it).

The page comes from outside: a DOCTYPE is refused, and with it every entity; depth and elements are bounded. What it
says of each client and each codec, which is most of it, is taken out before it is read: thousands may be watching. So
are the numbers that nobody asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH, MAX_TEXT = 32, 256  # nginx-rtmp nests ten deep, and says names and numbers
MAX_STREAMS = 700  # a page of a megabyte has as many, each with its publisher
MAX_WORDS = 6000  # elements and attributes without all that: so many streams, and some milliseconds
MAX_CLIENTS = 10_000  # more than a megabyte has room for
SLICE_BYTES = 64 * 1024  # that are parsed at a time: a tag is heard of only at its end
_UNREAD = ((b"<client>", b"</client>"), (b"<meta>", b"</meta>"))
_NUMBER = re.compile(rb"<(?:time|bw_in|bw_out|bw_audio|bw_video|bytes_out)>\d*</[a-z_]+>\s*")
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")  # a page of nothing but ends of lines is a million tokens
_SAID = {"name", "uptime", "nclients", "bytes_in"}  # elements whose text counts
_WORDS = dict.fromkeys(_SAID, 2)  # what they count, for they are more work


@dataclass(slots=True)
class Stream:
    """One stream of one application."""

    app: str
    name: str = ""
    publishing: bool = False
    clients: int = 0
    bytes_in: int = 0


@dataclass(slots=True)
class Stat:
    """The page. `uptime_s` is 0 where it is not said."""

    uptime_s: int = 0
    streams: list[Stream] = field(default_factory=list)


def read(raw: bytes) -> Stat:
    """Read the page. Raises `ValueError` for what is none."""
    for first, last in _UNREAD:
        raw = _without(raw, first, last)
    if raw.count(b"<stream>") > MAX_STREAMS:
        raise ValueError(f"more than {MAX_STREAMS} streams")
    raw = _NUMBER.sub(b"", raw.translate(_ONE_LINE), count=6 * MAX_STREAMS)
    parser = expat.ParserCreate()
    walk = _Walk(parser)
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.StartDoctypeDeclHandler = _refuse
    try:
        for at in range(0, len(raw), SLICE_BYTES):
            parser.Parse(raw[at : at + SLICE_BYTES], False)
            if at - parser.CurrentByteIndex > SLICE_BYTES:
                raise ValueError(f"one tag of more than {SLICE_BYTES} bytes")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError(f"not XML: {expat.ErrorString(error.code)}") from None
    if not walk.root:
        raise ValueError("not a page of nginx-rtmp: its first element is not <rtmp>")
    return walk.found


def _without(raw: bytes, first: bytes, last: bytes) -> bytes:
    """Return the page without what stands from `first` to `last`, and without its rest where that has no end.

    Raises `ValueError` for too many of them.
    """
    if raw.count(first) > MAX_CLIENTS:
        raise ValueError(f"more than {MAX_CLIENTS} times {first.decode()}")
    head, *parts = raw.split(first)
    return b"".join((head, *(part.partition(last)[2] for part in parts)))


def _refuse(*_: object) -> None:
    raise ValueError("a DOCTYPE, which no statistics page has")


class _Walk:
    """Goes through the elements."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.found = Stat()
        self.root = False
        self._parser = parser
        self._words = 0
        self._path: list[str] = []
        self._app = ""
        self._text = ""

    def start(self, name: str, said: dict[str, str]) -> None:
        self._words += len(said) + _WORDS.get(name, 1)
        if self._words > MAX_WORDS:
            raise ValueError(f"more than {MAX_WORDS} elements and attributes")
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise ValueError("nested too deep")
        if len(self._path) == 1:
            self.root = name == "rtmp"
        if name == "stream":
            self.found.streams.append(Stream(self._app))
        elif name in _SAID:
            self._text, self._parser.CharacterDataHandler = "", self.text

    def text(self, data: str) -> None:
        self._text += data[:MAX_TEXT]
        if len(self._text) >= MAX_TEXT:
            self._parser.CharacterDataHandler = None

    def end(self, name: str) -> None:
        self._path.pop()
        above = self._path[-1] if self._path else ""
        if name in _SAID:
            self._parser.CharacterDataHandler = None
            self._take(above, name, self._text.strip())
        elif name == "publishing" and above == "stream":
            self.found.streams[-1].publishing = True

    def _take(self, above: str, name: str, said: str) -> None:
        """Take an element's text. A client has some of these, too, so only the stream's own count."""
        if (above, name) == ("application", "name"):
            self._app = said
        elif (above, name) == ("rtmp", "uptime"):
            self.found.uptime_s = _number(said)
        elif above == "stream":
            stream = self.found.streams[-1]
            if name == "name":
                stream.name = said
            elif name == "nclients":
                stream.clients = _number(said)
            elif name == "bytes_in":
                stream.bytes_in = _number(said)


def _number(said: str) -> int:
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else 0
