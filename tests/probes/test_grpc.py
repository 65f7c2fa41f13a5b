"""The grpc kind against servers that speak HTTP/2 themselves."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events
import pytest
import trustme

from gtm import model
from gtm.probes import grpc
from tests.probes.probe_servers import HOST, Servers, Talk, make, page, run, server_tls

SERVING = b"\0\0\0\0\2\x08\x01"
OK = [("grpc-status", "0")]
HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def server(
    heard: list[tuple[dict[str, str], bytes]],
    message: bytes = SERVING,
    trailers: list[tuple[str, str]] = OK,
    head: list[tuple[str, str]] = HEAD,
) -> Talk:
    """Answer each call with a message and trailers; without a message with trailers alone."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        wire.initiate_connection()
        asked: dict[str, str] = {}
        body = b""
        while data := await reader.read(65536):
            for event in wire.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    asked = {str(name): str(value) for name, value in event.headers or ()}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data or b""
                elif isinstance(event, h2.events.StreamEnded):
                    heard.append((asked, body))
                    if message:
                        wire.send_headers(1, head)
                        wire.send_data(1, message)
                        wire.send_headers(1, trailers, end_stream=True)
                    else:
                        wire.send_headers(1, [*head, *trailers], end_stream=True)
            writer.write(wire.data_to_send())

    return talk


async def test_a_server_that_serves_is_fine(servers: Servers) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []
    port = await servers.raw(server(heard))
    result = await run(make("grpc", port, service="live.Ingest", headers={"Authorization": "Bearer x", "TE": "y"}))
    assert (result.ok, result.reason) == (True, "")
    assert (result.measures["serving"], result.measures["grpc.status"]) == ("SERVING", 0)
    asked, body = heard[0]
    assert (asked[":path"], asked[":authority"]) == ("/grpc.health.v1.Health/Check", f"{HOST}:{port}")
    assert (asked["te"], asked["authorization"]) == ("trailers", "Bearer x")
    assert body == b"\0\0\0\0\x0d\x0a\x0blive.Ingest"


async def test_grpc_goes_through_tls(servers: Servers, authority: trustme.CA, ca_file: str) -> None:
    port = await servers.raw(server([]), server_tls(authority, HOST))
    assert (await run(make("grpc", port, tls=model.Tls(ca=ca_file)))).ok is True


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        (b"\0\0\0\0\2\x08\x02", "0", "the server is NOT_SERVING"),
        (b"\0\0\0\0\0", "0", "the server is UNKNOWN"),
        (b"\0\0\0\0\2\x08\x09", "0", "not an answer of grpc.health.v1: no health status"),
        (b"\1\0\0\0\2\x08\x01", "0", "not an answer of grpc.health.v1: no whole message"),
        (b"", "5", "the server is not known to the server's health service: why"),
        (b"", "12", "the server has no grpc.health.v1 service: why"),
        (b"", "16", "the server wants to know who asks: why"),
        (b"", "14", "the call failed with status 14: why"),
        (b"", "x", "an answer without grpc-status"),
    ],
)
async def test_everything_but_serving_fails_with_its_reason(
    servers: Servers, message: bytes, status: str, reason: str
) -> None:
    port = await servers.raw(server([], message, [("grpc-status", status), ("grpc-message", "why")]))
    result = await run(make("grpc", port))
    assert (result.ok, result.reason) == (False, reason)
    assert result.reached == (status != "x")


async def test_exhausted_is_overload_and_not_death(servers: Servers) -> None:
    port = await servers.raw(server([], b"", [("grpc-status", "8"), ("grpc-message", "too many streams")]))
    result = await run(make("grpc", port))
    assert (result.ok, result.overloaded) == (True, "RESOURCE_EXHAUSTED too many streams")


async def test_a_proxy_without_its_backend_fails(servers: Servers) -> None:
    result = await run(make("grpc", await servers.raw(server([], b"", [], [(":status", "502")]))))
    assert (result.ok, result.reason) == (False, "HTTP status 502 instead of an answer of gRPC")


async def test_another_server_speaks_no_http2(servers: Servers) -> None:
    result = await run(make("grpc", await servers.raw(a_web_server)))
    assert result.ok is False
    assert result.reason.startswith("not HTTP/2")


async def a_web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(page("no", "400 Bad Request"))
    await reader.read()
    await reader.read()


async def test_a_server_that_hangs_up_fails(servers: Servers) -> None:
    async def rude(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readexactly(24)

    result = await run(make("grpc", await servers.raw(rude)))
    assert result.ok is False


def test_long_names_are_framed_as_protobuf_does() -> None:
    assert grpc.request("") == b"\0\0\0\0\0"
    assert grpc.request("x" * 200) == b"\0\0\0\0\xcb\x0a\xc8\x01" + b"x" * 200
