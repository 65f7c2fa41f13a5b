"""A local receiver of HTTP that remembers what it got, and an attempt to send to it, for the tests of senders."""

from __future__ import annotations

import ssl
from typing import Any

from aiohttp import web

from gtm import model, notify
from gtm.alerts import words
from gtm.notify import sender
from tests.config import reading

NOW = 1_700_000_000.0


class Receiver:
    """What came stands in `got` as (path, headers, JSON); `status` and `said` are what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.bodies: list[bytes] = []
        self.status, self.said = 200, "ok"
        self.headers: dict[str, str] = {}
        self.url = ""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.got.append((request.path, dict(request.headers), await request.json()))
        return web.Response(status=self.status, text=self.said, headers=self.headers)

    async def start(self, context: ssl.SSLContext | None = None) -> Receiver:
        """Listen on a free port of loopback."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        scheme = "https" if context else "http"
        self.url = f"{scheme}://localhost:{self._runner.addresses[0][1]}"
        return self

    async def stop(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()


def receiver(text: str) -> model.Receiver:
    """Return the one receiver of a configuration's line, read as an operator's is."""
    loaded = reading.read(f"alerts: [{text}]\n{reading.WORLD}")
    assert loaded.snapshot is not None, loaded.problems
    return loaded.snapshot.alerts[0]


def message(what: words.What = "firing", **more: Any) -> words.Message:
    """Return a message; `more` are fields to be otherwise."""
    given: dict[str, Any] = {
        "id": "m1", "incident": "i1", "node": "ns1", "what": what, "group": "site:fra", "severity": "error",
        "since": NOW - 60, "at": NOW, "title": "[ns1] ERROR: site fra", "text": "Since ...", "severity_before": "",
        "look": "https://gtm.example.com",
        "facts": ({"kind": "pool", "subject": "eu", "seen": 1, "once": False, "reason": "0 of 3 up"},),
    }  # fmt: skip
    return words.Message(**{**given, **more})


async def send(
    one: model.Receiver, told: words.Message | None = None, environment: dict[str, str] | None = None
) -> str:
    """Send once; return what came back."""
    return await notify.SENDERS[one.kind].send(sender.Trial(one, told or message(), environment or {}, NOW + 5))
