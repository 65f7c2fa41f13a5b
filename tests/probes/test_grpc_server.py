"""The grpc kind against gRPC's own server and its own health service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent import futures
from dataclasses import dataclass

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gtm import model
from tests.probes.probe_servers import HOST, make, run

SERVING, NOT_SERVING, UNKNOWN = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
    health_pb2.HealthCheckResponse.UNKNOWN,
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server with its health service; `bare` has none."""

    port: int
    secure: int
    bare: int
    says: health.HealthServicer


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[Server]:
    servers = [grpc.server(futures.ThreadPoolExecutor(2)) for _ in range(2)]
    says = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(says, servers[0])
    issued = authority.issue_cert(HOST)
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    tls = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
    open_, secure = (servers[0].add_insecure_port("127.0.0.1:0"), servers[0].add_secure_port("127.0.0.1:0", tls))
    bare = servers[1].add_insecure_port("127.0.0.1:0")
    for one in servers:
        one.start()
    says.set("", SERVING)
    yield Server(open_, secure, bare, says)
    for one in servers:
        await asyncio.to_thread(one.stop(None).wait)


async def test_the_server_as_a_whole_serves(server: Server) -> None:
    found = await run(make("grpc", server.port))
    assert (found.ok, found.reason) == (True, "")
    assert (found.measures["serving"], found.measures["grpc.status"]) == ("SERVING", 0)
    assert 0 < float(found.measures["time.rpc"]) < 10


async def test_a_service_that_stops_serving_is_down_alone_and_comes_back(server: Server) -> None:
    check = make("grpc", server.port, service="live.Ingest")
    unknown = await run(check)
    assert (unknown.ok, unknown.measures["grpc.status"]) == (False, 5)
    assert unknown.reason.startswith("live.Ingest is not known to the server's health service")
    for status, ok, reason in (
        (SERVING, True, ""),
        (NOT_SERVING, False, "live.Ingest is NOT_SERVING"),
        (UNKNOWN, False, "live.Ingest is UNKNOWN"),
        (SERVING, True, ""),
    ):
        server.says.set("live.Ingest", status)
        found = await run(check)
        assert (found.ok, found.reason) == (ok, reason)
        assert (await run(make("grpc", server.port))).ok is True


async def test_a_server_that_takes_its_leave_serves_nothing_more(server: Server) -> None:
    server.says.enter_graceful_shutdown()
    found = await run(make("grpc", server.port))
    assert (found.ok, found.reason) == (False, "the server is NOT_SERVING")


async def test_a_server_without_a_health_service_says_so(server: Server) -> None:
    found = await run(make("grpc", server.bare))
    assert (found.ok, found.measures["grpc.status"]) == (False, 12)
    assert found.reason.startswith("the server has no grpc.health.v1 service")


async def test_the_same_behind_tls_with_the_name_that_the_certificate_is_for(server: Server, ca_file: str) -> None:
    found = await run(make("grpc", server.secure, tls=model.Tls(ca=ca_file)))
    assert (found.ok, found.measures["serving"]) == (True, "SERVING")
    misnamed = await run(make("grpc", server.secure, host="other.example.com", tls=model.Tls(ca=ca_file)))
    assert (misnamed.ok, misnamed.reason) == (False, f"certificate is for {HOST}, not other.example.com")
    assert (await run(make("grpc", server.secure))).ok is False, "without TLS nobody understands the other"
