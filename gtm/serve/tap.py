"""Some of a worker's questions with their answers in, the same in another process out: a ring in shared memory.

One ring for each worker: the worker writes and never waits, the control process reads. A sample that does not fit is
counted, not waited for. The reader says in the ring how many answers one sample stands for. A worker faces strangers,
so the reader believes nothing that it finds there, and the memory is sealed: nobody can take it away while it is read.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# At 300 bytes a sample it holds a tenth of a second of 140,000 answers a second.
RING_BYTES = 4 * 1024 * 1024
# Every how many answers are sampled. Primes: who asks A and AAAA in turn (or any other round) is seen with both.
EVERY = (1, 3, 7, 17, 31, 61, 127, 251, 509, 1021, 2039, 4093)
_HEAD_BYTES = 64
_WRITTEN, _READ, _EVERY, _LOST, _ROOM = range(5)  # words of the ring's head; the reader's are _READ, _EVERY and _ROOM
_SAMPLE = struct.Struct("<IIdBBH16sHH")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_TRANSPORTS = ("udp", "tcp", "tls", "https")


class Sample(NamedTuple):
    """One question and its answer (empty: none was sent), which stand for `every` of them.

    `at` is wall-clock seconds; `family` and `address` are the asker's (4 or 6, a number), `port` is 0 when not known.
    """

    at: float
    every: int
    family: int
    address: int
    port: int
    transport: str
    question: bytes
    answer: bytes


class _Ring:
    """The memory that both ends see."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, _HEAD_BYTES + RING_BYTES)
        whole = memoryview(self._memory)
        self.words = whole[:_HEAD_BYTES].cast("Q")
        self.bytes = whole[_HEAD_BYTES:]

    def close(self) -> None:
        """Unmap it."""
        self.words.release()
        self.bytes.release()
        self._memory.close()


class Writer:
    """A worker's end. Without a ring, or with one that nobody wants anything from, it takes no samples."""

    def __init__(self) -> None:
        self._ring: _Ring | None = None
        self._left = 0  # answers to pass over before the next sample

    def use(self, fd: int) -> None:
        """Write into this ring from now on; the descriptor is closed."""
        if self._ring is not None:
            self._ring.close()
        self._ring = _Ring(fd)
        os.close(fd)

    def picks(self, count: int) -> Sequence[int]:
        """Return which of the next `count` answers are to be put; mostly none, and that costs next to nothing."""
        ring = self._ring
        if ring is None:
            return ()
        first = self._left
        if first >= count:
            self._left = first - count
            return ()
        every = ring.words[_EVERY]
        if not every:
            return ()
        found = range(first, count, every)
        self._left = found[-1] + every - count
        words = ring.words
        if words[_WRITTEN] - words[_READ] >= words[_ROOM]:  # nothing is cut out and copied that has no place
            words[_LOST] += len(found)
            return ()
        return found

    def put(self, sample: Sample) -> None:
        """Write one sample, or count it as lost when there is no room."""
        ring = self._ring
        if ring is None:
            return
        question, answer, words = sample.question, sample.answer, ring.words
        size = _SAMPLE.size + len(question) + len(answer)
        written = words[_WRITTEN]
        if written + size - words[_READ] > RING_BYTES or written - words[_READ] >= words[_ROOM]:
            words[_LOST] += 1
            return
        head = _SAMPLE.pack(
            size, words[_EVERY], sample.at, sample.family, _TRANSPORTS.index(sample.transport), sample.port,
            sample.address.to_bytes(16, "big"), len(question), len(answer),
        )  # fmt: skip
        _write(ring.bytes, written % RING_BYTES, head + question + answer)
        words[_WRITTEN] = written + size  # last, so that a sample half written is never seen


class Reader:
    """The control process's end. `lost` counts the samples that did not fit."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("gtm-tap", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, _HEAD_BYTES + RING_BYTES)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
        self._ring = _Ring(self.fd)
        self._at = 0  # our own memory of it: the ring's word is only for the writer
        self._lost = 0
        self.every = 0

    def want(self, every: int, room: int = RING_BYTES) -> None:
        """Ask for one of so many answers, 0 for none; of no more are written than `room` bytes wait unread, about."""
        self._ring.words[_ROOM] = room
        self.every = self._ring.words[_EVERY] = every

    def lost(self) -> int:
        """Return how many samples were lost since the last time."""
        before, self._lost = self._lost, self._ring.words[_LOST]
        return max(0, self._lost - before)

    def read(self, most: int) -> Iterator[Sample]:
        """Yield up to `most` samples. What makes no sense ends in nothing: the ring is taken as empty."""
        words = self._ring.words
        for _ in range(most):
            there = words[_WRITTEN] - self._at
            if there == 0:
                return
            sample, size = self._sample(there)
            if sample is None:
                self._at = words[_READ] = words[_WRITTEN]
                return
            self._at += size
            words[_READ] = self._at
            yield sample

    def _sample(self, there: int) -> tuple[Sample | None, int]:
        if not _SAMPLE.size <= there <= RING_BYTES:
            return None, 0
        at = self._at % RING_BYTES
        size, every, when, family, transport, port, address, asked, answered = _SAMPLE.unpack(
            _read(self._ring.bytes, at, _SAMPLE.size)
        )
        if (
            size != _SAMPLE.size + asked + answered
            or size > there
            or transport >= len(_TRANSPORTS)
            or family not in {4, 6}
        ):
            return None, 0
        number = int.from_bytes(address, "big")
        if not 0 <= when < 1e11 or not 1 <= every <= EVERY[-1] or (family == 4 and number >= 1 << 32):
            return None, 0
        body = _read(self._ring.bytes, (at + _SAMPLE.size) % RING_BYTES, asked + answered)
        return Sample(when, every, family, number, port, _TRANSPORTS[transport], body[:asked], body[asked:]), size

    def close(self) -> None:
        """Let go of the ring; the worker fills it and then counts."""
        self._ring.words[_EVERY] = 0
        self._ring.close()
        os.close(self.fd)


def every(share: float) -> int:
    """Return the largest step that still samples at least this share of the answers; 0 for a share of 0."""
    return max((one for one in EVERY if one * share <= 1.0), default=1) if share > 0 else 0


def _write(ring: memoryview, at: int, data: bytes) -> None:
    room = len(ring) - at
    ring[at : at + len(data)] = data[:room]
    if len(data) > room:
        ring[: len(data) - room] = data[room:]


def _read(ring: memoryview, at: int, size: int) -> bytes:
    room = len(ring) - at
    return bytes(ring[at : at + size]) if size <= room else bytes(ring[at:]) + bytes(ring[: size - room])
