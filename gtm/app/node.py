"""A configuration file and a link to the workers come in; a running control process goes out.

Carries changes into the brain and effects out of it. Nothing is decided here; what fails here is said and does not
stop the answers.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import logging
import os
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gtm import __version__ as version
from gtm import brain, events, model, probes, seen, table, view
from gtm.app import book, challenges, doh, geography, judge, last, lingering, measuring, meter, secrets, taking, telling
from gtm.app import following as apexes
from gtm.app import sessions as secondaries
from gtm.app import updates as proofs
from gtm.app import waking as wakes
from gtm.probes import runner
from gtm.serve import channel
from gtm.serve import links as linking
from gtm.store import open_store
from gtm.wire import pack

log = logging.getLogger("gtm")

# How long a control process that finds answering workers waits for its own first judgement before it gives them a
# table: longer than the engine's bounded warm-up, so that this bound is never the one that decides.
HOLD_BACK_S = 15.0
# After a mistake in the brain itself it is woken again this much later.
STUMBLE_S = 1.0
# The line for systemd is made anew at most this often: it counts all endpoints.
STATUS_S = 1.0


class Node:
    """The control process of one nameserver."""

    def __init__(self, snapshot: model.Snapshot, path: str) -> None:
        self.snapshot, self.path = snapshot, path
        self.measuring = measuring.Measuring(self.happened)
        self.link = linking.Links.from_environment(
            on_counts=self.measuring.counted, on_swapped=self._acknowledged, on_supervisor=self._told
        )
        self.bound = linking.Bound((), 0, 0)
        self.doh = doh.Answerer(functools.partial(self.measuring.counted, -1)) if snapshot.web.doh else None
        without = functools.partial(self.happened, "config", path, "", "unusable")
        self.vault = secrets.Vault(self.link.publish_keys, without)
        self.secondaries = secondaries.Sessions(self, self.vault.signing)
        self.link.on_passed = self.secondaries.take
        self.following = apexes.Following(self)
        self.processes: tuple[tuple[str, int], ...] = ()
        self.restarts: Mapping[str, int] = {}
        self.on_reload: Callable[[], None] = lambda: None
        self.on_replace: Callable[[], None] = lambda: None
        # On trial nothing is done that others can see: no web, nothing written.
        self.in_charge = asyncio.Event()
        if not os.environ.pop(channel.TRIAL, ""):
            self.in_charge.set()
        self.over = asyncio.Event()  # it is time to end
        self.judge = judge.Judge(self.link, self._whole)
        self.store = open_store(snapshot.store)
        self.book = book.Book(
            self.store, snapshot.store, happened=self.happened, tell=self._tell, returned=self._store_returned
        )
        self.telling = telling.Telling(
            count=self.measuring.happened,
            keep=self.book.write,
            later=lambda wait_s, flush: asyncio.get_running_loop().call_later(wait_s, flush),
        )
        self.atlas = geography.Atlas()
        self.runner = runner.Runner(
            probes.KINDS, vantage=snapshot.node, deliver=self.delivered,
            broke=lambda keys: self.feed(events.WatchBroke(keys)), tell=functools.partial(self.happened, "node"),
            left=self.measuring.departures.add,
        )  # fmt: skip
        self.brain: brain.Brain
        self.failovers = meter.Meter()
        self.challenges = challenges.Challenges(self)
        self.lingering = lingering.Lingering()
        self.inherited = False  # another process's table may be in resolvers
        self.on_swapped: Callable[[], None] = lambda: None
        self.config_accepted, self.config_at = True, time.time()
        self.config_trouble = ""
        self.listeners: set[Callable[[events.Event], None]] = set()
        self.stopping = asyncio.Event()
        self._moved = asyncio.Event()
        self._told_ready = False
        self._published = 0
        self.last_at = 0.0  # when what the workers answer was true last, while that is an earlier node's table
        self._keeper: last.Keeper | None = None
        self._to_keep = False
        self._falls: collections.deque[tuple[int, float]] = collections.deque(maxlen=lingering.MOST_LEAVING)
        self._holding_back_until = 0.0
        self._waking = wakes.Waking(self._wake)
        self._holder: asyncio.TimerHandle | None = None
        self._status: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the sockets, remember, look at the world, and begin; the workers have a table soon after."""
        dns = self.snapshot.dns
        self.vault.take(secrets.Wanted.of(self.snapshot))
        self.bound = await self.link.open(
            listen=[(one.host, one.port) for one in dns.listen],
            workers=dns.workers or os.cpu_count() or 1,
            tcp=(dns.tcp_connections, dns.tcp_per_client, dns.tcp_idle_s),
            rate_limit=dns.rate_limit,
            guards=secrets.guards(dns),
            also=secrets.also(dns),
        )
        log.info("DNS on %s", ", ".join(str(model.Listen(host, port)) for host, port in self.bound.listen))
        for host, port, kind in self.bound.also:
            log.info("DNS inside of %s on %s", kind, model.Listen(host, port))
        remembered, orders = await self.book.recall()
        older = 0
        if not self.bound.revision and not remembered:
            older, self.last_at = await last.stand_in(
                self.path, self.snapshot.digest, self.link.publish_journal, self.happened
            )
        now, wall = time.monotonic(), time.time()
        self.brain = brain.Brain(
            self.snapshot.node,
            dice=random.random,  # spreads probes; nothing secret
            # Above what the workers answer from already, if an earlier control process gave it to them (semantics G1).
            first_revision=max(self.bound.revision, older),
            remembered={key: known._replace(at_s=wall - known.at_s) for key, known in remembered.items()},
        )
        await self.following.recall()
        self.brain.serials |= await self.secondaries.zones.recall()
        self.atlas, networks = await taking.prepare(self.brain, self.snapshot)
        if self.bound.revision or self.last_at:
            self.inherited = True
            self._holding_back_until = now + HOLD_BACK_S
        if (place := last.folder(self.snapshot.store)) is not None:
            self._keeper = last.Keeper(str(place / last.NAME), self.link.copy, self._keeping)
        self._spawn(self._keep_book())
        await self.measuring.take(self.snapshot, self.brain, self.atlas)
        self._spawn(self.measuring.run(self.book, self.in_charge, self.link.taps))
        self.happened("node", self.snapshot.node, "", "started", f"version {version}, {self.snapshot.digest[:12]}")
        self._say_troubles()
        # The orders first: no table may go out that does not know of a drained node (semantics B5).
        self.brain.orders = orders  # they were news when they were given
        self.feed(events.StoreChanged(orders))
        await self.challenges.recall()
        self.link.on_update = proofs.Updates(self).take
        taking.whole_or_end(lambda: self.feed(events.ConfigCame(self.snapshot, networks)))
        self._following = asyncio.get_running_loop().create_task(self.following.run())

    def _keeping(self, trouble: str) -> None:
        self.happened("node", "last table", "", "unusable" if trouble else "kept", trouble or "it can be written again")

    async def stop(self) -> None:
        """Write down what is to be remembered, and let go."""
        self.stopping.set()
        self._waking.cancel()
        for timer in (self._holder, self._status):
            if timer is not None:
                timer.cancel()
        self.challenges.close()
        await self.runner.close()
        await self.secondaries.close()
        self._following.cancel()
        if self._keeper is not None:
            await self._keeper.close()
        self.happened("node", self.snapshot.node, "started", "stopped", "asked to")
        self.telling.flush()
        await self.remember_now()
        await self.measuring.close()
        self.book.close()
        if not self.in_charge.is_set():  # a trial that came to nothing leaves no trace
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()
        self.link.close()

    # --- changes in ------------------------------------------------------------------------------------------------

    def feed(self, change: events.Change) -> None:
        """Give the brain one change, and do what it wants."""
        self.brain.wall_offset_s = time.time() - time.monotonic()
        self.brain.feed(change, time.monotonic())
        self._carry_out()

    def delivered(self, result: seen.ProbeResult) -> None:
        check = self.snapshot.checks.get(result.check)
        if check is None:
            return  # a reload took the check away while it ran
        self.measuring.probed(check.profile.kind, result)
        self.feed(events.ProbeCame(result))

    def in_force(self) -> tuple[seen.Override, ...]:
        """Return the orders that have neither run out nor been released, by the monotonic clock."""
        return self.brain.health.in_force(time.monotonic())

    async def orders_changed(self, released: tuple[str, ...] = (), dropped: tuple[str, ...] = (), by: str = "") -> None:
        """Give the brain the orders as the store has them; `dropped` are the ids of those that were released.

        The store goes by the wall clock: an order that has run out only because that clock jumped stays (G4).
        """
        stored, wall = await self.store.orders(), time.time()
        known = {order.id for order in stored}.union(dropped)
        kept = [order for order in self.in_force() if order.id not in known and 0 < order.until <= wall]
        self.feed(events.StoreChanged((*stored, *kept), released, by))

    async def _store_returned(self, begun_anew: bool) -> None:
        """Take the orders of a store that can be used again, or give a new one those that are in force."""
        if begun_anew:
            for order in self.in_force():
                await self.store.put_order(order)
        await self.orders_changed()
        await self.challenges.returned(begun_anew)

    async def take(self, snapshot: model.Snapshot, atlas: geography.Atlas, networks: seen.Networks) -> None:
        """Put an accepted configuration in force. The workers have it when the brain has decided it (`settled`)."""
        self.snapshot, self.atlas = snapshot, atlas
        self.runner.keep(snapshot.checks)
        self.following.configured()
        taking.whole_or_end(lambda: self.feed(events.ConfigCame(snapshot, networks)))
        await self.measuring.take(snapshot, self.brain, atlas)
        self._say_troubles()

    def _say_troubles(self) -> None:
        for trouble in self.atlas.troubles:
            self.happened("geo", "database", "", "unusable", trouble)

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Say that something happened that the brain does not know of."""
        self.telling.take(events.Event(time.time(), kind, subject, before, after, cause))

    # --- effects out -----------------------------------------------------------------------------------------------

    def _wake(self, late_s: float) -> None:
        if self.brain.growing:
            taking.whole_or_end(lambda: self._go_on(late_s))
            return
        try:
            taking.on(self.brain, lambda: self._go_on(late_s))
        except Exception:  # goes on to the loop's handler; but whatever this was, time must not stand still
            self._waking.anew(asyncio.get_running_loop().time() + STUMBLE_S)
            raise

    def _go_on(self, late_s: float) -> None:
        self.brain.wall_offset_s = time.time() - time.monotonic()
        self.brain.wake(time.monotonic())
        self.brain.woke(time.monotonic())
        self._carry_out(late_s)

    def _carry_out(self, late_s: float = 0.0) -> None:
        for effect in self.brain.effects():
            match effect:
                case events.RunProbe(check):
                    self.runner.run(check, late_s)
                case events.SwapTable():
                    self._publish_table()
                case events.SwapRings():
                    self._publish_rings(effect)
                case events.Emit(event):
                    self.telling.take(event)
                case events.Remember(states) if self.in_charge.is_set():
                    self._spawn(self.book.remember(states))
        self._keep()
        self._moved.set()
        at = self.brain.wake_at()
        if at is not None and not self.stopping.is_set():
            first_s = taking.PROBES_FIRST_S if self.brain.growing and self.runner.waiting else 0.0
            self._waking.by(at + first_s)

    def _publish_table(self) -> None:
        if self._held_back():
            return
        whole = self._whole()
        self._published = whole.revision
        if self.doh is not None:
            self.doh.use(whole)
        self.lingering.swapped(whole.revision, dict(enumerate(whole.rings)), whole=True)
        self.link.publish_table(pack.pack_table(whole), whole.revision)
        self.secondaries.zones.use(whole)
        self._published_anew()

    def _whole(self) -> table.AnswerTable:
        return self.brain.current_table()

    def _publish_rings(self, swap: events.SwapRings) -> None:
        revision, rings, entries = swap.revision, swap.rings, swap.entries
        if self._published == 0:
            self._publish_table()  # held back until now; the whole table has these rings
            return
        self._published = revision
        if swap.first_bad_s:
            self._falls.append((revision, swap.first_bad_s))
        self.lingering.swapped(revision, rings)
        if self.doh is not None:
            self.doh.rings(revision, rings, entries)
        self.link.publish_rings(pack.pack_rings(revision, rings, entries), revision)
        self.secondaries.zones.rings(rings, entries)
        self._published_anew()

    def _published_anew(self) -> None:
        self.last_at = 0.0
        self._to_keep = True
        self._tell_status()

    def _keep(self) -> None:
        """Keep what is published for the next start. What is not judged is no good table."""
        good = self.brain.judged() and not self.brain.pending()
        if good and self._to_keep and self._keeper is not None and self.in_charge.is_set():
            self._to_keep = False
            self._keeper.changed(last.Settings.of(self.snapshot, self.path))

    def _held_back(self) -> bool:
        """Say whether the workers' own table is better than ours: they answer, and we have judged nothing yet."""
        if self._published or self.brain.judged() or time.monotonic() >= self._holding_back_until:
            return False
        if self._holder is None:
            wait = self._holding_back_until - time.monotonic()
            self._holder = asyncio.get_running_loop().call_later(wait, self._end_holding_back)
        return True

    def _end_holding_back(self) -> None:
        self._holder = None
        if not self._published:
            self._publish_table()

    def _tell_status(self) -> None:
        if self._status is None:
            self._status = asyncio.get_running_loop().call_later(STATUS_S, self._status_due)

    def _status_due(self) -> None:
        self._status = None
        self.say_status()

    def say_status(self) -> None:
        """Give systemd its line now, for whoever looks when a start or a reload is over."""
        refused = "" if self.config_accepted else "; the configuration on disk is refused"
        self.link.status(view.status_line(self.brain) + refused)

    def _tell(self, event: events.Event) -> None:
        for tell in tuple(self.listeners):
            tell(event)

    async def _keep_book(self) -> None:
        await self.in_charge.wait()
        await self.book.run()

    async def remember_now(self) -> None:
        """Keep what is known of health, for whoever comes next."""
        if self.in_charge.is_set():
            await self.book.remember(self.brain.remembered(time.monotonic()))

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the workers -----------------------------------------------------------------------------------------------

    def _acknowledged(self, worker: int, revision: int) -> None:
        while self._falls and self.link.answered_by_all(self._falls[0][0]):
            self.failovers.add(time.monotonic() - self._falls.popleft()[1])
        self.lingering.acknowledged(self.link.answered_by_all, time.monotonic())
        if self.answering():
            if not self._told_ready:  # once: said during a reload, it would mean that the reload is over
                self._told_ready = True
                self.say_status()
                self.link.ready()
            self.on_swapped()
        self._moved.set()

    def answering(self) -> bool:
        """Say whether every worker answers from the last table that was published."""
        return self._published > 0 and self.link.answered_by_all(self._published)

    async def settled(self, timeout_s: float) -> bool:
        """Wait until every worker answers from what the brain makes of all it was fed; say whether they do in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.brain.pending() or not self.answering():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        # Workers write down what they answer from before they say so: who has waited must not be told less than is so.
        self.lingering.acknowledged(self.link.answered_by_all, time.monotonic())
        return True

    def _told(self, kind: str, body: Mapping[str, Any]) -> None:
        """Hear the supervisor."""
        if kind == "reload":
            self.on_reload()
        elif kind == "replace":
            self.on_replace()
        elif kind == "go":
            self.in_charge.set()
            self.inherited = True
            self.lingering.begin_again(time.monotonic())
            self._spawn(self.orders_changed())  # what was ordered of the one before in the meantime
            self._spawn(self.challenges.recall())
        elif kind in {"judge", "replaced"}:
            self.judge.told(kind, body)
            if kind == "replaced" and body["ok"]:
                self.over.set()
        elif kind == "processes":
            restarts = body["restarts"]
            for role in ("worker", "control"):
                if restarts.get(role, 0) > self.restarts.get(role, 0):
                    self.happened("worker", role, "gone", "restarted", f"{restarts[role]} restarts so far")
            self.restarts = restarts
            self.processes = tuple((one["role"], one["pid"]) for one in body["processes"])
