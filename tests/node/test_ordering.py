"""Orders on the whole road but for processes and sockets: what is kept, what is refused, when it is safe to stop."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtm import errors, model, ports, seen, view
from gtm.app import node as nodes
from gtm.app import ordering
from gtm.store import memory, sqlite
from gtm.web import node as desk
from gtm.wire import steps
from tests.config import reading
from tests.node import bench

SECTION = "orders: {default_for: 100s, keep_up: {pool: 1, name: 0}}"
CONFIG = """
SECTION
endpoints:
  a1: {address: 192.0.2.1, site: fra}
  a2: {address: 192.0.2.2, site: ams}
  a3: {address: 192.0.2.3, site: ams}
  b1: {address: 192.0.2.4, site: nyc}
sites: {fra: {}, ams: {}, nyc: {}}
pools:
  main: {members: [a1, a2, a3], answers: 1}
  backup: {members: [b1, a1], answers: 1}
zones:
  live.example.com:
    nameservers: {ns1: [203.0.113.53]}
    steer:
      play: {try: [main, backup], ttl: 8s}
"""
WITH = reading.snapshot(CONFIG.replace("SECTION", SECTION))
WITHOUT = reading.snapshot(CONFIG.replace("SECTION", "").replace("a1, a2, a3]", "a1, a2]"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> bench.Clock:
    it = bench.Clock()
    for module in (nodes, ordering):
        monkeypatch.setattr(module, "time", it)
    return it


@asynccontextmanager
async def begun(
    clock: bench.Clock, found: model.Snapshot = WITH, store: ports.Store | None = None, *, inherited: bool = False
) -> AsyncIterator[bench.Bench]:
    kept = store or memory.MemoryStore(now=clock.time)
    await kept.open()
    one = bench.Bench(found, kept, clock, inherited=inherited)
    await one.start()
    one.go(1)
    yield one


def order(clock: bench.Clock, target: str, what: str = "drain", **more: object) -> seen.Override:
    return seen.Override("", target, what, by="ops", at=clock.time(), **more)  # type: ignore[arg-type]


# --- what is kept and what is refused ------------------------------------------------------------------------------


async def test_an_order_below_the_floor_is_refused_kept_nowhere_and_written_down(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        with pytest.raises(desk.Refused) as refused:
            await node.ordering.put(order(clock, "pool:main"))
        assert refused.value.code == "below-floor"
        assert "pool main would keep 0 members in service (floor 1)" in str(refused.value)
        assert "--break-glass" in refused.value.hint
        assert await node.store.orders() == () == node.in_force()
        assert [(one.subject, one.after) for one in node.log if one.kind == "order"] == [("pool:main", "refused")]
        assert node.log[-1].cause.startswith("ops: drain refused: pool main")


async def test_broken_glass_stands_in_the_order_and_in_its_event(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        given = await node.ordering.put(order(clock, "pool:main", break_glass=True))
        assert given.order.break_glass
        assert (await node.store.orders())[0].break_glass
        assert [one.cause for one in node.log if one.kind == "order"] == ["ops: no reason given (break-glass)"]
        # It is below its floor: nothing that is left may go, and what comes back is welcome.
        with pytest.raises(desk.Refused):
            await node.ordering.put(order(clock, "b1"))
        await node.ordering.drop("pool:main", "ops", False)


async def test_an_order_that_names_no_end_gets_the_default_one(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        given = await node.ordering.put(order(clock, "a1"))
        assert given.order.until == given.order.at + 100
        node.reload(WITHOUT)
        assert (await node.ordering.put(order(clock, "a1"))).order.until == 0


async def test_author_reason_and_end_stand_beside_the_measured_state(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        given = await node.ordering.put(order(clock, "site:fra", why="new disk"))
        await node.ordering.put(order(clock, "a1", "weight", value=0.5))
        rows = {row["endpoint"]: row for row in steps.finish(view.endpoints_view(node.brain, clock.now_s))}
        state, weight = rows["a1"]["orders"]
        assert (rows["a1"]["state"], rows["a1"]["order"]) == ("up", "drain, weight 50%")
        assert (state["id"], state["by"], state["why"]) == (given.order.id, "ops", "new disk")
        assert state["until"] == given.order.until
        assert weight["value"] == 0.5
        assert rows["a2"]["orders"] == []


async def test_so_many_orders_and_no_more_are_in_force_at_a_time(
    clock: bench.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "MOST", 2)
    async with begun(clock, WITHOUT) as node:
        for _ in range(2):
            await node.ordering.put(order(clock, "a1", "weight", value=0.5))
        with pytest.raises(desk.Refused, match="2 orders are in force already"):
            await node.ordering.put(order(clock, "a1", "weight", value=0.5))


async def test_a_reason_can_be_asked_for(clock: bench.Clock) -> None:
    found = reading.snapshot(CONFIG.replace("SECTION", "orders: {require_why: true}"))
    async with begun(clock, found) as node:
        with pytest.raises(desk.Refused, match="need a reason"):
            await node.ordering.put(order(clock, "a1"))
        await node.ordering.put(order(clock, "a1", why="new disk"))


async def test_the_newest_order_wins_though_the_clock_was_set_back(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        drained = await node.ordering.put(order(clock, "a1"))
        clock.offset_s -= 3600
        await node.ordering.put(order(clock, "a1", "up"))
        assert node.held("main") == {"a1", "a2", "a3"}
        first, second = await node.ordering.views()
        assert (first.order.id, first.overruled_by) == (drained.order.id, (second.order.id,))
        assert (second.overruled_by, first.safe) == ((), False)


async def test_a_release_lifts_what_lies_inside_its_target_and_names_what_is_left(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        one = await node.ordering.put(order(clock, "a1"))
        wide = await node.ordering.put(order(clock, "site:ams", "weight", value=0.5))
        gone = await node.ordering.drop("a2", "ops", False)
        assert (gone.orders, gone.latches, gone.left) == ((), ("a2",), (wide.order.id,))
        gone = await node.ordering.drop("pool:main", "ops", False)
        assert (set(gone.orders), gone.left) == ({one.order.id, wide.order.id}, ())
        assert [event.cause for event in node.log if event.after == ""] == ["released by ops"] * 2
        with pytest.raises(desk.Refused, match="is no order"):
            await node.ordering.drop("nobody", "ops", False)


async def test_a_dry_run_answers_in_the_promised_shape_and_keeps_nothing(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        said = await node.ordering.foretell(order(clock, "pool:main"))
        assert said["dry_run"] is True
        assert said["endpoints"] == ["a1", "a2", "a3"]
        assert said["refused"]["code"] == "below-floor"
        assert said["names"][0]["after"] == {"rung": "fallback", "pool": "backup"} or said["names"][0]["share"] == 1.0
        assert said["names_total"] == 1
        assert await node.store.orders() == ()
        assert not [one for one in node.log if one.kind == "order"]
        await node.ordering.put(order(clock, "a1", "up"))
        assert (await node.ordering.foretell_drop("a1"))["share"] == 0


class Failing(memory.MemoryStore):
    """A store whose disk hangs until long after the caller has given up."""

    async def put_order(self, order: seen.Override) -> None:
        """Write it, and say that it could not be written."""
        await super().put_order(order)
        raise errors.StoreError("no answer from the disk")


async def test_F5_an_order_that_the_store_refused_does_not_come_into_force_later(clock: bench.Clock) -> None:
    async with begun(clock, store=Failing(now=clock.time)) as node:
        with pytest.raises(errors.StoreError):
            await node.ordering.put(order(clock, "a1"))
        await node.orders_changed()
        assert node.in_force() == ()


# --- two at once ---------------------------------------------------------------------------------------------------


class Slow(memory.MemoryStore):
    """A store that lets others run before it writes: without the lock all would be checked first."""

    async def put_order(self, order: seen.Override) -> None:
        """Take a few turns of the loop."""
        for _ in range(5):
            await asyncio.sleep(0)
        await super().put_order(order)


@given(targets=st.lists(st.sampled_from(["a1", "a2", "a3", "b1", "site:ams", "pool:backup"]), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_no_two_orders_pass_the_floors_together(targets: list[str]) -> None:
    async def race(clock: bench.Clock) -> None:
        async with begun(clock, store=Slow(now=clock.time)) as node:
            done = await asyncio.gather(
                *(node.ordering.put(order(clock, one)) for one in targets), return_exceptions=True
            )
            assert all(isinstance(one, desk.OrderView | desk.Refused) for one in done), done
            assert all(node.held(pool) for pool in WITH.pools)

    with _patched() as clock:
        asyncio.run(race(clock))


# --- proof ---------------------------------------------------------------------------------------------------------


async def test_D3_a_drain_is_safe_one_ttl_after_every_worker_has_swapped(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        given = await node.ordering.put(order(clock, "a1"))
        assert given.safe_at == pytest.approx(clock.time() + 8, abs=0.1)
        assert not given.safe
        node.go(9)
        (view,) = await node.ordering.views()
        assert (view.safe, view.safe_at) == (True, given.safe_at)


async def test_D3_while_a_worker_has_not_swapped_nothing_is_promised(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        node.deaf = True
        given = await node.ordering.put(order(clock, "a1"))
        assert (given.safe_at, given.safe, given.unconfirmed) == (0.0, False, ("ns1",))
        node.go(60)
        assert [one.safe_at for one in await node.ordering.views()] == [0.0]
        node.acknowledge()
        assert [one.safe_at for one in await node.ordering.views()] == [pytest.approx(clock.time() + 8, abs=0.1)]


async def test_D3_a_proof_outlives_the_process(clock: bench.Clock) -> None:
    store = memory.MemoryStore(now=clock.time)
    async with begun(clock, store=store) as node:
        given = await node.ordering.put(order(clock, "a1"))
    node_two_at = clock.time()
    async with begun(clock, store=store, inherited=True) as node:
        (view,) = await node.ordering.views()
        assert view.safe_at == given.safe_at < node_two_at + 8


async def test_D3_without_a_proof_the_bound_after_a_restart_is_the_longest_ttl(clock: bench.Clock) -> None:
    store = memory.MemoryStore(now=clock.time)
    async with begun(clock, store=store) as node:
        node.deaf = True
        await node.ordering.put(order(clock, "a1"))
    async with begun(clock, store=store, inherited=True) as node:
        (view,) = await node.ordering.views()
        assert view.safe_at == pytest.approx(clock.time() - 1 + 8, abs=0.1)


async def test_D3_a_proof_that_could_not_be_kept_is_kept_at_the_next_swap(clock: bench.Clock) -> None:
    class Full(memory.MemoryStore):
        full = True

        async def keep_papers(self, changes: Mapping[tuple[str, str], str | None]) -> None:
            if self.full:
                raise errors.StoreError("disk full")
            await super().keep_papers(changes)

    store = Full(now=clock.time)
    async with begun(clock, store=store) as node:
        given = await node.ordering.put(order(clock, "a1"))
        assert await store.papers() == {}
        store.full = False
        await node.ordering.put(order(clock, "a1", "weight", value=0.5))
        assert [float(body) for body in (await store.papers()).values()] == [pytest.approx(given.safe_at, abs=0.1)]


async def test_D3_what_an_up_overrules_is_not_safe_and_its_proof_is_forgotten(clock: bench.Clock) -> None:
    async with begun(clock) as node:
        drained = await node.ordering.put(order(clock, "a1"))
        node.go(20)
        up = await node.ordering.put(order(clock, "a1", "up"))
        view = next(one for one in await node.ordering.views() if one.order.id == drained.order.id)
        assert (view.safe, view.safe_at) == (False, 0.0)
        assert not [key for key in await node.store.papers() if key[0] == ordering.PAPER]
        await node.ordering.drop(up.order.id, "ops", False)
        view = (await node.ordering.views())[0]
        assert view.safe_at == pytest.approx(clock.time() + 8, abs=0.1)


# --- any sequence --------------------------------------------------------------------------------------------------


@dataclass
class Held:
    """An order as the model holds it."""

    id: str
    target: str
    what: str
    value: float
    until: float


class Model:
    """What should hold: the newest order of each endpoint, until it ends; floors are counted by hand."""

    def __init__(self) -> None:
        self.held: list[Held] = []

    def expire(self, now: float) -> None:
        """Drop what has run out."""
        self.held = [one for one in self.held if not one.until or one.until > now]

    @staticmethod
    def covered(target: str, found: model.Snapshot) -> set[str]:
        """Return the endpoints of a target, by hand."""
        word, _, name = target.partition(":")
        if word == "pool":
            return {member.endpoint for member in found.pools[name].members}
        if word == "site":
            return {one.name for one in found.endpoints.values() if one.site == name}
        return {one for one in found.endpoints if one == target or (target == "a*" and one[0] == "a")}

    def state(self, found: model.Snapshot, held: Iterable[Held] | None = None) -> dict[str, tuple[str, float]]:
        """Return what is ordered of each endpoint: the newest state, the newest weight."""
        laid = dict.fromkeys(found.endpoints, ("", 1.0))
        for one in self.held if held is None else held:
            for name in self.covered(one.target, found):
                before = laid[name]
                laid[name] = (before[0], one.value) if one.what == "weight" else (one.what, before[1])
        return laid

    def breaks(self, found: model.Snapshot, after: list[Held]) -> bool:
        """Say whether a pool would be lowered below its floor."""
        floor = found.orders.keep_pool

        def counted(held: Iterable[Held]) -> Iterator[int]:
            laid = self.state(found, held)
            for pool in found.pools.values():
                stands = [laid[member.endpoint] for member in pool.members]
                yield sum(state in {"", "up"} and weight > 0 for state, weight in stands)

        return any(new < old and new < floor for old, new in zip(counted(self.held), counted(after), strict=True))


TARGETS = ["a1", "a2", "a3", "b1", "a*", "site:ams", "pool:main", "pool:backup"]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"),
            st.sampled_from(TARGETS),
            st.sampled_from(["drain", "down", "up", "weight"]),
            st.sampled_from([0.0, 0.5]),
            st.sampled_from([0, 5, 40]),
            st.booleans(),
        ),
        st.tuples(st.just("release"), st.sampled_from([*TARGETS, 0, 1, 2])),
        st.tuples(st.just("pass"), st.sampled_from([1, 6, 50, 120])),
        st.tuples(st.just("restart")),
        st.tuples(st.just("reload")),
    ),
    max_size=14,
)


class _Patched:
    def __enter__(self) -> bench.Clock:
        self._patch, clock = pytest.MonkeyPatch(), bench.Clock()
        for module in (nodes, ordering):
            self._patch.setattr(module, "time", clock)
        return clock

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


_patched = _Patched


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_any_sequence_of_orders_ends_restarts_and_reloads_leaves_what_a_simple_model_says(
    steps: list[tuple[object, ...]],
) -> None:
    with _patched() as clock, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(steps, clock, Path(folder) / "gtm.db"))


async def _play(steps: list[tuple[object, ...]], clock: bench.Clock, path: Path) -> None:
    store: ports.Store = sqlite.SqliteStore(str(path), now=clock.time)
    found, wanted = WITH, Model()
    async with begun(clock, found, store) as first:
        node = first
        for step in steps:
            match step:
                case ("order", str(target), str(what), float(value), int(for_s), bool(glass)):
                    await _order(node, wanted, order(
                        clock, target, what, value=value if what == "weight" else 1.0,
                        until=clock.time() + for_s if for_s else 0.0, break_glass=glass,
                    ))  # fmt: skip
                case ("release", which):
                    await _release(node, wanted, which)
                case ("pass", int(for_s)):
                    node.go(for_s)
                case ("restart",):
                    await store.close()
                    store = sqlite.SqliteStore(str(path), now=clock.time)
                    await store.open()
                    node = bench.Bench(node.snapshot, store, clock, inherited=True)
                    await node.start()
                    node.go(0.5)
                case ("reload",):
                    node.reload(WITHOUT if node.snapshot is WITH else WITH)
            wanted.expire(clock.time())
            _agree(node, wanted)
    await store.close()


async def _order(node: bench.Bench, wanted: Model, given: seen.Override) -> None:
    until = given.until or (given.at + 100 if node.snapshot is WITH else 0.0)
    wish = Held("", given.target, given.order, given.value, until)
    refused = not given.break_glass and wanted.breaks(node.snapshot, [*wanted.held, wish])
    if refused:
        with pytest.raises(desk.Refused, match="in service"):
            await node.ordering.put(given)
        return
    wish.id = (await node.ordering.put(given)).order.id
    wanted.held.append(wish)


async def _release(node: bench.Bench, wanted: Model, which: object) -> None:
    target = which if isinstance(which, str) else (wanted.held[which].id if which < len(wanted.held) else "")  # type: ignore[operator, call-overload]
    if not target:
        return
    covered = wanted.covered(target, node.snapshot) if target in TARGETS else set()
    left = [
        one
        for one in wanted.held
        if target not in {one.id, one.target} and not wanted.covered(one.target, node.snapshot) <= covered
    ]
    if wanted.breaks(node.snapshot, left):
        with pytest.raises(desk.Refused, match="in service"):
            await node.ordering.drop(target, "ops", False)
        return
    gone = await node.ordering.drop(target, "ops", False)
    assert set(gone.orders) == {one.id for one in wanted.held} - {one.id for one in left}
    wanted.held = left


def _agree(node: bench.Bench, wanted: Model) -> None:
    assert {one.id for one in node.in_force()} == {one.id for one in wanted.held}
    laid, state = node.brain.health.told().laid, wanted.state(node.snapshot)
    for name, (what, value) in state.items():
        one = laid.get(name)
        assert (one.state.order if one and one.state else "") == what
        assert (one.factor if one else 1.0) == value
    node.go(0.05)
    answered = {answer.endpoint for one in node.brain.decisions for reply in one.replies for answer in reply}
    assert not answered & {name for name, (what, _) in state.items() if what in {"drain", "down"}}
