"""What happens on a node in, alerts to its receivers out: carries events to the rules and letters to the couriers.

What is to be said is written into the store before it is sent, and forgotten there when it has been taken; so it
outlives this process. A store that fails keeps nobody from being told.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gtm import errors, events, model, notify
from gtm.alerts import outbox, rules, text, topology, words
from gtm.app import courier, sight
from gtm.app import node as nodes
from gtm.web import node as web_node

log = logging.getLogger("gtm")

SILENCE = "silence"  # of the store's papers
READY_S = 0.2  # so often it is looked whether the node has judged everything
REVIEW_S = 30.0  # so often the memory is held against what is seen
AGAIN_S = 5.0  # after a failure of the store
MOST_SILENCES = 200  # each is held against each fact; nobody oversees more
MOST_EARLY = 1000  # events before the node is in charge; what is wrong then is found by looking
MOST_SHOWN = 100  # incidents and letters in one answer of the API
# Papers that are to go from a store that takes nothing just now: more than it holds of letters and incidents. Beyond it
# the oldest are let go of, and something may be said once more after a restart.
MOST_GONE = 20_000


class Herald:
    """Alerting of one node. Says nothing before the node is in charge and has judged what it sees."""

    def __init__(self, node: nodes.Node) -> None:
        self._node = node
        self._sight = sight.Sight(node)
        self._offset_s = time.time() - time.monotonic()
        self.outbox = outbox.Outbox()
        self.rules = rules.Rules(_fresh_id, self.outbox.waits)
        self.couriers: dict[str, courier.Courier] = {}
        self.counts: collections.Counter[tuple[str, ...]] = collections.Counter()
        self._snapshot: model.Snapshot | None = None
        self._early: collections.deque[events.Event] = collections.deque(maxlen=MOST_EARLY)
        self._unkept: dict[tuple[str, str], str | None] = {}
        self._keeping = asyncio.Lock()
        self._news = asyncio.Event()
        self._reviewed_at = 0.0
        self._recalled = False
        self._look_at_all = False  # so much happened at once that events did not name it one by one
        self._task: asyncio.Task[None] | None = None
        node.listeners.add(self.hear)

    def now(self) -> float:
        """Return alerting's clock: the wall clock as it was at the start, and steady from then on (semantics G4)."""
        return self._offset_s + time.monotonic()

    def start(self) -> None:
        """Begin, as soon as the node is in charge."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop, and write down what is not written yet."""
        self._node.listeners.discard(self.hear)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in self.couriers.values()))
        if self._node.in_charge.is_set():
            await self._keep()

    def hear(self, event: events.Event) -> None:
        """Take an event."""
        if self._snapshot is None:
            self._early.append(event)
            return
        self._look_at_all |= (event.kind, event.subject) == events.MANY
        if event.kind == "store" and event.after in {"usable", "begun anew"}:
            self._unkept = {**self._all_papers(), **self._unkept}  # a new file knows nothing
        if self._snapshot.alerts:
            self.rules.hear(event, self.now())
        if self._snapshot.alerts or event.kind == "config":
            self._news.set()

    # --- the loop -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._node.in_charge.wait()
        await self._ready()
        while True:
            try:
                await self._turn()
            except Exception:  # a mistake in here must not end alerting
                log.exception("alerting stumbled")
                await asyncio.sleep(AGAIN_S)
            wait_s = max(0.0, self.rules.wake_at(self.now()) - self.now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, REVIEW_S if self._recalled and not self._unkept else AGAIN_S)):
                    await self._news.wait()

    async def _ready(self) -> None:
        """Wait until what is seen is judged: nobody is woken by a node that only just begins to look."""
        while not self._node.brain.judged() or self._node.brain.pending():  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(READY_S)

    async def _turn(self) -> None:
        self._news.clear()
        self._recalled = self._recalled or await self._recall()
        anew = self._snapshot is not self._node.snapshot
        whole, self._look_at_all = anew or self._look_at_all, False
        if anew:
            await self._ready()
            await self._configure(self._node.snapshot)
        while self._early:
            self.hear(self._early.popleft())
        now = self.now()
        if self._node.snapshot.alerts and (whole or now >= self._reviewed_at + REVIEW_S):
            self._reviewed_at = now
            self.rules.review(now, whole=whole)
        for receiver, message in self.rules.wake(now):
            dropped = self.outbox.put(receiver, message, now)
            if dropped is not None:
                self.counts[self._kind(dropped.receiver), "dropped"] += 1
        await self._keep()
        self.outbox.ready()
        for one in self.couriers.values():
            one.wake()

    async def _configure(self, snapshot: model.Snapshot) -> None:
        """Take a configuration: a courier for each receiver, a new one where a receiver has changed."""
        wanted = {one.name: one for one in snapshot.alerts}
        for name, one in list(self.couriers.items()):
            if wanted.get(name) != one.receiver:
                await self.couriers.pop(name).close()
        refresh_s = {one.name: notify.SENDERS[one.kind].refresh_s for one in snapshot.alerts}
        self.rules.configure(snapshot, self._sight, refresh_s)
        self.outbox.forget(set(wanted))
        for name, receiver in wanted.items():
            if name not in self.couriers:
                self.outbox.hurry(name)
                self.couriers[name] = made = courier.Courier(receiver, self.outbox, self.now, self._done)
                made.trouble = courier.missing(receiver, text.trial(_fresh_id(), snapshot, time.time()))
                if made.trouble:
                    self._node.happened("alert", name, "", "unusable", made.trouble)
        self._snapshot = snapshot

    def _kind(self, receiver: str) -> str:
        return self.couriers[receiver].receiver.kind if receiver in self.couriers else "gone"

    async def _done(self, letter: words.Letter, outcome: courier.Outcome, given_up: bool) -> None:
        """Count an attempt, say when a receiver begins or ends to fail, and write it down."""
        name, title = letter.receiver, letter.message.title
        self.counts[self._kind(name), "sent" if outcome.ok else "given_up" if given_up else "failed"] += 1
        if outcome.ok:
            self.rules.taken(name, letter.message, self.now())
        if given_up:
            self._node.happened("alert", name, "waiting", "given up", f"{outcome.said}: {title}")
        elif not outcome.ok and not letter.tries:
            self._node.happened("alert", name, "working", "failing", f"{outcome.said}; it is tried again")
        elif outcome.ok and letter.tries:
            self._node.happened("alert", name, "failing", "working", f"sent at try {letter.tries + 1}: {title}")
        await self._keep()

    # --- the store ------------------------------------------------------------------------------------------------

    async def _recall(self) -> bool:
        """Remember what was said, what is to be sent, and what is silenced; say whether that could be read."""
        try:
            papers = await self._node.store.papers()
        except errors.StoreError as wrong:
            if self._snapshot is None:
                log.warning("alerting begins without its memory: %s", wrong)
            return False
        incidents, letters = [], []
        for (kind, key), body in papers.items():
            try:
                if kind == rules.KIND:
                    incidents.append(words.incident(body))
                elif kind == outbox.KIND:
                    letters.append(words.letter(body))
                elif kind == SILENCE:
                    self.rules.silences[key] = words.silence(body)
            except (ValueError, TypeError, LookupError, AttributeError):
                log.warning("alerting forgets a %s that it cannot read: %s", kind, key)
                self._unkept[kind, key] = None
        self.rules.recall(incidents)
        self.outbox.recall(letters)
        self._reviewed_at = 0.0  # what was known is held against what is seen
        return True

    def _all_papers(self) -> dict[tuple[str, str], str | None]:
        incidents = {(rules.KIND, key): words.dump(one) for key, one in self.rules.incidents.items()}
        silenced = {(SILENCE, key): words.dump(one) for key, one in self.rules.silences.items()}
        return {**incidents, **silenced, **{(outbox.KIND, one.id): words.dump(one) for one in self.outbox}}

    async def _keep(self) -> None:
        """Write down what has changed. What the store does not take now is tried again."""
        async with self._keeping:
            ended = {(SILENCE, key): None for key in self.rules.ended()}
            self._unkept = _bounded({**self._unkept, **ended, **self.rules.written(), **self.outbox.written()})
            if not self._unkept:
                return
            changes = self._unkept
            try:
                await self._node.store.keep_papers(changes)
            except errors.StoreError:  # the book says it (semantics G5); here nothing waits for it
                return
            self._unkept = {key: body for key, body in self._unkept.items() if changes.get(key, "") != body}

    # --- for people -----------------------------------------------------------------------------------------------

    def shown(self) -> Mapping[str, Any]:
        """Return receivers, what is open, what waits, and what is silenced."""
        return {
            "receivers": self.receivers(),
            "open": [self._incident(one) for one in list(self.rules.incidents.values()) if one.facts][:MOST_SHOWN],
            "outbox": [_letter(one) for one in self.outbox][:MOST_SHOWN],
            "waiting": len(self.outbox),
            "unwritten": len(self._unkept) + self.outbox.unwritten,
            "silences": [asdict(one) for one in self.silences()],
        }

    def receivers(self) -> list[dict[str, Any]]:
        """Return the receivers of the configuration, each with what waits for it and what is wrong with it."""
        return [self._receiver(one) for one in self._node.snapshot.alerts]

    def _receiver(self, one: model.Receiver) -> dict[str, Any]:
        carrier = self.couriers.get(one.name)
        return {
            "name": one.name, "kind": one.kind, "on": list(one.on), "hold_s": one.hold_s, "remind_s": one.remind_s,
            "severity": one.severity, "match": list(one.match), "waiting": len(self.outbox.of(one.name)),
            "trouble": carrier.trouble if carrier else "", "sent_at": (carrier.sent_at if carrier else 0) or None,
        }  # fmt: skip

    def _incident(self, one: words.Incident) -> dict[str, Any]:
        found = list(one.facts.values())
        unsent = {letter.receiver for letter in self.outbox if letter.message.incident == one.id}
        return {
            "id": one.id, "group": one.group, "title": text.headline(one.group, found, self.rules.world),
            "since": min(fact.since for fact in found),
            "told": [name for name in one.open_for if name not in unsent], "waiting": sorted(unsent),
            "hushed": all(self.rules.hushed(fact, one.group) for fact in found),
            "facts": [{"kind": fact.kind, "subject": fact.subject, "family": fact.family, "state": fact.state,
                       "since": fact.since, "reason": fact.reason, "severity": fact.severity}
                      for fact in found[: words.MOST_FACTS]],
        }  # fmt: skip

    def metrics(self) -> dict[str, web_node.Samples]:
        """Return what is counted here, by metric."""
        receivers = [one.name for one in self._node.snapshot.alerts]
        waiting: web_node.Samples = {(name,): float(len(self.outbox.of(name))) for name in receivers}
        return {
            "alerts_sent_total": {labels: float(count) for labels, count in self.counts.items()},
            "alerts_pending": waiting,
            "alerts_open": {(): float(sum(bool(one.open_for) for one in self.rules.incidents.values()))},
            "alert_silences": {(): float(len(self.silences()))},
        }

    async def test(self, which: str) -> list[dict[str, Any]]:
        """Send a test to every receiver of that name or kind, past the outbox, and return what came back."""
        chosen = [one for one in self._node.snapshot.alerts if which in {"", one.name, one.kind}]
        outcomes = await asyncio.gather(
            *(courier.attempt(one, text.trial(_fresh_id(), self._node.snapshot, time.time())) for one in chosen)
        )
        for one, outcome in zip(chosen, outcomes, strict=True):
            self.counts[one.kind, "tested" if outcome.ok else "test_failed"] += 1
        return [
            {"receiver": one.name, "kind": one.kind, "ok": out.ok, "said": out.said, "took_s": round(out.took_s, 3)}
            for one, out in zip(chosen, outcomes, strict=True)
        ]

    def silences(self) -> Sequence[words.Silence]:
        """Return the silences in force, oldest first."""
        live = (one for one in self.rules.silences.values() if one.until > self.now())
        return sorted(live, key=lambda one: (one.at, one.id))

    def nameable(self, target: str) -> bool:
        """Say whether a silence of this could ever silence anything."""
        world = topology.Topology(self._node.snapshot)
        open_now = [(fact, one.group) for one in self.rules.incidents.values() for fact in one.facts.values()]
        return world.known(target) or any(world.names(target, fact, group) for fact, group in open_now)

    async def silence(self, target: str, for_s: float, why: str, by: str) -> words.Silence:
        """Silence a target for so long. Raises `StoreError` when it could not be kept, and then it is not in force."""
        at = self.now()
        made = words.Silence(secrets.token_hex(4), target, by, why, at, at + for_s)
        await self._node.store.keep_papers({(SILENCE, made.id): words.dump(made)})
        self.rules.silences[made.id] = made
        self._node.happened(
            "alert", target, "", "silenced", f"by {by} until {text.moment(made.until)}: {why or 'no reason given'}"
        )
        self._news.set()
        return made

    async def unsilence(self, silence_id: str, by: str) -> bool:
        """End a silence; say whether it was there. Raises `StoreError`."""
        if silence_id not in {one.id for one in self.silences()}:
            return False
        await self._node.store.keep_papers({(SILENCE, silence_id): None})
        gone = self.rules.silences.pop(silence_id, None)
        if gone is not None:
            self._node.happened("alert", gone.target, "silenced", "", f"by {by}")
        self._news.set()
        return True


def _bounded(papers: dict[tuple[str, str], str | None]) -> dict[tuple[str, str], str | None]:
    """Let go of the oldest that are to go, when they are too many: letters come and go while a disk is out."""
    gone = [key for key, body in papers.items() if body is None]
    for key in gone[:-MOST_GONE]:
        del papers[key]
    return papers


def _letter(one: words.Letter) -> dict[str, Any]:
    return {
        "id": one.id, "receiver": one.receiver, "what": one.message.what, "title": one.message.title,
        "made_at": one.made, "due_at": one.due, "tries": one.tries, "trouble": one.trouble,
    }  # fmt: skip


def _fresh_id() -> str:
    return secrets.token_hex(8)
