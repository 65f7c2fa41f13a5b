"""Both stores keep one contract: what goes into `ports.Store` comes out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gtm import errors, events, model, ports, seen, store
from gtm.store import bounds, memory, sqlite

NOW = 1_700_000_000.0
CHECK = model.CheckKey("hls", "fra-1", "ipv4")
CHECK_PER_NAME = model.CheckKey("hls", "fra-1", "ipv4", "news.ch.example.com.")
ORDER = seen.Override("a1", "fra-*", "weight", 0.5, "ops", "new disks", NOW, NOW + 60)


@dataclass
class World:
    """A store and the clock that it looks at."""

    store: ports.Store
    now: float = NOW


def event(subject: str, at: float = NOW) -> events.Event:
    return events.Event(at, "endpoint", subject, "up", "down", "it fell")


def make(kind: str, path: Path, now: Callable[[], float], max_events: int = bounds.MAX_EVENTS) -> ports.Store:
    if kind == "memory":
        return memory.MemoryStore(now=now, max_events=max_events)
    return sqlite.SqliteStore(str(path / "gtm.db"), now=now, max_events=max_events)


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = [NOW]
    it = World(make(request.param, tmp_path, lambda: it.now, max_events=10), clock[0])
    await it.store.open()
    yield it
    await it.store.close()


async def test_health_comes_back_as_it_was_remembered(world: World) -> None:
    assert await world.store.health() == {}
    await world.store.remember(
        {CHECK: seen.Known("up", NOW, ""), CHECK_PER_NAME: seen.Known("down", NOW - 5, "status 503", True, 2, "full")}
    )
    await world.store.remember({CHECK: seen.Known("down", NOW + 1, "time-out")})
    found = await world.store.health()
    assert found == {
        CHECK: seen.Known("down", NOW + 1, "time-out"),
        CHECK_PER_NAME: seen.Known("down", NOW - 5, "status 503", True, 2, "full"),
    }
    assert all(isinstance(key, model.CheckKey) for key in found)


async def test_health_of_checks_that_went_away_is_forgotten_in_the_end(world: World) -> None:
    await world.store.remember({CHECK: seen.Known("up", NOW, "")})
    world.now = NOW + bounds.MAX_HEALTH_AGE_S + 1
    await world.store.remember({CHECK_PER_NAME: seen.Known("up", world.now, "")})
    assert set(await world.store.health()) == {CHECK_PER_NAME}
    world.now -= bounds.MAX_AHEAD_S + 10  # it was the clock that was wrong
    await world.store.remember({CHECK: seen.Known("up", world.now, "")})
    assert set(await world.store.health()) == {CHECK}


async def test_broken_glass_comes_back_with_its_order(world: World) -> None:
    await world.store.put_order(replace(ORDER, break_glass=True))
    assert [one.break_glass for one in await world.store.orders()] == [True]


async def test_orders_come_back_in_the_order_in_which_they_were_given(world: World) -> None:
    later = replace(ORDER, id="a0", at=NOW + 1, until=0.0, order="drain", value=1.0)
    await world.store.put_order(later)
    await world.store.put_order(ORDER)
    assert await world.store.orders() == (ORDER, later)


async def test_an_order_with_the_same_id_replaces_the_old_one(world: World) -> None:
    await world.store.put_order(ORDER)
    await world.store.put_order(replace(ORDER, why="other disks"))
    assert [one.why for one in await world.store.orders()] == ["other disks"]


async def test_an_order_that_ran_out_is_gone_and_cannot_be_released(world: World) -> None:
    await world.store.put_order(ORDER)
    world.now = NOW + 60
    assert await world.store.orders() == ()
    assert not await world.store.drop_order("a1")


async def test_of_orders_that_ran_out_no_more_are_kept_than_the_bound_and_all_that_are_in_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_ORDERS", 5)
    for at in range(4):
        await world.store.put_order(replace(ORDER, id=f"live{at}", at=NOW - 100 + at, until=0.0))
    for at in range(20):
        await world.store.put_order(replace(ORDER, id=f"short{at}", at=NOW + at, until=NOW + at + 0.5))
        world.now = NOW + at + 1
    world.now = NOW  # as if the clock had been wrong: now all count again that are there
    kept = {one.id for one in await world.store.orders()}
    assert kept == {"live0", "live1", "live2", "live3", *(f"short{at}" for at in range(15, 20))}


async def test_a_released_order_is_gone_once(world: World) -> None:
    await world.store.put_order(ORDER)
    assert await world.store.drop_order("a1")
    assert not await world.store.drop_order("a1")
    assert await world.store.orders() == ()


async def test_events_get_growing_ids_and_come_back_oldest_first(world: World) -> None:
    first = await world.store.append([event("a"), event("b")])
    second = await world.store.append([event("c", NOW + 1)])
    ids = [one.id for one in first + second]
    assert ids == sorted(set(ids))
    assert min(ids) > 0
    assert await world.store.events() == first + second
    assert await world.store.append([]) == ()


async def test_events_are_chosen_by_moment_id_and_number(world: World) -> None:
    kept = await world.store.append([event(name, NOW + n) for n, name in enumerate("abcd")])
    assert await world.store.events(since=NOW + 2) == kept[2:]
    assert await world.store.events(after_id=kept[0].id) == kept[1:]
    assert await world.store.events(limit=2) == kept[2:]
    assert await world.store.events(limit=0) == ()


async def test_events_beyond_the_bound_are_pruned_oldest_first(world: World) -> None:
    await world.store.append([event(str(n)) for n in range(25)])
    assert [one.subject for one in await world.store.events()] == [str(n) for n in range(15, 25)]


async def test_old_events_are_pruned(world: World) -> None:
    await world.store.append([event("old")])
    world.now = NOW + bounds.MAX_EVENT_AGE_S + 1
    await world.store.append([event("new", world.now)])
    assert [one.subject for one in await world.store.events()] == ["new"]


async def test_papers_are_put_replaced_and_dropped_together(world: World) -> None:
    await world.store.keep_papers({("letter", "a"): "one", ("silence", "a"): "two"})
    await world.store.keep_papers({("letter", "a"): None, ("letter", "b"): "é", ("silence", "a"): "three"})
    assert await world.store.papers() == {("letter", "b"): "é", ("silence", "a"): "three"}
    await world.store.keep_papers({("letter", "gone"): None})
    assert len(await world.store.papers()) == 2


def test_a_url_says_which_store_it_is(tmp_path: Path) -> None:
    assert isinstance(store.open_store("memory:"), memory.MemoryStore)
    assert isinstance(store.open_store(f"sqlite://{tmp_path}/gtm.db"), sqlite.SqliteStore)


@pytest.mark.parametrize("url", ["", "gtm.db", "sqlite:gtm.db", "sqlite://gtm.db", "etcd://127.0.0.1"])
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(errors.StoreError):
        store.open_store(url)


def measured(at: int, step_s: int = 60, kind: str = "answers", values: dict[str, float] | None = None) -> seen.Measured:
    return seen.Measured(at, step_s, kind, "pool", values or {}, step_s / 4)


MINUTE = int(NOW) - int(NOW) % 600


async def test_measurements_come_back_by_step_kind_and_moment_and_the_same_moment_is_replaced(world: World) -> None:
    await world.store.keep_measured(
        [measured(MINUTE, values={"edge": 1.0}), measured(MINUTE - 60, values={"edge": 2.5, "é": 0.5})]
    )
    await world.store.keep_measured(
        [measured(MINUTE, values={"edge": 3.0}), measured(MINUTE - 600, 600), measured(MINUTE, kind="x")]
    )
    of_pools = await world.store.measured(60, "answers", "pool", NOW - 86000)
    assert of_pools == (measured(MINUTE - 60, values={"edge": 2.5, "é": 0.5}), measured(MINUTE, values={"edge": 3.0}))
    assert await world.store.measured(60, "", "", MINUTE + 1) == (
        measured(MINUTE, values={"edge": 3.0}),
        measured(MINUTE, kind="x"),
    )
    assert await world.store.measured(600, "answers", "pool", 0) == (measured(MINUTE - 600, 600),)
    assert await world.store.measured(60, "answers", "name", 0) == ()


async def test_measurements_are_pruned_a_minute_after_a_day_and_ten_minutes_after_a_month(world: World) -> None:
    await world.store.keep_measured([measured(MINUTE), measured(MINUTE, 600), measured(MINUTE + 2 * 86400)])
    assert await world.store.measured(60, "", "", 0) == (measured(MINUTE),)  # a wrong clock fills no disk
    world.now += 86400 + 600
    await world.store.keep_measured([measured(MINUTE + 86400), measured(MINUTE + 86400, 600)])
    assert await world.store.measured(60, "", "", 0) == (measured(MINUTE + 86400),)
    assert len(await world.store.measured(600, "", "", 0)) == 2
    world.now += 31 * 86400
    await world.store.keep_measured([measured(MINUTE + 32 * 86400, 600)])
    assert await world.store.measured(600, "", "", 0) == (measured(MINUTE + 32 * 86400, 600),)
