"""Looks at the node in, one stream of changes for everybody who watches out.

While somebody watches, the node is looked at whenever it says that something happened, and now and then besides (a
weight that grows makes no event). Each change is made and encoded once, however many watch; they keep nothing but the
number of the last one that they got, so a slow one costs nothing, and one that is too far behind begins anew.
"""

from __future__ import annotations

import asyncio
import collections
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gtm import errors, events
from gtm.web import board, node, read

LOG = logging.getLogger("gtm.web")

COALESCE_S = 0.15  # a storm is one change; nobody sees the difference
PULSE_S = 5.0
SPARING = 20  # a look that takes long is made more rarely: it may cost one part in so many of the time
KEPT = 32  # changes that somebody who was away for a moment can catch up with
MAX_EVENTS = 100  # in one change


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it goes over the wire: whole, and reduced for who may see nothing but names."""

    number: int
    whole: bytes
    public: bytes


class Hub:
    """Everybody who watches, and what they are told."""

    def __init__(self, of: node.WebNode, shared: board.Board) -> None:
        self._node, self._board = of, shared
        self._run = secrets.token_hex(4)  # numbers of another process mean nothing
        self._number = 0
        self._kept: collections.deque[Message] = collections.deque(maxlen=KEPT)
        self._happened: collections.deque[events.Event] = collections.deque(maxlen=MAX_EVENTS + 1)
        self._dirty, self._news = asyncio.Event(), asyncio.Event()
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._last: board.Look | None = None

    async def follow(self, after: str, *, public: bool) -> AsyncGenerator[bytes, None]:
        """Yield messages without end: `hello` when there is nothing to go on from, then each change."""
        self._watchers += 1
        try:
            if self._task is None:
                self._kept.clear()
                self._last = await self._board.look(fresh=True)
                if self._task is None:  # somebody else may have been faster meanwhile
                    self._task = asyncio.get_running_loop().create_task(self._watch())
            at = self._resumed(after)
            if at is None:
                at = self._number
                yield self._hello(public)
            while True:
                if self._kept and self._kept[0].number > at + 1:
                    at = self._number
                    yield self._hello(public)
                for message in [one for one in self._kept if one.number > at]:
                    at = message.number
                    yield message.public if public else message.whole
                await self._news.wait()
        finally:
            self._watchers -= 1
            if not self._watchers and self._task is not None:
                self._task.cancel()
                self._task = None

    def _resumed(self, after: str) -> int | None:
        run, _, number = after.partition("-")
        if run != self._run or not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        at = int(number)
        first = self._kept[0].number if self._kept else self._number + 1
        return at if first - 1 <= at <= self._number else None

    def _hello(self, public: bool) -> bytes:
        look = self._last
        summary: Mapping[str, Any] = {} if look is None else board.reduced(look.summary) if public else look.summary
        return self._text("hello", {"at": look.at if look else 0.0, "summary": summary})

    async def _watch(self) -> None:
        stop = self._node.subscribe(self._heard)
        self._board.followed = True
        try:
            cost_s = 0.0
            while True:
                await self._wait(max(PULSE_S, SPARING * cost_s))
                began = time.monotonic()
                try:
                    await self._look()
                except errors.GtmError as wrong:  # the next look may go better; whoever watches keeps what they have
                    LOG.warning("the page's look at the node failed: %s", wrong)
                cost_s = time.monotonic() - began
                await asyncio.sleep(max(COALESCE_S, cost_s))
        finally:
            stop()
            self._board.followed = False

    async def _wait(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._dirty.wait()
                await asyncio.sleep(COALESCE_S)
        except TimeoutError:
            pass  # nothing happened: the pulse
        self._dirty.clear()

    def _heard(self, event: events.Event) -> None:
        self._board.heard(event)
        self._happened.append(event)
        self._dirty.set()

    async def _look(self) -> None:
        before, after = self._last, await self._board.look(fresh=True)
        happened = [read.event_dict(one) for one in self._happened]
        self._happened.clear()
        found = board.difference(before, after) if before else board.Change(summary=True)
        self._last = after
        whole: dict[str, Any] = {"at": after.at}
        public: dict[str, Any] = {"at": after.at}
        if found.summary:
            whole["summary"] = after.summary
            public["summary"] = board.reduced(after.summary)
        if found.changed or found.gone or found.many:
            dated = {kind: [self._board.dated(kind, row) for row in some] for kind, some in found.changed.items()}
            whole |= {"changed": dated, "gone": found.gone, "many": found.many}
            public |= _public(found)
        if happened:
            whole["events"] = happened[-MAX_EVENTS:]
        self._number += 1
        self._kept.append(Message(self._number, self._text("change", whole), self._text("change", public)))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _text(self, kind: str, body: Mapping[str, Any]) -> bytes:
        data = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return f"id: {self._run}-{self._number}\nevent: {kind}\ndata: {data}\n\n".encode()


def _public(found: board.Change) -> dict[str, Any]:
    return {
        "changed": {"names": [board.reduced_name(row) for row in found.changed.get("names", ())]},
        "gone": {"names": found.gone.get("names", [])},
        "many": [kind for kind in found.many if kind == "names"],
    }


HUB: web.AppKey[Hub] = web.AppKey("hub", Hub)
