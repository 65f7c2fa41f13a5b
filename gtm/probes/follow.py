"""A host name in, its addresses and their TTL out, by the resolvers of this machine or those that were named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.rdatatype

from gtm import errors, model, seen

# A look may take so long; with three tries for each resolver, that is one that is down and one that answers.
LOOK_S = 4.0
# Addresses hold for no less, whatever their TTL, and are looked for again after no more (a day is no failover).
LEAST_TTL_S, MOST_TTL_S = 5, 300
MOST_ADDRESSES = 16


def resolver(of: Sequence[model.Listen]) -> dns.asyncresolver.Resolver:
    """Return what asks. Raises `GtmError` when this machine names no resolvers."""
    try:
        made = dns.asyncresolver.Resolver(configure=not of)
    except dns.exception.DNSException as error:
        raise errors.GtmError(f"this machine has no resolver: {error}") from None
    if of:
        made.nameservers = [one.host for one in of]
        made.nameserver_ports = {one.host: one.port for one in of}
    return made


async def look(by: dns.asyncresolver.Resolver, host: str) -> seen.Followed:
    """Return the addresses of `host`, those of one family at least. Raises `GtmError` with the reason."""
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    both = await asyncio.gather(
        *(by.resolve(host, kind, search=False, lifetime=LOOK_S, raise_on_no_answer=False) for kind in kinds),
        return_exceptions=True,
    )
    found, lives, why = [], [], "it has no address"
    for one in both:
        if isinstance(one, dns.exception.DNSException | OSError):
            why = " ".join(str(one).split())[:200] or type(one).__name__
        elif isinstance(one, BaseException):
            raise one
        elif one.rrset is not None:
            found += [rdata.to_text() for rdata in one.rrset]
            lives.append(one.rrset.ttl)
    if not found:
        raise errors.GtmError(why)
    return seen.Followed(tuple(sorted(found)[:MOST_ADDRESSES]), max(LEAST_TTL_S, min(MOST_TTL_S, *lives, MOST_TTL_S)))
