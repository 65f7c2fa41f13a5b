"""The whole node on loopback: real processes, real sockets, real HTTP edges."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest
import pytest_asyncio

from tests.node import running

CONFIG = """
node: test-node
dns: {{listen: ["127.0.0.1:0"], workers: 2}}
web: {{listen: "127.0.0.1:0"}}
store: sqlite://{folder}/gtm.db
checks:
  edge: {{kind: http, port: {port}, path: /, every: 200ms, timeout: 100ms, fall: 2, rise: 2, confirm: 50ms}}
endpoints:
  one: {{address: 127.0.0.11}}
  two: {{address: 127.0.0.12}}
pools:
  edges: {{members: [one, two], answers: 1, check: edge}}
flap: off
zones:
  live.example.com:
    nameservers: {{ns1: [127.0.0.1]}}
    hostmaster: ops@example.com
    records: {{"@": {{TXT: hello}}, www: {{CNAME: www.example.com.}}}}
    steer:
      play: {{try: [edges], ttl: 1s..5s}}
"""
PLAY, ONE, TWO = "play.live.example.com", "127.0.0.11", "127.0.0.12"
pytestmark = pytest.mark.asyncio(loop_scope="module")
World = tuple[running.Node, running.Edge, running.Edge]


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    one, two = running.Edge(ONE), running.Edge(TWO)
    await one.start()
    await two.start(one.port)
    try:
        async with running.node(CONFIG.format(folder=folder, port=one.port), folder) as node:
            yield node, one, two
    finally:
        await one.stop()
        await two.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Return a world for tests that leave it as they found it."""
    async with world(tmp_path_factory.mktemp("shared")) as one:
        yield one


async def test_a_dead_edge_leaves_the_answers_and_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as (node, one, _):
        assert await node.answers(PLAY) == {ONE, TWO}
        port = one.port
        await one.stop()
        await node.until(lambda: node.answers(PLAY), lambda seen: seen == {TWO})
        status = await node.get("/api/v1/status")
        down = next(row for row in status["endpoints"] if row["endpoint"] == "one")
        assert (down["state"], down["serving"]) == ("down", False)
        assert "refused" in down["reason"]
        again = running.Edge(ONE)
        await again.start(port)
        await node.until(lambda: node.answers(PLAY), lambda seen: seen == {ONE, TWO})
        await again.stop()
        said = [(row["subject"], row["before"], row["after"]) for row in (await node.get("/api/v1/events"))["events"]]
        assert ("one", "up", "down") in said
        assert ("one", "down", "up") in said


async def test_static_names_negatives_and_tcp_are_answered(shared: World) -> None:
    node, *_ = shared
    soa = await node.ask("live.example.com", "SOA", tcp=True)
    assert soa.answer
    assert (await node.ask("nothing.live.example.com")).rcode() == dns.rcode.NXDOMAIN
    assert (await node.ask("example.org")).rcode() == dns.rcode.REFUSED
    assert await node.answers("www.live.example.com", times=1) == {"www.example.com."}


async def test_a_reload_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    async with world(tmp_path) as (node, *_):
        good = node.path.read_text()
        node.path.write_text(good.replace("edges,", "edgse,").replace("[edges]", "[edgse]"))
        status, body = await node.post("/api/v1/reload", {})
        assert status >= 400, body
        assert await node.answers(PLAY) == {ONE, TWO}
        assert not (await node.get("/api/v1/status"))["config"]["accepted"]
        node.path.write_text(good.replace("      play:", "      also: edges\n      play:"))
        node.process.send_signal(signal.SIGHUP)
        await node.until(lambda: node.answers("also.live.example.com"), lambda seen: seen == {ONE, TWO})
        assert (await node.get("/api/v1/status"))["config"]["accepted"]


async def test_orders_drain_and_release_an_endpoint(shared: World) -> None:
    node, *_ = shared
    status, body = await node.post("/api/v1/orders", {"target": "one", "order": "drain", "why": "disk"})
    assert status in {200, 201}, body
    assert await node.answers(PLAY) == {TWO}
    status, body = await node.post("/api/v1/orders", {"target": "nobody", "order": "drain"})
    assert status in {404, 409}
    order = (await node.get("/api/v1/orders"))["orders"][0]
    async with node.http.delete(f"{node.web}/api/v1/orders/{order['id']}") as reply:
        assert reply.status == 200
    assert await node.answers(PLAY) == {ONE, TWO}


async def test_explain_agrees_with_the_answer(shared: World) -> None:
    node, *_ = shared
    why = await node.get(f"/api/v1/explain?name={PLAY}&type=A&client=192.0.2.1&assume=one%3Ddown")
    assert why["answers"] == [TWO]
    assert why["rung"] == "first"
    assert [member["endpoint"] for member in why["tried"][0]["members"]] == ["one", "two"]


async def test_answers_go_on_without_the_control_process_and_nothing_is_forgotten(tmp_path: Path) -> None:
    async with world(tmp_path) as (node, one, _):
        await one.stop()
        await node.until(lambda: node.answers(PLAY), lambda seen: seen == {TWO})
        before = await node.get("/api/v1/status")
        control = next(row["pid"] for row in before["processes"] if row["role"] == "control")
        node.said.clear()  # before it dies: what the next one says must not be lost, however slow we are
        os.kill(control, signal.SIGKILL)
        assert await node.answers(PLAY) == {TWO}
        node.web = ""
        node.web = (await node.said_line(r"web on (http://\S+)/"))[1]
        await node.until(lambda: running._status(node, "/readyz"), lambda status: status == 200)
        assert await node.answers(PLAY) == {TWO}
        await node.until(lambda: node.get("/metrics"), lambda text: "gtm_dns_queries_total" in text)


async def test_a_refused_configuration_ends_with_its_problems(tmp_path: Path) -> None:
    async with running.node("zones: {live.example.com: {steer: {play: nowhere}}}\n", tmp_path, ready=False) as node:
        assert await node.process.wait() == 1
    assert any("nowhere" in line for line in node.said)
