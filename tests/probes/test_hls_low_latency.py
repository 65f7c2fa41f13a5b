"""The hls kind before low-latency HLS: it asks for the part that is not there yet, and waits for it as players do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gtm import seen
from tests.probes.low_latency import Origin
from tests.probes.probe_servers import Servers, make, run


class Edge(Origin):
    """The origin behind a port, and the check that watches it."""

    port: int
    memory: dict[str, Any]

    async def probe(self, **settings: Any) -> seen.ProbeResult:
        self.asked.clear()
        return await run(make("hls", self.port, **({"path": "/live.m3u8"} | settings)), self.memory)

    async def probe_while_it_grows(self, **settings: Any) -> seen.ProbeResult:
        """Probe, and make the next part as soon as it is asked for."""
        task = asyncio.create_task(self.probe(**settings))
        while not task.done():
            if any("_HLS_msn" in target for target in self.asked):
                await self.grow()
                break
            await asyncio.sleep(0.001)
        return await task


@pytest.fixture
async def edge(servers: Servers) -> Edge:
    made = Edge()
    made.memory = {}
    made.port = await servers.raw(made.talk)
    return made


async def test_the_next_part_is_asked_for_and_waited_for(edge: Edge) -> None:
    result = await edge.probe_while_it_grows()
    assert (result.ok, result.reason) == (True, "")
    assert edge.asked == ["/live.m3u8", "/live.m3u8?_HLS_msn=100&_HLS_part=0", "/p100.0.m4s"]
    assert result.measures["part.blocks"] is True
    assert 0 < float(result.measures["part.held"]) < 5
    assert result.measures["part.target"] == 0.25
    assert result.measures["playlist.patience"] == 1.5  # of a segment, which is more than three parts
    assert float(result.measures["part.age"]) < 1
    assert result.measures["segment.container"] == "mp4"


async def test_a_query_of_its_own_is_kept(edge: Edge) -> None:
    await edge.probe_while_it_grows(path="/live.m3u8?token=a%2Fb")
    assert edge.asked[1] == "/live.m3u8?token=a%2Fb&_HLS_msn=100&_HLS_part=0"


async def test_a_part_that_does_not_come_makes_the_stream_old(edge: Edge) -> None:
    edge.part_s = 0.02  # a target of one second at least: patience is 1.5 s
    result = await edge.probe()
    assert result.ok is True
    assert float(result.measures["part.held"]) >= 1.5
    assert float(result.measures["playlist.age"]) >= float(result.measures["playlist.patience"])
    assert "part.blocks" not in result.measures
    assert len(edge.asked) == 2, "a segment is not worth the time then"


async def test_the_wait_leaves_time_to_say_what_was_seen(edge: Edge) -> None:
    result = await edge.probe(timeout_s=0.4)
    assert result.ok is True
    assert float(result.measures["part.held"]) == pytest.approx(0.34, abs=0.06)


async def test_a_cache_that_drops_the_query_is_seen(edge: Edge) -> None:
    edge.deaf = True
    result = await edge.probe()
    assert (result.ok, result.measures["part.blocks"]) == (True, False)


@pytest.mark.parametrize("status", ["400 Bad Request", "503 Service Unavailable"])
async def test_a_refused_reload_fails(edge: Edge, status: str) -> None:
    edge.refuses = status
    result = await edge.probe()
    assert (result.ok, result.reason) == (False, f"the blocking reload answers {status[:3]}")


async def test_a_missing_part_fails(edge: Edge) -> None:
    edge.missing.add("p100.0.m4s")
    result = await edge.probe_while_it_grows()
    assert (result.ok, result.reason) == (False, "the newest part answers 404 (p100.0.m4s)")


async def test_low_latency_can_be_left_alone(edge: Edge) -> None:
    result = await edge.probe(low_latency="off")
    assert (result.ok, edge.asked) == (True, ["/live.m3u8", "/s99.m4s"])
    assert result.measures["playlist.patience"] == 6
    assert not [name for name in result.measures if name.startswith("part.")]


async def test_low_latency_can_be_required(edge: Edge) -> None:
    edge.control = "PART-HOLD-BACK={hold}"
    result = await edge.probe(low_latency="require")
    assert (result.ok, result.reason) == (
        False,
        "no low-latency stream: no EXT-X-PART-INF, or no CAN-BLOCK-RELOAD=YES",
    )
    assert (await edge.probe()).ok is True
