"""The settings of DNS inside of something else (TLS, a proxy's header), as sections in, model settings out."""

from __future__ import annotations

from collections.abc import Callable

from gtm import model
from gtm.config import fields


class Certificate(fields.Section):
    """A certificate and its key; both are read again at a reload and when a file changes."""

    certificate: fields.Text = fields.needed("file with the certificate and its chain (PEM), relative to this file")
    key: fields.Text = fields.needed("file with the key (PEM, not encrypted), relative to this file")


class Tls(Certificate):
    """DNS over TLS."""

    listen: fields.Listens = fields.needed("addresses and ports; 853 is the usual one")


class Proxy(fields.Section):
    """DNS behind proxies that speak the PROXY protocol, version 2, as dnsdist does."""

    listen: fields.Listens = fields.needed("addresses and ports, UDP and TCP on each, for nobody but the proxies")
    peers: fields.Networks = fields.needed("the proxies' networks: they may say for whom they ask", alias="from")


def certificate(written: Certificate | None, relative: Callable[[str], str]) -> model.Certificate | None:
    """Return where a certificate is; `relative` makes a path seen from where the command runs."""
    return model.Certificate(relative(written.certificate), relative(written.key)) if written is not None else None
