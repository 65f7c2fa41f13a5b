"""E-mail against a real SMTP server (aiosmtpd) on loopback: encrypted, logged in, one thread an incident."""

from __future__ import annotations

from email import message as messages
from pathlib import Path

import pytest

from gtm.notify import sender
from tests.notify.mailing import Box, mailbox
from tests.notify.receiving import message, receiver, send


def written(box: Box, more: str = "") -> str:
    return (
        f"{{kind: email, server: localhost, port: {box.port}, ca: {box.ca}, from: 'GTM <gtm@example.com>',"
        f" to: [ops@example.com, 'Night Shift <night@example.com>']{more}}}"
    )


async def test_a_mail_comes_over_verified_tls_with_its_own_id_in_its_thread(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        one = receiver(written(box))
        told = message(title="[ns1] ERROR: é\r\nBcc: evil@example.com", text="Since – now\n.\nlast")
        assert "kept" in await send(one, told)
        await send(one, message("resolved", id="m2"))
    first, second = box.mails
    assert first["Subject"] == "[ns1] ERROR: é Bcc: evil@example.com"
    assert first["Bcc"] is None
    assert first["To"] == "ops@example.com, Night Shift <night@example.com>"
    assert (first["Message-ID"], second["Message-ID"]) == ("<m1@ns1>", "<m2@ns1>")
    assert first["References"] == second["References"] == "<i1@ns1>"
    assert (first["Auto-Submitted"], first["Importance"], second["Importance"]) == ("auto-generated", "high", None)
    assert isinstance(first, messages.EmailMessage)
    assert first.get_content().splitlines() == ["Since – now", ".", "last"]


@pytest.mark.parametrize("tls", ["tls", "none"])
async def test_tls_from_the_start_and_none_at_all_are_possible(tmp_path: Path, tls: str) -> None:
    async with mailbox(tmp_path, tls=tls) as box:
        await send(receiver(written(box, f", tls: {tls}")))
        assert len(box.mails) == 1


async def test_a_certificate_that_nobody_vouches_for_gets_no_mail_and_no_password(tmp_path: Path) -> None:
    async with mailbox(tmp_path, login=True) as box:
        text = written(box, ", user: gtm, password: right").replace(f"ca: {box.ca}, ", "")
        with pytest.raises(sender.NotSent) as wrong:
            await send(receiver(text))
        assert not wrong.value.final
        assert (box.mails, box.users) == ([], [])


async def test_a_server_without_starttls_gets_no_mail(tmp_path: Path) -> None:
    async with mailbox(tmp_path, tls="none") as box:
        with pytest.raises(sender.NotSent, match="STARTTLS"):
            await send(receiver(written(box)))
        assert box.mails == []


async def test_who_must_log_in_does_and_a_wrong_password_is_not_said(tmp_path: Path) -> None:
    async with mailbox(tmp_path, login=True) as box:
        one = receiver(written(box, ", user: gtm, password_env: PASSWORD"))
        with pytest.raises(sender.NotSent, match=r"^\$PASSWORD is not set$"):
            await send(one)
        with pytest.raises(sender.NotSent, match="535") as wrong:
            await send(one, environment={"PASSWORD": "wr0ng-one"})
        assert "wr0ng-one" not in str(wrong.value)
        assert not wrong.value.final, "somebody may mend the password"
        await send(one, environment={"PASSWORD": "right"})
        assert (len(box.mails), set(box.users)) == (1, {"gtm"})


async def test_a_mail_that_is_refused_for_good_is_not_tried_again(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        one = receiver(written(box))
        for answer, final in (("451 later", False), ("550 nobody here", True)):
            box.answers = dict.fromkeys(("ops@example.com", "night@example.com"), answer)
            with pytest.raises(sender.NotSent, match=answer) as wrong:
                await send(one)
            assert wrong.value.final == final
        box.answers = {"ops@example.com": "550 nobody here"}
        assert "refused for ops@example.com" in await send(one)
        box.answers = {}
        for answer, final in (("452 full", False), ("554 spam", True)):
            box.data_answer = answer
            with pytest.raises(sender.NotSent, match=answer) as wrong:
                await send(one)
            assert wrong.value.final == final


async def test_addresses_that_are_none_are_refused_before_anybody_is_asked() -> None:
    text = "{kind: email, server: localhost, from: gtm@example.com, to: ['a b c']}"
    with pytest.raises(sender.NotSent, match="no mail can be made") as wrong:
        await send(receiver(text))
    assert wrong.value.final


async def test_nobody_who_listens_is_a_reason_to_try_again() -> None:
    text = "{kind: email, server: localhost, port: 9, tls: none, from: gtm@example.com, to: ops@example.com}"
    with pytest.raises(sender.NotSent, match="localhost: ") as wrong:
        await send(receiver(text))
    assert not wrong.value.final
