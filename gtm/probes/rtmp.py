"""An RTMP or RTMPS check in, how far a client gets out: handshake, application, a stream's media (Adobe RTMP 1.0).

Gentle by default: handshake and `connect` disturb nobody. `play` watches one stream as a viewer does. Publishing is
for a key that is set aside for it alone, and is given up at once if somebody else is there.
"""

from __future__ import annotations

import asyncio
import collections
import os
import socket
from collections.abc import Mapping

from gtm import model
from gtm.probes import amf, chunks, dial, prober

HANDSHAKE = model.Measure("time.handshake", "s", "RTMP handshake, after TCP and TLS")
COMMAND = model.Measure("time.command", "s", "from `connect` to its answer")
MEDIA = model.Measure("time.media", "s", "from `play` to the first audio or video that is more than a codec's header")
PRESENT = model.Measure("stream.present", "", "whether the stream has a publisher who sends media; with `play`")
PUBLISHERS = model.Measure("publishers", "", "live publishers, as far as this check can tell: 1 or 0")

KIND = model.Kind(
    name="rtmp",
    doc="RTMP, or RTMPS with `tls`: handshake and `connect`, and where asked the media of one stream, or a trial of "
    "publishing",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("app", "text", "application to connect to", "live", fills=True),
        model.Option("play", "text", "stream whose media must come, as a viewer sees it", "", fills=True),
        model.Option(
            "idle", "choice", "what a stream without media counts as, for `play`", "bad", choices=("bad", "ok")
        ),
        # No placeholders: a name's own stream key must not come in here by itself.
        model.Option(
            "publish_reserved_key",
            "text",
            "publish for a moment under this key, which must be set aside for probes: no encoder may ever use it",
            "",
        ),
    ),
    measures=(
        HANDSHAKE,
        COMMAND,
        MEDIA,
        model.Measure("code", "text", "the server's last word, as in `NetConnection.Connect.Success`"),
        PRESENT,
        PUBLISHERS,
        dial.TIME_DNS,
        dial.TIME_CONNECT,
        dial.TIME_TLS,
        prober.TIME_TOTAL,
        dial.DAYS_LEFT,
    ),
    port=1935,
    tls_port=443,
    apart=(("play", "publish_reserved_key"),),
)

VERSION = 3
_RANDOM_BYTES, _PART_BYTES = 1528, 1536
_MAX_BYTES = 4 * 1024 * 1024  # some seconds of any stream; a server that sends more without what is awaited is none
_READ_BYTES = 64 * 1024
_PING, _PONG = 6, 7  # user control events (section 7.1.7)
_MOVE = "NetConnection.Connect.ReconnectRequest"  # Enhanced RTMP v2: the server asks its clients to leave
_WAIT_SHARE = 0.8  # of the time that is left: the reason must still come out


async def look(trial: prober.Trial) -> str:
    """Shake hands, connect, play or publish where asked, and take leave."""
    play, key = trial.text("play"), trial.text("publish_reserved_key")
    if play and key:
        raise prober.NotRun("`play` and `publish_reserved_key` are two checks: write two profiles")
    reader = asyncio.StreamReader(limit=_READ_BYTES)
    transport, _ = await dial.reach(trial, lambda: asyncio.StreamReaderProtocol(reader), trial.tls())
    session = Session(trial, reader, transport)
    try:
        await session.shake_hands()
        await session.connect()
        if play:
            return await session.play(play)
        if key:
            return await session.publish(key)
    except asyncio.IncompleteReadError:
        raise prober.Failed(f"connection closed before the {trial.awaiting} came") from None
    finally:
        transport.close()
    return ""


class Session:
    """One connection's worth of RTMP."""

    def __init__(self, trial: prober.Trial, reader: asyncio.StreamReader, transport: asyncio.Transport) -> None:
        self._trial, self._reader, self._transport = trial, reader, transport
        self._chunks = chunks.Reader()
        self._heard: collections.deque[chunks.Message] = collections.deque()
        self._received = 0
        self._transaction = 0.0

    async def shake_hands(self) -> None:
        """C0 to S2 (section 5.2). Measures `time.handshake`."""
        trial, began_s = self._trial, self._trial.monotonic()
        trial.awaiting = "RTMP handshake"
        self._transport.write(bytes((VERSION,)) + bytes(8) + os.urandom(_RANDOM_BYTES))
        (version,) = await self._reader.readexactly(1)
        if version != VERSION:
            raise prober.Failed(f"RTMP version {version} instead of {VERSION}: no RTMP server")
        theirs = await self._reader.readexactly(_PART_BYTES)
        await self._reader.readexactly(_PART_BYTES)
        self._transport.write(theirs)
        self._hasten()
        trial.measures[HANDSHAKE.name] = trial.monotonic() - began_s

    async def connect(self) -> None:
        """Name the application (section 7.2.1.1). Measures `time.command`."""
        trial, app = self._trial, self._trial.text("app")
        scheme, host = "rtmps" if trial.tls() else "rtmp", trial.host
        about = {
            "app": app,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; gtm health check)",
            "tcUrl": f"{scheme}://{f'[{host}]' if ':' in host else host}:{trial.check.port}/{app}",
        }
        began_s = trial.monotonic()
        await self._ask("connect", about, f"answer to connect to {app!r}")
        trial.reached = True
        trial.measures[COMMAND.name] = trial.monotonic() - began_s

    async def play(self, name: str) -> str:
        """Wait for a stream's media. Measures `time.media`, `stream.present`, `publishers`."""
        trial, stream, began_s = self._trial, await self._create_stream(), self._trial.monotonic()
        self._send(stream, "play", 0, None, name)
        trial.awaiting, why, failed = f"media of {name!r}", f"stream {name!r} sends no media", prober.Failed
        try:
            async with asyncio.timeout(trial.left_s() * _WAIT_SHARE):
                while not is_media(message := await self._next()):
                    code, level = self._status(message)
                    if level == "error":
                        why = f"stream {name!r} is not there: {code}"
                        break
                else:
                    trial.measures[MEDIA.name], why = trial.monotonic() - began_s, ""
        except TimeoutError:
            failed = prober.Silent  # which is what `why` says already
        except prober.Failed as gone:  # a server that has just lost the publisher hangs up on who watches
            why = f"stream {name!r} sends no media: {gone}"
        trial.measures[PRESENT.name], trial.measures[PUBLISHERS.name] = not why, int(not why)
        self._send(0, "deleteStream", 0, None, stream)
        if why and trial.text("idle") == "bad":
            raise failed(why)
        return why

    async def publish(self, key: str) -> str:
        """Become the publisher of the reserved key for a moment. Measures `publishers`: 1 when somebody else is it."""
        trial, stream = self._trial, await self._create_stream()
        self._send(stream, "publish", 0, None, key, "live")
        trial.awaiting = "answer to publish"
        while True:
            code, level = self._status(await self._next())
            if code == "NetStream.Publish.BadName":  # somebody publishes under it: left alone, and not tried again
                trial.measures[PUBLISHERS.name] = 1
                return "the reserved key is in use"
            if level == "error":
                raise prober.Failed(f"publishing is refused: {code}")
            if code == "NetStream.Publish.Start":
                trial.measures[PUBLISHERS.name] = 0
                self._send(0, "deleteStream", 0, None, stream)
                return ""

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _create_stream(self) -> int:
        said = await self._ask("createStream", None, "stream")
        number = said[3] if len(said) > 3 else None
        if not isinstance(number, float) or not 0 < number < 2**32:
            raise prober.Failed("createStream was answered without a stream")
        return int(number)

    async def _ask(self, command: str, about: object, what: str) -> list[amf.Value]:
        """Send a command and return its `_result`. Raises `Failed` when it is refused."""
        self._transaction += 1
        self._send(0, command, self._transaction, about)
        self._trial.awaiting = what
        while True:
            message = await self._next()
            said = _command(message)
            if said[:1] not in (["_result"], ["_error"]) or said[1:2] != [self._transaction]:
                self._status(message)
                continue
            info = said[-1] if isinstance(said[-1], dict) else {}
            code = _text(info, "code")
            if code:
                self._trial.measures["code"] = code
            if said[0] == "_error":
                words = _text(info, "description") or code or "without a reason"
                raise prober.Failed(f"{command} is refused: {words}")
            return said

    def _status(self, message: chunks.Message) -> tuple[str, str]:
        """Return code and level of an onStatus message (section 7.2.2), else two empty texts."""
        said = _command(message)
        if said[:1] != ["onStatus"] or not isinstance(said[-1], dict):
            return "", ""
        code = _text(said[-1], "code")
        if code == _MOVE:
            self._trial.overloaded = "it asks its clients to connect elsewhere"
            return "", ""
        self._trial.measures["code"] = code
        return code, _text(said[-1], "level")

    async def _next(self) -> chunks.Message:
        """Return the next message, pings answered. Raises `Failed` at the connection's end."""
        trial = self._trial
        while not self._heard:
            self._hasten()
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise prober.Failed(f"connection closed before the {trial.awaiting} came")
            self._received += len(data)
            if self._received > _MAX_BYTES:
                raise prober.Failed(f"no {trial.awaiting} in the first {_MAX_BYTES} bytes")
            try:
                self._heard.extend(self._chunks.feed(data))
            except ValueError as error:
                raise prober.Failed(f"not RTMP: {error}") from None
        message = self._heard.popleft()
        if message.type == chunks.USER_CONTROL and message.payload[:2] == bytes((0, _PING)):
            pong = bytes((0, _PONG)) + message.payload[2:6]
            self._transport.write(chunks.pack(chunks.USER_CONTROL, 0, pong, chunks.CONTROL_STREAM))
        return message

    def _hasten(self) -> None:
        """Acknowledge at once: servers that write in small pieces would wait 40 ms for it (Nagle's algorithm)."""
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _send(self, stream: int, *values: object) -> None:
        self._transport.write(chunks.pack(chunks.COMMAND, stream, amf.pack(*values)))


def is_media(message: chunks.Message) -> bool:
    """Say whether a message carries sound or pictures.

    A server goes on handing out the codec's header of an encoder that stands still, so headers do not count:
    AVCPacketType and AACPacketType 0 (FLV 10.1 annex E.4), and SequenceStart of Enhanced RTMP v2.
    """
    if message.type == chunks.AGGREGATE:
        return message.size > 0
    if message.type not in {chunks.AUDIO, chunks.VIDEO} or len(message.payload) < 2:
        return False
    first, second = message.payload[:2]
    if message.type == chunks.AUDIO:
        extended, legacy_header = first >> 4 == 9, first >> 4 == 10 and second == 0
    else:
        extended, legacy_header = bool(first & 0x80), first & 0x0F == 7 and second == 0
    return first & 0x0F != 0 if extended else not legacy_header


def _command(message: chunks.Message) -> list[amf.Value]:
    """Return the values of a command message; nothing for any other. Raises `Failed` when they are none."""
    if message.type != chunks.COMMAND:
        return []
    try:
        return amf.unpack(message.payload)
    except ValueError as error:
        raise prober.Failed(f"not RTMP: {error}") from None


def _text(info: Mapping[str, object], key: str) -> str:
    value = info.get(key, "")
    return "".join(filter(str.isprintable, value))[:200] if isinstance(value, str) else ""
