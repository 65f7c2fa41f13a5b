"""Validated sections in, the nouns that zones refer to out: regions, sites, endpoints, pools, check profiles."""

from __future__ import annotations

import ipaddress
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gtm import model
from gtm.config import audience, decode, expect, kinds, marks, schema

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
PLACEHOLDERS = ("name", "label", "zone", "endpoint", "address", "site")
_PER_NAME = {"name", "label", "zone"}
SITE = "site:"
_METADATA = {ipaddress.ip_address("fd00:ec2::254")}
"""EC2's metadata service over IPv6; over IPv4 it is link-local."""


@dataclass(slots=True)
class Nouns:
    """What has been read so far; `report` knows where it stands."""

    decoded: decode.Decoded
    report: decode.Report
    kinds: Mapping[str, model.Kind]
    regions: dict[str, model.Audience] = field(default_factory=dict)
    profiles: dict[str, model.Profile] = field(default_factory=dict)
    sites: dict[str, model.Site] = field(default_factory=dict)
    endpoints: dict[str, model.Endpoint] = field(default_factory=dict)
    pools: dict[str, model.Pool] = field(default_factory=dict)

    def known(self, section: str, name: str, path: marks.Path, what: str) -> bool:
        """Say whether a reference leads anywhere; report it when not."""
        if self.decoded.exists(section, name):
            return True
        there = self.profiles if section == "checks" else getattr(self.decoded.config, section)
        hint = decode.nearest(name, there)
        at: marks.At = "key" if "members" in path else "value"
        self.report.error(f"unknown-{what}", path, f"there is no {what} {name!r}", hint, at)
        return False

    def of_check(self, expr: model.CheckExpr | None, path: marks.Path) -> model.CheckExpr | None:
        """Return a check expression whose checks all exist; None when one does not."""
        found = [self.known("checks", name, (*path, "any", "of", name), "check") for name in expr.of] if expr else []
        return expr if all(found) else None


def relative(report: decode.Report, path: marks.Path, name: str) -> str:
    """Return a file's path as seen from where the command runs: it is written relative to the file that names it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(report.file(path)), name))


def read(decoded: decode.Decoded, known: Mapping[str, model.Kind], report: decode.Report) -> Nouns:
    """Read everything but zones."""
    nouns = Nouns(decoded, report, known)
    _regions(nouns, decoded.config.geo.regions)
    for name, made in sorted(decoded.profiles.items()):
        nouns.profiles[name] = _profile(nouns, name, made)
    for name, site in sorted(decoded.config.sites.items()):
        nouns.sites[name] = _site(nouns, name, site)
    for name, endpoint in sorted(decoded.config.endpoints.items()):
        nouns.endpoints[name] = _endpoint(nouns, name, endpoint)
    for name, pool in sorted(decoded.config.pools.items()):
        nouns.pools[name] = _pool(nouns, name, pool)
    _loops(nouns)
    return nouns


# --- regions --------------------------------------------------------------------------------------------------------


def _regions(nouns: Nouns, written: Mapping[str, list[str]]) -> None:
    parsed: dict[str, list[audience.Parsed]] = {}
    known = set(written) | {
        str(path[2]) for path in nouns.decoded.broken if path[:2] == ("geo", "regions") and path[2:]
    }
    for name, words in written.items():
        if audience.is_place(name):
            path: marks.Path = ("geo", "regions", name)
            nouns.report.error("bad-name", path, f"{name} is a place, and cannot be a region's name too", at="key")
        parsed[name] = list(_words(nouns, words, known, ("geo", "regions", name)))
    for name in sorted(parsed):
        _resolve(nouns, name, parsed, ())


def _words(nouns: Nouns, words: Iterable[str], regions: Iterable[str], path: marks.Path) -> Iterator[audience.Parsed]:
    known = set(regions)
    for index, word in enumerate(words):
        try:
            yield audience.parse(word, known)
        except audience.PlaceError as wrong:
            nouns.report.error(wrong.code, (*path, index), str(wrong), wrong.hint)


def _resolve(nouns: Nouns, name: str, parsed: Mapping[str, list[audience.Parsed]], inside: tuple[str, ...]) -> None:
    if name in nouns.regions or name not in parsed:
        return
    if name in inside:
        way = " → ".join((*inside[inside.index(name) :], name))
        nouns.report.error("loop", ("geo", "regions", name), f"regions go in a circle: {way}", at="key")
        nouns.regions[name] = model.Audience(text=name)
        return
    for one in parsed[name]:
        if one.region:
            _resolve(nouns, one.region, parsed, (*inside, name))
    whole = [one for one in parsed[name] if not one.region or one.region in nouns.regions]
    nouns.regions[name] = audience.audience(whole, nouns.regions, name)


def audience_of(nouns: Nouns, words: list[str], path: marks.Path) -> model.Audience:
    """Return the clients that a rule's `for` means."""
    parsed = list(_words(nouns, words, nouns.regions, path))
    return audience.audience(parsed, nouns.regions, ", ".join(words))


# --- check profiles -------------------------------------------------------------------------------------------------


def _texts(value: model.OptionValue) -> tuple[str, ...]:
    """Return every text in an option's value."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, model.Tls):
        return (value.server_name,)
    if isinstance(value, tuple):
        return value
    return tuple(value.values()) if isinstance(value, Mapping) else ()


def _profile(nouns: Nouns, name: str, made: kinds.Common) -> model.Profile:
    kind, path = nouns.kinds[made.kind], ("checks", name)
    options: dict[str, model.OptionValue] = {}
    used: set[str] = set()
    for option in kinds.options(kind):
        value = kinds.value_of(getattr(made, kinds.PREFIX + option.name))
        if isinstance(value, model.Tls) and value.ca:
            value = model.Tls(value.verify, value.server_name, relative(nouns.report, path, value.ca))
        if option.type == "command" and isinstance(value, tuple) and "/" in value[0]:
            value = (relative(nouns.report, path, value[0]), *value[1:])
        options[option.name] = value
        if option.fills or option.type == "tls":
            found = {word for text in _texts(value) for word in _PLACEHOLDER.findall(text)}
            used |= found
            for word in sorted(found - set(PLACEHOLDERS)):
                hint = decode.near(word, PLACEHOLDERS) or "known are " + " ".join(f"{{{one}}}" for one in PLACEHOLDERS)
                nouns.report.warn("unknown-placeholder", (*path, option.name), f"{{{word}}} is not filled in", hint)
    return model.Profile(
        name=name,
        kind=made.kind,
        every_s=made.every,
        timeout_s=made.timeout,
        fall=made.fall,
        rise=made.rise,
        confirm_s=made.confirm if made.confirm is not None else min(0.5, made.every),
        on_stale=made.on_stale,
        observe=made.observe,
        per_name=bool(used & _PER_NAME),
        load=_load(nouns, kind, made, path),
        publishers=_counter(nouns, kind, made.publishers, (*path, "publishers")),
        expect=tuple(_conditions(nouns, kind, kind.expect if made.expect is None else made.expect, (*path, "expect"))),
        warn=tuple(_conditions(nouns, kind, kind.warn if made.warn is None else made.warn, (*path, "warn"))),
        options=dict(sorted(options.items())),
    )


def _conditions(nouns: Nouns, kind: model.Kind, lines: Sequence[str], path: marks.Path) -> Iterator[model.Condition]:
    for index, line in enumerate(lines):
        try:
            yield expect.condition(kind, line)
        except expect.ExpectError as wrong:
            nouns.report.error("bad-expect", (*path, index), str(wrong), wrong.hint)


def _load(nouns: Nouns, kind: model.Kind, made: kinds.Common, path: marks.Path) -> model.Load | None:
    if made.load is None:
        return None
    measure = _counter(nouns, kind, made.load.measure, (*path, "load", "measure"))
    return model.Load(measure, made.load.low, made.load.high)


def _counter(nouns: Nouns, kind: model.Kind, name: str | None, path: marks.Path) -> str:
    """Return the name of a measure that is a number; report one that the kind does not have, or that is text."""
    if name is None:
        return ""
    try:
        about = expect.known(kind, name)
    except expect.ExpectError as wrong:
        nouns.report.error("unknown-measure", path, str(wrong), wrong.hint)
        return ""
    if about.unit == "text" and not about.name.endswith("*"):
        nouns.report.error("unknown-measure", path, f"{name} is text, and this must be a number")
    return name


# --- sites, endpoints, pools ----------------------------------------------------------------------------------------


def _site(nouns: Nouns, name: str, site: schema.Site) -> model.Site:
    path: marks.Path = ("sites", name)
    at = site.at or ""
    if at:
        try:
            parsed = audience.parse(at, ())
            if not parsed.place:
                raise audience.PlaceError("bad-place", f"{at!r} is not where a site can be", "write a place: EU-DE")
        except audience.PlaceError as wrong:
            nouns.report.error(wrong.code, (*path, "at"), str(wrong), wrong.hint)
    return model.Site(name, at, site.lat, site.lon, _dependencies(nouns, site.depends_on, path))


def _dependencies(nouns: Nouns, written: list[str] | None, path: marks.Path) -> tuple[str, ...]:
    """Return what something depends on: endpoints by name, sites as `site:NAME`."""
    found = []
    for index, word in enumerate(written or ()):
        site = word.removeprefix(SITE)
        if site == word and nouns.decoded.exists("endpoints", word):
            found.append(word)
        elif nouns.decoded.exists("sites", site):
            found.append(SITE + site)
        else:
            hint = decode.nearest(word, [*nouns.decoded.config.endpoints, *nouns.decoded.config.sites])
            message = f"there is no endpoint or site {word!r}"
            nouns.report.error("unknown-dependency", (*path, "depends_on", index), message, hint)
    return tuple(dict.fromkeys(found))


def _endpoint(nouns: Nouns, name: str, written: schema.Endpoint) -> model.Endpoint:
    path: marks.Path = ("endpoints", name)
    if written.site:
        nouns.known("sites", written.site, (*path, "site"), "site")
    served = _families(nouns, written.address, (*path, "address"))
    probed = _families(nouns, written.check_address, (*path, "check_address"))
    if written.check_address and len(served) == 1 and not set(probed) & set(served):
        # One address behind a management network of the other family: it stands for the one that is served.
        probed = dict.fromkeys(served, next(iter(probed.values()), ""))
    for version in sorted(set(probed) - set(served)) if served else ():
        nouns.report.error(
            "bad-check-address", (*path, "check_address"), f"the endpoint serves no IPv{version} address to check"
        )
    return model.Endpoint(
        name=name,
        ipv4=served.get(4, ""),
        ipv6=served.get(6, ""),
        hostname=written.hostname or "",
        site=written.site or "",
        tags=tuple(sorted(set(written.tags or ()))),
        check=nouns.of_check(written.check, (*path, "check")),
        probe_ipv4=probed.get(4, ""),
        probe_ipv6=probed.get(6, ""),
        depends_on=_dependencies(nouns, written.depends_on, path),
    )


def _families(nouns: Nouns, addresses: list[str] | None, path: marks.Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for index, text in enumerate(addresses or ()):
        address = ipaddress.ip_address(text)
        if address.is_link_local or address in _METADATA:  # semantics G7
            nouns.report.error("link-local", (*path, index), f"{text} is link-local: it is never probed or served")
        elif address.version == 6 and address.ipv4_mapped:
            nouns.report.error(
                "bad-address", (*path, index), f"{text} is an IPv4 address", f"write {address.ipv4_mapped}"
            )
        elif address.is_unspecified or address.is_multicast or (address.is_reserved and not address.is_loopback):
            nouns.report.error("bad-address", (*path, index), f"{text} is no address of one machine")
        if address.version in found:
            message = f"a second IPv{address.version} address: an endpoint has at most one of each family"
            nouns.report.error("two-addresses", (*path, index), message, "make two endpoints of it")
        found.setdefault(address.version, text)
    return found


def _pool(nouns: Nouns, name: str, written: schema.Pool) -> model.Pool:
    path: marks.Path = ("pools", name)
    for member in written.members:
        nouns.known("endpoints", member, (*path, "members", member), "endpoint")
    count, share = written.min_up
    if count > len(written.members) and not nouns.decoded.hurt(path):
        message = f"min_up is {count}, and the pool has only {len(written.members)} members: it could never be used"
        nouns.report.error("out-of-range", (*path, "min_up"), message)
    expr = nouns.of_check(written.check, (*path, "check"))
    # Who publishes comes back to the node that knows the stream: an answer with one address, the same each time.
    balance, answers = written.balance, written.answers
    if written.failback[1]:
        balance = balance if "balance" in written.model_fields_set else "sticky"
        answers = answers if "answers" in written.model_fields_set else 1
    return model.Pool(
        name=name,
        members=tuple(model.Member(one, body.weight, body.tier) for one, body in written.members.items()),
        balance=balance,
        answers=answers,
        check=expr if expr and expr.of else None,
        min_up=count,
        min_up_share=share,
        failback_s=written.failback[0],
        when_idle=written.failback[1],
        source_down=_slate(nouns, written, path),
        slow_start_s=written.slow_start,
        sticky=(written.sticky.ipv4, written.sticky.ipv6),
    )


def _slate(nouns: Nouns, written: schema.Pool, path: marks.Path) -> str:
    said = written.source_down or ""
    if said and said != model.KEEP:
        nouns.known("pools", said, (*path, "source_down"), "pool")
    return said


# --- loops ----------------------------------------------------------------------------------------------------------


def _edges(nouns: Nouns) -> dict[str, tuple[str, ...]]:
    """Return who waits for whom, sites as `site:NAME`, the way health follows it (semantics A6)."""
    edges: dict[str, tuple[str, ...]] = {}
    inside: dict[str, list[str]] = {}
    for name, endpoint in nouns.endpoints.items():
        site = nouns.sites.get(endpoint.site)
        # A site's own router stands in that site and does not wait for itself.
        inherited = site.depends_on if site and name not in site.depends_on else ()
        edges[name] = (*endpoint.depends_on, *inherited)
        inside.setdefault(SITE + endpoint.site, []).append(name)
    for name, site in nouns.sites.items():
        edges[SITE + name] = (*site.depends_on, *inside.get(SITE + name, ()))
    return edges


def _loops(nouns: Nouns) -> None:
    """Report every circle of dependencies once, where it closes (semantics B12)."""
    edges, done, told = _edges(nouns), set[str](), set[marks.Path]()
    for start in sorted(edges):
        trail: dict[str, Iterator[str]] = {} if start in done else {start: iter(edges[start])}
        while trail:
            here = next(reversed(trail))
            step = next(trail[here], None)
            if step is None:
                done.add(here)
                del trail[here]
            elif step in trail:
                names = list(trail)
                _tell_loop(nouns, [*names[names.index(step) :], step], told)
            elif step not in done:
                trail[step] = iter(edges.get(step, ()))


def _tell_loop(nouns: Nouns, way: list[str], told: set[marks.Path]) -> None:
    # The circle closes through something that was written; what a site hands down is written at the site.
    for one, other in itertools.pairwise(way):
        section, name = ("sites", one.removeprefix(SITE)) if one.startswith(SITE) else ("endpoints", one)
        config = nouns.decoded.config
        noun = config.sites.get(name) if section == "sites" else config.endpoints.get(name)
        written = (noun.depends_on if noun else None) or []
        word = next((one for one in (other, other.removeprefix(SITE)) if one in written), None)
        if word is not None:
            path: marks.Path = (section, name, "depends_on", word)
            if path not in told:
                told.add(path)
                nouns.report.error("loop", path, f"dependencies go in a circle: {' → '.join(way)}")
            return
