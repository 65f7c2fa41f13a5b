"""Records of geography databases in, the networks that the configuration can tell apart out.

Databases are asked in order (per field: place, AS number, coordinates); each is first reduced to what matters and its
neighbours merged, so that what is kept is small: a City database of millions of networks becomes some thousand ranges
when the rules speak of continents only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gtm import errors, model, places, seen
from gtm.steer import ranges

Record = Mapping[str, Any]
Said = str | int | float | None  # one value of a record, as it stands there
Raw = tuple[Said, Said, Said, Said, Said, Said]  # country, continent, subdivision, AS number, latitude, longitude
Row = tuple[int, int, int, Record]  # family 4 or 6, network as a number, prefix length, record

GRID = 2  # coordinates are kept to 1/GRID of a degree: 39 km off at most, where databases know a city at best
_SUBDIVISION = re.compile(r"(?:[A-Z]{2}-)?([A-Z0-9]{1,3})")  # ISO 3166-2
_ASN = re.compile(r"(?:AS)?(\d{1,10})", re.IGNORECASE)
_FLAT_SUBDIVISIONS = ("subdivision_code", "region_code", "state_code", "subdivision", "region", "state", "state1")
_LATITUDES, _LONGITUDES = ("latitude", "lat"), ("longitude", "lon", "lng")
_FLAT_ASNS = ("autonomous_system_number", "asn", "as_number", "as")


@dataclass(frozen=True, slots=True)
class Interest:
    """What a configuration can tell apart: places and AS numbers named in rules, and whether coordinates matter.

    Continents always matter, for counting.
    """

    places: frozenset[str] = frozenset()
    asns: frozenset[int] = frozenset()
    coordinates: bool = False


def interest(snapshot: model.Snapshot) -> Interest:
    """Return what the rules of `snapshot` and its `nearest` pools can tell apart."""
    audiences = [rule.audience for policy in snapshot.policies for rule in policy.rules if rule.audience is not None]
    used = {name for policy in snapshot.policies for rule in policy.rules for name in rule.pools}
    return Interest(
        frozenset(place for one in audiences for place in one.places),
        frozenset(asn for one in audiences for asn in one.asns),
        any(snapshot.pools[name].balance == "nearest" for name in used),
    )


def location(record: Record) -> seen.Location:
    """Return what a database's record says of its network, whatever the vendor.

    Read are MaxMind's nested records (also DB-IP's) and flat ones (IPinfo, IPLocate, IP2Location): codes as text,
    AS numbers as `AS123`, text or number, coordinates as numbers or text. A country's continent is the one of
    `gtm.places`, so that it agrees with the configuration's; a country without coordinates stands at its middle.
    """
    return _centred(_read(_raw(record)))


def networks(databases: Sequence[Iterable[Row]], interest: Interest) -> seen.Networks:
    """Return all databases as one map, in which each range differs from its neighbours.

    Rows must come in address order within a family (as `ports.GeoReader.ranges` gives them) and must not overlap;
    raises `GtmError` otherwise. A later database refines a place (`NA-US` to `NA-US-CA`) and fills in what an
    earlier one does not say; it never contradicts it.
    """
    keep = _Keep(interest, several=len(databases) > 1)
    reduced = [_reduced(database, keep) for database in databases]
    v4 = ranges.merged(*_joined([one[4] for one in reduced], keep))
    v6 = ranges.merged(*_joined([one[6] for one in reduced], keep))
    return seen.Networks(tuple(keep.whole), *v4, *v6)


def together(parts: Sequence[seen.Location]) -> seen.Location:
    """Return what several databases say of one network, in their order: later ones refine and fill in."""
    place, asn, at = seen.Location(), 0, seen.Location()
    for part in parts:
        if not place.place or part.place.startswith(f"{place.place}-"):
            place = part
        asn = asn or part.asn
        at = part if at.lat is None else at
    return replace(place, asn=asn, lat=at.lat, lon=at.lon)


# --- one record ----------------------------------------------------------------------------------------------------


def _raw(record: Record) -> Raw:
    """Return what a record holds under whatever names, unjudged."""
    where = record.get("location")
    if not isinstance(where, Mapping):
        where = record
    country = _inner(record, "country", "iso_code") or _said(record, ("country_code", "country"))
    return (
        country or _inner(record, "registered_country", "iso_code"),  # the network's owner: better than nothing
        _inner(record, "continent", "code") or _said(record, ("continent_code", "continent")),
        _subdivision(record),
        _said(record, _FLAT_ASNS),
        _said(where, _LATITUDES),
        _said(where, _LONGITUDES),
    )


def _inner(record: Record, key: str, code: str) -> Said:
    inner = record.get(key)
    value = inner.get(code) if isinstance(inner, Mapping) else None
    return value if isinstance(value, str) else None


def _said(record: Record, keys: Sequence[str]) -> Said:
    """Return the first of these keys that holds a text or a number."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, (str, int, float)):
            return value
    return None


def _subdivision(record: Record) -> Said:
    """Return the code of the widest subdivision, which stands first in nested records."""
    nested = record.get("subdivisions")
    if isinstance(nested, Sequence) and nested and isinstance(nested[0], Mapping):
        return _said(nested[0], ("iso_code",))
    for key in _FLAT_SUBDIVISIONS:
        value = record.get(key)
        if isinstance(value, str) and _SUBDIVISION.fullmatch(value):
            return value
    return None


def _read(raw: Raw) -> seen.Location:
    """Judge raw values; what is no code, number or coordinate counts as absent."""
    country, continent = _code(raw[0]), _code(raw[1])
    if country in places.COUNTRIES:
        continent = places.COUNTRIES[country][0]
    if continent not in places.CONTINENTS:
        continent = country = ""
    subdivision = _SUBDIVISION.fullmatch(raw[2]) if isinstance(raw[2], str) and country else None
    asn = _ASN.fullmatch(str(raw[3]).strip()) if raw[3] is not None else None
    lat, lon = _degrees(raw[4], 90), _degrees(raw[5], 180)
    if lat is None or lon is None or lat == lon == 0:  # "null island": how some vendors say unknown
        lat = lon = None
    return seen.Location(continent, country, subdivision[1] if subdivision else "", int(asn[1]) if asn else 0, lat, lon)


def _code(value: Said) -> str:
    return value.upper() if isinstance(value, str) and len(value) == 2 and value.isalpha() else ""


def _degrees(value: Said, most: float) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if -most <= number <= most else None


def _centred(place: seen.Location) -> seen.Location:
    """Put a country without coordinates at its middle."""
    if place.lat is not None or place.country not in places.COUNTRIES:
        return place
    _, lat, lon = places.COUNTRIES[place.country]
    return replace(place, lat=lat, lon=lon)


# --- what is kept of it --------------------------------------------------------------------------------------------


class _Keep:
    """Reduces locations to what an `Interest` can tell apart, and numbers them.

    `parts` are what single records come to, with all that a further database may refine (so with `several`, countries
    stay apart: one that says France must not refine another's Germany after both became Europe). `whole` are the
    locations that are left when all is joined.
    """

    def __init__(self, interest: Interest, several: bool) -> None:
        split = [place.split("-") for place in interest.places]
        self._interest = interest
        self._all_countries = several or interest.coordinates
        self._countries = {"-".join(parts[:2]) for parts in split if len(parts) > 1}
        self._subdivided = {"-".join(parts[:2]) for parts in split if len(parts) > 2}
        self._by_raw: dict[Raw, int] = {}
        self.parts: dict[seen.Location, int] = {seen.Location(): 0}
        self.whole: dict[seen.Location, int] = {seen.Location(): 0}

    def part(self, record: Record) -> int:
        """Return the number of a record's part. (Most records of a database say the same: they are judged once.)"""
        raw = _raw(record)
        if not self._interest.coordinates:
            raw = (*raw[:4], None, None)
        found = self._by_raw.get(raw)
        if found is None:
            found = self._by_raw[raw] = self.parts.setdefault(self._reduced(_read(raw)), len(self.parts))
        return found

    def _reduced(self, full: seen.Location) -> seen.Location:
        country = f"{full.continent}-{full.country}"
        return seen.Location(
            full.continent,
            full.country if self._all_countries or country in self._countries else "",
            full.subdivision if country in self._subdivided else "",
            full.asn if full.asn in self._interest.asns else 0,
            round(full.lat * GRID) / GRID if full.lat is not None else None,
            round(full.lon * GRID) / GRID if full.lon is not None else None,
        )

    def join(self, parts: Sequence[seen.Location]) -> int:
        """Return the number of what several databases say together, in their order; nothing that no rule names."""
        whole = together(parts)
        if self._interest.coordinates:
            whole = _centred(whole)
        if whole.place not in self._interest.places:
            whole = replace(whole, subdivision="")
        if not whole.subdivision and whole.place not in self._interest.places:
            whole = replace(whole, country="")
        return self.whole.setdefault(whole, len(self.whole))


def _reduced(database: Iterable[Row], keep: _Keep) -> dict[int, tuple[list[int], list[int]]]:
    """Return a database's ranges by family, values numbering `keep.parts`; gaps are 0."""
    out: dict[int, tuple[list[int], list[int]]] = {4: ([0], [0]), 6: ([0], [0])}
    ends = {4: 0, 6: 0}
    for family, network, bits, record in database:
        starts, values = out[family]
        end, part = ends[family], keep.part(record)
        if network < end:
            raise errors.GtmError(f"a database is not in address order at {network:#x}/{bits}")
        if network > end and values[-1]:
            starts.append(end)
            values.append(0)
        if not network:
            values[0] = part
        elif part != values[-1]:
            starts.append(network)
            values.append(part)
        ends[family] = network + (1 << ranges.WIDTH[family] - bits)
    for family, (starts, values) in out.items():
        if ends[family] < 1 << ranges.WIDTH[family] and values[-1]:
            starts.append(ends[family])
            values.append(0)
    return out


def _joined(maps: Sequence[tuple[list[int], list[int]]], keep: _Keep) -> tuple[list[int], list[int]]:
    """Return several maps of `keep.parts` as one of `keep.whole`."""
    parts = list(keep.parts)
    at = [0] * len(maps)
    starts = sorted({0}.union(*(one[0] for one in maps)))
    values: list[int] = []
    known: dict[tuple[int, ...], int] = {}
    for start in starts:
        for index, (theirs, _) in enumerate(maps):
            if at[index] + 1 < len(theirs) and theirs[at[index] + 1] == start:
                at[index] += 1
        key = tuple(one[1][here] for one, here in zip(maps, at, strict=True))
        if key not in known:
            known[key] = keep.join([parts[one] for one in key])
        values.append(known[key])
    return starts, values
