"""Senders over HTTP against a local server: what they post, what they believe, and what they never say."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme

from gtm.notify import alertmanager, sender
from tests.notify.receiving import NOW, Receiver, message, receiver, send


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Receiver]:
    one = await Receiver().start()
    yield one
    await one.stop()


async def test_a_webhook_is_signed_over_its_time_and_body(server: Receiver) -> None:
    one = receiver("{kind: webhook, url_env: URL, secret_env: KEY, token_env: TOKEN}")
    environment = {"URL": f"{server.url}/hook?x=1", "KEY": "s3cret", "TOKEN": "t0ken"}
    assert await send(one, environment=environment) == "200 ok"
    ((path, headers, body),) = server.got
    signed = headers["X-GTM-Timestamp"].encode() + b"." + server.bodies[0]
    assert headers["X-GTM-Signature"] == "sha256=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert (path, headers["X-GTM-Timestamp"], headers["Authorization"]) == ("/hook", str(int(NOW) + 5), "Bearer t0ken")
    assert (headers["X-GTM-Id"], body["id"], body["incident"], body["what"]) == ("m1", "m1", "i1", "firing")
    assert body["facts"] == [{"kind": "pool", "subject": "eu", "reason": "0 of 3 up"}]


async def test_a_webhook_without_a_key_is_not_signed(server: Receiver) -> None:
    await send(receiver(f"{{kind: webhook, url: '{server.url}'}}"))
    assert "X-GTM-Signature" not in server.got[0][1]


async def test_slack_gets_text_in_which_nothing_is_markup(server: Receiver) -> None:
    told = message(title="<!channel> & co", text="a < b\n" + "x" * 9000)
    await send(receiver(f"{{kind: slack, url: '{server.url}/services/T0'}}"), told)
    body = server.got[0][2]
    assert body["text"] == "&lt;!channel&gt; &amp; co"
    assert body["attachments"][0]["text"].startswith("a &lt; b\nxxx")
    assert len(body["attachments"][0]["text"]) == 3000
    await send(receiver(f"{{kind: slack, url: '{server.url}/services/T0'}}"), message("resolved"))
    assert server.got[1][2]["attachments"][0]["color"] != body["attachments"][0]["color"]


async def test_pagerduty_triggers_and_resolves_one_incident(server: Receiver) -> None:
    one = receiver(f"{{kind: pagerduty, key_env: KEY, url: '{server.url}/v2/enqueue'}}")
    for what in ("firing", "reminder", "resolved"):
        await send(one, message(what), {"KEY": "R0UTING"})
    first, _, last = (body for _, _, body in server.got)
    assert [body["event_action"] for _, _, body in server.got] == ["trigger", "trigger", "resolve"]
    assert {body["dedup_key"] for _, _, body in server.got} == {"gtm-i1"}
    assert first["routing_key"] == "R0UTING"
    assert first["payload"]["severity"] == "error"
    assert first["payload"]["timestamp"] == "2023-11-14T22:12:20+00:00"
    assert first["client_url"] == "https://gtm.example.com"
    assert "payload" not in last


async def test_pagerduty_is_not_left_with_what_nobody_can_resolve(server: Receiver) -> None:
    one = receiver(f"{{kind: pagerduty, key: K, url: '{server.url}'}}")
    assert (await send(one, message("news"))).startswith("left out")
    assert server.got == []
    await send(one, message("test"))
    assert [body["event_action"] for _, _, body in server.got] == ["trigger", "resolve"]


def ends(alert: dict[str, Any]) -> float:
    return datetime.datetime.fromisoformat(alert["endsAt"]).timestamp()


async def test_an_alertmanager_hears_until_when_and_that_it_is_over(server: Receiver) -> None:
    one = receiver(f"{{kind: alertmanager, url: '{server.url}/am/', token: T}}")
    for what in ("firing", "refresh", "resolved", "news"):
        await send(one, message(what))
    assert {path for path, _, _ in server.got} == {"/am/api/v2/alerts"}
    ((firing,), (again,), (over,), (news,)) = (body for _, _, body in server.got)
    assert firing["labels"] == {"alertname": "GTM", "node": "ns1", "group": "site:fra", "severity": "error"}
    assert (firing["labels"], firing["startsAt"]) == (again["labels"], again["startsAt"])
    assert (firing["labels"], over["labels"] | {"id": "m1"}) == (over["labels"], news["labels"])
    # Counted from the attempt: one that had to wait for long is not over before it came.
    assert ends(firing) == NOW + 5 + alertmanager.LASTS_S > NOW + 5 + 2 * alertmanager.REFRESH_S
    assert ends(over) == NOW


async def test_an_alertmanager_is_told_the_end_of_the_milder_alert_when_it_grows_worse(server: Receiver) -> None:
    one = receiver(f"{{kind: alertmanager, url: '{server.url}'}}")
    await send(one, message("update", severity="critical", severity_before="error"))
    milder, worse = server.got[0][2]
    assert (milder["labels"]["severity"], worse["labels"]["severity"]) == ("error", "critical")
    assert ends(milder) < ends(worse)


@pytest.mark.parametrize(
    ("status", "final"), [(302, False), (400, True), (403, True), (404, True), (408, False), (429, False), (500, False)]
)
async def test_refusals_are_for_good_or_for_now(server: Receiver, status: int, final: bool) -> None:
    server.status, server.said = status, "no\nsuch hook"
    server.headers = {"Location": f"{server.url}/elsewhere"}
    with pytest.raises(sender.NotSent) as wrong:
        await send(receiver(f"{{kind: webhook, url: '{server.url}/x'}}"))
    assert (str(wrong.value), wrong.value.final) == (f"localhost answered {status}: no such hook", final)
    assert len(server.got) == 1, "no redirect is followed"


async def test_no_secret_is_said_not_even_by_the_receiver(server: Receiver) -> None:
    server.status = 403
    server.said = "bad token T0KEN for /services/S3CRET, signed K3Y"
    one = receiver("{kind: webhook, url_env: URL, secret_env: KEY, token_env: TOKEN}")
    environment = {"URL": f"{server.url}/services/S3CRET", "KEY": "K3Y", "TOKEN": "T0KEN"}
    with pytest.raises(sender.NotSent) as wrong:
        await send(one, environment=environment)
    assert "T0KEN" not in str(wrong.value)
    assert "K3Y" not in str(wrong.value)
    assert "S3CRET" not in str(wrong.value)
    assert "S3CRET" not in repr(one)
    open_one = receiver("{kind: slack, url: 'http://127.0.0.1:9/services/S3CRET'}")
    assert "S3CRET" not in repr(open_one)
    with pytest.raises(sender.NotSent) as wrong:
        await send(open_one)
    assert "S3CRET" not in str(wrong.value)
    assert "127.0.0.1:9" in str(wrong.value)


async def test_a_secret_that_is_not_there_is_named_by_its_place(server: Receiver, tmp_path: Path) -> None:
    with pytest.raises(sender.NotSent, match=r"^\$URL is not set$"):
        await send(receiver("{kind: slack, url_env: URL}"))
    file = tmp_path / "url"
    one = receiver(f"{{kind: slack, url_file: {file}}}")
    with pytest.raises(sender.NotSent, match="no such file"):
        await send(one)
    file.write_bytes(b"\xff")
    with pytest.raises(sender.NotSent, match="it is not text"):
        await send(one)
    file.write_text("\n")
    with pytest.raises(sender.NotSent, match="is empty"):
        await send(one)
    file.write_text(f"{server.url}/services/T1\n")
    assert await send(one) == "200 ok"


@pytest.mark.parametrize("url", ["ftp://x/", "nonsense", "http://", "https://[::1", ""])
async def test_what_is_no_url_is_said_without_it(url: str) -> None:
    with pytest.raises(sender.NotSent) as wrong:
        await send(receiver("{kind: slack, url_env: URL}"), environment={"URL": url})
    assert "nonsense" not in str(wrong.value)


async def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = await Receiver().start(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with pytest.raises(sender.NotSent, match="certificate is not valid"):
        await send(receiver(f"{{kind: webhook, url: '{server.url}'}}"))
    assert server.got == []
    assert await send(receiver(f"{{kind: webhook, url: '{server.url}', ca: {bundle}}}")) == "200 ok"
    by_address = server.url.replace("localhost", "127.0.0.1")
    with pytest.raises(sender.NotSent, match="certificate is not valid"):
        await send(receiver(f"{{kind: webhook, url: '{by_address}', ca: {bundle}}}"))
    with pytest.raises(sender.NotSent, match="cannot be used"):
        await send(receiver(f"{{kind: webhook, url: '{server.url}', ca: {tmp_path / 'gone.pem'}}}"))
    await server.stop()


async def test_a_proxy_of_the_environment_is_not_asked(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert await send(receiver(f"{{kind: webhook, url: '{server.url}'}}")) == "200 ok"


async def test_a_long_answer_is_read_no_further_than_its_bound(server: Receiver) -> None:
    server.status, server.said = 500, "x" * 2_000_000
    with pytest.raises(sender.NotSent) as wrong:
        await send(receiver(f"{{kind: webhook, url: '{server.url}'}}"))
    assert len(str(wrong.value)) < 300


async def test_G6_an_answer_is_never_unpacked(server: Receiver) -> None:
    server.headers = {"Content-Encoding": "gzip"}
    assert await send(receiver(f"{{kind: webhook, url: '{server.url}'}}")) == "200 ok"
    assert server.got[0][1]["Accept-Encoding"] == "identity"


async def test_nobody_who_listens_is_a_reason_to_try_again() -> None:
    with pytest.raises(sender.NotSent, match=r"127\.0\.0\.1:9: ") as wrong:
        await send(receiver("{kind: webhook, url: 'http://127.0.0.1:9/'}"))
    assert not wrong.value.final
