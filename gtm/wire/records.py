"""Records' presentation text in, `model.Record` in wire form out: one record of the YAML, or an RFC 1035 zone file.

The one door of dnslib, which builds and packs the types of `_TYPES`. The types that dnslib lacks or reads loosely
(SVCB, HTTPS: RFC 9460 sections 2.2 and 2.4.2; DS, LOC, ...) and everything in the form of RFC 3597 section 5 go through
dnspython.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Protocol

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dnslib
from dnslib.label import DNSBuffer, DNSLabelError  # `dnslib.label` itself is hidden by a function of that name

from gtm import errors, model, names
from gtm.wire import lexer

_dnslib: Any = dnslib  # it has no types
MAX_TTL_S = 2**31 - 1  # RFC 2181 section 8
MAX_RDATA_BYTES = 65535
# A zone file repeats its types; the bound of the configuration (semantics G6) in records of the smallest size.
MAX_ZONE_RECORDS = 1_000_000
# Types that steer the protocol itself and never stand in a zone (RFC 6895 section 3.1), and DNAME, which would
# promise names below it that nobody would answer.
_NOT_DATA = frozenset({0, 39, 41}) | frozenset(range(128, 256))
# Without a digit run that could end in two places: a hostile file must not make this search for long.
_TTL = re.compile(r"(?=[0-9])(?:[0-9]{1,10}[smhdw]){0,5}(?:[0-9]{1,10})?", re.IGNORECASE)
_TTL_PART = re.compile(r"([0-9]+)([smhdw]?)", re.IGNORECASE)
_TTL_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class _Plain(DNSBuffer):
    """A dnslib buffer that never compresses: a record travels alone and fits behind any question."""

    encode_name = DNSBuffer.encode_name_nocompress


_PLAIN: Any = _Plain


class _Field(Protocol):
    def __call__(self, word: str, origin: str) -> Any:
        """Read one word of rdata; names without a last dot are relative to `origin`."""


def _name(word: str, origin: str) -> Any:
    if word == "@":
        return _dnslib.DNSLabel(tuple(names.labels(origin)))
    base = origin.rstrip(".")
    whole = word if word.endswith(".") and not word.endswith("\\.") else f"{word}.{base}"
    return _dnslib.DNSLabel(tuple(names.labels(whole)))


def _ipv4(word: str, origin: str) -> tuple[int, ...]:
    return tuple(ipaddress.IPv4Address(word).packed)


def _ipv6(word: str, origin: str) -> tuple[int, ...]:
    address = ipaddress.IPv6Address(word)
    if address.scope_id is not None:
        raise ValueError(f"{word!r} names an interface, which DNS cannot carry")
    return tuple(address.packed)


def _number(bits: int) -> _Field:
    def read(word: str, origin: str) -> int:
        if not (word.isascii() and word.isdigit()) or int(word) >> bits:
            raise ValueError(f"{word!r} is not a number from 0 to {2**bits - 1}")
        return int(word)

    return read


def _string(word: str, origin: str) -> bytes:
    value = lexer.plain(word)
    if len(value) > 255:  # RFC 1035 section 3.3
        raise ValueError("a string is longer than 255 bytes")
    return value


def _caa_tag(word: str, origin: str) -> str:
    if not (word.isascii() and word.isalnum()):  # RFC 8659 section 4.1
        raise ValueError(f"{word!r} is not a CAA property")
    return word


def _text(word: str, origin: str) -> str:
    return lexer.plain(word).decode()


def _time(word: str, origin: str) -> int:
    return ttl_s(word)


def _hex(word: str, origin: str) -> bytes:
    return bytes.fromhex(word)


_U8, _U16, _U32 = _number(8), _number(16), _number(32)
# What each type's rdata is made of, in the order of its presentation format, and the dnslib class that packs it.
# `_hex`, always last, takes all words that are left.
_TYPES: dict[str, tuple[tuple[_Field, ...], Callable[..., Any]]] = {
    "A": ((_ipv4,), _dnslib.A),
    "AAAA": ((_ipv6,), _dnslib.AAAA),
    "NS": ((_name,), _dnslib.NS),
    "CNAME": ((_name,), _dnslib.CNAME),
    "PTR": ((_name,), _dnslib.PTR),
    "RP": ((_name, _name), _dnslib.RP),
    "MX": ((_U16, _name), lambda preference, host: _dnslib.MX(host, preference)),
    "SRV": ((_U16, _U16, _U16, _name), _dnslib.SRV),
    "SOA": ((_name, _name, _U32, _time, _time, _time, _time), lambda m, r, *times: _dnslib.SOA(m, r, times)),
    "CAA": ((_U8, _caa_tag, _text), _dnslib.CAA),
    "NAPTR": ((_U16, _U16, _string, _string, _string, _name), _dnslib.NAPTR),
    "TLSA": ((_U8, _U8, _U8, _hex), _dnslib.TLSA),
}


class Reader:
    """Implements `ports.RecordReader`. Holds nothing."""

    def record(self, owner: str, rtype: str, ttl_s: int, text: str, origin: str) -> model.Record:
        """Read one record. `owner` is absolute; names in `text` without a last dot are relative to `origin`.

        A TXT without any quote is one string, blanks and all (`v=spf1 -all`), since YAML has quoted it already; a
        long one is split at 255 bytes. Raises `RecordError` for an unknown type, bad rdata or a bad owner.
        """
        key = _key(owner)
        if rtype.upper() == "TXT" and '"' not in text and not text.startswith("\\#"):
            value = lexer.unescaped(text)
            pieces = [value[at : at + 255] for at in range(0, len(value), 255)] or [b""]
            return _record(key, rtype, ttl_s, _packed(_dnslib.TXT(pieces)))
        return _record(key, rtype, ttl_s, rdata(rtype, lexer.words(text), origin))

    def zone_file(self, text: str, origin: str, ttl_s: int) -> tuple[model.Record, ...]:
        """Read a zone file (RFC 1035 section 5), SOA and NS included.

        `ttl_s` holds until the file has a `$TTL` (RFC 2308 section 4).

        Raises `RecordError` with the line; `$INCLUDE` and `$GENERATE` are refused.
        """
        found, state = [], _File(origin, ttl_s)
        for entry in lexer.entries(text):
            try:
                record = state.read(entry)
            except errors.RecordError as error:
                raise errors.RecordError(str(error), entry.line) from None
            if record is not None:
                found.append(record)
            if len(found) > MAX_ZONE_RECORDS:
                raise errors.RecordError(f"more than {MAX_ZONE_RECORDS} records", entry.line)
        return tuple(found)


class _File:
    """What a zone file has said so far: its origin, default TTL and last owner."""

    def __init__(self, origin: str, default_ttl_s: int) -> None:
        self.zone = _key(origin)
        self.origin = origin
        self.default_ttl_s = default_ttl_s
        self.owner: bytes | None = None

    def read(self, entry: lexer.Entry) -> model.Record | None:
        """Read one entry; directives give None."""
        words = entry.words
        if words[0].startswith("$") and not entry.indented:
            self._directive(words)
            return None
        if not entry.indented:
            self.owner = _key(names.absolute(words[0], self.origin))
            words = words[1:]
            if not names.within(self.owner, self.zone):
                raise errors.RecordError(
                    f"{names.shown(names.text(self.owner))} is outside the zone {names.shown(names.text(self.zone))}"
                )
        if self.owner is None:
            raise errors.RecordError("the first record has no owner")
        own_ttl_s: int | None = None
        while words:  # TTL and class in either order (RFC 1035 section 5.1)
            if own_ttl_s is None and _TTL.fullmatch(words[0]):
                own_ttl_s = ttl_s(words[0])
            elif words[0].upper() in {"CH", "HS", "CS"}:
                raise errors.RecordError(f"class {words[0]} is not served, only IN")
            elif words[0].upper() != "IN":
                break
            words = words[1:]
        if not words:
            raise errors.RecordError("an owner without a type and data")
        life_s = self.default_ttl_s if own_ttl_s is None else own_ttl_s
        return _record(self.owner, words[0], life_s, rdata(words[0], words[1:], self.origin))

    def _directive(self, words: tuple[str, ...]) -> None:
        match words[0].upper(), words[1:]:
            case "$ORIGIN", (origin,):
                self.origin = names.text(_key(names.absolute(origin, self.origin)))
            case "$TTL", (life,):
                self.default_ttl_s = ttl_s(life)
            case "$INCLUDE" | "$GENERATE", _:
                raise errors.RecordError(
                    f"{words[0]} is not read: a zone file says everything itself, record by record"
                )
            case _:
                raise errors.RecordError(f"{' '.join(words)!r} is not a directive")


def ttl_s(word: str) -> int:
    """Return a TTL in seconds: a number, or with units as BIND writes them (`1h30m`, `2D`). Raises `RecordError`."""
    if not _TTL.fullmatch(word):
        raise errors.RecordError(f"{word!r} is not a time")
    total_s = sum(int(count) * _TTL_UNITS_S[unit.lower()] for count, unit in _TTL_PART.findall(word))
    if total_s > MAX_TTL_S:
        raise errors.RecordError(f"{word!r} is longer than {MAX_TTL_S} s")
    return total_s


def type_number(mnemonic: str) -> int:
    """Return the number of a type that may stand in a zone: `TXT`, `TYPE65280`. Raises `RecordError`."""
    try:
        number = int(dns.rdatatype.from_text(mnemonic))
    except (dns.exception.DNSException, ValueError):
        raise errors.RecordError(f"{mnemonic!r} is not a record type") from None
    if number in _NOT_DATA:
        raise errors.RecordError(f"{mnemonic.upper()} records cannot be served")
    return number


def rdata(mnemonic: str, words: tuple[str, ...], origin: str) -> bytes:
    """Return the uncompressed rdata that `words` stand for. Raises `RecordError`."""
    kind, number = mnemonic.upper(), type_number(mnemonic)
    try:
        if kind == "TXT" and words[:1] != ("\\#",):
            return _packed(_dnslib.TXT(_strings(words)))
        if kind in _TYPES and words[:1] != ("\\#",):
            return _by_dnslib(kind, words, origin)
        return _by_dnspython(number, words, origin)
    except (ValueError, dns.exception.DNSException, _dnslib.DNSError, DNSLabelError) as error:
        raise errors.RecordError(f"{kind}: {str(error) or type(error).__name__}") from None


def _by_dnslib(kind: str, words: tuple[str, ...], origin: str) -> bytes:
    fields, build = _TYPES[kind]
    if fields[-1] is _hex and len(words) > len(fields):
        words = (*words[: len(fields) - 1], "".join(words[len(fields) - 1 :]))
    if len(words) != len(fields):
        raise ValueError(f"{len(words)} fields where {len(fields)} belong")
    return _packed(build(*(read(word, origin) for read, word in zip(fields, words, strict=True))))


def _by_dnspython(number: int, words: tuple[str, ...], origin: str) -> bytes:
    base = dns.name.Name((*names.labels(origin), b""))
    kind = dns.rdatatype.RdataType.make(number)
    read = dns.rdata.from_text(dns.rdataclass.IN, kind, " ".join(words), origin=base, relativize=False)
    return read.to_wire() or b""


def _strings(words: tuple[str, ...]) -> list[bytes]:
    """Return the character strings of a TXT, each of at most 255 bytes (RFC 1035 section 3.3)."""
    found = [one for word in words for one in lexer.strings(word)]
    if not found or max(map(len, found)) > 255:
        raise ValueError("a TXT is one or more strings of at most 255 bytes")
    return found


def _packed(data: Any) -> bytes:
    buffer: Any = _PLAIN()
    data.pack(buffer)
    return bytes(buffer.data)


def _record(owner: bytes, mnemonic: str, life_s: int, packed: bytes) -> model.Record:
    if not 0 <= life_s <= MAX_TTL_S:
        raise errors.RecordError(f"a TTL of {life_s} s is outside 0 to {MAX_TTL_S}")
    if len(packed) > MAX_RDATA_BYTES:
        raise errors.RecordError(f"{mnemonic.upper()}: more than {MAX_RDATA_BYTES} bytes")
    return model.Record(owner, type_number(mnemonic), life_s, packed)


def _key(owner: str) -> bytes:
    try:
        return names.key(owner)
    except errors.DomainNameError as error:
        raise errors.RecordError(str(error)) from None
