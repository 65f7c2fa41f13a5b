"""The page's stream of changes: what changed and no more, replayed to who was away, bounded, reduced for strangers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gtm.web import application, board, hub
from tests.web import fake_node, world

STRANGER = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, fake: fake_node.FakeNode) -> None:
    """A storm is over after a hundredth of a second here, and nothing is sent unless something happens."""
    monkeypatch.setattr(hub, "COALESCE_S", 0.01)
    monkeypatch.setattr(hub, "PULSE_S", 60.0)
    fake.body = world.status()


@asynccontextmanager
async def watching(http: aiohttp.ClientSession, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with http.get("/api/v1/live", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield response


async def message(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read one message."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(5):
        while True:
            line = (await response.content.readline()).decode().rstrip("\n")
            key, _, value = line.partition(": ")
            if not line:
                return found
            found[key] = json.loads(value) if key == "data" else value


async def told(fake: fake_node.FakeNode, number: int = 3) -> None:
    """Let the node say that something happened, once somebody listens."""
    async with asyncio.timeout(5):
        while not fake.listeners:  # noqa: ASYNC110 -- the hub subscribes in a task of its own
            await asyncio.sleep(0)
    for tell in fake.listeners:
        tell(fake_node.event(number))


async def test_who_comes_is_greeted_with_how_things_stand_and_then_told_what_changes(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with watching(http) as response:
        hello = await message(response)
        assert hello["event"] == "hello"
        assert hello["data"]["summary"]["headline"]["level"] == "ok"
        fake.body = world.status()
        world.fall(fake.body, 0)
        await told(fake)
        change = await message(response)
    assert change["event"] == "change"
    data = change["data"]
    assert data["summary"]["headline"]["level"] == "warn"
    assert [one["name"] for one in data["changed"]["names"]] == ["n0.example.com.", "n2.example.com."]
    assert [one["key"] for one in data["changed"]["endpoints"]] == ["s0-0/ipv4", "s0-1/ipv4"]
    assert [one["pool"] for one in data["changed"]["pools"]] == ["p0", "p1"]  # p1 serves more names now
    assert [one["site"] for one in data["changed"]["sites"]] == ["s0"]
    assert [one["id"] for one in data["events"]] == [3]


async def test_a_storm_is_one_change(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with watching(http) as response:
        await message(response)
        for number in range(3, 60):
            await told(fake, number)
        assert len((await message(response))["data"]["events"]) == 57


async def test_who_was_away_for_a_moment_gets_what_they_missed_and_who_was_away_long_begins_anew(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(http) as stays:
        first = (await message(stays))["id"]
        for number in range(3, 6):
            await told(fake, number)
            await message(stays)
        async with watching(http, **{"Last-Event-ID": first}) as back:
            assert [(await message(back))["data"]["events"][0]["id"] for _ in range(3)] == [3, 4, 5]
        for number in range(6, 7 + hub.KEPT):
            await told(fake, number)
            await message(stays)
        for strange in (first, "0badcafe-1", "nonsense", "-", first + "9999"):
            async with watching(http, **{"Last-Event-ID": strange}) as late:
                assert (await message(late))["event"] == "hello"


async def test_when_too_much_changes_at_once_the_lists_are_asked_for_again(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    fake.body = world.status(per_site=300)
    async with watching(http) as response:
        await message(response)
        fake.body = world.status(per_site=300)
        world.fall(fake.body, 0)
        await told(fake)
        data = (await message(response))["data"]
    assert data["many"] == ["endpoints"]
    assert "endpoints" not in data["changed"]


async def test_what_is_gone_is_said(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with watching(http) as response:
        await message(response)
        fake.body = world.status(names=2)
        await told(fake)
        assert (await message(response))["data"]["gone"] == {"names": ["n2.example.com."]}


async def test_a_stranger_is_told_of_names_and_nothing_else(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/v1/live", headers=STRANGER) as response:
        assert response.status == 401
    fake.is_public = True
    async with watching(http, **STRANGER) as response:
        hello = await message(response)
        fake.body = world.status()
        world.fall(fake.body, 0)
        await told(fake)
        change = await message(response)
    assert change["data"]["changed"] == {
        "names": [{"name": f"n{at}.example.com.", "rung": "fallback"} for at in (0, 2)]
    }
    for secret in ("s0-0", "503", "p0", "10.0.0", "ns1"):
        assert secret not in json.dumps([hello, change])


async def test_nobody_looks_at_the_node_when_nobody_watches(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with watching(http) as response:
        await message(response)
        await told(fake)
    async with asyncio.timeout(5):
        while fake.listeners:  # noqa: ASYNC110 -- the server notices in its own time that a client went
            await asyncio.sleep(0.001)


async def test_a_look_that_fails_is_not_the_end(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(http) as response:
        await message(response)
        from gtm import errors

        fake.raises = errors.StoreError("disk full")
        await told(fake)
        await asyncio.sleep(0.05)
        fake.raises = None
        await told(fake, 4)
        assert (await message(response))["event"] == "change"


async def test_G6_there_are_only_so_many_streams(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.most_streams = 1
    async with watching(http) as first:
        await message(first)
        async with http.get("/api/v1/live") as second:
            assert second.status == 503


async def test_G6_strangers_have_half_of_the_streams(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.is_public, fake.most_streams = True, 4
    stranger = {"X-Forwarded-For": "192.0.2.1"}
    async with watching(http, **stranger) as first, watching(http, **stranger) as second:
        await asyncio.gather(message(first), message(second))
        async with http.get("/api/v1/live", headers=stranger) as third:
            assert third.status == 503
        async with watching(http) as third, watching(http) as fourth:
            await asyncio.gather(message(third), message(fourth))
            async with http.get("/api/v1/live") as fifth:
                assert fifth.status == 503


async def test_streams_of_the_page_end_when_the_node_stops(
    fake: fake_node.FakeNode, served: application.Served, http: aiohttp.ClientSession
) -> None:
    async with watching(http) as response:
        await message(response)
        await told(fake)
        async with asyncio.timeout(1.5):
            await served.close()
    assert fake.listeners == []


async def test_many_who_look_at_once_are_one_look(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async def look() -> None:
        async with http.get("/api/v1/board") as response:
            assert response.status == 200

    await asyncio.gather(*(look() for _ in range(20)))
    assert fake.asked.count(("status",)) == 1


def test_since_when_is_remembered_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "MAX_SINCE", 2)
    one = board.Board(fake_node.FakeNode(), lambda: fake_node.NOW)
    for number in range(5):
        one.heard(fake_node.event(number, f"e{number}"))
    assert list(one._since) == [("endpoint", "e3"), ("endpoint", "e4")]
