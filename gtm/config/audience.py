"""Words for places in (`EU-DE`, `AS3320`, a prefix, a region), audiences out; and whether one covers another."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from gtm import errors, model, places

_ASN = re.compile(r"AS([0-9]{1,10})")
_PLACE = re.compile(r"([A-Z]{2})(?:-([A-Z]{2})(?:-([A-Z0-9]{1,3}))?)?")
MAX_ASN = 2**32 - 1  # RFC 6793


class PlaceError(errors.GtmError):
    """A word is no place; `code` and `hint` go into the problem."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code, self.hint = code, hint
        super().__init__(message)


class Parsed(NamedTuple):
    """One word: exactly one of these is set."""

    place: str = ""
    asn: int = 0
    prefix: str = ""
    region: str = ""


def parse(word: str, regions: Collection[str]) -> Parsed:
    """Return what a word stands for. Raises `PlaceError`."""
    if "/" in word or ":" in word or word.count(".") == 3:
        return Parsed(prefix=_prefix(word))
    if word in regions:
        return Parsed(region=word)
    if found := _ASN.fullmatch(word):
        if not 0 < int(found[1]) <= MAX_ASN:
            raise PlaceError("bad-place", f"{word} is not an autonomous system", "AS1 to AS4294967295")
        return Parsed(asn=int(found[1]))
    if place := _PLACE.fullmatch(word):
        return Parsed(place=_place(word, place))
    raise PlaceError("unknown-place", f"{word!r} is neither a place nor a region", _near(word, regions))


def is_place(word: str) -> bool:
    """Say whether a word means a place by itself, so that no region may be called so."""
    return bool(_ASN.fullmatch(word) or (_PLACE.fullmatch(word) and word[:2] in places.CONTINENTS))


def _prefix(word: str) -> str:
    try:
        return str(ipaddress.ip_network(word))
    except ValueError:
        pass
    try:
        loose = ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise PlaceError("bad-address", f"{word!r} is not an address prefix") from None
    raise PlaceError("bad-address", f"{word!r} has bits set behind its length", f"the network that it is in is {loose}")


def _place(word: str, found: re.Match[str]) -> str:
    continent, country = found[1], found[2]
    if continent not in places.CONTINENTS:
        if continent in places.COUNTRIES:
            full = f"{places.COUNTRIES[continent][0]}-{word}"
            raise PlaceError("bare-country", f"{word!r} begins with a country", f"write {full}: from wide to narrow")
        near = ", ".join(places.CONTINENTS)
        raise PlaceError("unknown-place", f"{continent!r} is not a continent", f"continents are {near}")
    if country and country not in places.COUNTRIES:
        raise PlaceError("unknown-place", f"{country!r} is not a country's code (ISO 3166-1)")
    if country and places.COUNTRIES[country][0] != continent:
        right = places.COUNTRIES[country][0] + word[2:]
        raise PlaceError("wrong-continent", f"{country} is not in {places.CONTINENTS[continent]}", f"write {right}")
    return word


def _near(word: str, regions: Collection[str]) -> str:
    if word.upper() != word and (_PLACE.fullmatch(word.upper()) or _ASN.fullmatch(word.upper())):
        return f"places are written in capitals: {word.upper()}"
    near = difflib.get_close_matches(word, list(regions), 1)
    return f"did you mean {near[0]!r}?" if near else "write EU, EU-DE, NA-US-CA, AS3320, a prefix or a region's name"


def audience(parsed: Iterable[Parsed], regions: dict[str, model.Audience], text: str) -> model.Audience:
    """Return the audience that these words mean together, without doubles, in a canonical order."""
    found: set[str] = set()
    asns: set[int] = set()
    prefixes: set[str] = set()
    for one in parsed:
        inner = regions[one.region] if one.region else None
        found |= set(inner.places) if inner else {one.place} - {""}
        asns |= set(inner.asns) if inner else {one.asn} - {0}
        prefixes |= set(inner.prefixes) if inner else {one.prefix} - {""}
    return model.Audience(tuple(sorted(found)), tuple(sorted(asns)), tuple(sorted(prefixes, key=_order)), text)


def _order(prefix: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(prefix)
    return network.version, int(network.network_address), network.prefixlen


def covered(later: model.Audience, earlier: Sequence[model.Audience]) -> bool:
    """Say whether every client of `later` is surely one of `earlier`'s, so that a rule for it never matches."""
    wide = {place for one in earlier for place in one.places}
    if not all(any(place == one or place.startswith(one + "-") for one in wide) for place in later.places):
        return False
    if not set(later.asns) <= {asn for one in earlier for asn in one.asns}:
        return False
    return _prefixes_covered(later.prefixes, [prefix for one in earlier for prefix in one.prefixes])


def _prefixes_covered(later: Sequence[str], earlier: Sequence[str]) -> bool:
    v4 = list(ipaddress.collapse_addresses(n for n in map(ipaddress.ip_network, earlier) if isinstance(n, _V4)))
    v6 = list(ipaddress.collapse_addresses(n for n in map(ipaddress.ip_network, earlier) if isinstance(n, _V6)))
    for network in map(ipaddress.ip_network, later):
        if isinstance(network, _V4):
            inside = any(network.subnet_of(one) for one in v4)
        else:
            inside = any(network.subnet_of(one) for one in v6)
        if not inside:
            return False
    return True


_V4, _V6 = ipaddress.IPv4Network, ipaddress.IPv6Network
