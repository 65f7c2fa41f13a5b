"""A request in, who asks and what they may do out.

Nobody is trusted for having the right address alone: a request from loopback counts only when it came straight from
this machine (no proxy's headers) and for this machine (the Host header), so that neither a reverse proxy nor a web
page with a rebound name can borrow the trust.
"""

from __future__ import annotations

import fnmatch
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib import parse

from aiohttp import web

from gtm import model
from gtm.web import node, reply

# What a route asks for; `glance`: see `web: {public: names}`.
Role = Literal["open", "glance", "read", "push", "acme", "operate"]
MAX_SECRET_BYTES = 4096
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `may` holds the roles of routes that this caller may use; `name` stands in orders as `by`."""

    name: str
    may: frozenset[Role]
    endpoints: tuple[str, ...] = ()  # globs: whom a pusher speaks for; empty is everybody

    def speaks_for(self, endpoint: str) -> bool:
        """Say whether this caller may push news of an endpoint."""
        return not self.endpoints or any(fnmatch.fnmatchcase(endpoint, one) for one in self.endpoints)


NOBODY = Caller("", frozenset({"open"}))
PASSER_BY = Caller("", frozenset({"open", "glance"}))  # nobody in particular, where names are public
READER: frozenset[Role] = frozenset({"open", "glance", "read"})
PUSHER: frozenset[Role] = frozenset({"open", "push"})
PROVER: frozenset[Role] = frozenset({"open", "acme"})
OPERATOR: frozenset[Role] = frozenset({"open", "glance", "read", "push", "acme", "operate"})
ROLES: dict[str, frozenset[Role]] = {"operator": OPERATOR, "viewer": READER, "pusher": PUSHER, "acme": PROVER}
CHANGES: frozenset[Role] = frozenset({"push", "acme", "operate"})  # what changes something; refusals are written down
_MAY = {PUSHER: "push news and nothing else", PROVER: "set ACME challenges and nothing else"}
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)


def credentials(
    tokens: Sequence[model.Token], environment: Mapping[str, str]
) -> tuple[tuple[node.Credential, ...], tuple[str, ...]]:
    """Find the secrets of the configured tokens; return them and, in plain words, what could not be found.

    A token without its secret stays in the list and lets nobody in: losing a file must not open the door that
    stands open when no tokens are configured.
    """
    found, problems = [], []
    for token in tokens:
        secret = token.secret
        if token.secret_env:
            secret = environment.get(token.secret_env, "")
        elif token.secret_file:
            try:
                with Path(token.secret_file).open(encoding="utf-8") as file:
                    secret = file.read(MAX_SECRET_BYTES).strip()
            except (OSError, UnicodeDecodeError) as wrong:
                problems.append(f"token {token.name}: {token.secret_file} cannot be read: {wrong}")
                secret = ""
        if not secret and not token.secret_file:
            problems.append(f"token {token.name}: ${token.secret_env or '?'} is not set")
        found.append(node.Credential(token.name, token.role, secret, token.endpoints))
    return tuple(found), tuple(problems)


def who(request: web.Request, of: node.WebNode) -> Caller:
    """Say who asks `of`. Raises `Denied` as `caller` does."""
    found = caller(request, of.credentials())
    return PASSER_BY if found is NOBODY and of.public() else found


def caller(request: web.Request, known: Sequence[node.Credential]) -> Caller:
    """Say who asks. Raises `Denied` for a wrong token, and for a page of another host that reaches for loopback."""
    header = request.headers.get("Authorization", "")
    if header:
        return _bearer(header, known)
    if not is_loopback(request.remote or "") or any(name in request.headers for name in FORWARDED):
        return NOBODY
    host = request.headers.get("Host", "")
    if host and not _is_this_machine(host):
        raise reply.Denied(403, "foreign-host", f"{host[:80]!r} is not this machine", "ask 127.0.0.1, or with a token")
    return Caller("loopback", READER if known else OPERATOR)


def _bearer(header: str, known: Sequence[node.Credential]) -> Caller:
    scheme, _, given = header.partition(" ")
    secret = given.strip().encode("utf-8", "surrogateescape")
    match: node.Credential | None = None
    for one in known:  # every one of them, so that the time taken does not tell which was near
        if hmac.compare_digest(one.secret.encode(), secret) and one.secret:
            match = one
    if match is None or scheme.lower() != "bearer":
        raise reply.Denied(401, "wrong-token", "this token is not known", "Authorization: Bearer TOKEN")
    return Caller(match.name, ROLES[match.role], match.endpoints)


def check(request: web.Request, who: Caller, needs: Role) -> None:
    """Let the request pass or raise `Denied`."""
    if needs not in who.may:
        if who in {NOBODY, PASSER_BY}:
            raise reply.Denied(401, "token-needed", "a token is needed from here", "Authorization: Bearer TOKEN")
        hint = "use an operator's token" if who.name else ""
        may = _MAY.get(who.may, "look but not touch")
        raise reply.Denied(403, "not-allowed", f"{who.name} may {may}", hint)
    changes = needs in CHANGES
    if changes:
        _check_origin(request)
    if changes and request.method == "POST" and request.content_type != "application/json":
        raise reply.Denied(415, "not-json", "a body must be JSON", "Content-Type: application/json")


def _check_origin(request: web.Request) -> None:
    """Refuse what another site's page sends through a browser (cross-site request forgery)."""
    origin, host = request.headers.get("Origin", "").lower(), request.headers.get("Host", "").lower()
    if origin not in {"", f"http://{host}", f"https://{host}"} or request.headers.get("Sec-Fetch-Site", "none") not in {
        "none",
        "same-origin",
    }:
        raise reply.Denied(403, "foreign-origin", "this request comes from another site's page")


def is_loopback(address: str) -> bool:
    """Say whether an address is of this machine; IPv4 inside IPv6 (RFC 4291 section 2.5.5.2) counts as IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if found.version == 6 else None
    return (mapped or found).is_loopback


def _is_this_machine(host: str) -> bool:
    try:
        name = parse.urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name.rstrip(".") == "localhost" or is_loopback(name)
