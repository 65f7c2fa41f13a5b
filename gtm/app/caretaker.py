"""A last good table and a refused configuration in; answers, and a web that says what is wrong, out (semantics G2).

Nothing is probed and nothing is decided here. When the configuration is accepted again this process ends, and the
one that the supervisor starts in its place is an ordinary node, which the workers never waited for.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtm import __version__, app, errors, events, model, seen, units
from gtm.app import gauges, last, reading, secrets
from gtm.config import load, show
from gtm.serve import links as linking
from gtm.web import auth
from gtm.web import node as desk
from gtm.wire import lookup

log = logging.getLogger("gtm")

# The line for systemd says the age; it is made anew this often.
STATUS_S = 10.0
MOST_EVENTS = 1000  # in memory, as many as one answer of the API has; there is no store to keep them in
_WHY_NOT = "the configuration is refused; only the last table is answered"
_HINT = "mend the configuration, then `gtm reload`"


class Caretaker:
    """Implements `gtm.web.node.WebNode` for a node that has nothing but its last table."""

    def __init__(self, found: last.Last, loaded: load.Loaded, path: str) -> None:
        """Raises `TableError` when the table is not of this version."""
        self.last, self.path = found, path
        self.table = found.table()
        self.link = linking.Links.from_environment(
            on_counts=self._counted, on_swapped=self._swapped, on_supervisor=self._told
        )
        self.bound = linking.Bound((), 0, 0)
        self.vault = secrets.Vault(self.link.publish_keys, log.warning)
        self.processes: tuple[tuple[str, int], ...] = ()
        self.restarts: Mapping[str, int] = {}
        self.counts: dict[str, collections.Counter[tuple[str, ...]]] = collections.defaultdict(collections.Counter)
        self.on_reload: Callable[[], None] = lambda: None
        self.on_replace: Callable[[], None] = lambda: None
        self.over = asyncio.Event()
        self.problems = loaded.problems
        self.web_listen = ""
        self._events: collections.deque[events.Event] = collections.deque(maxlen=MOST_EVENTS)
        self._listeners: set[Callable[[events.Event], None]] = set()
        self._credentials, _ = auth.credentials(found.settings.tokens, os.environ)
        self._status: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Open the sockets that the table names, and answer."""
        wanted = self.last.settings
        self.vault.take(wanted.wanted)
        self.bound = await self.link.open(
            listen=wanted.listen,
            workers=wanted.workers,
            tcp=wanted.tcp,
            rate_limit=wanted.rate_limit,
            guards=wanted.guards,
            also=wanted.also,
        )
        log.info("DNS on %s", ", ".join(str(model.Listen(host, port)) for host, port in self.bound.listen))
        if self.bound.revision < self.table.revision:  # else the workers answer from it, or a later one, already
            self.link.publish_journal(self.last.kept)
        age = units.show_seconds(round(self.last.age_s(time.time())))
        self.happened("config", self.path, "", "refused", self._trouble())
        self.happened("node", "last table", "", "in force", f"{_WHY_NOT}: {self.last.path}, {age} old")
        self._tell_status()
        self.link.ready(accepted=False)

    def close(self) -> None:
        """Let go; the workers answer on."""
        if self._status is not None:
            self._status.cancel()
        self.link.close()

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Say that something happened; it is kept for as long as this process lives."""
        log.warning("%s %s: %s -> %s (%s)", kind, subject, before, after, cause)
        self.counts["events"][(kind,)] += 1
        number = self._events[-1].id + 1 if self._events else 1
        self._events.append(events.Event(time.time(), kind, subject, before, after, cause, number))
        for tell in tuple(self._listeners):
            tell(self._events[-1])

    def denied(self, what: str, why: str) -> None:
        """See `WebNode`."""
        self.happened("order", what, "", "refused", why)

    def _trouble(self) -> str:
        found = [one for one in self.problems if one.severity == "error"]
        return f"{len(found)} errors; the first: {found[0].message}" if found else "it could not be read"

    def _tell_status(self) -> None:
        age = units.show_seconds(round(self.last.age_s(time.time())))
        self.link.status(f"configuration refused; answering the last table, {age} old")
        self._status = asyncio.get_running_loop().call_later(STATUS_S, self._tell_status)

    # --- the workers and the supervisor ------------------------------------------------------------------------

    def _counted(self, worker: int, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        for kind, numbers in counts.items():
            self.counts[kind].update(numbers)

    def _swapped(self, worker: int, revision: int) -> None:
        """There is nothing to wait for."""

    def _told(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "reload":
            self.on_reload()
        elif kind == "replace":
            self.on_replace()
        elif kind == "processes":
            self.restarts = body["restarts"]
            self.processes = tuple((one["role"], one["pid"]) for one in body["processes"])

    # --- what the web asks -------------------------------------------------------------------------------------

    async def decided(self) -> None:
        """Nothing is decided here."""

    async def status(self) -> Mapping[str, Any]:
        """Return the shape `status`; names, pools and endpoints are not known."""
        return {
            "node": self.last.settings.node,
            "version": __version__,
            "revision": self.table.revision,
            "digest": self.table.digest,
            "judged": False,
            "guard": "",
            "listen": {
                "dns": [str(model.Listen(host, port)) for host, port in self.bound.listen],
                "web": self.web_listen,
            },
            "processes": [{"role": role, "pid": pid} for role, pid in self.processes],
            "zones": [],
            "names": [],
            "pools": [],
            "endpoints": [],
            "sites": [],
            "config": {"accepted": False, "at": self.last.at, "trouble": self._trouble()},
            "problems": show.as_json(self.problems),
            "last_table": {"at": self.last.at, "age_s": self.last.age_s(time.time()), "path": self.last.path},
            "geo": {"built_at": {}, "troubles": []},
            "troubles": [],
        }

    def explain(self, name: str, qtype: str, client: str, assume: Sequence[str]) -> Mapping[str, Any]:
        """Return the shape `explain`, as the table answers somebody without a place."""
        try:
            found = lookup.find(self.table, name, qtype)
        except errors.GtmError as error:
            raise desk.Refused("bad-value", str(error)) from None
        return {
            "name": name, "type": qtype, "client": client, "place": "", "rule": None, "rung": None, "pool": None,
            "tried": [], "answers": list(found.answers), "ttl": found.ttl_s, "ecs_scope": 0, "rcode": found.rcode,
            "why": _WHY_NOT, "judged": False,
        }  # fmt: skip

    def ready(self) -> tuple[bool, str]:
        """A node without its configuration is not ready, though it answers."""
        return False, f"{_WHY_NOT}, {units.show_seconds(round(self.last.age_s(time.time())))} old"

    def metrics(self) -> desk.Metrics:
        """Return what is known without a brain."""
        found: dict[str, desk.Samples] = gauges.counted(self.counts)
        return found | {
            "config_reload_success": {(): 0.0},
            "worker_restarts_total": {(): float(self.restarts.get("worker", 0))},
            "table_revision": {(): float(self.table.revision)},
            "table_age_seconds": {(): self.last.age_s(time.time())},
            "ready": {(): 0.0},
            "build_info": {(__version__,): 1.0},
        }

    def credentials(self) -> Sequence[desk.Credential]:
        """Return the tokens that counted when the table was made."""
        return self._credentials

    def public(self) -> bool:
        """Nothing is known that could be shown."""
        return False

    def event_streams(self) -> int:
        """As many as when nobody says otherwise."""
        return model.WebSettings().event_streams

    def subscribe(self, tell: Callable[[events.Event], None]) -> Callable[[], None]:
        """See `WebNode`."""
        self._listeners.add(tell)
        return lambda: self._listeners.discard(tell)

    async def events(self, since: float, after_id: int, limit: int) -> Sequence[events.Event]:
        """Return what happened since this process began."""
        return [one for one in self._events if one.at >= since and one.id > after_id][-limit:] if limit else []

    async def series(self, kind: str, by: str, since: float, name: str) -> Mapping[str, Any]:
        """Refuse: nothing is measured."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def analytics(self, since: float) -> Mapping[str, Any]:
        """Refuse: nothing is measured."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def doctor(self, zone: str) -> Mapping[str, Any]:
        """Refuse: no zones are known, only their answers."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def orders(self) -> Sequence[desk.OrderView]:
        """Nothing is known of orders: the table holds what they did."""
        return ()

    async def put_order(self, order: seen.Override) -> desk.OrderView:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def preview_order(self, order: seen.Override) -> Mapping[str, Any]:
        """Refuse: nothing is known of whom it would touch."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def drop_order(self, which: str, by: str, break_glass: bool = False) -> desk.Released:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def preview_drop(self, which: str) -> Mapping[str, Any]:
        """Refuse: nothing is known of whom it would touch."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    def alerts(self) -> Mapping[str, Any]:
        """Nothing is known of alerts."""
        return {"receivers": [], "open": [], "outbox": [], "waiting": 0, "unwritten": 0, "silences": []}

    async def test_alerts(self, which: str) -> Sequence[Mapping[str, Any]]:
        """Refuse: no receiver is known."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def silence(self, target: str, for_s: float, why: str, by: str) -> Mapping[str, Any]:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def unsilence(self, which: str, by: str) -> bool:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    def challenges(self) -> Sequence[Mapping[str, Any]]:
        """Nothing is known of challenges: the table holds what is answered."""
        return ()

    async def put_challenge(self, name: str, value: str, for_s: float, by: str) -> Mapping[str, Any]:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def drop_challenge(self, name: str, value: str, by: str) -> int:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    def dns(self, packet: bytes, family: int, address: int) -> tuple[bytes, int] | None:
        """Refuse: the workers answer, this process takes care."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def push(self, profile: str, endpoint: str, news: desk.Push) -> None:
        """Refuse: nothing would come of it."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def replace(self, yes: bool, within_s: float, by: str) -> desk.Replaced:
        """Refuse: a new version has nothing to be compared with."""
        raise desk.Refused("unavailable", _WHY_NOT, _HINT)

    async def reload(self, yes: bool, by: str) -> desk.Reloaded:
        """Read the configuration again; when it is accepted, this process is `over`."""
        try:
            loaded = await reading.read(self.path)
        except (errors.GtmError, RuntimeError) as error:  # RuntimeError: no thread could be started
            why = f"it could not be read: {error}"
            self.happened("config", self.path, "refused", "refused", f"{why} (reload by {by})")
            return desk.Reloaded(False, text=why)
        self.problems, found = loaded.problems, show.as_json(loaded.problems)
        if loaded.snapshot is None:
            self.happened("config", self.path, "refused", "refused", f"{self._trouble()} (reload by {by})")
            return desk.Reloaded(False, problems=found, text=app.refused_text(loaded))
        self.happened("config", self.path, "refused", "accepted", f"reloaded by {by}; an ordinary node takes over")
        self.over.set()
        lines = ("the configuration is accepted: it takes the place of the last table",)
        return desk.Reloaded(True, lines, problems=found, digest=loaded.snapshot.digest)
