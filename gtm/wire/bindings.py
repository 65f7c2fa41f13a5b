"""Decisions about services in, their rings out: HTTPS and SVCB's parameters (RFC 9460), SRV (RFC 2782)."""

from __future__ import annotations

import functools
import ipaddress
import struct
from collections.abc import Sequence

from gtm import answering, model, names, seen, table
from gtm.wire import compile as compiler
from gtm.wire import services

_ALPN, _PORT, _IPV4HINT, _IPV6HINT = 1, 3, 4, 6  # RFC 9460 section 14.3.2
_THIS_NAME, _SERVICE_MODE = b"\0", 1  # RFC 9460 sections 2.5.2 and 2.4.1


def rings(policy: model.Policy, decisions: Sequence[seen.Decision]) -> list[table.Ring]:
    """Return the rings of `steer.services.decisions`."""
    bindings = (policy.https is not None) + len(policy.srv)
    audiences = len(decisions) // max(1, bindings)
    made = []
    for at, decision in enumerate(decisions):
        which = at // audiences - (policy.https is not None)
        if which < 0 and policy.https is not None:
            made.append(compiler.ring(decision, functools.partial(_https, policy.https)))
        else:
            made.append(compiler.ring(decision, functools.partial(_srv, policy.srv[which])))
    return made


def _https(https: answering.Https, reply: Sequence[seen.Answer], ttl_s: int) -> table.Fixed:
    """One HTTPS record that names the owner itself, or the CNAME that is served."""
    if reply[0].family == "cname":
        return compiler.reply(reply, ttl_s)
    params: list[tuple[int, bytes]] = []  # in ascending order of their keys: RFC 9460 section 2.2
    if https.alpn:
        params.append((_ALPN, b"".join(bytes((len(one),)) + one.encode() for one in https.alpn)))
    if https.port:
        params.append((_PORT, struct.pack(">H", https.port)))
    for key, family in ((_IPV4HINT, "ipv4"), (_IPV6HINT, "ipv6")):
        hints = [ipaddress.ip_address(one.value).packed for one in reply if one.family == family]
        if hints:
            params.append((key, b"".join(hints)))
    data = struct.pack(">H", _SERVICE_MODE) + _THIS_NAME
    data += b"".join(struct.pack(">HH", key, len(value)) + value for key, value in params)
    return compiler.answer(compiler.AA, (compiler.record(compiler.OWNER_IS_QUESTION, services.HTTPS, ttl_s, data),))


def _srv(service: answering.Service, reply: Sequence[seen.Answer], ttl_s: int) -> table.Fixed:
    records = []
    for one in reply:
        if isinstance(one, seen.Offer):
            head = struct.pack(">HHH", one.priority, one.weight, service.port)
            records.append(
                compiler.record(compiler.OWNER_IS_QUESTION, services.SRV, ttl_s, head + names.wire(one.value))
            )
    return compiler.answer(compiler.AA, records)
