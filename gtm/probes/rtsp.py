"""An RTSP check in, whether the server answers and the stream can be described out (RFC 2326).

OPTIONS speaks for the server only: it is answered for streams that are not there, too. DESCRIBE asks for the stream,
and hangs where the pipeline behind it cannot start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gtm import model
from gtm.probes import dial, prober, sdp

KIND = model.Kind(
    name="rtsp",
    doc="RTSP server by OPTIONS, and where a path is given its stream by DESCRIBE",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("path", "path", "path of a stream to describe; without it the server alone is asked", fills=True),
        model.Option("headers", "headers", "headers to send, such as `Authorization`", fills=True),
        model.Option("absent", "choice", "what a stream that is not there counts as", "bad", choices=("bad", "ok")),
    ),
    measures=(
        model.Measure("time.options", "s", "from OPTIONS to its answer"),
        model.Measure("time.describe", "s", "from DESCRIBE to its whole answer"),
        model.Measure("status", "", "status of the last answer"),
        model.Measure("stream.present", "", "whether the stream can be described"),
        model.Measure("stream.media", "", "streams of sound and picture in its description"),
        dial.TIME_DNS,
        dial.TIME_CONNECT,
        dial.TIME_TLS,
        prober.TIME_TOTAL,
        dial.DAYS_LEFT,
    ),
    port=554,
    tls_port=322,
)

HEAD_BYTES, HEAD_LINES = 8192, 64
_BUSY = {453, 503}  # not enough bandwidth, service unavailable
_CLOSED_DOOR = {401, 403}  # it lives, and wants to know who asks


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def look(trial: prober.Trial) -> str:
    """Ask the server, and where asked for its stream."""
    reader = asyncio.StreamReader(limit=HEAD_BYTES)
    transport, _ = await dial.reach(trial, lambda: asyncio.StreamReaderProtocol(reader), trial.tls())
    talk = _Talk(trial, transport, reader)
    try:
        began_s = trial.monotonic()
        found = await talk.ask("OPTIONS", "*")
        trial.reached = True
        trial.measures["time.options"] = trial.monotonic() - began_s
        remark = _judged(trial, found, "OPTIONS")
        if not trial.text("path") or trial.overloaded:
            return remark
        began_s = trial.monotonic()
        found = await talk.ask("DESCRIBE", _url(trial))
        trial.measures["time.describe"] = trial.monotonic() - began_s
        return _described(trial, found)
    finally:
        transport.close()


def _described(trial: prober.Trial, found: Reply) -> str:
    """Judge the answer to DESCRIBE. Measures `stream.present` and `stream.media`."""
    trial.measures["status"] = found.status
    if found.status in {404, 410, 454}:
        trial.measures["stream.present"] = False
        why = f"stream {trial.text('path')} is not there: status {found.status}"
        if trial.text("absent") == "bad":
            raise prober.Failed(why)
        return why
    remark = _judged(trial, found, "DESCRIBE")
    if found.status != 200:
        return remark
    try:
        description = sdp.read(found.body)
    except ValueError as error:
        raise prober.Failed(f"the description is no SDP: {error}") from None
    # RTSP names its ports in SETUP, so a description may well say 0 (RFC 2326 appendix C.1.2).
    trial.measures["stream.media"] = found.body.count(b"\nm=")
    trial.measures["stream.present"] = bool(trial.measures["stream.media"])
    if not trial.measures["stream.media"]:
        raise prober.Failed("the description has no media")
    return "" if description.media else remark


def _judged(trial: prober.Trial, found: Reply, method: str) -> str:
    """Take a status for what it says of the server; return the remark. Raises `Failed`."""
    trial.measures["status"] = found.status
    if found.status in _BUSY:
        trial.overloaded = f"{method} was answered by status {found.status}"
    elif found.status in _CLOSED_DOOR:
        return f"{method} was answered by status {found.status}: it lives, and lets nobody in without a password"
    elif found.status != 200:
        raise prober.Failed(f"{method} was answered by status {found.status}")
    return trial.overloaded


class _Talk:
    """A connection on which requests are counted."""

    def __init__(self, trial: prober.Trial, transport: asyncio.Transport, reader: asyncio.StreamReader) -> None:
        self._trial, self._transport, self._reader = trial, transport, reader
        self._sent = 0

    async def ask(self, method: str, url: str) -> Reply:
        """Send a request and return its answer. Raises `Failed` for what is none."""
        self._trial.awaiting = f"answer to {method}"
        self._sent += 1
        said = {"CSeq": str(self._sent), "User-Agent": "gtm (health check)", **self._trial.headers()}
        if method == "DESCRIBE":
            said["Accept"] = "application/sdp"
        lines = [f"{method} {url} RTSP/1.0", *(f"{name}: {value}" for name, value in said.items())]
        if any(not line.isprintable() for line in lines):
            raise prober.NotRun("the request cannot be made: a line break or a control character")
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            found = reply(await self._reader.readuntil(b"\r\n\r\n"))
            size = int(found.headers.get("content-length", "0"))
            if not 0 <= size <= sdp.MAX_BYTES:
                raise ValueError(f"a body of {size} bytes")
            return Reply(found.status, found.headers, await self._reader.readexactly(size))
        except asyncio.LimitOverrunError:
            raise prober.Failed(f"not RTSP: no end of the head in {HEAD_BYTES} bytes") from None
        except asyncio.IncompleteReadError:
            raise prober.Failed(f"connection closed before the answer to {method} came") from None
        except ValueError as error:
            raise prober.Failed(f"not RTSP: {error}") from None


def reply(head: bytes) -> Reply:
    """Read the head of an answer (RFC 2326 section 7). Raises `ValueError`."""
    first, *lines = head.decode("utf-8", "replace").removesuffix("\r\n\r\n").split("\r\n")
    version, status, *_ = [*first.split(" ", 2), "", ""]
    if not version.startswith("RTSP/") or not (len(status) == 3 and status.isascii() and status.isdecimal()):
        raise ValueError(f"{first[:40]!r}")
    if len(lines) > HEAD_LINES:
        raise ValueError(f"more than {HEAD_LINES} lines of head")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Reply(int(status), headers, b"")


def _url(trial: prober.Trial) -> str:
    host, path = trial.host, trial.text("path")
    where = f"[{host}]" if ":" in host else host
    return f"{'rtsps' if trial.tls() else 'rtsp'}://{where}:{trial.check.port}/{path.removeprefix('/')}"
