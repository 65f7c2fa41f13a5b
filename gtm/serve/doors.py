"""What is spoken on an address in, what answers there out: DNS as it is, inside of TLS, or behind a proxy's header."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from gtm.serve import keys, proxied, sockets, tcp, tls, udp
from gtm.wire import proxy


class Doors:
    """The ways into one worker. `guards` is what `keys` reads; `drop` counts what is not let in."""

    def __init__(self, server: tcp.Server, guards: Mapping[str, Any], drop: Callable[[str], None]) -> None:
        self._server, self._drop = server, drop
        self._tls = tls.Door(server)
        self._trust = proxy.Trust(guards.get("proxies", ()))

    def take(self, secret: keys.Keys) -> None:
        """Use these secrets for connections from now on. The control process has tried whether they fit."""
        if secret.certificate:
            self._tls.changing.take(secret.certificate, secret.key)

    def connection(self, kind: str) -> Callable[[], tcp.Connection]:
        """Return what makes connections where `kind` is spoken."""
        if kind == sockets.TLS:
            return self._tls.connection
        if kind == sockets.PROXY:
            return functools.partial(proxied.Connection, self._server, self._trust)
        return self._server.connection

    def answering(self, kind: str, answering: Callable[[], udp.Answer]) -> Callable[[], udp.Answer]:
        """Return what says who answers datagrams where `kind` is spoken."""
        if kind == sockets.PROXY:
            return lambda: self._trust.over(answering(), self._drop)
        return answering
