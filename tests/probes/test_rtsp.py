"""The rtsp kind against small servers; against gst-rtsp-server in tests/slow."""

from __future__ import annotations

import asyncio

import pytest

from gtm.probes import rtsp
from tests.probes.probe_servers import HOST, Servers, Talk, make, run

SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\nm=audio 0 RTP/AVP 97\r\n"
FINE = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE\r\n\r\n"


def reply(status: str = "200 OK", body: str = "") -> str:
    return f"RTSP/1.0 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}"


def server(heard: list[str], *answers: str) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(answer.encode())
        await writer.drain()
        if answers[-1]:
            writer.close()
            await writer.wait_closed()
        await reader.read()

    return talk


async def test_options_speaks_for_the_server(servers: Servers) -> None:
    heard: list[str] = []
    result = await run(make("rtsp", await servers.raw(server(heard, FINE))))
    assert (result.ok, result.reason, result.measures["status"]) == (True, "", 200)
    assert heard == ["OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: gtm (health check)\r\n\r\n"]


async def test_describe_speaks_for_the_stream(servers: Servers) -> None:
    heard: list[str] = []
    port = await servers.raw(server(heard, FINE, reply(body=SDP)))
    result = await run(make("rtsp", port, path="/live/cam1"))
    assert (result.ok, result.reason) == (True, "")
    assert (result.measures["stream.present"], result.measures["stream.media"]) == (True, 2)
    assert heard[1].startswith(f"DESCRIBE rtsp://{HOST}:{port}/live/cam1 RTSP/1.0\r\nCSeq: 2\r\n")


async def test_a_stream_that_is_not_there_fails_or_not_as_wanted(servers: Servers) -> None:
    port = await servers.raw(server([], FINE, reply("404 Not Found")))
    bad = await run(make("rtsp", port, path="/x"))
    assert (bad.ok, bad.reason, bad.reached) == (False, "stream /x is not there: status 404", True)
    fine = await run(make("rtsp", port, path="/x", absent="ok"))
    assert (fine.ok, fine.measures["stream.present"]) == (True, False)


async def test_a_pipeline_that_cannot_start_hangs_while_the_server_answers(servers: Servers) -> None:
    result = await run(make("rtsp", await servers.raw(server([], FINE, "")), path="/x", timeout_s=0.2))
    assert (result.ok, result.reason) == (False, "no answer to DESCRIBE within 200ms")
    assert result.measures["status"] == 200


async def test_a_server_that_wants_a_password_lives(servers: Servers) -> None:
    result = await run(make("rtsp", await servers.raw(server([], FINE, reply("401 Unauthorized"))), path="/x"))
    assert result.ok is True
    assert "lets nobody in without a password" in result.reason


@pytest.mark.parametrize("status", ["453 Not Enough Bandwidth", "503 Service Unavailable"])
async def test_too_much_to_do_is_overload(servers: Servers, status: str) -> None:
    result = await run(make("rtsp", await servers.raw(server([], reply(status))), path="/x"))
    assert result.ok is True
    assert result.overloaded == f"OPTIONS was answered by status {status[:3]}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", "not RTSP: 'HTTP/1.1 200 OK'"),
        ("RTSP/1.0 2oo\r\n\r\n", "not RTSP"),
        ("RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", "not RTSP"),
        ("RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", "not RTSP: a body of 99999999 bytes"),
        ("RTSP/1.0 200 OK\r\n" + "a: b\r\n" * 100 + "\r\n", "not RTSP: more than 64 lines"),
        ("x" * 20_000, "not RTSP: no end of the head"),
        ("RTSP/1.0 500 No\r\n\r\n", "OPTIONS was answered by status 500"),
        ("RTSP/1.0 200", "connection closed before the answer to OPTIONS came"),
    ],
)
async def test_G6_what_is_no_answer_fails_within_bounds(servers: Servers, answer: str, reason: str) -> None:
    result = await run(make("rtsp", await servers.raw(server([], answer))))
    assert result.ok is False
    assert reason in result.reason


@pytest.mark.parametrize("body", ["<html>", "v=0\r\ns=nothing\r\n"])
async def test_a_description_without_media_fails(servers: Servers, body: str) -> None:
    result = await run(make("rtsp", await servers.raw(server([], FINE, reply(body=body))), path="/x"))
    assert result.ok is False


async def test_A7_a_request_that_cannot_be_made_is_no_failure_of_the_endpoint(servers: Servers) -> None:
    result = await run(make("rtsp", await servers.raw(server([], FINE)), headers={"X": "a\r\nb"}))
    assert result.ok is None


def test_the_head_of_an_answer_is_read_whatever_the_case_of_its_names() -> None:
    found = rtsp.reply(b"RTSP/2.0 200 OK\r\nCONTENT-length:  3 \r\n\r\n")
    assert (found.status, found.headers) == (200, {"content-length": "3"})
