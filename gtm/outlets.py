"""Where answers are to be seen: the nouns of the query log and of dnstap."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueryLog:
    """Where answers are written down (`stdout`, or a path), which share (0..1), and how many a second at most."""

    path: str
    sample: float = 0.01
    per_second: int = 100
    full_addresses: bool = False


@dataclass(frozen=True, slots=True)
class Dnstap:
    """Who reads dnstap: a Unix socket's path, or an address and port; and which share (0..1) of the answers it gets."""

    socket: str
    tcp: tuple[str, int] | None
    sample: float = 1.0
