"""What is sent to the web to harm it: slow, huge, ambiguous, misleading. Each is refused or bounded."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from gtm import model
from gtm.web import application, assets, limit, openapi, routes
from tests.web import fake_node

ORDER = b'{"target": "a", "order": "drain"}'
HEAD = b"POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SMUGGLED = b"POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SMUGGLED += b"Content-Length: %d\r\n\r\n" % len(ORDER) + ORDER


async def said_to(port: int, *parts: bytes) -> bytes:
    """Send bytes, part by part, and return all that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def connections(of: application.Served) -> int:
    handlers = of._runner.server
    assert handlers is not None
    return len(handlers.connections)


async def test_a_head_that_does_not_come_is_not_waited_for_long(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "KEEPALIVE_S", 0.1)
    running = await application.start(application.make(fake), model.Listen("127.0.0.1", 0))
    for begun in (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "):
        assert await said_to(running.port, begun) == b""
    await running.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_a_head_that_drips_is_not_waited_for_either(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "KEEPALIVE_S", 0.1)
    running = await application.start(application.make(fake), model.Listen("127.0.0.1", 0))
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET / HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionError):
            await drip(writer)
    assert connections(running) == 0
    writer.close()
    await running.close()


async def test_one_address_cannot_take_all_connections(
    served: application.Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "MAX_PER_CLIENT", 1)
    _, first = await asyncio.open_connection("127.0.0.1", served.port)
    assert await said_to(served.port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b""
    reader, other = await asyncio.open_connection("127.0.0.1", served.port, local_addr=("127.0.0.2", 0))
    other.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b" 200 " in await reader.readline()
    first.close()
    other.close()


async def test_a_client_that_has_hung_up_takes_nobodys_place_though_its_request_is_still_being_finished(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def long(_: web.Request) -> web.Response:
        if not begun.is_set():
            begun.set()
            await finish.wait()
        return web.Response()

    monkeypatch.setattr(application, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(routes, "ROUTES", (openapi.Route("GET", "/healthz", "open", long, "Waits."),))
    running = await application.start(application.make(fake), model.Listen("127.0.0.1", 0))
    ask = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    _, gone = await asyncio.open_connection("127.0.0.1", running.port)
    gone.write(ask)
    await begun.wait()
    gone.transport.abort()
    async with asyncio.timeout(5):
        while not (said := await said_to(running.port, ask)):  # until the server has heard that the first is gone
            pass
    assert b" 200 " in said.splitlines()[0]
    assert connections(running) == 1, "the first request is still being finished"
    finish.set()
    await running.close()


async def test_of_many_requests_at_once_only_some_begin_in_one_turn_of_the_loop(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, turn, begun = asyncio.get_running_loop(), 0, Counter[int]()

    def count() -> None:
        nonlocal turn
        turn += 1
        if begun.total() < 100:
            loop.call_soon(count)

    async def one(_: web.Request) -> web.Response:
        begun[turn] += 1
        return web.Response()

    monkeypatch.setattr(routes, "ROUTES", (openapi.Route("GET", "/healthz", "open", one, "Counts."),))
    running = await application.start(application.make(fake), model.Listen("127.0.0.1", 0))
    ask = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    both = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(100)]
    loop.call_soon(count)
    for _, writer in both:
        writer.write(ask)
    assert [b" 200 " in await reader.readline() for reader, _ in both] == [True] * 100
    assert begun.total() == 100
    assert max(begun.values()) <= application.A_TURN
    for _, writer in both:
        writer.close()
    await running.close()


@pytest.mark.parametrize("head", [b"X: " + b"x" * 20_000, b"\r\n".join(b"X%d: y" % at for at in range(2000))])
async def test_a_huge_head_is_refused(served: application.Served, head: bytes) -> None:
    said = await said_to(served.port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n\r\n")
    assert said == b"" or b" 400 " in said.splitlines()[0] or b" 431 " in said.splitlines()[0]
    assert b" 200 " not in said


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 2\r\nContent-Length: 200\r\n\r\n{}" + SMUGGLED,
        HEAD + b"Content-Length: +2\r\n\r\n{}" + SMUGGLED,
        HEAD + b"Content-Length: -2\r\n\r\n{}" + SMUGGLED,
        HEAD + b"Content-Length : 2\r\n\r\n{}" + SMUGGLED,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"X: a\x00b\r\n\r\n" + SMUGGLED,
        HEAD + b"\r\r\n\r\n" + SMUGGLED,
    ],
)
async def test_what_two_readers_could_read_differently_is_read_by_nobody(
    fake: fake_node.FakeNode, served: application.Served, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    said = await said_to(served.port, request_)
    assert b" 400 " in said.splitlines()[0]
    assert said.count(b"HTTP/1.") == 1, "what stands behind it is not read at all"
    assert fake.asked == []
    assert b"Server: gtm\r\n" in said
    assert b"Content-Security-Policy" in said
    assert caplog.records == [], "or anybody could fill the log"


HALF = b"Content-Type: %b\r\nContent-Length: 50\r\n\r\nabc"


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /dns-query HTTP/1.1\r\nHost: x\r\n" + HALF % b"application/dns-message",
        b"POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\n" + HALF % b"application/json",
    ],
)
@pytest.mark.parametrize("linger", [struct.pack("ii", 0, 0), struct.pack("ii", 1, 0)], ids=["end", "reset"])
async def test_who_hangs_up_in_the_middle_of_a_body_writes_nothing_into_our_log(
    served: application.Served, request_: bytes, linger: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.write(request_)
        async with asyncio.timeout(5):
            while not connections(served):  # noqa: ASYNC110 - a turn of the loop is what we wait for
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)  # so that it waits for the rest of the body
        writer.close()
        async with asyncio.timeout(5):
            while connections(served):  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert caplog.records == [], "or anybody could fill the log"


@pytest.mark.parametrize(
    "path",
    [
        "../auth.py", "../../pyproject.toml", "..%2f..%2fauth.py", "%2e%2e/auth.py", "..%5cauth.py", "/etc/passwd",
        "%2fetc%2fpasswd", "app.js%00.css", "vendor/../../auth.py", "app.js/..%2f..%2fauth.py", "....//auth.py",
        ".", "%",
    ],
)  # fmt: skip
async def test_a_path_leads_nowhere_but_to_the_pages_files(served: application.Served, path: str) -> None:
    for build in (assets.BUILD, "..", "%2e%2e"):
        asked = f"GET /static/{build}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        said = await said_to(served.port, asked.encode())
        assert said.splitlines()[0].split()[1] in {b"400", b"404"}
        assert b"root:" not in said
        assert b"import " not in said


async def test_markup_in_paths_names_and_reasons_is_never_html_but_on_the_page(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    bad = "<script>alert(1)</script>"
    fake.body["endpoints"][0] |= {"endpoint": bad, "reason": bad}
    for path in (f"/{bad}", f"/static/x/{bad}", f"/api/v1/explain?name={bad}", "/api/v1/status", "/api/v1/endpoints",
                 f"/api/v1/orders/{bad}", f"/api/v1/events?since={bad}"):  # fmt: skip
        async with http.get(path) as response:
            assert (response.content_type, response.headers["X-Content-Type-Options"]) == (
                "application/json",
                "nosniff",
            )
            await response.json()


async def test_a_cookie_opens_nothing_and_none_is_given(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.tokens = (fake_node.OPERATOR,)
    secret = fake_node.OPERATOR.secret
    headers = {"X-Forwarded-For": "203.0.113.9", "Cookie": f"token={secret}; Authorization=Bearer {secret}"}
    async with http.post("/api/v1/orders", data=ORDER, headers=headers | {"Content-Type": "application/json"}) as reply:
        assert reply.status == 401
        assert "Set-Cookie" not in reply.headers
    async with http.get("/", headers={"Authorization": f"Bearer {secret}"}) as reply:
        assert (reply.status, "Set-Cookie" in reply.headers) == (200, False)
    assert not any(word == "put_order" for word, *_ in fake.asked)


async def test_many_at_once_are_all_answered_or_told_to_slow_down(fake: fake_node.FakeNode) -> None:
    most = int(limit.BURST)
    running = await application.start(application.make(fake, monotonic=lambda: 1.0), model.Listen("127.0.0.1", 0))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as http:

        async def one() -> int:
            async with http.get("/api/v1/status") as reply:
                await reply.read()
                return reply.status

        found = Counter(await asyncio.gather(*(one() for _ in range(most + 200))))
    assert found == {200: most, 429: 200}
    await running.close()
