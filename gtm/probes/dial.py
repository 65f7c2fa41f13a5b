"""A check in, a connection to exactly its address out, with TLS where asked, and the reason in plain words if not.

Every kind that speaks TCP comes through here, so here stand the rules of where probes may go (semantics G7): the
address that the configuration says and no other, never link-local, multicast or a cloud's metadata service, however
it is spelled.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from gtm import model
from gtm.probes import certificate, prober

Protocol = TypeVar("Protocol", bound=asyncio.BaseProtocol)

TIME_DNS = model.Measure("time.dns", "s", "word from this machine's resolver, where the endpoint is a host name")
TIME_CONNECT = model.Measure("time.connect", "s", "TCP connect")
TIME_TLS = model.Measure("time.tls", "s", "TLS handshake")
DAYS_LEFT = model.Measure("certificate.days_left", "days", "days until the certificate expires; negative once it has")
TLS = model.Option("tls", "tls", "speak TLS: true, or {verify, server_name, ca}", False)
HOST = model.Option(
    "host", "host", "name for Host, SNI and the certificate; the steered name, else the address", fills=True
)
WATCH = model.Option(
    "watch",
    "bool",
    "hold an idle connection to the endpoint, and probe at once when it breaks; not for servers that spend a process "
    "or thread on each connection",
    False,
)

# Metadata services that are not link-local: AWS over IPv6, Alibaba, Oracle.
METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1: an IPv4 address stands in the last 32 bits
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def barred(address: Address) -> str:
    """Return why probes may not go to this address, or an empty text. Loopback is allowed: exporters live there."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return barred(inner)
    if address.is_link_local:
        return f"{address} is link-local, where probes do not go"
    if address in METADATA:
        return f"{address} is a metadata service, where probes do not go"
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        return f"{address} is not the address of one machine"
    return ""


async def find(trial: prober.Trial) -> str:
    """Return the IP address to dial: the check's own, or what this machine's resolver says of a `cname` endpoint.

    Raises `NotRun` where probes may not go and when the resolver is broken, `Failed` when the name does not exist.
    """
    check = trial.check
    if check.key.family != "cname":
        try:
            address = ipaddress.ip_address(check.address)
        except ValueError:
            raise prober.NotRun(f"{check.address!r} is not an IP address") from None
        return _allowed(address)
    trial.awaiting = "word from this machine's resolver"
    name, started_s = check.address.rstrip("."), trial.monotonic()
    try:
        async with asyncio.timeout(trial.left_s() * 0.9):  # to be able to say that it was the resolver
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise prober.NotRun(f"this machine's resolver said nothing about {name}") from None
    except (socket.gaierror, UnicodeError) as error:
        code = error.errno if isinstance(error, socket.gaierror) else socket.EAI_NONAME
        if code in {socket.EAI_NONAME, socket.EAI_NODATA}:
            raise prober.Failed(f"{name} does not exist or has no address") from None
        raise prober.NotRun(f"this machine's resolver failed for {name}: {error}") from None
    trial.measures.setdefault(TIME_DNS.name, trial.monotonic() - started_s)
    return _allowed(ipaddress.ip_address(found[0][4][0]))


def _allowed(address: Address) -> str:
    why = barred(address)
    if why:
        raise prober.NotRun(why)
    return str(address)


async def connect(trial: prober.Trial, address: str) -> socket.socket:
    """Return a socket connected to the check's port at `address`. Measures `time.connect`; raises `OSError`."""
    trial.awaiting = "connection"
    started_s = trial.monotonic()
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, trial.check.port))
    except BaseException:
        sock.close()
        raise
    trial.measures.setdefault(TIME_CONNECT.name, trial.monotonic() - started_s)
    return sock


async def reach(
    trial: prober.Trial, factory: Callable[[], Protocol], tls: model.Tls | None, alpn: tuple[str, ...] = ()
) -> tuple[asyncio.Transport, Protocol]:
    """Return a transport to the check's address with `factory`'s protocol on it, the TLS handshake done.

    Measures `time.connect`, `time.tls` and `certificate.days_left`. Raises `Failed`, `NotRun` or `OSError`.
    """
    address = await find(trial)
    loop = asyncio.get_running_loop()
    if tls is None:
        return await loop.create_connection(factory, sock=await connect(trial, address))
    context = _context(tls, alpn)
    server_name = tls.server_name or trial.host
    sock = await connect(trial, address)
    trial.awaiting = "TLS handshake"
    started_s = trial.monotonic()
    try:
        transport, protocol = await loop.create_connection(factory, sock=sock, ssl=context, server_hostname=server_name)
    except ssl.SSLCertVerificationError as error:
        raise await _distrusted(trial, address, server_name, error) from None
    except ssl.SSLError as error:
        words = (error.reason or str(error)).lower().replace("_", " ")
        raise prober.Failed(f"TLS handshake failed: {words}") from None
    except (ValueError, TypeError) as error:  # what the ssl module says to names that cannot be sent as SNI
        sock.close()  # asyncio fails here before it has a transport that would
        raise prober.NotRun(f"{server_name[:80]!r} cannot be asked for: {error}") from None
    except (ConnectionResetError, ConnectionAbortedError):
        raise prober.Failed("connection closed during the TLS handshake") from None
    trial.measures.setdefault(TIME_TLS.name, trial.monotonic() - started_s)
    _note_expiry(trial, transport)
    return transport, protocol


def _context(tls: model.Tls, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return the TLS settings, made once for each CA file as it is now. Raises `NotRun` when that cannot be read."""
    try:
        changed_ns = os.stat(tls.ca).st_mtime_ns if tls.ca else 0
        return _make_context(tls.verify, tls.ca, changed_ns, alpn)
    except OSError as error:  # ssl.SSLError, for a file that is not PEM, is one too
        raise prober.NotRun(f"CA file {tls.ca}: {(error.strerror or str(error)).lower()}") from None


@functools.lru_cache(maxsize=64)  # a context costs some 20 ms, because it reads all of the system's authorities
def _make_context(verify: bool, ca: str, changed_ns: int, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _note_expiry(trial: prober.Trial, transport: asyncio.Transport) -> certificate.Certificate | None:
    """Measure `certificate.days_left`, and return what the peer's certificate says; None when it is unreadable."""
    der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    try:
        found = certificate.read(der or b"")
    except ValueError:
        return None
    trial.measures[DAYS_LEFT.name] = found.days_left(trial.wall())
    return found


# OpenSSL's X509_V_ERR_* numbers
_NOT_YET, _EXPIRED, _SELF_SIGNED, _FOREIGN_ROOT, _NO_ISSUER, _UNVERIFIABLE = 9, 10, 18, 19, 20, 21
_WRONG_NAME, _WRONG_ADDRESS = 62, 64


async def _distrusted(
    trial: prober.Trial, address: str, server_name: str, error: ssl.SSLCertVerificationError
) -> prober.Failed:
    """Return why the certificate was refused; a second handshake without verification tells when and whose it is."""
    found: certificate.Certificate | None = None
    try:
        async with asyncio.timeout(trial.left_s() * 0.8):  # the reason must still come out in time
            sock = await connect(trial, address)
            context = _context(model.Tls(verify=False), ())
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=sock, ssl=context, server_hostname=server_name
            )
            found = _note_expiry(trial, transport)
            transport.abort()
    except OSError:  # TimeoutError too: the first handshake has said enough to fail it, without the details
        found = None
    return prober.Failed(_words(error, found, server_name, trial.wall()))


def _words(
    error: ssl.SSLCertVerificationError, found: certificate.Certificate | None, server_name: str, now: float
) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        if found is None or found.not_after > now:
            return "certificate expired" if found is None else "a certificate of the chain expired"
        return f"certificate expired {_ago(now - found.not_after)} ago"
    if code == _NOT_YET and found is not None and found.not_before > now:
        return f"certificate is not valid for another {_ago(found.not_before - now)}"
    if code in {_WRONG_NAME, _WRONG_ADDRESS}:
        names = ", ".join(found.names[:3]) + (", ..." if len(found.names) > 3 else "") if found else ""
        return f"certificate is for {names or 'somebody else'}, not {server_name}"
    if code == _SELF_SIGNED:
        return "certificate is self-signed"
    if code in {_FOREIGN_ROOT, _NO_ISSUER, _UNVERIFIABLE}:
        return "certificate is from an unknown authority"
    return f"certificate refused: {error.verify_message}"


def _ago(span_s: float) -> str:
    for size_s, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if span_s >= size_s:
            count = int(span_s // size_s)
            return f"{count} {word}{'s' if count > 1 else ''}"
    return "moments"
