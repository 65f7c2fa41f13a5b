"""The statistics page of nginx-rtmp in, its live publishers out (XML as Debian's libnginx-mod-rtmp writes it).

The page comes from outside: a DOCTYPE is refused, and with it every entity; depth and streams are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH, MAX_STREAMS, MAX_TEXT = 32, 10_000, 256


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
    walk = _Walk()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.CharacterDataHandler = walk.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise ValueError(f"not XML: {expat.ErrorString(error.code)} in line {error.lineno}") from None
    if not walk.root:
        raise ValueError("not a page of nginx-rtmp: its first element is not <rtmp>")
    return walk.found


def _refuse(*_: object) -> None:
    raise ValueError("a DOCTYPE, which no statistics page has")


class _Walk:
    """Goes through the elements. A client of a stream has <publishing/> too, so only the stream's own counts."""

    def __init__(self) -> None:
        self.found = Stat()
        self.root = False
        self._path: list[str] = []
        self._app = ""
        self._text = ""

    def start(self, name: str, _: object) -> None:
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise ValueError("nested too deep")
        if len(self._path) == 1:
            self.root = name == "rtmp"
        if name == "stream":
            if len(self.found.streams) >= MAX_STREAMS:
                raise ValueError(f"more than {MAX_STREAMS} streams")
            self.found.streams.append(Stream(self._app))
        self._text = ""

    def text(self, data: str) -> None:
        if len(self._text) < MAX_TEXT:
            self._text += data[:MAX_TEXT]

    def end(self, name: str) -> None:
        where, said = tuple(self._path[-2:]), self._text.strip()
        self._path.pop()
        self._text = ""
        if where == ("application", "name"):
            self._app = said
        elif where == ("rtmp", "uptime"):
            self.found.uptime_s = _number(said)
        elif where[0] == "stream" and self.found.streams:
            stream = self.found.streams[-1]
            if name == "name":
                stream.name = said
            elif name == "publishing":
                stream.publishing = True
            elif name == "nclients":
                stream.clients = _number(said)
            elif name == "bytes_in":
                stream.bytes_in = _number(said)


def _number(said: str) -> int:
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else 0
