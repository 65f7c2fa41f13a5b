"""What the web asks of a node, answered: implements `gtm.web.node.WebNode` over a running control process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gtm import __version__, app, errors, events, model, names, seen, view
from gtm.app import (
    breathing,
    challenges,
    collector,
    doctor,
    gauges,
    herald,
    ordering,
    reading,
    secrets,
    taking,
    troubles,
)
from gtm.app import node as nodes
from gtm.config import plan, show
from gtm.probes import push
from gtm.web import auth
from gtm.web import node as desk


class Desk:
    """The control process as the web sees it."""

    def __init__(self, node: nodes.Node, path: str, crier: herald.Herald) -> None:
        self.node, self.herald, self.troubles = node, crier, troubles.Troubles(node, crier)
        self.path = path
        self.web_listen = ""
        self._names_of = -1
        self._names_shown: Sequence[Mapping[str, Any]] = ()
        self._ordering = ordering.Ordering(node)
        self._reloading = asyncio.Lock()
        self._credentials: Sequence[desk.Credential] = ()
        self._read_secrets()

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Say that something happened."""
        self.node.happened(kind, subject, before, after, cause)

    def denied(self, what: str, why: str) -> None:
        """See `WebNode`."""
        self.node.happened("order", what, "", "refused", why)

    def _read_secrets(self) -> None:
        self._credentials, self.troubles.unread = auth.credentials(self.node.snapshot.web.tokens, os.environ)
        for trouble in self.troubles.unread:
            self.node.happened("config", self.path, "", "unusable", trouble)

    # --- reading ---------------------------------------------------------------------------------------------------

    async def decided(self) -> None:
        """Wait until all of the configuration in force is decided."""
        await taking.decided(self.node.brain)

    async def status(self) -> Mapping[str, Any]:
        """Return the shape `status` of the interface contract."""
        node, mind = self.node, self.node.brain
        await self.decided()
        endpoints = await breathing.through(view.endpoints_view(mind, time.monotonic()))
        await self.decided()
        return {
            "node": node.snapshot.node,
            "version": __version__,
            "revision": mind.revision,
            "digest": node.snapshot.digest,
            "judged": mind.judged(),
            "guard": "tripped" if mind.health.guard_tripped else "",
            "listen": {
                "dns": [str(model.Listen(host, port)) for host, port in node.bound.listen],
                "web": self.web_listen,
            },
            "processes": [{"role": role, "pid": pid} for role, pid in node.processes],
            "zones": view.zones_view(mind),
            "names": self._names(),
            "pools": view.pools_view(mind),
            "endpoints": endpoints,
            "sites": view.sites_view(mind),
            "config": {"accepted": node.config_accepted, "at": node.config_at, "trouble": node.config_trouble},
            "geo": {"built_at": node.atlas.built_at(), "troubles": list(node.atlas.troubles)},
            "troubles": self.troubles.now(),
        }

    def _names(self) -> Sequence[Mapping[str, Any]]:
        """Return every name; with 100,000 of them that is made once a revision, not once for each who looks."""
        mind = self.node.brain
        if self._names_of != mind.revision:
            with collector.resting():
                self._names_shown, self._names_of = view.names_view(mind), mind.revision
        return self._names_shown

    def explain(self, name: str, qtype: str, client: str, assume: Sequence[str]) -> Mapping[str, Any]:
        """Return the shape `explain`."""
        try:
            return view.explain_name(
                self.node.brain, time.monotonic(), name=name, qtype=qtype, client=client, assume=assume,
                place=self.node.atlas.place(client),
            )  # fmt: skip
        except errors.GtmError as error:
            raise desk.Refused("bad-value", str(error)) from None

    def ready(self) -> tuple[bool, str]:
        """Say whether DNS is answered from a judged table."""
        if not self.node.brain.judged():
            return False, "the first round of health checks has not ended"
        if not self.node.answering():
            return False, "not every worker has the table yet"
        return True, "answering from a judged table"

    def metrics(self) -> desk.Metrics:
        """Return all counts and gauges as they are now."""
        return {**gauges.collect(self.node), **self.herald.metrics()}

    def credentials(self) -> Sequence[desk.Credential]:
        """Return the tokens of the configuration in force."""
        return self._credentials

    def public(self) -> bool:
        """Say whether everybody may see the names."""
        return self.node.snapshot.web.public == "names"

    def event_streams(self) -> int:
        """Return how many event streams there may be."""
        return self.node.snapshot.web.event_streams

    def subscribe(self, tell: Callable[[events.Event], None]) -> Callable[[], None]:
        """Call `tell` with every event from now on; return what ends that."""
        self.node.listeners.add(tell)
        return lambda: self.node.listeners.discard(tell)

    async def events(self, since: float, after_id: int, limit: int) -> Sequence[events.Event]:
        """Return the newest `limit` events, oldest first."""
        return await self.node.store.events(since, after_id, limit)

    async def series(self, kind: str, by: str, since: float, name: str) -> Mapping[str, Any]:
        """Return what was measured over time."""
        return await self.node.measuring.series(self.node.store, kind, by, since, name)

    async def analytics(self, since: float) -> Mapping[str, Any]:
        """Return who asked what from where since then, and whether answers went as intended."""
        return await self.node.measuring.report(self.node.store, since)

    async def doctor(self, zone: str) -> Mapping[str, Any]:
        """Return what is served and how this machine is."""
        pids = {f"{role} {pid}": pid for role, pid in self.node.processes}
        try:
            return await asyncio.to_thread(doctor.facts, self.node.snapshot, zone, pids)
        except errors.GtmError as error:
            raise desk.Refused("no-match", str(error)) from None

    # --- orders ----------------------------------------------------------------------------------------------------

    async def orders(self) -> Sequence[desk.OrderView]:
        """Return the orders in force."""
        return await self._ordering.views()

    async def put_order(self, order: seen.Override) -> desk.OrderView:
        """Keep an order and wait until it is answered."""
        return await self._ordering.put(order)

    async def preview_order(self, order: seen.Override) -> Mapping[str, Any]:
        """Return what an order would do."""
        return await self._ordering.foretell(order)

    async def drop_order(self, which: str, by: str, break_glass: bool = False) -> desk.Released:
        """Release an order by id, or all orders and latches of a target."""
        return await self._ordering.drop(which, by, break_glass)

    async def preview_drop(self, which: str) -> Mapping[str, Any]:
        """Return what a release would do."""
        return await self._ordering.foretell_drop(which)

    # --- alerts ----------------------------------------------------------------------------------------------------

    def alerts(self) -> Mapping[str, Any]:
        """Return receivers, open alerts, what waits to be sent, and silences."""
        return self.herald.shown()

    async def test_alerts(self, which: str) -> Sequence[Mapping[str, Any]]:
        """Send a test to the receivers of that name or kind, or to all."""
        found = await self.herald.test(which)
        if not found:
            raise desk.Refused("no-match", f"there is no receiver {which!r}" if which else "there is no receiver")
        return found

    async def silence(self, target: str, for_s: float, why: str, by: str) -> Mapping[str, Any]:
        """Silence what a target names."""
        if len(self.herald.silences()) >= herald.MOST_SILENCES:
            raise desk.Refused("refused", f"{herald.MOST_SILENCES} silences are in force", "end some of them")
        if not self.herald.nameable(target):
            hint = "an endpoint, a glob, site:NAME, pool:NAME, name:NAME, guard:*"
            raise desk.Refused("no-match", f"{target!r} names nothing that there are alerts about", hint)
        return asdict(await self.herald.silence(target, for_s, why, by))

    async def unsilence(self, which: str, by: str) -> bool:
        """End a silence."""
        return await self.herald.unsilence(which, by)

    # --- ACME challenges -------------------------------------------------------------------------------------------

    def challenges(self) -> Sequence[Mapping[str, Any]]:
        """Return the ACME challenges that are held, each with the reason why it is not answered, if it is not."""
        why_not = self.node.brain.overlay.why_not
        return [challenges.shown(one, why_not(names.key(one.name))) for one in self.node.challenges.all()]

    async def put_challenge(self, name: str, value: str, for_s: float, by: str) -> Mapping[str, Any]:
        """Hold a challenge and wait until it is answered."""
        made = await self.node.challenges.put(name, value, for_s, by)
        if not await self.node.settled(ordering.CONFIRM_S):
            raise desk.Refused("unavailable", "it is kept, but not every worker answers it yet", "look with dig")
        return challenges.shown(made, "")

    async def drop_challenge(self, name: str, value: str, by: str) -> int:
        """Let go of challenges."""
        gone = await self.node.challenges.drop(name, value, by)
        await self.node.settled(ordering.CONFIRM_S)
        return len(gone)

    # --- changing --------------------------------------------------------------------------------------------------

    async def reload(self, yes: bool, by: str) -> desk.Reloaded:
        """Read the configuration again and take it, unless it has problems or its plan needs a yes."""
        async with self._reloading:
            before = self.node.snapshot
            try:
                return await self._reload(yes, by)
            except (errors.GtmError, RuntimeError, MemoryError) as error:  # RuntimeError: no thread could be started
                if self.node.snapshot is not before:
                    raise  # it is in force; something else went wrong
                why = f"it could not be read: {error or 'this machine has no memory left'}"
                self._refused(why, by)
                return desk.Reloaded(False, text=why)

    async def _reload(self, yes: bool, by: str) -> desk.Reloaded:
        loaded = await reading.read(self.path)
        found = show.as_json(loaded.problems)
        if loaded.snapshot is None:
            self._refused(f"{show.tally(loaded.problems)}; the old one stays", by)
            return desk.Reloaded(False, problems=found, text=app.refused_text(loaded))
        planned = await asyncio.to_thread(plan.compare, self.node.snapshot, loaded.snapshot)
        lines = planned.lines
        if planned.restart:
            lines += (f"not before a restart: {', '.join(planned.restart)}",)
        if planned.needs_yes and not yes:
            self._refused("the plan moves more than half of all answers or empties a name: it needs --yes", by)
            return desk.Reloaded(False, lines, needs_yes=True, problems=found)
        prepared = await taking.prepare(self.node.brain, loaded.snapshot)
        before = self.node.snapshot.digest
        await self.node.take(loaded.snapshot, *prepared)
        self._read_secrets()
        self.node.vault.take(secrets.Wanted.of(loaded.snapshot))
        self.node.config_accepted, self.node.config_at, self.node.config_trouble = True, time.time(), ""
        after = loaded.snapshot.digest
        self.node.happened("config", self.path, before[:12], after[:12], f"reloaded by {by}")
        await self.node.settled(ordering.CONFIRM_S)
        self.node.say_status()
        return desk.Reloaded(True, lines, problems=found, digest=after)

    async def replace(self, yes: bool, within_s: float, by: str) -> desk.Replaced:
        """Let the installed version take over, unless the configuration is not what is in force, or it is no good."""
        if self.node.judge.busy:
            raise desk.Refused("conflict", "a replacement is under way already")
        loaded = await reading.read(self.path)
        if loaded.snapshot is None:
            return desk.Replaced(False, "the configuration on disk would be refused: see `gtm check`")
        same = loaded.snapshot.digest == self.node.snapshot.digest
        if not same and not yes:
            return desk.Replaced(False, "the configuration on disk is not the one in force: reload first", True)
        await self.node.remember_now()
        self.node.happened("node", self.node.snapshot.node, "", "replacing", f"asked by {by}")
        why = await self.node.judge.replace(within_s, lenient=not same)
        self.node.happened(
            "node", self.node.snapshot.node, "replacing", "refused" if why else "replaced", why or "done"
        )
        return desk.Replaced(not why, why)

    def _refused(self, why: str, by: str) -> None:
        self.node.config_accepted, self.node.config_trouble = False, why
        self.node.say_status()
        self.node.happened("config", self.path, "", "refused", f"{why} (reload by {by})")

    def dns(self, packet: bytes, family: int, address: int) -> tuple[bytes, int] | None:
        """Return the answer to a DNS message, from the table that the workers have."""
        if self.node.doh is None:
            raise desk.Refused("no-match", "DNS over HTTPS is off", "`web: {doh: true}` and a restart switch it on")
        if not self.node.doh.is_ready:
            raise desk.Refused("unavailable", "there is no table to answer from yet", "ask again in a second")
        return self.node.doh.answer(packet, family, address)

    async def push(self, profile: str, endpoint: str, news: desk.Push) -> None:
        """Take pushed news for every family and name of a check."""
        snapshot = self.node.snapshot
        keys = [key for key in snapshot.checks if key.profile == profile and key.endpoint == endpoint]
        if not keys or snapshot.profiles[profile].kind != "push":
            raise desk.Refused("no-such-check", f"{profile!r} is no push check of {endpoint!r}")
        payload = {
            "ok": news.ok,
            "reason": news.reason,
            "valid_for_s": news.valid_for_s,
            "measures": dict(news.measures),
            "overloaded": news.overloaded,
        }
        for key in keys:
            try:
                self.node.delivered(push.result(snapshot.checks[key], payload, snapshot.node, time.monotonic()))
            except push.PushError as error:
                raise desk.Refused("bad-value", str(error)) from None
