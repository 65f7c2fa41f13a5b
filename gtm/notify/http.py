"""A URL and a body in, the receiver's status and a bounded answer out: HTTP as all senders speak it.

Certificates are verified, no proxy of the environment is used, no redirect followed, no cookie kept, and each attempt
has a connection of its own. The URL may be a secret: nothing that is raised holds it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
import yarl

import gtm
from gtm.notify import sender

MOST_ANSWER_BYTES = 64 * 1024  # a few words of it are shown
_NO_TIMEOUT = aiohttp.ClientTimeout()  # the caller keeps the time, over all phases together
# What may be otherwise in a moment; all other refusals are for good (RFC 9110 section 15.5, RFC 6585 section 4).
_LATER = {408, 425, 429}


def url_of(trial: sender.Trial, given: str) -> yarl.URL:
    """Return a URL that can be used. Raises `NotSent`."""
    try:
        found = yarl.URL(given, encoded=given.isascii())
    except ValueError:
        found = yarl.URL()
    if found.scheme not in {"http", "https"} or not found.host:
        raise sender.NotSent("its URL is none: it begins with http:// or https:// and has a host")
    return found


async def post(trial: sender.Trial, url: yarl.URL, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Post JSON; return status and answer of a receiver that took it. Raises `NotSent`."""
    sent = {"Content-Type": "application/json", "User-Agent": f"gtm/{gtm.__version__}", **headers}
    sent["Accept-Encoding"] = "identity"  # a few words need no packing, and what is packed may be of any size
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context(trial), force_close=True, use_dns_cache=False),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_TIMEOUT,
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.post(url, data=body, headers=sent, allow_redirects=False) as answer,
        ):
            said = trial.clean(await _read(answer))
            status = answer.status
    except (aiohttp.ClientError, OSError, ValueError) as wrong:
        raise sender.NotSent(_blame(wrong, url)) from None
    if 200 <= status < 300:
        return status, said
    final = 400 <= status < 500 and status not in _LATER
    raise sender.NotSent(f"{url.host} answered {status}" + (f": {said}" if said else ""), final=final)


def context(trial: sender.Trial) -> ssl.SSLContext:
    """Return how TLS is verified: by the system's authorities, or by those of `ca`. Raises `NotSent`."""
    try:
        return ssl.create_default_context(cafile=trial.text("ca") or None)
    except (OSError, ssl.SSLError) as wrong:
        raise sender.NotSent(f"{trial.text('ca')} cannot be used: {wrong}") from None


async def _read(answer: aiohttp.ClientResponse) -> str:
    chunks, size = [], 0
    while size < MOST_ANSWER_BYTES and (chunk := await answer.content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    answer.close()
    return b"".join(chunks)[:MOST_ANSWER_BYTES].decode("utf-8", "replace")


def _blame(wrong: Exception, url: yarl.URL) -> str:
    """Say what went wrong in words that hold nothing of the URL but its host."""
    where = f"{url.host}:{url.port}"
    if isinstance(wrong, aiohttp.ClientConnectorCertificateError):
        return f"{where}: its certificate is not valid: {wrong.certificate_error.__class__.__name__}"
    if isinstance(wrong, aiohttp.ClientSSLError):
        return f"{where}: TLS failed"
    if isinstance(wrong, aiohttp.ClientConnectorDNSError):
        return f"{url.host} is not found"
    if isinstance(wrong, aiohttp.ServerDisconnectedError):
        return f"{where}: connection closed without an answer"
    if isinstance(wrong, aiohttp.ClientPayloadError):
        return f"{where}: connection closed in the middle of the answer"
    if isinstance(wrong, OSError):
        return f"{where}: {(wrong.strerror or type(wrong).__name__).lower()}"
    return f"{where}: not an HTTP answer ({type(wrong).__name__})"
