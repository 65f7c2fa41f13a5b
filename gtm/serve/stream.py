"""dnstap frames in, a Frame Streams connection to whoever reads them out; what a slow reader misses is counted.

The bidirectional handshake of Frame Streams (READY, ACCEPT, START, frames, STOP, FINISH), over a Unix socket or TCP.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable, Sequence

from gtm import answering, model
from gtm.wire import dnstap

# What waits for a reader: some 10,000 questions with their answers. Beyond it the new ones are dropped.
MOST_WAITING_BYTES = 4 * 1024 * 1024
_BATCH_BYTES = 64 * 1024
_HANDSHAKE_S = 5.0
_STUCK_S = 10.0  # a reader that takes nothing for so long is left, and tried again
_BACKOFF_S = (0.5, 30.0)  # the first pause before trying again, and the longest

Said = Callable[[str, str, str], None]


class Sender:
    """One reader's connection, made again and again. `sent` and `dropped` count frames.

    `said(before, after, cause)` is told when the reader comes and goes.
    """

    def __init__(self, to: answering.Dnstap, said: Said) -> None:
        self.to = to
        self.sent = self.dropped = 0
        self.connected = False
        self._said = said
        self._waiting: collections.deque[bytes] = collections.deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._closing = False
        self._troubled = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def reader(self) -> str:
        """Who reads, for people."""
        return str(model.Listen(*self.to.tcp)) if self.to.tcp is not None else self.to.socket

    def offer(self, frames: Sequence[bytes]) -> None:
        """Send these frames soon, or count them as dropped."""
        size = sum(map(len, frames))
        if self._waiting_bytes + size > MOST_WAITING_BYTES:
            self.dropped += len(frames)
            return
        self._waiting.extend(frames)
        self._waiting_bytes += size
        self._news.set()

    async def close(self) -> None:
        """Send what waits to a reader that is there, take leave of it, and end."""
        self._closing = True
        self._news.set()
        try:
            async with asyncio.timeout(1.0):
                await self._task
        except TimeoutError:
            self._task.cancel()
        self.dropped += len(self._waiting)
        self._waiting.clear()

    async def _run(self) -> None:
        pause_s, loop = _BACKOFF_S[0], asyncio.get_running_loop()
        while not self._closing:
            began_s = loop.time()
            try:
                await self._connect()
            except (OSError, EOFError, TimeoutError) as error:  # a broken connection is an OSError, too
                if self.connected or not self._troubled:
                    self._troubled = True
                    why = str(error) or ("the reader takes nothing" if self.connected else "no answer in time")
                    before = "connected" if self.connected else ""
                    self._said(before, "unusable", f"{why}; what it misses is counted")
            self.connected = False
            if loop.time() - began_s > _BACKOFF_S[1]:  # one that leaves as often as it comes is given time, too
                pause_s = _BACKOFF_S[0]
            if not self._closing:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _BACKOFF_S[1])

    async def _connect(self) -> None:
        async with asyncio.timeout(_HANDSHAKE_S):
            if self.to.tcp is not None:
                reader, writer = await asyncio.open_connection(*self.to.tcp)
            else:
                reader, writer = await asyncio.open_unix_connection(self.to.socket)
        try:
            writer.write(dnstap.control(dnstap.READY))
            async with asyncio.timeout(_HANDSHAKE_S):
                if not dnstap.accepts(await _control(reader)):
                    raise EOFError("the reader does not want dnstap")
            writer.write(dnstap.control(dnstap.START))
            self.connected, self._troubled = True, False
            self._said("unusable", "connected", "the reader accepted")
            await self._feed(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):  # it is over, one way or the other
                await writer.wait_closed()

    async def _feed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send frames as they come, until `close`. Raises when the reader leaves or takes nothing."""
        writer.transport.set_write_buffer_limits(high=_BATCH_BYTES)
        gone = asyncio.ensure_future(reader.read(1))  # a reader has nothing to say before STOP
        try:
            while not self._closing or self._waiting:
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({news, gone}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if gone.done():
                    raise EOFError("the reader has left")
                self._news.clear()
                while self._waiting and not gone.done():
                    await self._send(writer)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        writer.write(dnstap.control(dnstap.STOP, says_what=False))
        await _control(reader)  # FINISH

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        batch, size = [], 0
        while self._waiting and size < _BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._waiting_bytes -= size
        try:
            writer.write(b"".join(batch))
            async with asyncio.timeout(_STUCK_S):
                await writer.drain()
        except (OSError, TimeoutError):
            self.dropped += len(batch)
            writer.transport.abort()  # what it did not take would be waited for, as long as it stays
            raise
        self.sent += len(batch)


async def _control(reader: asyncio.StreamReader) -> bytes:
    """Return the body of the next control frame. Raises `EOFError` for anything else."""
    head = await reader.readexactly(8)  # raises IncompleteReadError, an EOFError
    size = int.from_bytes(head[4:])
    if head[:4] != bytes(4) or size > dnstap.MAX_CONTROL_BYTES:
        raise EOFError("the reader does not speak Frame Streams")
    return await reader.readexactly(size)
