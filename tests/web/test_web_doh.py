"""DNS over HTTPS: the envelope of RFC 8484, for whoever asks; and the web inside of TLS."""

from __future__ import annotations

import asyncio
import base64
import ssl

import aiohttp
import pytest
import trustme

from gtm import model
from gtm.serve import encryption
from gtm.web import application, doh, shaking
from tests.web import fake_node

QUESTION = b"dns question \xff\xfe\xfd"


def url(packet: bytes) -> str:
    return f"{doh.PATH}?dns={base64.urlsafe_b64encode(packet).decode().rstrip('=')}"


async def test_both_methods_give_the_answer_with_its_time(
    fake: fake_node.FakeNode, http: aiohttp.ClientSession
) -> None:
    for ask in (http.get(url(QUESTION)), http.post(doh.PATH, data=QUESTION, headers={"Content-Type": doh.MEDIA})):
        async with ask as reply:
            assert (reply.status, reply.content_type) == (200, doh.MEDIA)
            assert reply.headers["Cache-Control"] == "private, max-age=7"
            assert await reply.read() == QUESTION.upper()
    assert fake.asked == [("dns", QUESTION, 4, 0x7F000001)] * 2


async def test_nobody_needs_a_token_for_it(fake: fake_node.FakeNode, http: aiohttp.ClientSession) -> None:
    fake.tokens = (fake_node.OPERATOR,)
    async with http.get(url(QUESTION), headers={"X-Forwarded-For": "192.0.2.1"}) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (doh.PATH, 400),
        (f"{doh.PATH}?dns=", 400),
        (f"{doh.PATH}?dns=***", 400),
        (f"{doh.PATH}?dns=A", 400),
        (url(b"no question"), 400),
        (url(bytes(5000)), 414),
    ],
)
async def test_what_is_no_question_is_refused(http: aiohttp.ClientSession, path: str, status: int) -> None:
    async with http.get(path) as reply:
        assert reply.status == status
        assert "error" in await reply.json()


@pytest.mark.parametrize(
    ("media", "size", "status"), [("text/plain", 10, 415), (doh.MEDIA, 4097, 413), (doh.MEDIA, 100_000, 413)]
)
async def test_what_is_posted_is_bounded(http: aiohttp.ClientSession, media: str, size: int, status: int) -> None:
    async with http.post(doh.PATH, data=b"d" * size, headers={"Content-Type": media}) as reply:
        assert reply.status == status


async def test_the_web_inside_of_tls_shows_the_newest_certificate(fake: fake_node.FakeNode) -> None:
    ca, changing = trustme.CA(), encryption.Changing(["http/1.1"])
    client = ssl.create_default_context()
    ca.configure_trust(client)
    app = application.make(fake, now=lambda: fake_node.NOW)
    running = await application.start(app, model.Listen("127.0.0.1", 0), changing.context)
    for name in ("one.example", "two.example"):
        made = ca.issue_cert(name)
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        changing.take(chain.decode(), made.private_key_pem.bytes().decode())
        async with aiohttp.ClientSession() as session:
            where = f"https://127.0.0.1:{running.port}/healthz"
            async with session.get(where, ssl=client, server_hostname=name) as reply:
                assert reply.status == 200
    await running.close()


async def test_G6_who_never_shakes_hands_is_counted_from_the_first_and_hung_up_on(
    fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "MAX_PER_CLIENT", 3)
    monkeypatch.setattr(shaking, "HANDSHAKE_S", 0.3)
    ca, changing = trustme.CA(), encryption.Changing(["http/1.1"])
    client, made = ssl.create_default_context(), ca.issue_cert("one.example")
    ca.configure_trust(client)
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    changing.take(chain.decode(), made.private_key_pem.bytes().decode())
    running = await application.start(application.make(fake), model.Listen("127.0.0.1", 0), changing.context)
    where = f"https://127.0.0.1:{running.port}/healthz"
    for silent in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
        held = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(3)]
        if silent[:1] != b"G":
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            async with asyncio.timeout(5):
                assert await reader.read() == b""  # one too many
            writer.close()
        for _, writer in held:
            writer.write(silent)
        async with asyncio.timeout(5):
            for reader, writer in held:
                await reader.read()  # they are hung up on
                writer.close()
        async with (
            aiohttp.ClientSession() as session,
            session.get(where, ssl=client, server_hostname="one.example") as reply,
        ):
            assert reply.status == 200
    await running.close()
