"""Operators' wishes in, orders kept, foretold or refused out: one at a time, so that no two pass a rule together."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gtm import errors, preview, seen, view
from gtm.app import breathing, taking
from gtm.app import node as nodes
from gtm.health import orders as targets
from gtm.health import safety
from gtm.web import node as desk

T = TypeVar("T")

# An order is confirmed when every worker has swapped; that takes some tens of milliseconds, or a worker is hung.
CONFIRM_S = 2.0
# Orders that take members out of all answers (semantics B5).
BARRING = frozenset({"drain", "down"})
# Ours among the papers in the store: until when old answers live, by order.
PAPER = "safe"
# What was proven is written down this much later, however often rings are swapped meanwhile.
WRITE_S = 0.5
# A shift of a proof by less is not worth a write: it is the clocks that differ.
SAME_S = 1.0
# Of orders at a time: more than anybody can mean, and each is laid over all that it names at every change.
MOST = 1000
BREAK_GLASS = 'if it must be: --break-glass, or {"break_glass": true}'


class Ordering:
    """What an operator may do to a node, over its brain and its store."""

    def __init__(self, node: nodes.Node) -> None:
        self.node = node
        self._one_at_a_time = asyncio.Lock()
        self._proofs: dict[str, float] = {}  # until when (wall clock) as it stands in the store, by order
        self._recalled = False
        self._covered: dict[str, tuple[str, ...]] = {}
        self._covered_by = ""
        self._writing: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        node.on_swapped = self._write_soon

    # --- looking ---------------------------------------------------------------------------------------------------

    async def views(self) -> Sequence[desk.OrderView]:
        """Return the orders in force, each with what it does and until when old answers live."""
        await self._recall()
        held = self.node.in_force()
        laid = targets.lay(held, self.node.snapshot)
        return [self._view(order, laid) for order in held]

    def _view(self, order: seen.Override, laid: Mapping[str, targets.Ordered]) -> desk.OrderView:
        covered = self._matching(order.target)
        winners = [laid[one].weight if order.order == "weight" else laid[one].state for one in covered if one in laid]
        others = {one.id for one in winners if one is not None and one.id != order.id}
        safe_at = self._safe_at(order, covered) if order.order in BARRING else 0.0
        return desk.OrderView(order, covered, safe_at, 0 < safe_at <= time.time(), tuple(sorted(others)))

    def _safe_at(self, order: seen.Override, covered: tuple[str, ...]) -> float:
        """Return when the last old answer has died, in wall-clock seconds; 0 while that cannot be said."""
        proven = self._proofs.get(order.id, 0.0)
        bound_s = 0.0 if proven or not self.node.inherited else view.ttl_bound_s(self.node.snapshot, covered)
        until_s = self.node.lingering.until_s(covered, bound_s)
        if until_s is None:
            return 0.0
        found = round(max(order.at, proven, until_s + time.time() - time.monotonic()), 3)
        return proven if abs(found - proven) <= SAME_S else found

    def _matching(self, target: str) -> tuple[str, ...]:
        """Return the endpoints of a target; thousands are matched once a configuration, not at every look."""
        snapshot = self.node.snapshot
        if self._covered_by != snapshot.digest or len(self._covered) > 1000:
            self._covered, self._covered_by = {}, snapshot.digest
        if target not in self._covered:
            self._covered[target] = tuple(sorted(targets.matching(target, snapshot)))
        return self._covered[target]

    # --- ordering --------------------------------------------------------------------------------------------------

    async def put(self, order: seen.Override) -> desk.OrderView:
        """Keep an order and wait until it is answered. Raises `Refused`, `StoreError`."""
        with self._audited(order.target, order.order, order.by):
            async with self._one_at_a_time:
                order = self._completed(order)
                if not order.break_glass:
                    await self._check(self._with(order))
                await self._keep(order)
                await self.node.orders_changed()
        confirmed = await self.node.settled(CONFIRM_S)
        await self._write_down()
        found = self._view(order, targets.lay(self.node.in_force(), self.node.snapshot))
        return replace(found, unconfirmed=() if confirmed else (self.node.snapshot.node,))

    async def foretell(self, order: seen.Override) -> Mapping[str, Any]:
        """Return what an order would do. Nothing is kept. Raises `Refused` for one that makes no sense."""
        order = self._completed(order)
        wish = self._with(order)
        return await self._foretold(wish, self._matching(order.target)) | {"until": order.until or None}

    async def drop(self, which: str, by: str, break_glass: bool) -> desk.Released:
        """Release an order by id, or all orders and latches of a target. Raises `Refused`, `StoreError`."""
        with self._audited(which, "release", by):
            async with self._one_at_a_time:
                gone, covered = self._named(which)
                if not break_glass:
                    await self._check(self._without(gone, covered))
                for order in gone:
                    await self.node.store.drop_order(order.id)
                if covered and not gone:
                    self.node.happened("order", which, "", "released", f"by {by}")
                said = f"{by} (break-glass)" if break_glass else by
                dropped = tuple(order.id for order in gone)
                await self.node.orders_changed((which,) if covered else (), dropped, by=said)
        await self.node.settled(CONFIRM_S)
        await self._write_down()
        held = self.node.in_force()
        left = tuple(one.id for one in held if {*covered} & {*self._matching(one.target)})
        return desk.Released(dropped, covered, left)

    async def foretell_drop(self, which: str) -> Mapping[str, Any]:
        """Return what a release would do. Nothing is released. Raises `Refused` when there is nothing to release."""
        gone, covered = self._named(which)
        touched = {*covered}.union(*(self._matching(order.target) for order in gone))
        said = {"orders": [order.id for order in gone]}
        return await self._foretold(self._without(gone, covered), tuple(sorted(touched))) | said

    # --- inside ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _audited(self, target: str, what: str, by: str) -> Any:
        """Write an event when an attempt comes to nothing."""
        try:
            yield
        except errors.GtmError as wrong:
            self.node.happened("order", target, "", "refused", f"{by}: {what} refused: {wrong}")
            raise

    def _completed(self, order: seen.Override) -> seen.Override:
        """Return an order as it would be kept. Raises `Refused`."""
        settings = self.node.snapshot.orders
        if len(self.node.in_force()) >= MOST:
            hint = "release some: see `gtm orders`"
            raise desk.Refused("too-many-orders", f"{MOST} orders are in force already", hint)
        if not self._matching(order.target):
            raise desk.Refused("no-match", f"{order.target!r} matches no endpoint", "see `gtm status` for the names")
        if settings.require_why and not order.why:
            raise desk.Refused("bad-value", "orders need a reason here (orders.require_why)", "say --why")
        # The newest order wins, also when the wall clock was set back since the last one.
        at = max([order.at, *(one.at + 0.001 for one in self.node.in_force())])
        until = order.until or (order.at + settings.default_for_s if settings.default_for_s else 0.0)
        return replace(order, id=order.id or uuid.uuid4().hex[:12], at=at, until=until)

    def _named(self, which: str) -> tuple[tuple[seen.Override, ...], tuple[str, ...]]:
        """Return the orders that a release means, and the endpoints whose latches it lifts. Raises `Refused`."""
        covered = self._matching(which)
        gone = tuple(
            one
            for one in self.node.in_force()
            if which in {one.id, one.target}
            or (covered and self._matching(one.target) and {*self._matching(one.target)} <= {*covered})
        )
        if not gone and not covered:
            raise desk.Refused("no-match", f"{which!r} is no order and matches no endpoint", "see `gtm orders`")
        return gone, covered

    def _with(self, order: seen.Override) -> preview.Wish:
        return preview.Wish((*self.node.in_force(), order))

    def _without(self, gone: Sequence[seen.Override], lifted: Sequence[str]) -> preview.Wish:
        return preview.Wish([one for one in self.node.in_force() if one not in gone], frozenset(lifted))

    async def _check(self, wish: preview.Wish) -> None:
        """Raises `Refused` when a wish would break a floor of the configuration."""
        found = await self._stepwise(preview.breaches(self.node.brain, wish, time.monotonic()))
        if found:
            raise desk.Refused("below-floor", safety.said(found), BREAK_GLASS)

    async def _foretold(self, wish: preview.Wish, covered: Sequence[str]) -> dict[str, Any]:
        mind = self.node.brain
        found = await self._stepwise(preview.moves(mind, wish, time.monotonic(), self.node.measuring.lately.counts()))
        broken = await self._stepwise(preview.breaches(mind, wish, time.monotonic()))
        refused = {"code": "below-floor", "message": safety.said(broken), "hint": BREAK_GLASS} if broken else None
        return {"dry_run": True, "endpoints": list(covered), **found, "refused": refused}

    async def _stepwise(self, steps: preview.Steps[T]) -> T:
        """Take all steps, and let others have the loop in between. Raises `Refused` when a reload comes between."""
        await taking.decided(self.node.brain)
        snapshot = self.node.brain.snapshot

        def look() -> None:
            if self.node.brain.snapshot is not snapshot:
                raise desk.Refused("conflict", "the configuration changed meanwhile", "try again")

        return await breathing.through(steps, look)

    async def _keep(self, order: seen.Override) -> None:
        try:
            await self.node.store.put_order(order)
        except errors.StoreError:
            # A disk that hangs may yet write it, long after it was refused; this follows in the same queue.
            with contextlib.suppress(errors.StoreError):
                await self.node.store.drop_order(order.id)
            raise

    # --- proofs ----------------------------------------------------------------------------------------------------

    async def _recall(self) -> None:
        """Read once what an earlier process has proven."""
        if self._recalled:
            return
        with contextlib.suppress(errors.StoreError):  # the bound without it is a longer one
            papers = await self.node.store.papers()
            self._proofs = {key: float(body) for (kind, key), body in papers.items() if kind == PAPER} | self._proofs
            self._recalled = True

    def _write_soon(self) -> None:
        barring = any(order.order in BARRING for order in self.node.in_force())
        if self._writing is None and (barring or self._proofs) and not self.node.stopping.is_set():
            self._writing = asyncio.get_running_loop().call_later(WRITE_S, self._write_now)

    def _write_now(self) -> None:
        self._writing = None
        task = asyncio.get_running_loop().create_task(self._write_down())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_down(self) -> None:
        """Keep what is proven by now for the next process: it has not seen the rings that were replaced."""
        if not self.node.in_charge.is_set():
            return
        await self._recall()
        barring = [order for order in self.node.in_force() if order.order in BARRING]
        now = {order.id: self._safe_at(order, self._matching(order.target)) for order in barring}
        changes: dict[tuple[str, str], str | None] = {
            (PAPER, key): repr(at) for key, at in now.items() if at and at != self._proofs.get(key)
        }
        changes |= {(PAPER, key): None for key in self._proofs if not now.get(key)}
        if not changes:
            return
        with contextlib.suppress(errors.StoreError):  # the book says it; until the next try the bound must do
            await self.node.store.keep_papers(changes)
            written = {key: float(body) for (_, key), body in changes.items() if body is not None}
            self._proofs = {key: at for key, at in self._proofs.items() if (PAPER, key) not in changes} | written
