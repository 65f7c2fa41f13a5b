"""Real servers on loopback, a clock and the few words that make a check, for the tests of the probes."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import trustme

from gtm import model, probes, seen
from gtm.probes import prober

HOST = "play.live.example.com"


def line(text: str) -> model.Condition:
    """A condition that mentions what `text` mentions; nobody judges it here."""
    measure, _, rest = text.partition(" ")
    return model.Condition(text, measure, "==", other=rest.partition("* ")[2])


def make(kind: str, port: int = 0, **settings: Any) -> model.Check:
    """Make a check on 127.0.0.1; `timeout_s`, `host`, `address`, `family`, `expect` are its own, the rest options."""
    profile = model.Profile(
        "p",
        kind,
        timeout_s=settings.pop("timeout_s", 10.0),
        expect=tuple(map(line, settings.pop("expect", ()))),
    )
    family = settings.pop("family", "ipv4")
    return model.Check(
        key=model.CheckKey("p", settings.pop("endpoint", "fra-1"), family, settings.pop("name", "")),
        profile=profile,
        address=settings.pop("address", "127.0.0.1"),
        port=port,
        host=settings.pop("host", HOST),
        options=settings,
    )


async def run(check: model.Check, memory: dict[str, Any] | None = None) -> seen.ProbeResult:
    return await probes.KINDS[check.profile.kind].run(check, {} if memory is None else memory)


@dataclass
class Clock:
    """Both clocks, turned by hand."""

    now_s: float = 1000.0
    wall_s: float = 1_800_000_000.0

    def pass_(self, span_s: float) -> None:
        self.now_s += span_s
        self.wall_s += span_s

    @staticmethod
    def utc(wall_s: float) -> str:
        return datetime.datetime.fromtimestamp(wall_s, datetime.UTC).isoformat()

    def prober(self, kind: model.Kind, look: prober.Look) -> prober.Prober:
        return prober.Prober(kind, look, monotonic=lambda: self.now_s, wall=lambda: self.wall_s)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Servers:
    """Starts raw servers that are gone when the test is."""

    stack: AsyncExitStack
    talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def raw(self, talk: Talk, tls: ssl.SSLContext | None = None) -> int:
        """Serve `talk` on a free port of 127.0.0.1 and return the port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self.talks.add(task)
            try:
                await talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                return  # the probe has seen enough and hung up: what these servers are there for
            finally:
                self.talks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)

        async def stop() -> None:
            server.close()
            for task in tuple(self.talks):
                task.cancel()
            await asyncio.gather(*self.talks, return_exceptions=True)

        self.stack.push_async_callback(stop)
        return int(server.sockets[0].getsockname()[1])

    async def http(self, answer: bytes | Callable[[bytes], bytes], tls: ssl.SSLContext | None = None) -> int:
        """Serve the same bytes, or what a function makes of the request's head, to everybody; then close."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer if isinstance(answer, bytes) else answer(head))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        return await self.raw(talk, tls)


def page(body: bytes | str = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP answer that closes the connection."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def server_tls(authority: trustme.CA, *names: str, **dates: Any) -> ssl.SSLContext:
    """A server's TLS with a certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **dates).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
