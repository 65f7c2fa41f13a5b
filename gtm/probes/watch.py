"""Checks that came out well in, word of the moment in which a server's connection breaks out (`watch: true`).

One idle connection is held to each place, an address and port, that is watched. A process that dies lets its kernel
break it (FIN or RST), a machine that dies leaves it to our own kernel's keep-alive. A break is no verdict: it has one
check of the place run at once, and when that fails the others too.

A healthy server may end what is idle. That costs this one probe; an end that comes twice at about the same age is
taken for the server's time-out, and the connection is made anew before it from then on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable

from gtm import model
from gtm.probes import dial

LIMIT = 1024  # places; each is one open file here and one there
# A dead machine is known after the first and a few lost answers. The kernel asks, so that costs no work here.
KEEPALIVE_AFTER_S, KEEPALIVE_EVERY_S, KEEPALIVE_TRIES = 2, 1, 3
UNHEARD_MS = 4000  # TCP_USER_TIMEOUT: the same bound for what was sent and not acknowledged (RFC 5482)
CONNECT_S = 2.0
# A connection that does not reach this age is no use: its place is left alone for a while, each time for longer.
SHORT_LIVED_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
ALIKE = 0.2  # two ages within this share are the same time-out
RENEW_SHARE = 0.8  # of the time-out
HEARD_BYTES = 4096  # a greeting; who goes on talking to somebody silent is not to be watched

Place = tuple[str, int]
Broke = Callable[[tuple[model.CheckKey, ...]], None]


@dataclasses.dataclass(slots=True)
class _Watched:
    """A place. `asked` is the check that was run because of a break, while its result is awaited.

    `age_s` is how old the last connection was when the server ended it, `limit_s` the time-out learnt (0: none).
    """

    place: Place
    keys: dict[model.CheckKey, None] = dataclasses.field(default_factory=dict)
    held: _Held | None = None
    dialling: asyncio.Task[None] | None = None
    renewal: asyncio.TimerHandle | None = None
    asked: model.CheckKey | None = None
    age_s: float = 0.0
    limit_s: float = 0.0
    pause_s: float = 0.0
    not_before_s: float = 0.0


class Watcher:
    """Holds the connections, on the loop that it is called from."""

    def __init__(self, broke: Broke, *, limit: int = LIMIT, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._broke = broke
        self._limit = limit
        self._monotonic = monotonic
        self._places: dict[Place, _Watched] = {}
        self._place_of: dict[model.CheckKey, Place] = {}

    @property
    def held(self) -> int:
        """How many connections are held now."""
        return sum(one.held is not None for one in self._places.values())

    def came(self, check: model.Check, ok: bool | None) -> None:
        """Take note of how a probe came out; a good one begins the watch."""
        if check.options.get("watch") is not True:
            return
        place = (check.address, check.port)
        if self._place_of.get(check.key, place) != place:
            self._forget([check.key])
        watched = self._places.get(place)
        if watched is None:
            if not ok or len(self._places) >= self._limit or not _may_be_watched(check.address):
                return
            watched = self._places[place] = _Watched(place)
        watched.keys[check.key], self._place_of[check.key] = None, place
        if check.key == watched.asked:
            watched.asked = None
            if ok is False:
                self._tell(key for key in watched.keys if key != check.key)
            elif ok:
                self._learn(watched)
        if ok and watched.held is None and watched.dialling is None and self._monotonic() >= watched.not_before_s:
            self._dial(watched)

    def keep(self, keys: Iterable[model.CheckKey]) -> None:
        """End the watch for all other checks."""
        self._forget(self._place_of.keys() - set(keys))

    def close(self) -> None:
        """Let go of all connections."""
        self._forget(list(self._place_of))

    def _forget(self, keys: Iterable[model.CheckKey]) -> None:
        for key in keys:
            watched = self._places[self._place_of.pop(key)]
            watched.keys.pop(key)
            if watched.asked == key:
                watched.asked = None
            if not watched.keys:
                del self._places[watched.place]
                self._release(watched)
                if watched.dialling is not None:
                    watched.dialling.cancel()

    def _tell(self, keys: Iterable[model.CheckKey]) -> None:
        told = tuple(keys)
        if told:
            self._broke(told)

    # --- one connection -------------------------------------------------------------------------------------------

    def _dial(self, watched: _Watched) -> None:
        watched.dialling = asyncio.get_running_loop().create_task(self._connect(watched))

    async def _connect(self, watched: _Watched) -> None:
        """Hold a new connection, in the place of the one that was held."""
        renewed = watched.held is not None
        try:
            async with asyncio.timeout(CONNECT_S):
                held = await _open(watched.place, self._monotonic, lambda held: self._ended(watched, held))
        except OSError:  # TimeoutError too
            if renewed:  # the place takes nobody any more
                self._release(watched)
                self._ask(watched)
            else:
                self._rest(watched)
            return
        finally:
            watched.dialling = None
        self._release(watched)
        watched.held = held
        if watched.limit_s:
            renew_s = watched.limit_s * RENEW_SHARE
            watched.renewal = asyncio.get_running_loop().call_later(renew_s, self._dial, watched)

    def _release(self, watched: _Watched) -> None:
        """Let go of what is held, on our own account."""
        held, watched.held = watched.held, None
        if watched.renewal is not None:
            watched.renewal.cancel()
            watched.renewal = None
        if held is not None:
            held.transport.abort()  # nothing was said that could be lost

    def _ended(self, watched: _Watched, held: _Held) -> None:
        """The connection is gone; when it was not we who let it go, a check is to look."""
        if watched.held is not held:
            return
        watched.held = None
        self._release(watched)
        if held.talkative:
            watched.pause_s = LONGEST_PAUSE_S
            self._rest(watched)
            return
        watched.age_s, before_s = self._monotonic() - held.since_s, watched.age_s
        if before_s and abs(watched.age_s - before_s) <= ALIKE * before_s:
            watched.limit_s = min(watched.age_s, before_s)
        self._ask(watched)

    def _ask(self, watched: _Watched) -> None:
        if watched.asked is None:
            watched.asked = next(iter(watched.keys))
            self._tell((watched.asked,))

    def _learn(self, watched: _Watched) -> None:
        """It was an ordinary end: the server lives."""
        if watched.age_s < SHORT_LIVED_S:
            self._rest(watched)
        else:
            watched.pause_s = 0.0

    def _rest(self, watched: _Watched) -> None:
        watched.pause_s = min(max(2 * watched.pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        watched.not_before_s = self._monotonic() + watched.pause_s


class _Held(asyncio.Protocol):
    """A connection on which nothing is said."""

    def __init__(self, ended: Callable[[_Held], None], since_s: float) -> None:
        self.transport: asyncio.Transport
        self.since_s = since_s
        self.talkative = False
        self._ended = ended
        self._heard = 0

    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        if self._heard > HEARD_BYTES:
            self.talkative = True
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(self)


async def _open(place: Place, monotonic: Callable[[], float], ended: Callable[[_Held], None]) -> _Held:
    """Return a connection that the kernel keeps an eye on. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_AFTER_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_TRIES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
        await loop.sock_connect(sock, place)
        held = _Held(ended, monotonic())
        held.transport, _ = await loop.create_connection(lambda: held, sock=sock)
    except BaseException:
        sock.close()
        raise
    return held


def _may_be_watched(address: str) -> bool:
    """Say whether an address is one that probes may go to (semantics G7). Names are not: they may move."""
    try:
        return not dial.barred(ipaddress.ip_address(address))
    except ValueError:
        return False
