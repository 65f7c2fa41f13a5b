"""The names of a configuration and the ACME challenges of the moment in, entries of single names out (RFC 8555 8.4).

A challenge is a TXT record at `_acme-challenge` in a zone of ours, or at `_acme-challenge.NAME`. It stands beside what
is steered, and where nothing stood. A name that comes into being between it and the next one above answers as before:
as the wildcard that covered it, where there is one (RFC 4592 section 2.2.2 would have it answer nothing), else nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from gtm import names, seen, table
from gtm.wire import compile as compiler
from gtm.wire import zone as zones

LABEL = b"\x0f_acme-challenge"
TTL_S = 10  # so that what was asked too early, or is over, is soon forgotten
MAX_TEXT_BYTES = 255  # one character-string (RFC 1035 section 3.3)
_TXT = 16
_WILDCARD = b"\x01*"
_HEAD = struct.Struct(">HHHIH")  # of a record: the pointer to the question, type, class, TTL, length


class Overlay:
    """What challenges lay over the names of one configuration."""

    def __init__(self) -> None:
        self._base: Mapping[bytes, table.Entry] = {}
        self._wanted: dict[bytes, list[str]] = {}
        self._laid: dict[bytes, table.Entry] = {}
        self._alike: dict[bytes, bytes] = {}

    @property
    def laid(self) -> Mapping[bytes, table.Entry]:
        """What lies over the names of the configuration now, by owner."""
        return self._laid

    @property
    def alike(self) -> Mapping[bytes, bytes]:
        """Of what is laid, the names that answer as a wildcard does, and which one."""
        return self._alike

    def over(self, grown: compiler.Grown) -> Mapping[bytes, table.Entry]:
        """Take the names of a new configuration; return them with what lies over them."""
        self._base = grown.names
        self._laid = self._lay()
        return self.names()

    def names(self) -> Mapping[bytes, table.Entry]:
        """Return all names as they are answered now."""
        return {**self._base, **self._laid} if self._laid else self._base

    def entry(self, owner: bytes) -> table.Entry | None:
        """Return what is answered at a name now."""
        return self._laid.get(owner) or self._base.get(owner)

    def want(self, challenges: Sequence[seen.Challenge]) -> dict[bytes, table.Entry | None]:
        """Answer these challenges and no others; return what that changes, by name."""
        self._wanted = {}
        for one in challenges:
            self._wanted.setdefault(names.key(one.name), []).append(one.value)
        before, self._laid = self._laid, self._lay()
        changed = {owner: self._base.get(owner) for owner in before if owner not in self._laid}
        return changed | {owner: entry for owner, entry in self._laid.items() if before.get(owner) != entry}

    def why_not(self, owner: bytes) -> str:
        """Return why no challenge can stand at `owner`; nothing when it can."""
        if not owner.startswith(LABEL):
            return "a challenge stands at _acme-challenge, or at _acme-challenge.NAME"
        at = self._encloser(owner)
        if at == names.ROOT and at not in self._base:
            return "it is in no zone of ours"
        there, wildcard = self._base[at], self._base.get(_WILDCARD + at)
        if there.cut is not None or (at != owner and wildcard is not None and wildcard.cut is not None):
            return "it is delegated to other nameservers"
        if at == owner and (there.cname is not None or there.steering >= 0):
            return "the configuration has an alias (CNAME) or a steered name there"
        return ""

    def zone(self, owner: bytes) -> int:
        """Return the number of the zone that `owner` is in; -1 for none."""
        entry = self._base.get(self._encloser(owner))
        return entry.zone if entry is not None else -1

    def _encloser(self, owner: bytes) -> bytes:
        while owner not in self._base and owner != names.ROOT:
            owner = names.parent(owner)
        return owner

    def _lay(self) -> dict[bytes, table.Entry]:
        laid: dict[bytes, table.Entry] = {}
        alike: dict[bytes, bytes] = {}
        for owner, texts in self._wanted.items():
            if self.why_not(owner):  # another configuration came, and has no place for it
                continue
            encloser = self._encloser(owner)
            zone, there = self._base[encloser].zone, self._base.get(owner)
            fixed = dict(there.fixed) if there is not None else {}
            fixed[_TXT] = _with(fixed.get(_TXT), texts)
            fixed.setdefault(zones.ANY, compiler.any_answer())
            laid[owner] = table.Entry(zone, fixed)
            alike.pop(owner, None)
            wildcard = self._base.get(_WILDCARD + encloser)
            for above in _between(owner, encloser):
                for new in (above, _WILDCARD + above) if wildcard is not None else (above,):
                    if new not in laid:
                        laid[new] = wildcard or table.Entry(zone, {})
                        if wildcard is not None:
                            alike[new] = _WILDCARD + encloser
        self._alike = alike
        return laid


def _between(owner: bytes, encloser: bytes) -> Iterator[bytes]:
    """Yield the names above `owner` and below `encloser`."""
    above = owner if owner == encloser else names.parent(owner)
    while above != encloser:
        yield above
        above = names.parent(above)


def rdatas(of: table.Fixed | None) -> Iterator[bytes]:
    """Yield the rdata of each record of an answer that is one RRset at the question's name."""
    body = of.body if of is not None else b""
    while body:
        size = _HEAD.unpack_from(body)[4]
        yield body[_HEAD.size : _HEAD.size + size]
        body = body[_HEAD.size + size :]


def _with(static: table.Fixed | None, texts: Sequence[str]) -> table.Fixed:
    """Return an answer of these texts and of those that the configuration has there; one TTL (RFC 2181 section 5.2)."""
    wanted = dict.fromkeys((*(bytes((len(one),)) + one.encode() for one in texts), *rdatas(static)))
    ttl_s = min(TTL_S, _HEAD.unpack_from(static.body)[3]) if static is not None else TTL_S
    made = (compiler.record(compiler.OWNER_IS_QUESTION, _TXT, ttl_s, one) for one in wanted)
    return compiler.answer(compiler.AA, made)
