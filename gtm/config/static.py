"""A zone's static side in: nameservers, records and zone file, as they are written; wire-form records out, judged."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gtm import errors, model, names, ports
from gtm.config import decode, marks, schema

A, NS, CNAME, SOA, AAAA, DNAME, HTTPS = 1, 2, 5, 6, 28, 39, 65
_BESIDE_CNAME: Final = {46, 47}
"""RRSIG and NSEC may stand beside a CNAME (RFC 4034 section 2.5, RFC 2181 section 10.1)."""
_APEX_ONLY_HERE: Final = {"SOA": "hostmaster, negative_ttl", "NS": "nameservers"}


@dataclass(slots=True)
class Static:
    """What a zone holds beside its steered names. `where` says which setting an owner comes from."""

    zone: str
    apex: bytes
    nameservers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    records: list[model.Record] = field(default_factory=list)
    where: dict[bytes, marks.Path] = field(default_factory=dict)

    def has_ns(self) -> bool:
        """Say whether the records name the zone's servers."""
        return any(one.owner == self.apex and one.type == NS for one in self.records)

    def types(self) -> dict[bytes, set[int]]:
        """Return the types that each owner has, those made from `nameservers` included."""
        found: dict[bytes, set[int]] = {}
        for record in self.records:
            found.setdefault(record.owner, set()).add(record.type)
        for host, addresses in self.nameservers:
            if addresses:
                found.setdefault(names.key(host), set()).update(A if "." in one else AAAA for one in addresses)
        return found


@dataclass(frozen=True, slots=True)
class Sources:
    """Where zone files come from: their texts and why some have none, by path."""

    records: ports.RecordReader
    texts: Mapping[str, str]
    missing: Mapping[str, str]


_key = functools.lru_cache(maxsize=8)(names.key)
"""One zone has many names: its own key is made once."""


def owner_of(text: str, zone: str, path: marks.Path, report: decode.Report) -> str | None:
    """Return an owner absolute and lower case; None (reported) when it is no name or not in the zone."""
    absolute = names.absolute(text, zone)
    try:
        key = names.key(absolute)
    except errors.DomainNameError as wrong:
        report.error("bad-domain-name", path, str(wrong), at="key")
        return None
    if not names.within(key, _key(zone)):
        hint = "names without a last dot are inside the zone"
        report.error("outside-zone", path, f"{text!r} is not in the zone {names.shown(zone)}", hint, "key")
        return None
    if not text.endswith(".") and f".{text.lower()}.".endswith(f".{zone}"):
        hint = f"write {text}. with a last dot, or leave the zone away"
        report.warn("doubled-zone", path, f"{text!r} means {names.shown(absolute)}", hint, "key")
    return names.text(key)


def read(name: str, written: schema.Zone, sources: Sources, report: decode.Report) -> Static:
    """Read and judge all that is static in one zone."""
    path: marks.Path = ("zones", name)
    zone = names.absolute(name, ".")
    static = Static(zone, names.key(zone))
    static.nameservers = tuple(_nameservers(written, zone, path, report))
    for owner, records in written.records.items():
        _owner(static, owner, records, written, (*path, "records", owner), sources, report)
    if written.file:
        _file(static, written, (*path, "file"), sources, report)
    _alone(static, path, report)
    _circles(static, path, report)
    _served_by(static, path, report)
    # The same record in the YAML and in the zone file is one record: the first that was read, which is the YAML's.
    once: dict[tuple[bytes, int, bytes], model.Record] = {}
    for one in static.records:
        once.setdefault((one.owner, one.type, one.rdata), one)
    static.records = sorted(once.values(), key=lambda one: (one.owner, one.type))
    return static


def _nameservers(
    written: schema.Zone, zone: str, path: marks.Path, report: decode.Report
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for host, addresses in written.nameservers.items():
        here: marks.Path = (*path, "nameservers", host)
        inside = names.absolute(host, zone)
        # `ns1` is inside the zone; `ns1.example.net` without glue is not, whether its last dot is written or not.
        bare = "." in host and (not addresses or f".{host.lower()}.".endswith(f".{zone}"))
        absolute = host.lower().rstrip(".") + "." if bare else inside
        try:
            key = names.key(absolute)
        except errors.DomainNameError as wrong:
            report.error("bad-domain-name", here, str(wrong), at="key")
            continue
        outside = not names.within(key, names.key(zone))
        if outside and addresses:
            message = f"{absolute} is outside the zone: its addresses are not served here"
            report.warn("outside-glue", here, message, "glue belongs to names inside the zone", "key")
        yield names.text(key), () if outside else tuple(dict.fromkeys(addresses))


def _owner(  # noqa: PLR0917  # what is read, and what it is read with
    static: Static,
    owner: str,
    records: schema.RecordSet,
    written: schema.Zone,
    path: marks.Path,
    sources: Sources,
    report: decode.Report,
) -> None:
    absolute = owner_of(owner, static.zone, path, report)
    if absolute is None:
        return
    key = names.key(absolute)
    if key in static.where:
        report.doubled(path, static.where[key], f"{absolute} is written twice")
        return
    static.where[key] = path
    for rtype, texts in (records.__pydantic_extra__ or {}).items():
        here: marks.Path = (*path, rtype)
        if key == static.apex and rtype.upper() in _APEX_ONLY_HERE:
            settings = _APEX_ONLY_HERE[rtype.upper()]
            report.error("apex-record", here, f"{rtype} of the zone itself comes from other settings", settings, "key")
            continue
        for index, text in enumerate(texts):
            ttl_s = written.ttl if records.ttl is None else records.ttl
            try:
                static.records.append(sources.records.record(absolute, rtype, ttl_s, text, static.zone))
            except errors.RecordError as wrong:
                report.error("bad-record", (*here, index), str(wrong))


def _file(static: Static, written: schema.Zone, path: marks.Path, sources: Sources, report: decode.Report) -> None:
    file = zone_file(report, path, written.file or "")
    if file in sources.missing or file not in sources.texts:
        reason = sources.missing.get(file, "it was not found")
        report.error("missing-file", path, f"{file} cannot be read: {reason}")
        return
    try:
        records = sources.records.zone_file(sources.texts[file], static.zone, written.ttl)
    except errors.RecordError as wrong:
        mark = errors.Mark(file, max(1, wrong.line), 1, 1)
        also = report.mark(path)
        report.problems.append(
            errors.Problem(
                "error", "bad-zone-file", str(wrong), mark, decode.dotted(path), also=(also,) if also else ()
            )
        )
        return
    ignored = 0
    for record in records:
        if static.nameservers and record.owner == static.apex and record.type in {SOA, NS}:
            ignored += 1
            continue
        if not names.within(record.owner, static.apex):
            report.error(
                "outside-zone", path, f"{file} has {_shown(record.owner)}, which is not in {names.shown(static.zone)}"
            )
            continue
        static.where.setdefault(record.owner, path)
        static.records.append(record)
    if ignored:
        message = f"SOA and NS of {names.shown(static.zone)} in {file} are ignored: `nameservers` is written here"
        report.warn("ignored-records", path, message)


def zone_file(report: decode.Report, path: marks.Path, name: str) -> str:
    """Return a zone file's path, as `texts` has it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(report.file(path)), name))


def _alone(static: Static, path: marks.Path, report: decode.Report) -> None:
    """RFC 1034 section 3.6.2: a CNAME stands alone. RFC 1912 section 2.4: so the apex cannot have one."""
    targets: dict[bytes, set[bytes]] = {}
    for one in static.records:
        if one.type == CNAME:
            targets.setdefault(one.owner, set()).add(one.rdata.lower())
    for owner, types in static.types().items():
        where = static.where.get(owner, path)
        if CNAME in types and owner == static.apex:
            report.error(
                "cname-at-apex",
                (*where, "CNAME"),
                f"{names.shown(static.zone)} has SOA and NS: no CNAME can stand beside",
            )
        elif CNAME in types and types - {CNAME} - _BESIDE_CNAME:
            report.error("cname-beside", (*where, "CNAME"), f"{_shown(owner)} has a CNAME and other records")
        elif CNAME in types and len(targets.get(owner, ())) > 1:
            report.error("cname-beside", (*where, "CNAME"), f"{_shown(owner)} has more than one CNAME")


def _circles(static: Static, path: marks.Path, report: decode.Report) -> None:
    """A loop of static CNAMEs is answered as a finite chain (semantics B12), and is surely not meant."""
    steps = {one.owner: one.rdata.lower() for one in static.records if one.type == CNAME}
    done: set[bytes] = set()
    for start in sorted(steps):
        trail: dict[bytes, None] = {}
        here = start
        while here in steps and here not in trail and here not in done:
            trail[here] = None
            here = steps[here]
        if here in trail:
            way = list(trail)
            shown = " → ".join(_shown(one) for one in (*way[way.index(here) :], here))
            where = static.where.get(here, path)
            report.warn("cname-loop", (*where, "CNAME"), f"these CNAMEs go in a circle: {shown}")
        done.update(trail)


def _served_by(static: Static, path: marks.Path, report: decode.Report) -> None:
    types = static.types()
    if not static.nameservers and not static.has_ns():
        message = f"{names.shown(static.zone)} has no nameservers: nobody can delegate to it"
        report.warn("no-nameservers", path, message, "nameservers: {ns1: [203.0.113.53]}", "key")
    for host, addresses in static.nameservers:
        key = names.key(host)
        here: marks.Path = (*path, "nameservers", host)
        if CNAME in types.get(key, ()):
            report.error(
                "nameserver-cname",
                here,
                f"{names.shown(host)} is a CNAME: a nameserver must not be (RFC 2181 section 10.3)",
            )
        elif not addresses and names.within(key, static.apex) and not types.get(key, set()) & {A, AAAA}:
            hint = "nameservers: {ns1: [203.0.113.53]}"
            report.warn("no-glue", here, f"{names.shown(host)} is in the zone and has no address", hint)


def _shown(key: bytes) -> str:
    return names.shown(names.text(key))
