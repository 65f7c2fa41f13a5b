"""A certificate with its key in, the context of a TLS server out, whose newest certificate every connection gets."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from gtm import errors


class Changing:
    """A context that outlives certificates. Before the first one, and for who asks then, handshakes fail."""

    def __init__(self, alpn: Sequence[str]) -> None:
        self._alpn = list(alpn)
        self._newest: ssl.SSLContext | None = None
        self.context = self._bare()
        self.context.sni_callback = self._hand_over

    def _bare(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 sections 4 and 5, RFC 9325 section 3.1.1
        made.options |= ssl.OP_NO_RENEGOTIATION  # RFC 9325 section 3.5: work without end on one connection
        made.set_alpn_protocols(self._alpn)
        return made

    def take(self, certificate: str, key: str) -> None:
        """Use this certificate chain and key (PEM) from the next connection on.

        Raises `GtmError` when they are no pair; the one before stays. The key is in no message.
        """
        made = self._bare()
        try:
            _load(made, certificate, key)
        except (ssl.SSLError, ValueError) as wrong:
            reason = getattr(wrong, "reason", None) or "NOT_PEM"
            raise errors.GtmError(f"the certificate and its key cannot be used: {reason}") from None
        self._newest = made

    def _hand_over(self, connection: ssl.SSLObject, name: str, outer: ssl.SSLContext) -> int | None:
        """Called by OpenSSL when a client has said hello, whether it names a server or not."""
        if self._newest is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._newest
        return None


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load PEM texts, which `ssl` takes from files only: from memory that has a name while it is open."""
    fd = os.memfd_create("gtm-certificate", os.MFD_CLOEXEC)
    try:
        text = f"{certificate}\n{key}".encode()
        if os.pwrite(fd, text, 0) != len(text):
            raise ValueError("no room for a certificate")
        # An encrypted key would ask for its password on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{fd}", password=_no_password)
    finally:
        os.close(fd)


def _no_password() -> str:
    raise ValueError("the key is encrypted")
