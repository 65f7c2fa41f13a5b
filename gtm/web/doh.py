"""A DNS message in an HTTP request in, the answer in a response out: DNS over HTTPS (RFC 8484).

The answer is made by whatever answers every other transport, from the same table; here is only the envelope.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress

from aiohttp import web

from gtm.web import node, orders, reply

PATH = "/dns-query"
MEDIA = "application/dns-message"
MAX_BYTES = 4096  # semantics G6
_MAX_TEXT = (MAX_BYTES * 4 + 2) // 3  # of so many bytes in base64url without padding


async def get(request: web.Request) -> web.Response:
    """Answer `?dns=` (RFC 8484 section 4.1)."""
    text = request.query.get("dns", "")
    if len(text) > _MAX_TEXT:
        raise reply.Denied(414, "too-long", f"a DNS message has at most {MAX_BYTES} bytes", "")
    try:
        # RFC 8484 section 6: base64url, and no padding.
        packet = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        packet = b""
    return _answered(request, packet)


async def post(request: web.Request) -> web.Response:
    """Answer a body (RFC 8484 section 4.1)."""
    if request.content_type != MEDIA:
        raise reply.Denied(415, "wrong-type", f"this is for {MEDIA}", "")
    packet = await orders.raw_body(request)
    if len(packet) > MAX_BYTES:
        raise reply.Denied(413, "too-long", f"a DNS message has at most {MAX_BYTES} bytes", "")
    return _answered(request, packet)


def _answered(request: web.Request, packet: bytes) -> web.Response:
    of = node.context(request).node
    client = ipaddress.ip_address((request.remote or "0.0.0.0").partition("%")[0])  # noqa: S104 - nobody's address
    found = of.dns(packet, client.version, int(client))
    if found is None:
        raise node.Refused("bad-value", "this is no DNS question", "RFC 8484 says what one is")
    answer, fresh_s = found
    # RFC 8484 section 5.1: no longer fresh than the shortest TTL. Nobody between may keep it for somebody else.
    headers = {"Cache-Control": f"private, max-age={fresh_s}"}
    return web.Response(body=answer, content_type=MEDIA, headers=headers)
