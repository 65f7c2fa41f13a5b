"""Texts of configuration files in, one linked Snapshot out, or every problem of all files: nothing is ever raised."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gtm import errors, model, ports
from gtm.config import (
    advice,
    alerting,
    decode,
    doors,
    fields,
    guarding,
    hints,
    marks,
    nodes,
    observing,
    ordering,
    probing,
    static,
    zones,
)

# What of `dns` has to be the same on every nameserver; the rest is a node's own.
_SHARED = ("rate_limit", "explain_to", "tcp_connections", "tcp_per_client", "tcp_idle_s", "rate_exempt",
           "max_amplification")  # fmt: skip

MAX_NAMES: Final = 1_000_000
"""Semantics G6."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Snapshot, or None when there are errors; the problems in the order of files; the texts they point into."""

    snapshot: model.Snapshot | None
    problems: tuple[errors.Problem, ...]
    texts: Mapping[str, str]


class Parsed(NamedTuple):
    """One file's tree, and what is wrong with its YAML."""

    document: marks.Document
    problems: tuple[errors.Problem, ...]


class Wanted(NamedTuple):
    """Further files that a file names, as seen from where the command runs; includes may be globs."""

    includes: tuple[str, ...]
    zone_files: tuple[str, ...]
    databases: tuple[str, ...]


def parse(file: str, text: str) -> Parsed:
    """Parse one file."""
    return Parsed(*marks.read(file, text))


def wanted(document: marks.Document) -> Wanted:
    """Return the files that a file names. Says nothing about what is wrong: `load` will."""
    data, base = document.data, posixpath.dirname(document.file)
    listed = data.get("zones")
    bodies = listed.values() if isinstance(listed, dict) else ()
    geo = data.get("geo")
    return Wanted(
        _paths(base, data.get("include")),
        _paths(base, [body["file"] for body in bodies if isinstance(body, dict) and body.get("file")]),
        _paths(base, geo.get("databases") if isinstance(geo, dict) else None),
    )


def _paths(base: str, names: object) -> tuple[str, ...]:
    listed = fields.listed(names) if names is not None else []
    return tuple(posixpath.normpath(posixpath.join(base, one)) for one in _texts(listed))


def _texts(listed: Iterable[object]) -> Iterable[str]:
    return (one for one in listed if isinstance(one, str) and one and "\0" not in one)


def is_glob(path: str) -> bool:
    """Say whether a path has a wildcard in it."""
    return any(sign in path for sign in "*?[")


def matches(path: str, pattern: str) -> bool:
    """Say whether a glob names a path: no wildcard crosses a `/` or finds a hidden file."""
    parts, wild = path.split("/"), pattern.split("/")
    return len(parts) == len(wild) and all(
        fnmatch.fnmatchcase(part, one) and (not part.startswith(".") or one.startswith("."))
        for part, one in zip(parts, wild, strict=True)
    )


def load(
    main: str,
    texts: Mapping[str, str],
    *,
    kinds: Mapping[str, model.Kind],
    records: ports.RecordReader,
    node: str,
    store: str,
    senders: Mapping[str, model.Kind] | None = None,
    missing: Mapping[str, str] | None = None,
    parsed: Mapping[str, Parsed] | None = None,
) -> Loaded:
    """Read a whole configuration from `texts`, beginning with the file `main`.

    `kinds` are the probe kinds, `senders` those of receivers of alerts, `records` reads static records; `node` and
    `store` are defaults. `missing` are files
    that could not be read, with the reason; `parsed` may hold files that are parsed already.
    """
    missing = missing or {}
    report = decode.Report()
    documents = _documents(main, texts, missing, parsed or {}, report)
    decoded = decode.decode(documents, kinds, report)
    nouns = nodes.read(decoded, kinds, report)
    probes = probing.Probing(nouns)
    served, policies = zones.read(nouns, probes, static.Sources(records, texts, missing))
    names = sum(len(zone.steer) + len(zone.records) for zone in served)
    if names > MAX_NAMES:
        report.error("too-many-names", ("zones",), f"{names:,} names and records are more than {MAX_NAMES:,}", at="key")
    advice.give(nouns, policies)
    subjects: dict[str, Collection[str]] = {
        "site": nouns.sites,
        "pool": nouns.pools,
        "endpoint": nouns.endpoints,
        "name": [name for zone in served for name in zone.steer],
    }
    receivers = alerting.read(decoded.alerts, senders or {}, report, subjects)
    for index, path in enumerate(_databases(nouns)):
        if path in missing:
            message = f"{path} cannot be used: {missing[path]}"
            report.warn("geo-database", ("geo", "databases", index), message, "places match nobody without it")
    snapshot = None
    if not report.refused():
        probes.standing()
        for policy in policies.by_content:
            probes.named(policy)
        files = (*(one.file for one in documents), *_zone_files(documents))
        snapshot = _snapshot(nouns, served, policies, probes, _Own(node, store, receivers, tuple(dict.fromkeys(files))))
    return Loaded(snapshot, _ordered(hints.given(report.problems), [one.file for one in documents]), dict(texts))


def _documents(
    main: str,
    texts: Mapping[str, str],
    missing: Mapping[str, str],
    parsed: Mapping[str, Parsed],
    report: decode.Report,
) -> list[marks.Document]:
    """Return the main file and all that it includes, each once, in the order of their being named."""
    if main not in texts:
        reason = missing.get(main, "it was not found")
        report.problems.append(errors.Problem("error", "missing-file", f"{main} cannot be read: {reason}"))
        return []
    found: dict[str, marks.Document] = {}
    todo = [main]
    while todo:
        file = todo.pop(0)
        if file in found:
            continue
        document, problems = parsed.get(file) or parse(file, texts[file])
        found[file] = document
        report.problems += problems
        for index, pattern in enumerate(wanted(document).includes):
            mark = document.mark(("include", index))
            if not is_glob(pattern) and pattern not in texts:
                reason = missing.get(pattern, "it was not found")
                message = f"{pattern} cannot be read: {reason}"
                report.problems.append(errors.Problem("error", "missing-file", message, mark, f"include[{index}]"))
                continue
            for path in sorted(path for path in missing if is_glob(pattern) and matches(path, pattern)):
                message = f"{path} cannot be read: {missing[path]}"
                report.problems.append(errors.Problem("error", "missing-file", message, mark, f"include[{index}]"))
            todo += sorted(path for path in texts if path == pattern or (is_glob(pattern) and matches(path, pattern)))
    return list(found.values())


def _databases(nouns: nodes.Nouns) -> list[str]:
    written = nouns.decoded.config.geo.databases
    return [nodes.relative(nouns.report, ("geo", "databases"), name) for name in written]


def _zone_files(documents: Iterable[marks.Document]) -> list[str]:
    return [path for document in documents for path in wanted(document).zone_files]


def _ordered(problems: list[errors.Problem], files: list[str]) -> tuple[errors.Problem, ...]:
    """Sort by file, line and column; what is said twice of one place (through an alias) is said once."""
    order = {file: at for at, file in enumerate(files)}

    def place(one: errors.Problem) -> tuple[int, str, int, int]:
        if one.mark is None:
            return (-1, "", 0, 0)
        return (order.get(one.mark.file, len(order)), one.mark.file, one.mark.line, one.mark.column)

    once = {(one.severity, one.code, one.message, one.mark): one for one in problems}
    return tuple(sorted(once.values(), key=place))


class _Own(NamedTuple):
    node: str
    store: str
    receivers: tuple[model.Receiver, ...]
    files: tuple[str, ...]


def _snapshot(
    nouns: nodes.Nouns,
    served: tuple[model.Zone, ...],
    policies: zones.Policies,
    probes: probing.Probing,
    own: _Own,
) -> model.Snapshot:
    config = nouns.decoded.config
    flap = config.flap
    snapshot = model.Snapshot(
        digest="",
        node=config.node or own.node,
        dns=_dns(nouns),
        web=_web(nouns),
        store=config.store or own.store,
        geo_databases=tuple(_databases(nouns)),
        regions=dict(sorted(nouns.regions.items())),
        profiles=nouns.profiles,
        endpoints=nouns.endpoints,
        sites=nouns.sites,
        pools=nouns.pools,
        policies=tuple(policies.by_content),
        zones=served,
        checks=dict(sorted(probes.checks.items())),
        guard_min_alive=config.guard.min_alive if config.guard else None,
        flap=model.FlapSettings(flap.window, flap.returns, flap.hold, flap.max)
        if flap
        else model.FlapSettings(returns=0),
        orders=ordering.settings(config.orders),
        alerts=own.receivers,
        files=own.files,
    )
    return replace(snapshot, digest=digest(snapshot))


def digest(snapshot: model.Snapshot) -> str:
    """Return the sha256 of what a configuration means, in hexadecimal.

    Nameservers of one fleet compare it (semantics F6): so what is a node's own (its name, sockets, store, files) is
    left out, and neither the order of files and sections nor comments make a difference.
    """
    cookies = replace(snapshot.dns.cookies, secrets=())
    own = model.DnsSettings(listen=(), cookies=cookies)
    dns = replace(own, **{name: getattr(snapshot.dns, name) for name in _SHARED})
    hashed = hashlib.sha256()
    for part in (
        *(dns, snapshot.guard_min_alive, snapshot.flap, snapshot.orders, snapshot.policies),
        tuple(replace(zone, transfer=None, acme=()) for zone in snapshot.zones),
        *(snapshot.regions, snapshot.profiles, snapshot.endpoints, snapshot.sites, snapshot.pools),
    ):
        hashed.update(repr(part).encode())
        hashed.update(b"\0")
    return hashed.hexdigest()


def _web(nouns: nodes.Nouns) -> model.WebSettings:
    written = nouns.decoded.config.web
    relative = functools.partial(nodes.relative, nouns.report, ("web", "tls"))
    return model.WebSettings(
        written.listen,
        tuple(_tokens(nouns)),
        written.url or "",
        doors.certificate(written.tls, relative),
        written.doh,
        written.public,
        written.event_streams,
    )


def _dns(nouns: nodes.Nouns) -> model.DnsSettings:
    written = nouns.decoded.config.dns
    limit = written.rate_limit
    tls, proxy = written.tls, written.proxy
    near = functools.partial(nodes.relative, nouns.report)
    return model.DnsSettings(
        listen=tuple(written.listen),
        workers=written.workers or 0,
        rate_limit=(float(limit.responses_per_second), limit.slip) if limit else None,
        explain_to=tuple(written.explain_to),
        tcp_connections=written.tcp.connections,
        tcp_per_client=written.tcp.per_client,
        tcp_idle_s=written.tcp.idle,
        rate_exempt=tuple(limit.exempt) if limit else (),
        max_amplification=float(written.max_amplification or 0),
        cookies=guarding.cookies(written.cookies, functools.partial(nodes.relative, nouns.report, ("dns", "cookies"))),
        tls_listen=tuple(tls.listen) if tls else (),
        certificate=doors.certificate(tls, functools.partial(nodes.relative, nouns.report, ("dns", "tls"))),
        proxy_listen=tuple(proxy.listen) if proxy else (),
        proxies=tuple(proxy.peers) if proxy else (),
        query_log=observing.query_log(written.query_log, near),
        dnstap=observing.dnstap(written.dnstap, near),
        resolvers=tuple(written.resolvers),
    )


def _tokens(nouns: nodes.Nouns) -> Iterable[model.Token]:
    for one in nouns.decoded.config.web.tokens:
        file = nodes.relative(nouns.report, ("web", "tokens"), one.secret_file) if one.secret_file else ""
        yield model.Token(one.name, one.role, one.secret_env or "", file, one.secret or "", tuple(one.endpoints))
