"""What a running node lets see of its answers: analytics, the query log, dnstap; and none of it stands in its way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from gtm.wire import dnstap
from tests.node import running, test_node

PLAY = test_node.PLAY
WATCHED = "workers: 2, query_log: {{path: queries.json, sample: 100%}}, dnstap: {{socket: tap.sock}}"


class Reader:
    """A dnstap reader on a Unix socket: what it got stands in `frames`."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.finished = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await self._control(reader) == dnstap.control(dnstap.READY)[8:]
        writer.write(dnstap.control(dnstap.ACCEPT))
        assert await self._control(reader) == dnstap.control(dnstap.START)[8:]
        while size := int.from_bytes(await reader.readexactly(4)):
            self.frames.append(await reader.readexactly(size))
        stop = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
        assert stop == dnstap.STOP.to_bytes(4)
        writer.write(dnstap.control(dnstap.FINISH, says_what=False))
        writer.close()
        self.finished.set()

    async def _control(self, reader: asyncio.StreamReader) -> bytes:
        assert await reader.readexactly(4) == bytes(4)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(4)))


@contextlib.asynccontextmanager
async def edge() -> AsyncIterator[running.Edge]:
    one = running.Edge(test_node.ONE)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def test_answers_are_counted_written_down_and_streamed_with_their_reasons(tmp_path: Path) -> None:
    config = test_node.CONFIG.replace("workers: 2", WATCHED)
    read = Reader()
    server = await asyncio.start_unix_server(read.serve, tmp_path / "tap.sock")
    async with edge() as one, running.node(config.format(folder=tmp_path, port=one.port), tmp_path) as node:

        async def resolvers() -> list[dict[str, object]]:
            await node.ask(PLAY, subnet="198.51.100.0/24")
            return (await node.get("/api/v1/analytics"))["resolvers"]  # type: ignore[no-any-return]

        found = await node.until(resolvers, lambda rows: rows and rows[0]["queries"] > 3)
        assert (found[0]["address"], found[0]["with_subnet"]) == ("127.0.0.1", 1.0)
        await node.ask("no.such.live.example.com", tcp=True)

        async def lines() -> list[dict[str, object]]:
            return [json.loads(line) for line in (tmp_path / "queries.json").read_text().splitlines()]

        written = await node.until(lines, lambda rows: any(row["transport"] == "tcp" for row in rows))
        metrics = await node.get("/metrics")
    server.close()
    steered = next(row for row in written if row["ecs"])
    assert {word: steered[word] for word in ("client", "ecs", "name", "type", "rcode", "pool", "rung", "rule")} == {
        "client": "127.0.0.0/24", "ecs": "198.51.100.0/24", "name": f"{PLAY}.", "type": "A", "rcode": "NOERROR",
        "pool": "edges", "rung": "first", "rule": 1,
    }  # fmt: skip
    assert steered["endpoints"] == ["one"]
    assert steered["answers"] == [test_node.ONE]
    missing = next(row for row in written if row["transport"] == "tcp")
    assert (missing["rcode"], missing["pool"], missing["endpoints"]) == ("NXDOMAIN", None, [])
    await asyncio.wait_for(read.finished.wait(), 5)  # it took its leave
    assert any(b"\x02no\x04such\x04live" in frame for frame in read.frames)
    assert all(b"test-node" in frame and b"GTM " in frame for frame in read.frames)
    assert "gtm_dnstap_connected 1.0" in metrics
    assert 'gtm_query_log_dropped_total{reason="queue"} 0.0' in metrics
    assert "gtm_samples_lost_total 0.0" in metrics
