"""The http kind against real servers, kind and hostile ones."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import socket
import struct
import zlib

import pytest
import trustme

from gtm import model
from gtm.config import expect
from gtm.health import judge
from gtm.probes import http
from tests.probes.probe_servers import HOST, Servers, make, page, run, server_tls

CHUNK = b"x" * 65536


async def test_an_answer_is_measured_with_its_times(servers: Servers) -> None:
    port = await servers.http(page("hello", Cache_Control="no-store"))
    result = await run(make("http", port, path="/a", expect=["body == hello", "header.cache-control == no-store"]))
    assert (result.ok, result.reason) == (True, "")
    assert result.measures["status"] == 200
    assert result.measures["body"] == "hello"
    assert result.measures["header.cache-control"] == "no-store"
    connect, first, total = (float(result.measures[f"time.{n}"]) for n in ("connect", "first_byte", "total"))
    assert 0 < connect < total
    assert 0 < first < total
    assert result.took_ms == pytest.approx(total * 1000)


async def test_G7_the_request_names_the_service_and_goes_to_the_address(servers: Servers) -> None:
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return page()

    port = await servers.http(answer)
    await run(make("http", port, path="/a%2Fb?sig=a%3D%3D&x=1", headers={"X-Key": "v"}, host="play.live.example.com."))
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "GET /a%2Fb?sig=a%3D%3D&x=1 HTTP/1.1"
    assert f"Host: {HOST}:{port}" in lines
    assert "X-Key: v" in lines


async def test_a_body_can_be_sent_with_a_method(servers: Servers) -> None:
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4))
        writer.write(page())
        await writer.drain()

    port = await servers.raw(talk)
    result = await run(make("http", port, method="POST", body="ping"))
    assert result.ok
    assert got[0].startswith(b"POST / ")
    assert got[0].endswith(b"\r\n\r\nping")


async def test_what_is_not_asked_for_is_not_carried_along(servers: Servers) -> None:
    result = await run(make("http", await servers.http(page("{}", X="y"))))
    assert not [name for name in result.measures if name == "body" or name.startswith(("header.", "json."))]


async def test_A11_a_redirect_is_judged_and_not_followed(servers: Servers) -> None:
    asked: list[bytes] = []

    def answer(head: bytes) -> bytes:
        asked.append(head)
        return page(status="302 Found", Location="http://169.254.169.254/latest/")

    result = await run(make("http", await servers.http(answer)))
    assert result.ok is True
    assert result.measures["status"] == 302
    assert result.reason == "redirects to http://169.254.169.254/latest/"
    assert len(asked) == 1


async def test_json_values_are_found_by_dotted_path(servers: Servers) -> None:
    body = '{"load": {"cpu": 0.5}, "nodes": [{"ok": true}], "all": [1, 2], "none": null}'
    names = ["json.load.cpu", "json.nodes.0.ok", "json.all", "json.none", "json.nodes.7.ok", "json.load.cpu.x"]
    result = await run(make("http", await servers.http(page(body)), expect=[f"{name} == 1" for name in names]))
    assert result.measures["json.load.cpu"] == 0.5
    assert result.measures["json.nodes.0.ok"] is True
    assert result.measures["json.all"] == "[1, 2]"
    assert not {"json.none", "json.nodes.7.ok", "json.load.cpu.x"} & set(result.measures)


@pytest.mark.parametrize("body", ["<html>", "[" * 100_000, "1" * 5000, ""])
async def test_a_body_that_is_not_json_fails_where_json_is_asked_for(servers: Servers, body: str) -> None:
    result = await run(make("http", await servers.http(page(body)), expect=["json.a == 1"]))
    assert result.ok is False
    assert result.reason == "the body is not JSON (status 200)"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "bare"])
async def test_a_compressed_body_is_read(servers: Servers, encoding: str) -> None:
    bare = zlib.compressobj(wbits=-15)
    raw = {
        "gzip": gzip.compress(b"hello"),
        "deflate": zlib.compress(b"hello"),
        "bare": bare.compress(b"hello") + bare.flush(),
    }[encoding]
    port = await servers.http(page(raw, Content_Encoding="deflate" if encoding == "bare" else encoding))
    assert (await run(make("http", port, expect=["body == hello"]))).measures["body"] == "hello"


async def test_G6_a_gzip_bomb_is_stopped_at_the_bound(servers: Servers) -> None:
    port = await servers.http(page(gzip.compress(b"\0" * 20_000_000), Content_Encoding="gzip"))
    result = await run(make("http", port, max_bytes=1000, expect=["body == x"]))
    assert result.ok is True
    assert result.measures["body.bytes"] == 1000


async def test_a_body_that_only_says_that_it_is_gzip_fails(servers: Servers) -> None:
    result = await run(make("http", await servers.http(page("plain", Content_Encoding="gzip"))))
    assert (result.ok, result.reason) == (False, "the answer says that it is gzip, and is not")


async def test_G6_a_body_without_end_is_read_up_to_the_bound(servers: Servers) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        while True:
            writer.write(CHUNK)
            await writer.drain()
            sent += len(CHUNK)

    result = await run(make("http", await servers.raw(talk)))
    assert result.ok is True
    assert result.measures["body.bytes"] == 256 * 1024
    assert sent < 32 * 1024 * 1024  # what the kernel's buffers swallowed, not ten gigabytes


async def test_a_slow_drip_ends_at_the_deadline(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    result = await run(make("http", await servers.raw(talk), timeout_s=0.2))
    assert (result.ok, result.reason) == (False, "no complete answer within 200ms")
    assert 200 <= result.took_ms < 1000


async def test_a_drip_of_headers_ends_at_the_deadline(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            writer.write(b"X-%d: y\r\n" % number)
            await writer.drain()
            await asyncio.sleep(0.02)

    result = await run(make("http", await servers.raw(talk), timeout_s=0.15))
    assert (result.ok, result.reason) == (False, "no answer within 150ms")


async def test_a_server_that_never_answers_fails_at_the_deadline(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    result = await run(make("http", await servers.raw(talk), timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "no answer within 100ms")


async def test_a_reset_is_called_one(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    result = await run(make("http", await servers.raw(talk)))
    assert (result.ok, result.reason) == (False, "connection reset")


async def test_a_server_that_hangs_up_is_called_so(servers: Servers) -> None:
    assert (await run(make("http", await servers.http(b"")))).reason == "connection closed without an answer"


async def test_an_answer_that_breaks_off_fails(servers: Servers) -> None:
    port = await servers.http(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    assert (await run(make("http", port))).reason == "connection closed in the middle of the answer"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(500)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_G6_what_is_not_an_http_answer_or_has_too_much_head_fails(servers: Servers, answer: bytes) -> None:
    result = await run(make("http", await servers.http(answer)))
    assert result.ok is False
    assert result.reason.startswith("not an HTTP answer: ")


async def test_a_closed_port_is_refused() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        result = await run(make("http", unheard.getsockname()[1]))
    assert (result.ok, result.reason) == (False, "connection refused")


async def test_G7_proxies_from_the_environment_are_not_used(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    port = await servers.http(page("direct"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await run(make("http", port))).ok is True


async def test_A7_a_header_that_cannot_be_sent_is_no_failure_of_the_endpoint(servers: Servers) -> None:
    result = await run(make("http", await servers.http(page()), headers={"X": "a\r\nB: c"}))
    assert result.ok is None
    assert result.reason.startswith("the request cannot be made: ")


async def test_G7_a_path_cannot_lead_to_another_host(servers: Servers) -> None:
    result = await run(make("http", await servers.http(page()), path="//other.example/x"))
    assert result.ok is None
    assert "does not go to other.example" in result.reason


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("", "Host: 127.0.0.1:"),
        ("::1", "Host: [::1]:"),
        ("PLAY.example.", "Host: play.example:"),
        ("_srv.example", "Host: _srv.example:"),
    ],
)
async def test_hosts_of_all_shapes_are_named(servers: Servers, host: str, says: str) -> None:
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return page()

    result = await run(make("http", await servers.http(answer), host=host))
    assert (result.ok, result.reason) == (True, "")
    assert says in heads[0].decode()


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a:b"])
@pytest.mark.parametrize("kind", ["http", "hls"])
async def test_A7_what_is_not_a_host_is_no_failure_of_the_endpoint(servers: Servers, kind: str, host: str) -> None:
    result = await run(make(kind, await servers.http(page()), host=host, path="/"))
    assert result.ok is None, result
    assert result.reason


# --- TLS -----------------------------------------------------------------------------------------------------------


def days(number: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(
        days=number, hours=1 if number > 0 else -1
    )  # tests may run long after they were collected


async def test_a_good_certificate_is_measured(servers: Servers, authority: trustme.CA, ca_file: str) -> None:
    tls = server_tls(authority, HOST, not_after=days(40))
    result = await run(make("http", await servers.http(page(), tls), tls=model.Tls(ca=ca_file)))
    assert (result.ok, result.reason) == (True, "")
    assert result.measures["certificate.days_left"] == pytest.approx(40, abs=0.05)
    assert float(result.measures["time.tls"]) > 0


@pytest.mark.parametrize(
    ("names", "dates", "reason"),
    [
        (("other.example",), {}, f"certificate is for other.example, not {HOST}"),
        ((HOST,), {"not_before": days(-30), "not_after": days(-3)}, "certificate expired 3 days ago"),
        ((HOST,), {"not_before": days(2)}, "certificate is not valid for another 2 days"),
    ],
)
async def test_A11_a_bad_certificate_fails_and_says_why(  # noqa: PLR0917 - fixtures and cases
    servers: Servers,
    authority: trustme.CA,
    ca_file: str,
    names: tuple[str, ...],
    dates: dict[str, datetime.datetime],
    reason: str,
) -> None:
    tls = server_tls(authority, *names, **dates)
    result = await run(make("http", await servers.http(page(), tls), tls=model.Tls(ca=ca_file)))
    assert (result.ok, result.reason) == (False, reason)


async def test_A11_an_unknown_authority_fails(servers: Servers, authority: trustme.CA) -> None:
    result = await run(make("http", await servers.http(page(), server_tls(authority, HOST)), tls=True))
    assert (result.ok, result.reason) == (False, "certificate is from an unknown authority")


async def test_verification_can_be_switched_off_and_the_days_are_still_told(
    servers: Servers, authority: trustme.CA
) -> None:
    tls = server_tls(authority, "other.example", not_before=days(-30), not_after=days(-3))
    result = await run(make("http", await servers.http(page(), tls), tls=model.Tls(verify=False)))
    assert result.ok is True
    assert result.measures["certificate.days_left"] == pytest.approx(-3, abs=0.05)


async def test_the_certificates_name_may_be_another_than_the_host(
    servers: Servers, authority: trustme.CA, ca_file: str
) -> None:
    port = await servers.http(page(), server_tls(authority, "edge.example"))
    result = await run(make("http", port, tls=model.Tls(ca=ca_file, server_name="edge.example")))
    assert result.ok is True


async def test_tls_to_a_plain_port_fails_in_plain_words(servers: Servers) -> None:
    result = await run(make("http", await servers.http(page()), tls=True, timeout_s=0.2))
    assert result.ok is False
    assert result.reason.startswith(("TLS handshake failed: ", "connection closed during the TLS handshake", "no TLS"))


async def test_A7_a_missing_ca_file_is_no_failure_of_the_endpoint(servers: Servers) -> None:
    result = await run(make("http", await servers.http(page()), tls=model.Tls(ca="nowhere.pem")))
    assert (result.ok, result.reason) == (None, "CA file nowhere.pem: no such file or directory")


async def test_A7_a_ca_file_that_is_none_is_no_failure_of_the_endpoint(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ca") / "bad.pem"
    path.write_text("not a certificate")
    result = await run(make("http", await servers.http(page()), tls=model.Tls(ca=str(path))))
    assert result.ok is None
    assert str(path) in result.reason


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        ("503 Busy", {"Retry_After": "30"}, "status 503, retry after 30"),
        ("429 Too Many Requests", {}, "status 429"),
        ("503 Broken", {}, ""),
        ("200 OK", {"Retry_After": "30"}, ""),
    ],
)
async def test_a_server_that_has_too_much_to_do_says_so_and_is_judged_by_the_conditions_all_the_same(
    servers: Servers, status: str, headers: dict[str, str], says: str
) -> None:
    result = await run(make("http", await servers.http(page("", status, **headers))))
    assert (result.ok, result.overloaded) == (True, says)


@pytest.mark.parametrize(
    ("status", "headers", "good"),
    [
        ("200 OK", {}, True),
        ("503 Busy", {"Retry_After": "30"}, True),
        ("429 Too Many Requests", {}, True),
        ("503 Broken", {}, False),
        ("503 Closed", {"Retry_After": "3600"}, False),
        ("503 Closed", {"Retry_After": "Mon, 23 Nov 2026 20:00:00 GMT"}, False),
        ("500 Broken", {"Retry_After": "30"}, False),
    ],
)
async def test_overload_is_not_death_by_what_is_expected_when_nothing_is_said(
    servers: Servers, status: str, headers: dict[str, str], good: bool
) -> None:
    lines = tuple(expect.condition(http.KIND, line) for line in http.KIND.expect)
    result = await run(make("http", await servers.http(page("", status, **headers))))
    ok, reason = judge.judge(model.Profile("p", "http", expect=lines), result)
    assert (ok, reason) == (good, "" if good else f"status is {status[:3]}, should be in 200..299")
