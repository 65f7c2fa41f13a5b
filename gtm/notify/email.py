"""A message in, one e-mail by SMTP out, over verified TLS unless that is switched off.

The Message-ID is the message's own: what is handed over twice is one mail. All mails of an incident are one thread.
"""

from __future__ import annotations

import datetime
import ssl
from email import errors as mail_errors
from email import headerregistry, message, policy, utils

import aiosmtplib

from gtm import model
from gtm.notify import http, sender

KIND = model.Kind(
    name="email",
    doc="people, by e-mail through an SMTP server",
    options=(
        model.Option("server", "host", "the SMTP server", required=True),
        model.Option("port", "port", "its port", 587),
        model.Option(
            "tls", "choice", "how TLS begins; it is verified", "starttls", choices=("starttls", "tls", "none")
        ),
        model.Option("user", "text", "whom to log in as; without it nobody logs in"),
        model.Option("password", "secret", "the password"),
        model.Option("from", "text", "the sender's address", required=True),
        model.Option("to", "texts", "the receivers' addresses", required=True),
        sender.CA,
    ),
)


def compose(trial: sender.Trial) -> message.EmailMessage:
    """Return the mail. Raises `NotSent` for addresses that are none."""
    told, node = trial.message, trial.message.node
    mail = message.EmailMessage(policy=policy.SMTP)
    domain = "".join(c for c in node if c.isalnum() or c in ".-") or "gtm"
    to = trial.receiver.options.get("to")
    try:
        mail["From"] = _address(trial.text("from"))
        mail["To"] = tuple(_address(str(one)) for one in to) if isinstance(to, tuple) else ()
        mail["Subject"] = " ".join(told.title.split())
    except (ValueError, IndexError, mail_errors.MessageError) as wrong:
        raise sender.NotSent(f"no mail can be made: {wrong}", final=True) from None
    mail["Date"] = datetime.datetime.fromtimestamp(told.at, datetime.UTC)
    mail["Message-ID"] = f"<{told.id}@{domain}>"
    thread = f"<{told.incident}@{domain}>"
    mail["References"] = thread
    mail["In-Reply-To"] = thread
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's holiday notice comes back
    if told.severity in {"error", "critical"} and not told.over:
        mail["Importance"] = "high"
    mail.set_content(told.text + "\n")
    return mail


def _address(text: str) -> headerregistry.Address:
    name, spec = utils.parseaddr(text)
    return headerregistry.Address(display_name=name, addr_spec=spec)


async def send(trial: sender.Trial) -> str:
    """Hand it to the server."""
    mail, tls, user = compose(trial), trial.text("tls"), trial.text("user")
    host = trial.text("server").rstrip(".")
    password = trial.found("password") if user else ""
    client = aiosmtplib.SMTP(
        hostname=host,
        port=int(trial.text("port")),
        use_tls=tls == "tls",
        start_tls=tls == "starttls",
        tls_context=http.context(trial) if tls != "none" else None,
        timeout=trial.receiver.timeout_s,
        local_hostname=None,
    )
    try:
        async with client:
            if user:
                await client.login(user, password)
            refused, said = await client.send_message(mail)
    except aiosmtplib.SMTPException as wrong:
        raise sender.NotSent(trial.clean(f"{host}: {_words(wrong)}"), final=_final(wrong)) from None
    except ssl.SSLError as wrong:
        raise sender.NotSent(f"{host}: TLS failed: {wrong.reason or 'no reason given'}") from None
    except OSError as wrong:
        raise sender.NotSent(f"{host}: {(wrong.strerror or type(wrong).__name__).lower()}") from None
    left = f"; refused for {', '.join(refused)}" if refused else ""
    return trial.clean(f"{said}{left}")


def _final(wrong: aiosmtplib.SMTPException) -> bool:
    """Say whether it is of no use to try again: the server refuses for good (RFC 5321 section 4.2.1)."""
    if isinstance(wrong, aiosmtplib.SMTPRecipientsRefused):
        return all(one.code >= 500 for one in wrong.recipients)
    of_content = (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused)
    return isinstance(wrong, of_content) and wrong.code >= 500


def _words(wrong: aiosmtplib.SMTPException) -> str:
    if isinstance(wrong, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.code} {one.message} ({one.recipient})" for one in wrong.recipients)
    if isinstance(wrong, aiosmtplib.SMTPResponseException):
        return f"{wrong.code} {wrong.message}"
    return str(wrong) or type(wrong).__name__
