"""How a node answers DNS, and where its answers are to be seen: nouns that `model` holds, and nobody else makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is, never the secret itself: an environment variable or a file."""

    env: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Https:
    """A steered name's HTTPS record (RFC 9460), less the addresses. `port` 0 is the scheme's own."""

    alpn: tuple[str, ...] = ()
    port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a steered name (RFC 2782): `_rtmp._tcp`, lower case, and its port."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Tsig:
    """A key of TSIG: its name (absolute, lower case), its algorithm, and where its secret is."""

    name: str
    algorithm: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Transfer:
    """Who may have a zone: networks, and the key that must sign; and whom to tell of changes (address and port)."""

    allow: tuple[str, ...]
    tsig: Tsig | None = None
    notify: tuple[tuple[str, int], ...] = ()


TARGETS = "ep"


def target(endpoint: str, zone: str) -> str:
    """Return the name that stands for an endpoint where a record wants a host: `fra-1.ep.example.net.`."""
    return f"{endpoint.lower()}.{TARGETS}.{zone}"


@dataclass(frozen=True, slots=True)
class Cookies:
    """What is wanted of DNS cookies. `secrets`: the one in use, then the one before; none: a node makes its own."""

    enabled: bool = True
    require: bool = False
    secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryLog:
    """Where answers are written down (`stdout`, or a path), which share (0..1), and how many a second at most.

    At `max_bytes` the file is moved aside, over the one that was moved before.
    """

    path: str
    sample: float = 0.01
    per_second: int = 100
    full_addresses: bool = False
    max_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Dnstap:
    """Who reads dnstap: a Unix socket's path, or an address and port; and which share (0..1) of the answers it gets."""

    socket: str
    tcp: tuple[str, int] | None
    sample: float = 1.0
