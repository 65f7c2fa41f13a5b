"""A gRPC check in, what the server's own health service says out (grpc.health.v1, over HTTP/2 as `h2` speaks it).

The message is one text in, one number out, so no protobuf and no grpcio is needed for it.
"""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from gtm import model
from gtm.probes import dial, prober

KIND = model.Kind(
    name="grpc",
    doc="gRPC's health service (`grpc.health.v1.Health/Check`): SERVING is good, everything else is not",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("service", "text", "service to ask for; empty for the server as a whole", "", fills=True),
        model.Option("headers", "headers", "metadata to send, such as `authorization`", fills=True),
    ),
    measures=(
        model.Measure("serving", "text", "UNKNOWN, SERVING, NOT_SERVING or SERVICE_UNKNOWN"),
        model.Measure("grpc.status", "", "status of the call: 0 is OK, 5 that the service is not known"),
        model.Measure("time.rpc", "s", "from the call to its answer"),
        dial.TIME_DNS,
        dial.TIME_CONNECT,
        dial.TIME_TLS,
        prober.TIME_TOTAL,
        dial.DAYS_LEFT,
    ),
    port=50051,
    tls_port=443,
)

SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")  # grpc/health/v1/health.proto
_NOT_FOUND, _RESOURCE_EXHAUSTED, _UNIMPLEMENTED, _UNAUTHENTICATED, _DENIED = 5, 8, 12, 16, 7
_SETTINGS = b"\x04"  # the type of the first frame that a server sends (RFC 9113 section 3.4)
# An answer has seven bytes, the rest of HTTP/2 around it some hundred, a proxy's headers some thousand. They are read
# by so few that even empty frames are some milliseconds' work.
READ_BYTES, _MAX_BYTES = 4 * 1024, 32 * 1024
_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "host"}


async def look(trial: prober.Trial) -> str:
    """Call Check once."""
    reader = asyncio.StreamReader(limit=READ_BYTES)
    transport, _ = await dial.reach(trial, lambda: asyncio.StreamReaderProtocol(reader), trial.tls(), alpn=("h2",))
    try:
        call = Call()
        began_s = trial.monotonic()
        transport.write(call.begin(_headers(trial), request(trial.text("service"))))
        trial.awaiting = "answer to grpc.health.v1.Health/Check"
        received = 0
        while not call.ended:
            data = await reader.read(READ_BYTES)
            received += len(data)
            if not data or received > _MAX_BYTES:
                raise prober.Failed("connection closed before the answer came" if not data else "an endless answer")
            transport.write(call.take(data))
        trial.measures["time.rpc"] = trial.monotonic() - began_s
        transport.write(call.end())
    finally:
        transport.close()
    return _judged(trial, call)


def _headers(trial: prober.Trial) -> list[tuple[str, str]]:
    """Return the call's head (gRPC over HTTP/2, "Request-Headers")."""
    host, port = trial.host, trial.check.port
    return [
        (":method", "POST"),
        (":scheme", "https" if trial.tls() else "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "gtm (health check)"),
        *((name.lower(), value) for name, value in trial.headers().items() if name.lower() not in _HOP),
    ]


def request(service: str) -> bytes:
    """Return a HealthCheckRequest as gRPC sends it: not compressed, its length, field 1."""
    raw = service.encode()[:4096]
    size = len(raw)
    length = bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))  # protobuf's varint
    message = b"\x0a" + length + raw if raw else b""
    return bytes((0,)) + len(message).to_bytes(4, "big") + message


def serving(message: bytes) -> str:
    """Return the status of a HealthCheckResponse. Raises `ValueError` for what is none."""
    if len(message) < 5 or message[0] or len(message) != 5 + int.from_bytes(message[1:5], "big"):
        raise ValueError("no whole message")
    body = message[5:]
    if not body:
        return SERVING[0]  # protobuf leaves away what is 0
    if len(body) != 2 or body[0] != 0x08 or body[1] >= len(SERVING):
        raise ValueError("no health status")
    return SERVING[body[1]]


class Call:
    """One call over HTTP/2: bytes in, bytes out, and what came of it. Raises `Failed` for what is no HTTP/2."""

    def __init__(self) -> None:
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._first = b""
        self.headers: dict[str, str] = {}
        self.message = b""
        self.ended = False

    def begin(self, headers: list[tuple[str, str]], message: bytes) -> bytes:
        """Return what opens the connection and sends the call."""
        try:
            self._h2.initiate_connection()
            self._h2.send_headers(1, headers)
            self._h2.send_data(1, message, end_stream=True)
        except (h2.exceptions.ProtocolError, ValueError) as error:  # a header that cannot be sent
            raise prober.NotRun(f"the call cannot be made: {error}") from None
        return self._h2.data_to_send()

    def take(self, data: bytes) -> bytes:
        """Take what came and return what must be said to it: acknowledgements, pongs."""
        self._first += data[: 4 - len(self._first)]
        if self._first[3:] not in (b"", _SETTINGS):  # h2 would wait for the end of a frame that is none
            raise prober.Failed(f"not HTTP/2: it begins with {self._first!r}")
        try:
            happened = self._h2.receive_data(data)
        except (h2.exceptions.ProtocolError, ValueError) as error:
            raise prober.Failed(f"not HTTP/2: {str(error)[:100] or type(error).__name__}") from None
        for event in happened:
            self._note(event)
        return self._h2.data_to_send()

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self.headers.update({str(name): str(value) for name, value in event.headers or ()})
        elif isinstance(event, h2.events.DataReceived):
            self.message += event.data or b""
        elif isinstance(event, h2.events.StreamReset):
            raise prober.Failed(f"the call was reset: {_code(event.error_code)}")
        elif isinstance(event, h2.events.ConnectionTerminated) and not self.ended:
            raise prober.Failed(f"the server went away: {_code(event.error_code)}")
        self.ended = self.ended or isinstance(event, h2.events.StreamEnded)

    def end(self) -> bytes:
        """Return the goodbye (RFC 9113 section 6.8)."""
        self._h2.close_connection()
        return self._h2.data_to_send()


def _code(code: h2.errors.ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, h2.errors.ErrorCodes) else str(code)


def _judged(trial: prober.Trial, call: Call) -> str:
    """Take the answer for what it says. Raises `Failed` when it is anything but SERVING, or too much to do."""
    http = call.headers.get(":status", "")
    if http != "200":
        raise prober.Failed(f"HTTP status {http[:3]} instead of an answer of gRPC")
    said = call.headers.get("grpc-status", "")
    if not (said.isascii() and said.isdecimal() and len(said) < 4):
        raise prober.Failed("an answer without grpc-status")
    status = trial.measures["grpc.status"] = int(said)
    trial.reached = True
    service, words = trial.text("service") or "the server", call.headers.get("grpc-message", "")[:200]
    if status == _RESOURCE_EXHAUSTED:
        trial.overloaded = f"RESOURCE_EXHAUSTED {words}".strip()
        return trial.overloaded
    if status:
        why = {
            _NOT_FOUND: f"{service} is not known to the server's health service",
            _UNIMPLEMENTED: "the server has no grpc.health.v1 service",
            _UNAUTHENTICATED: "the server wants to know who asks",
            _DENIED: "the server does not let this caller ask",
        }.get(status, f"the call failed with status {status}")
        raise prober.Failed(f"{why}: {words}" if words else why)
    try:
        trial.measures["serving"] = found = serving(call.message)
    except ValueError as error:
        raise prober.Failed(f"not an answer of grpc.health.v1: {error}") from None
    if found != SERVING[1]:
        raise prober.Failed(f"{service} is {found}")
    return ""
