"""An ICMP check in, loss and round-trip time of some echo requests out (RFC 792, RFC 4443 section 4).

Tries the datagram ICMP socket that needs no privilege (`net.ipv4.ping_group_range`), then a raw one (CAP_NET_RAW);
with neither, the probe could not run, and the endpoint is not to blame.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct

from gtm import model
from gtm.probes import dial, prober

KIND = model.Kind(
    name="icmp",
    doc="ping: some echo requests; says that the machine is reachable, not that it serves",
    options=(
        model.Option("count", "int", "echo requests in one probe", 3),
        model.Option("interval", "duration", "pause between them", 0.1),
        model.Option("size", "bytes", "bytes of payload in each", 56),
    ),
    measures=(
        model.Measure("loss", "", "share of requests without a reply, 0 to 1"),
        model.Measure("rtt", "s", "shortest round trip"),
        model.Measure("rtt.max", "s", "longest round trip"),
        prober.TIME_TOTAL,
    ),
    # One lost packet of three is the Internet's everyday life.
    expect=("loss < 0.6",),
)

_HEAD = struct.Struct("!BBHHH")
# (address family, protocol, echo request, echo reply)
_V4 = (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
_V6 = (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)
_TOKEN_BYTES = 8  # by which a raw socket, which hears all pings of the machine, knows its own
_MAX_COUNT, _MAX_PAYLOAD_BYTES = 50, 1400  # no flood, no fragments
_WAIT_SHARE = 0.9  # of the time left, so that losing all packets is said as loss
_MOST_WAITING = 1000  # packets read in one go: a raw socket hears everybody's pings


async def look(trial: prober.Trial) -> str:
    """Send the requests, spaced, and count what comes back until the deadline draws near."""
    address = await dial.find(trial)
    trial.awaiting = "echo reply"
    count = min(max(1, trial.number("count")), _MAX_COUNT)
    interval = trial.option("interval")
    interval_s = float(interval) if isinstance(interval, (int, float)) else 0.1
    ping = _Ping(trial, address, count)
    try:
        async with asyncio.timeout(trial.left_s() * _WAIT_SHARE):
            await ping.run(interval_s)
    except TimeoutError:
        ping.take_waiting()  # what did not come by now is lost, which is what this probe measures
    finally:
        ping.close()
    trial.measures["loss"] = 1 - len(ping.trips_s) / count
    if not ping.trips_s:
        raise prober.Silent(f"no reply to {count} echo requests")
    trial.measures["rtt"] = min(ping.trips_s.values())
    trial.measures["rtt.max"] = max(ping.trips_s.values())
    return ""


class _Ping:
    """One socket and the echo requests on their way."""

    def __init__(self, trial: prober.Trial, address: str, count: int) -> None:
        self._trial = trial
        self._address = address
        self._count = count
        self._family, self._protocol, self._request, self._reply = _V6 if ":" in address else _V4
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        size = min(max(_TOKEN_BYTES, trial.number("size")), _MAX_PAYLOAD_BYTES)
        self._payload = self._token + bytes(size - _TOKEN_BYTES)
        self._sent_s: dict[int, float] = {}
        self.trips_s: dict[int, float] = {}
        self._whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._raw = False
        self._socket = self._open()

    def _open(self) -> socket.socket:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
            with contextlib.suppress(PermissionError):
                sock = socket.socket(self._family, kind, self._protocol)
                sock.setblocking(False)
                self._raw = kind == socket.SOCK_RAW
                return sock
        raise prober.NotRun("not permitted to ping: needs net.ipv4.ping_group_range or CAP_NET_RAW")

    def close(self) -> None:
        self._socket.close()

    async def run(self, interval_s: float) -> None:
        """Send all requests and wait until all are answered."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._readable)
        try:
            await self._send(interval_s)
            await self._whole
        finally:
            loop.remove_reader(self._socket)

    def take_waiting(self) -> None:
        """Count what has come and was not read: when a process stood still, that is not lost."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_WAITING):
                self._take(*self._socket.recvfrom(2048))

    def _readable(self) -> None:
        try:
            self.take_waiting()
        except OSError as error:
            if not self._whole.done():
                self._whole.set_exception(error)
        if len(self.trips_s) == self._count and not self._whole.done():
            self._whole.set_result(None)

    async def _send(self, interval_s: float) -> None:
        loop = asyncio.get_running_loop()
        for number in range(self._count):
            if number:
                await asyncio.sleep(interval_s)
            self._sent_s[number] = self._trial.monotonic()
            await loop.sock_sendto(self._socket, self._packet(number), (self._address, 0))

    def _packet(self, number: int) -> bytes:
        """Return an echo request; the kernel sets the identifier of datagram sockets and ICMPv6's checksum."""
        identifier = int.from_bytes(self._token[:2], "big")
        blank = _HEAD.pack(self._request, 0, 0, identifier, number) + self._payload
        return _HEAD.pack(self._request, 0, checksum(blank), identifier, number) + self._payload

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        now_s = self._trial.monotonic()
        if self._raw and self._family == socket.AF_INET:
            data = data[(data[0] & 0x0F) * 4 :]  # a raw IPv4 socket hands over the IP header (RFC 791 section 3.1)
        if len(data) < _HEAD.size or source[0] != self._address:
            return
        kind, _, _, _, number = _HEAD.unpack_from(data)
        if kind == self._reply and data[_HEAD.size :].startswith(self._token) and number in self._sent_s:
            self.trips_s.setdefault(number, now_s - self._sent_s[number])


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
