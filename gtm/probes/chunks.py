"""RTMP's chunk stream in, whole messages out, and back (Adobe RTMP 1.0 section 5.3). No I/O.

Of each message only the first bytes are kept: commands are short, and of media it is enough to see that it comes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

SET_CHUNK_SIZE, ABORT, USER_CONTROL, AUDIO, VIDEO, DATA, COMMAND, AGGREGATE = 1, 2, 4, 8, 9, 18, 20, 22
CONTROL_STREAM, COMMAND_STREAM = 2, 3  # chunk stream ids
DEFAULT_SIZE, MAX_SIZE = 128, 0x7FFFFFFF
KEPT_BYTES = 16 * 1024  # of each message: a command that is longer is none
MAX_CHUNKS = 3000  # in one feed: 64 KiB of chunks of the default size are 508, and one is a microsecond's work
MAX_STREAMS = 32  # chunk streams that one server may use at once; a handful is usual
_HEADER_BYTES = (11, 7, 3, 0)  # by the chunk's format (section 5.3.1.2)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `payload` is its beginning, `size` how long it is."""

    type: int
    stream: int
    size: int
    payload: bytes


@dataclass(slots=True)
class _Stream:
    """What a chunk stream remembers from one chunk to the next; `left` are the bytes of its message yet to come."""

    type: int = 0
    stream: int = 0
    size: int = 0
    extended: bool = False
    left: int = 0
    kept: bytearray = field(default_factory=bytearray)


class Reader:
    """Puts messages together again. Raises `ValueError` for what is no chunk stream."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._streams: dict[int, _Stream] = {}
        self._size = DEFAULT_SIZE
        self._now: _Stream | None = None  # in the midst of this one's chunk
        self._chunk_left = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes and yield the messages that they complete."""
        self._data += data
        for _ in range(MAX_CHUNKS):
            stream = self._now or self._begin()
            if stream is None or (self._chunk_left and not self._data):
                return
            done = self._go_on(stream)
            if done is not None:
                self._obey(done)
                yield done
        raise ValueError(f"more than {MAX_CHUNKS} chunks in {len(data)} bytes")

    def _begin(self) -> _Stream | None:
        """Read a chunk's header and return its stream; None when it is not all there."""
        data = self._data
        if not data:
            return None
        form, number, at = data[0] >> 6, data[0] & 0x3F, 1
        if number < 2:  # section 5.3.1.1: one or two more bytes of the chunk stream's id
            at += number + 1
            if len(data) < at:
                return None
            number = 64 + data[1] + (data[2] << 8 if number else 0)
        stream = self._streams.get(number)
        if stream is None:
            if form or len(self._streams) >= MAX_STREAMS:
                raise ValueError("a chunk that continues nothing" if form else "too many chunk streams")
            stream = _Stream()
        header = data[at : at + _HEADER_BYTES[form]]
        at += _HEADER_BYTES[form]
        if len(header) < _HEADER_BYTES[form]:
            return None
        extended = header[:3] == b"\xff\xff\xff" if form < 3 else stream.extended
        at += 4 * extended  # section 5.3.1.3; repeated in chunks that continue
        if len(data) < at:
            return None
        self._streams[number] = stream
        stream.extended = extended
        if form < 2:
            stream.size, stream.type = int.from_bytes(header[3:6], "big"), header[6]
        if form == 0:
            (stream.stream,) = struct.unpack_from("<I", header, 7)  # the one little-endian number of RTMP
        if form < 3 or not stream.left:
            stream.left, stream.kept = stream.size, bytearray()
        del data[:at]
        self._now, self._chunk_left = stream, min(stream.left, self._size)
        return stream

    def _go_on(self, stream: _Stream) -> Message | None:
        """Take what there is of a chunk's payload; return the message when this was its end."""
        size = min(self._chunk_left, len(self._data))
        stream.kept += self._data[: min(size, max(0, KEPT_BYTES - len(stream.kept)))]
        del self._data[:size]
        self._chunk_left -= size
        stream.left -= size
        if self._chunk_left:
            return None
        self._now = None
        if stream.left:
            return None
        found = Message(stream.type, stream.stream, stream.size, bytes(stream.kept))
        stream.kept = bytearray()
        return found

    def _obey(self, message: Message) -> None:
        """Follow the two messages that change how chunks are read (sections 5.4.1 and 5.4.2)."""
        if message.type not in {SET_CHUNK_SIZE, ABORT} or message.size < 4:
            return
        number = int.from_bytes(message.payload[:4], "big")
        if message.type == ABORT:
            aborted = self._streams.get(number)
            if aborted is not None:
                aborted.left, aborted.kept = 0, bytearray()
        elif not 1 <= number <= MAX_SIZE:
            raise ValueError(f"chunks of {number} bytes")
        else:
            self._size = number


def pack(message_type: int, stream: int, payload: bytes, chunk_stream: int = COMMAND_STREAM) -> bytes:
    """Return a message as chunks of the default size, with a whole header before the first."""
    header = struct.pack(">B3xI", chunk_stream, len(payload) << 8 | message_type) + struct.pack("<I", stream)
    parts = [payload[at : at + DEFAULT_SIZE] for at in range(0, len(payload), DEFAULT_SIZE)]
    return header + bytes((0xC0 | chunk_stream,)).join(parts)
