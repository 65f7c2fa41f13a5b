"""A real SMTP server (aiosmtpd) on loopback that remembers its mails, for the tests of e-mail."""

from __future__ import annotations

import asyncio
import contextlib
import email
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message as messages
from email import policy
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd import smtp


@dataclass
class Box:
    """What the server took: mails, and who had logged in; `answers` are its words for each recipient."""

    mails: list[messages.Message] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 kept"
    port: int = 0
    ca: str = ""

    async def handle_RCPT(
        self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope, address: str, options: list[str]
    ) -> str:
        if address not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get(address, "250 yes")

    async def handle_DATA(self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        if self.data_answer.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return self.data_answer


@contextlib.asynccontextmanager
async def mailbox(folder: Path, *, tls: str = "starttls", login: bool = False, port: int = 0) -> AsyncIterator[Box]:
    box, authority = Box(ca=str(folder / "ca.pem")), trustme.CA()
    authority.cert_pem.write_to_path(box.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def authenticate(*of: Any) -> smtp.AuthResult:
        user, password = of[-1].login.decode(), of[-1].password.decode()
        box.users.append(user)
        return smtp.AuthResult(success=password == "right", handled=False)

    def protocol() -> smtp.SMTP:
        return smtp.SMTP(
            box,
            hostname="localhost",
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=authenticate if login else None,
            auth_require_tls=tls == "starttls",
            auth_required=login,
        )

    ssl_here = context if tls == "tls" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=ssl_here)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
