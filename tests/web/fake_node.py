"""A node that says what the test wants and remembers what it was asked; and a thread to run it in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gtm import errors, events, model, seen
from gtm.web import application, node

NOW = 1_700_000_000.0
OPERATOR = node.Credential("ops", "operator", "operator-secret")
PUSHER = node.Credential("agent", "pusher", "pusher-secret", ("fra-*",))
PROVER = node.Credential("certbot", "acme", "prover-secret")
VIEWER = node.Credential("wall", "viewer", "viewer-secret")


def status() -> dict[str, Any]:
    return {
        "node": "ns1",
        "version": "0.1.0",
        "revision": 7,
        "digest": "abc123",
        "listen": {"dns": ["127.0.0.1:53"], "web": "127.0.0.1:8053"},
        "processes": [{"role": "control", "pid": 1}],
        "names": [{"name": "live.example.com.", "rung": "fallback", "pools": ["edge-us"], "ttl": 5}],
        "pools": [
            {
                "pool": "edge-eu", "usable": False, "up": 0, "members": 1, "reason": "0 of 1 up", "balance": "weighted",
                "detects_within_s": None, "roster": [],
            }
        ],
        "sites": [],
        "config": {"accepted": True, "at": NOW - 3600, "trouble": ""},
        "geo": {"built_at": {}, "troubles": []},
        "endpoints": [
            {
                "endpoint": "fra-1", "family": "ipv4", "state": "down", "serving": False, "weight": 3.0,
                "since": NOW - 90, "reason": "status 503", "order": "drain", "stale": False, "site": "",
                "address": "192.0.2.1",
            }
        ],
    }  # fmt: skip


def event(number: int, subject: str = "fra-1") -> events.Event:
    return events.Event(NOW + number, "endpoint", subject, "up", "down", "status 503", number)


EXPLAINED: dict[str, Any] = {
    "name": "live.example.com.", "type": "A", "client": "", "place": "", "rule": 2, "rung": "first", "pool": "edge-us",
    "tried": [{"pool": "edge-us", "usable": True, "reason": "1 of 1 up", "members": [
        {"endpoint": "nyc-1", "eligible": True, "state": "up", "weight": 1.0, "reason": "fine", "order": ""}]}],
    "answers": ["198.51.100.11"], "ttl": 5, "ecs_scope": 0, "rcode": "NOERROR", "why": "rule 2; pool edge-us; ttl 5",
}  # fmt: skip

SERIES: dict[str, Any] = {
    "kind": "answers", "by": "pool", "unit": "1/s", "step_s": 10, "at": [NOW - 20, NOW - 10],
    "series": [{"name": "edge-eu", "values": [None, 12.5]}],
}  # fmt: skip
PREVIEW: dict[str, Any] = {
    "dry_run": True, "endpoints": ["fra-1"], "share": 0.5, "share_by": "names", "refused": None, "names": [
        {"name": "live.example.com.", "before": {"rung": "first", "pool": "edge-eu"},
         "after": {"rung": "fallback", "pool": "edge-us"}, "share": 1.0, "left_with_nothing": False}],
    "names_total": 1, "left_with_nothing": 0, "pools": [{"pool": "edge-eu", "members": 1,
        "before": {"usable": True, "up": 1}, "after": {"usable": False, "up": 0}}],
}  # fmt: skip

_LIVE = {"name": "live.example.com.", "count": 900, "share": 0.9}
ANALYTICS: dict[str, Any] = {
    "since": NOW - 3600, "until": NOW,
    "answers": {
        "total": [{"name": "total", "count": 1000, "share": 1.0}], "pool": [], "endpoint": [],
        "name": [_LIVE, _LIVE | {"name": "vod.example.com.", "count": 100, "share": 0.1}],
        "place": [{"name": "EU", "count": 1000, "share": 1.0}], "country": [], "asn": [],
    },
    "queries": {"total": [], "subnet": [{"name": "with", "count": 800, "share": 0.8}], "transport": []},
    "resolvers": [
        {"address": "192.0.2.53", "queries": 700, "error": 0, "share": 0.7, "with_subnet": 1.0, "place": "EU-DE",
         "asn": 3320},
    ],
    "shares": [
        {"pool": "edge-eu", "endpoint": "fra-1", "intended": 0.5, "delivered": 0.8, "answers": 1000, "uneven": True,
         "differs_s": 300.0},
    ],
    "movements": [{
        "at": NOW - 90, "subjects": ["edge-eu: usable → failed"], "cause": "0 of 1 up", "settled": True,
        "answers_per_minute_before": 600.0,
        "endpoints": {"from": [], "to": [], "moved_per_minute": 0.0},
        "pools": {"from": [{"pool": "edge-eu", "before": 400.0, "after": 0.0}],
                  "to": [{"pool": "edge-us", "before": 200.0, "after": 590.0}], "moved_per_minute": 390.0},
    }], "samples": {"taken": 1000, "lost": 0},
}  # fmt: skip


ALERTS: dict[str, Any] = {
    "receivers": [{
        "name": "ops", "kind": "slack", "on": ["pool"], "hold_s": 10.0, "remind_s": 0.0, "severity": "info",
        "match": [], "waiting": 1, "trouble": "connection refused", "sent_at": None,
    }],
    "open": [{"id": "1", "group": "site:fra", "title": "site fra: 2 of 3 endpoints are down", "since": NOW,
              "told": ["pager"], "waiting": ["ops"], "hushed": False, "facts": []}],
    "outbox": [{"id": "2", "receiver": "ops", "what": "firing", "title": "[ns1] ERROR: site fra", "made_at": NOW,
                "due_at": NOW, "tries": 3, "trouble": "connection refused"}],
    "waiting": 1,
    "unwritten": 0,
    "silences": [{"id": "5ea0", "target": "site:ams", "by": "ops", "why": "move", "at": NOW, "until": NOW + 60}],
}  # fmt: skip

CHALLENGE = {
    "name": "_acme-challenge.example.com.", "value": "token", "by": "certbot", "at": NOW, "until": NOW + 3600,
    "problem": "",
}  # fmt: skip


@dataclass
class FakeNode:
    """What it is asked stands in `asked`; what it answers may be changed by the test; `raises` comes first."""

    body: dict[str, Any] = field(default_factory=status)
    tokens: tuple[node.Credential, ...] = ()
    happened: list[events.Event] = field(default_factory=lambda: [event(1), event(2)])
    given: list[node.OrderView] = field(default_factory=list)
    outcome: node.Reloaded = field(default_factory=lambda: node.Reloaded(True, ("endpoint fra-2 joins edge-eu",)))
    replaced: node.Replaced = field(default_factory=lambda: node.Replaced(True))
    measured: dict[str, Any] = field(default_factory=lambda: SERIES)
    is_public: bool = False
    most_streams: int = 64
    is_ready: tuple[bool, str] = (True, "")
    numbers: dict[str, node.Samples] = field(default_factory=lambda: {"orders_active": {(): 0.0}})
    unconfirmed: tuple[str, ...] = ()
    tried: list[dict[str, Any]] = field(
        default_factory=lambda: [{"receiver": "ops", "kind": "slack", "ok": True, "said": "200 ok", "took_s": 0.1}]
    )
    raises: Exception | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    findings: list[dict[str, str]] = field(default_factory=list)
    denials: list[tuple[str, str]] = field(default_factory=list)
    listeners: list[Callable[[events.Event], None]] = field(default_factory=list)

    def _note(self, *what: Any) -> None:
        self.asked.append(what)
        if self.raises is not None:
            raise self.raises

    async def decided(self) -> None:
        return None

    async def status(self) -> Mapping[str, Any]:
        self._note("status")
        return self.body

    def explain(self, name: str, qtype: str, client: str, assume: Sequence[str]) -> Mapping[str, Any]:
        self._note("explain", name, qtype, client, tuple(assume))
        return EXPLAINED

    def ready(self) -> tuple[bool, str]:
        return self.is_ready

    def metrics(self) -> node.Metrics:
        self._note("metrics")
        return self.numbers

    def credentials(self) -> Sequence[node.Credential]:
        return self.tokens

    def public(self) -> bool:
        return self.is_public

    def event_streams(self) -> int:
        return self.most_streams

    def subscribe(self, tell: Callable[[events.Event], None]) -> Callable[[], None]:
        self._note("subscribe")
        self.listeners.append(tell)
        return lambda: self.listeners.remove(tell)

    async def events(self, since: float, after_id: int, limit: int) -> Sequence[events.Event]:
        self._note("events", since, after_id, limit)
        return [one for one in self.happened if one.at >= since and one.id > after_id][-limit:]

    async def series(self, kind: str, by: str, since: float, name: str) -> Mapping[str, Any]:
        self._note("series", kind, by, since, name)
        return self.measured

    async def analytics(self, since: float) -> Mapping[str, Any]:
        self._note("analytics", since)
        return ANALYTICS

    async def doctor(self, zone: str) -> Mapping[str, Any]:
        self._note("doctor", zone)
        return {"node": "ns1", "digest": "abc123", "zones": [], "left_out": 0, "findings": list(self.findings)}

    async def orders(self) -> Sequence[node.OrderView]:
        self._note("orders")
        return self.given

    async def put_order(self, order: seen.Override) -> node.OrderView:
        self._note("put_order", order)
        if order.target == "nowhere":
            raise node.Refused("no-match", "'nowhere' matches nothing", "did you mean fra-1?")
        view = node.OrderView(order, ("fra-1",), NOW + 30, unconfirmed=self.unconfirmed)
        self.given.append(view)
        return view

    async def preview_order(self, order: seen.Override) -> Mapping[str, Any]:
        self._note("preview_order", order)
        return PREVIEW

    async def preview_drop(self, which: str) -> Mapping[str, Any]:
        self._note("preview_drop", which)
        return PREVIEW

    def denied(self, what: str, why: str) -> None:
        self.denials.append((what, why))

    async def drop_order(self, which: str, by: str, break_glass: bool = False) -> node.Released:
        self._note("drop_order", which, by, *(["break-glass"] if break_glass else []))
        if which == "nowhere":
            raise node.Refused("no-match", "'nowhere' is no order and no target")
        return node.Released(("a1",), ())

    async def reload(self, yes: bool, by: str) -> node.Reloaded:
        self._note("reload", yes, by)
        if self.outcome.needs_yes and yes:
            return replace(self.outcome, accepted=True, needs_yes=False)
        return self.outcome

    async def replace(self, yes: bool, within_s: float, by: str) -> node.Replaced:
        self._note("replace", yes, within_s, by)
        return self.replaced

    def alerts(self) -> Mapping[str, Any]:
        self._note("alerts")
        return ALERTS

    async def test_alerts(self, which: str) -> Sequence[Mapping[str, Any]]:
        self._note("test_alerts", which)
        if which == "nobody":
            raise node.Refused("no-match", "there is no receiver 'nobody'")
        return self.tried

    async def silence(self, target: str, for_s: float, why: str, by: str) -> Mapping[str, Any]:
        self._note("silence", target, for_s, why, by)
        return {"id": "5ea1", "target": target, "by": by, "why": why, "at": NOW, "until": NOW + for_s}

    async def unsilence(self, which: str, by: str) -> bool:
        self._note("unsilence", which, by)
        return which != "gone"

    def challenges(self) -> Sequence[Mapping[str, Any]]:
        self._note("challenges")
        return [CHALLENGE]

    async def put_challenge(self, name: str, value: str, for_s: float, by: str) -> Mapping[str, Any]:
        self._note("put_challenge", name, value, for_s, by)
        if name == "nowhere":
            raise node.Refused("refused", "no challenge can stand at nowhere: it is in no zone of ours")
        return CHALLENGE

    async def drop_challenge(self, name: str, value: str, by: str) -> int:
        self._note("drop_challenge", name, value, by)
        return int(name != "nowhere")

    def dns(self, packet: bytes, family: int, address: int) -> tuple[bytes, int] | None:
        self._note("dns", packet, family, address)
        return (packet.upper(), 7) if packet.startswith(b"dns") else None

    async def push(self, profile: str, endpoint: str, news: node.Push) -> None:
        self._note("push", profile, endpoint, news)


class Thread:
    """A `FakeNode` that listens on a free port of loopback in a thread of its own, for clients that block."""

    def __init__(self, fake: FakeNode) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._served = self.run(lambda: application.start(application.make(fake), model.Listen("127.0.0.1", 0)))
        self.url = f"http://127.0.0.1:{self._served.port}"

    def run(self, make: Callable[[], Any]) -> Any:
        """Run a coroutine in the server's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)

    def close(self) -> None:
        """Stop listening and end the thread."""
        self.run(self._served.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if self._thread.is_alive():
            raise errors.GtmError("the server's thread did not end")
        self._loop.close()
