"""The stream of events: complete, in order, and bounded in every direction."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from gtm.web import application, live
from tests.web import fake_node


async def records(response: aiohttp.ClientResponse, number: int) -> list[dict[str, Any]]:
    """Read so many events, pings left out."""
    found: list[dict[str, Any]] = []
    one: dict[str, Any] = {}
    async with asyncio.timeout(5):
        while len(found) < number:
            line = (await response.content.readline()).decode().rstrip("\n")
            field, _, value = line.partition(": ")
            if field == "data":
                one["data"] = json.loads(value)
            elif field in {"id", "event"}:
                one[field] = value
            elif not line and one:
                found.append(one)
                one = {}
    return found


async def started(response: aiohttp.ClientResponse) -> None:
    """Read what a stream begins with; by then it is subscribed."""
    assert await response.content.readline() == b"retry: 2000\n"
    assert await response.content.readline() == b"\n"


async def test_events_come_as_they_happen(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/stream") as response:
        assert response.content_type == "text/event-stream"
        await started(response)
        fake.listeners[0](fake_node.event(3, "<b>\n&"))
        (one,) = await records(response, 1)
    assert (one["id"], one["event"], one["data"]["subject"]) == ("3", "endpoint", "<b>\n&")


@pytest.mark.parametrize("how", [{"headers": {"Last-Event-ID": "1"}}, {"params": {"after": "1"}}])
async def test_a_client_that_comes_back_gets_what_it_missed_once(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession, how: Any
) -> None:
    async with http.get("/api/v1/stream", **how) as response:
        await started(response)
        fake.listeners[0](fake_node.event(2))  # told while it was being read from the history
        fake.listeners[0](fake_node.event(3))
        assert [one["id"] for one in await records(response, 2)] == ["2", "3"]


async def test_a_quiet_stream_says_that_it_still_lives(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PING_S", 0.01)
    async with http.get("/api/v1/stream") as response:
        await started(response)
        assert (await response.content.readline()).startswith(b":")


async def test_a_client_that_falls_behind_is_let_go_and_forgotten(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/v1/stream") as response:
        await started(response)
        tell = fake.listeners[0]
        for number in range(3, 3 + live.MAX_QUEUED + 1):  # nothing is read meanwhile: this task does not yield
            tell(fake_node.event(number))
        with pytest.raises(aiohttp.ClientPayloadError):
            await records(response, live.MAX_QUEUED + 1)
    assert fake.listeners == []


async def test_a_client_that_never_reads_is_cut_off(
    fake: fake_node.FakeNode, served: application.Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WRITE_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await reader.readuntil(b"retry: 2000")
    big = fake_node.event(3, "x" * 1_000_000)
    async with asyncio.timeout(10):
        number = 3
        while fake.listeners:  # each turn lets the server write until the socket's buffers are full
            for tell in list(fake.listeners):
                tell(type(big)(big.at, big.kind, big.subject, "", "", "", number))
                number += 1
            await asyncio.sleep(0.001)
    writer.close()
    assert number < 3 + 2 * live.MAX_QUEUED


async def test_G6_there_are_only_so_many_streams(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.most_streams = 1
    async with http.get("/api/v1/stream") as first:
        await started(first)
        async with http.get("/api/v1/stream") as second:
            assert second.status == 503
            assert (await second.json())["error"]["code"] == "too-many-streams"


async def test_streams_end_when_the_node_stops(
    fake: fake_node.FakeNode, served: application.Served, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/v1/stream") as response:
        await started(response)
        async with asyncio.timeout(1.5):  # well below the time that running requests are given
            await served.close()
    assert fake.listeners == []


async def test_a_bad_last_event_id_is_refused(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/stream", headers={"Last-Event-ID": "x"}) as response:
        assert response.status == 400
    assert fake.asked == []
