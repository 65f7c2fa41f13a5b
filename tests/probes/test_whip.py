"""The whip and whep kinds against a small endpoint that keeps its sessions in a set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gtm.probes import sdp
from tests.probes.probe_servers import HOST, Servers, make, page, run

ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=ice-ufrag:x\r\na=fingerprint:sha-256 AA\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n"
)


@dataclass
class Endpoint:
    """What a WebRTC server would say; `sessions` are those that are alive."""

    answer: str = ANSWER
    location: str = "/session/{}"
    forget: bool = True
    slow: bool = False
    sessions: set[str] = field(default_factory=set)
    offers: list[str] = field(default_factory=list)
    port: int = 0

    async def options(self, _: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Post": "application/sdp"})

    async def post(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/sdp"
        self.offers.append(await request.text())
        session = str(len(self.offers))
        self.sessions.add(session)
        headers = {"Content-Type": "application/sdp", "Location": self.location.format(session)}
        if not self.slow:
            return web.Response(status=201, text=self.answer, headers=headers)
        headers.pop("Content-Type")
        response = web.StreamResponse(status=201, headers=headers)
        await response.prepare(request)
        await asyncio.Event().wait()  # the answer's body never comes
        return response

    async def delete(self, request: web.Request) -> web.Response:
        assert request.headers["Host"] == f"{HOST}:{self.port}"
        if not self.forget:
            return web.Response(status=500)
        self.sessions.discard(request.match_info["session"])
        return web.Response()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    here = Endpoint()
    app = web.Application()
    app.router.add_route("OPTIONS", "/whip/cam1", here.options)
    app.router.add_route("POST", "/whip/cam1", here.post)
    app.router.add_route("DELETE", "/session/{session}", here.delete)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.port = runner.addresses[0][1]
    yield here
    await runner.cleanup()


async def test_options_makes_no_session(endpoint: Endpoint) -> None:
    result = await run(make("whip", endpoint.port, path="/whip/cam1"))
    assert (result.ok, result.reason, result.measures["status"]) == (True, "", 204)
    assert not endpoint.offers


@pytest.mark.parametrize(("kind", "direction"), [("whip", "sendonly"), ("whep", "recvonly")])
async def test_a_session_is_made_and_deleted_again(endpoint: Endpoint, kind: str, direction: str) -> None:
    result = await run(make(kind, endpoint.port, path="/whip/cam1", session=True))
    assert (result.ok, result.reason) == (True, "")
    assert (result.measures["status"], result.measures["answer.media"], result.measures["ended"]) == (201, 1, True)
    assert float(result.measures["time.answer"]) > 0
    (offer,) = endpoint.offers
    assert offer.count(f"a={direction}") == 2
    assert not endpoint.sessions


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<html>", "the answer is no session description: it does not begin with v=0"),
        ("v=0\r\nm=audio 0 x 1\r\n", "the answer accepts no stream"),
        ("v=0\r\nm=audio 9 x 1\r\n", "no ICE credentials"),
    ],
)
async def test_a_session_with_a_bad_answer_is_deleted_too(endpoint: Endpoint, answer: str, reason: str) -> None:
    endpoint.answer = answer
    result = await run(make("whip", endpoint.port, path="/whip/cam1", session=True))
    assert result.ok is False
    assert reason in result.reason
    assert not endpoint.sessions


async def test_a_session_whose_answer_does_not_end_is_deleted_before_the_deadline(endpoint: Endpoint) -> None:
    endpoint.slow = True
    result = await run(make("whip", endpoint.port, path="/whip/cam1", session=True, timeout_s=1.0))
    assert (result.ok, result.reason) == (False, "no answer to the offer in 60% of the time")
    assert not endpoint.sessions


async def test_a_session_at_another_host_is_deleted_at_the_address_that_was_probed(endpoint: Endpoint) -> None:
    endpoint.location = "https://elsewhere.example.com/session/{}"
    result = await run(make("whip", endpoint.port, path="/whip/cam1", session=True))
    assert (result.ok, result.measures["ended"]) == (True, True)
    assert not endpoint.sessions


async def test_a_session_that_cannot_be_ended_is_a_failure(endpoint: Endpoint) -> None:
    endpoint.forget = False
    result = await run(make("whip", endpoint.port, path="/whip/cam1", session=True))
    assert (result.ok, result.reason) == (False, "the session could not be ended: status 500")
    endpoint.location = ""
    result = await run(make("whip", endpoint.port, path="/whip/cam1", session=True))
    assert (result.ok, result.reason) == (False, "status 201 without a Location: the session cannot be ended")


@pytest.mark.parametrize("session", [False, True])
async def test_too_much_to_do_is_overload_and_not_death(servers: Servers, session: bool) -> None:
    result = await run(make("whip", await servers.http(page("", "503 Busy")), path="/w", session=session))
    assert (result.ok, result.measures["status"], result.overloaded) == (True, 503, "status 503")


async def test_where_clients_are_sent_is_measured_and_not_followed(servers: Servers) -> None:
    port = await servers.http(page("", "307 Temporary Redirect", Location="https://b.example/w"))
    result = await run(make("whip", port, path="/w"))
    assert (result.ok, result.measures["redirect"]) == (True, "https://b.example/w")


def test_the_offer_is_a_description_that_can_be_connected_to() -> None:
    found = sdp.read(sdp.offer("sendonly"))
    assert (found.media, found.ice, found.fingerprint) == (("audio", "video"), True, True)


@pytest.mark.parametrize("raw", [b"", b"v=1\r\n", b"v=0\nm=audio 9\n", b"v=0\n" + b"m=audio 9 x 1\n" * 100])
def test_what_is_no_description_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader's own word
        sdp.read(raw)
