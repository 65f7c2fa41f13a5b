"""A configuration in, findings about the machine under a node out: ports, files, clock, geography, certificates, store.

Everything here is quick but may touch a disk, so it does not belong on a loop.
"""

from __future__ import annotations

import ctypes
import os
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gtm import model
from gtm.app import finding, geography
from gtm.probes import certificate

DNS_PORT = 53
DAY_S = 86400.0
GEO_DAYS = 45  # networks move; the databases that people use come anew each week or month
CERTIFICATE_DAYS = 14  # renewal begins 30 days before the end: when half of that has passed, it does not work
FREE_BYTES = 64 * 1024 * 1024  # the store's own bounds, with room to rewrite it
SPARE_FILES = 256  # beside connections: probes, web, store, logs, journals
FILES_MAX_BYTES = 256 * 1024
_UNSYNC = 0x0040  # STA_UNSYNC in <sys/timex.h>
_TIMEX_BYTES = 512  # more than a struct timex is anywhere


def examine(snapshot: model.Snapshot, pids: Mapping[str, int] | None = None) -> tuple[finding.Finding, ...]:
    """Look at everything that the configuration leans on; `pids` are the node's processes, where it runs here."""
    return (
        *_ports(snapshot.dns),
        *_limits(snapshot.dns, pids or {"this process": os.getpid()}),
        *clock(unsynchronised()),
        *_geography(snapshot, time.time()),
        *certificates(snapshot, time.time()),
        *_store(snapshot.store),
    )


def _ports(dns: model.DnsSettings) -> Iterator[finding.Finding]:
    ports = sorted({one.port for one in dns.listen})
    if DNS_PORT in ports:
        yield finding.ok("ports", f"DNS listens on {', '.join(map(str, dns.listen))}")
        return
    do = '`dns: {listen: ["0.0.0.0:53", "[::]:53"]}`, unless something before it sends port 53 there'
    yield finding.warning("ports", f"DNS listens on port {', '.join(map(str, ports))}; resolvers ask on 53", do)


def _limits(dns: model.DnsSettings, pids: Mapping[str, int]) -> Iterator[finding.Finding]:
    """Compare how many files processes may open with how many they may come to need."""
    need = dns.tcp_connections + SPARE_FILES
    read = {role: _open_files(pid) for role, pid in pids.items()}
    known = {role: most for role, most in read.items() if most}
    low = {role: most for role, most in known.items() if most < need}
    for role, most in low.items():
        do = f"`LimitNOFILE={need}` or more in its unit, or fewer `dns: tcp: connections`"
        yield finding.warning("file limits", f"{role} may open {most} files and may need {need}", do)
    if known and not low:
        yield finding.ok("file limits", f"{min(known.values())} files a process, {need} are needed")


def _open_files(pid: int) -> int:
    """Return how many files a process may open (the hard limit, which the supervisor takes); 0 where that is hidden."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return 0
    found = next((line.split() for line in lines if line.startswith("Max open files")), [])
    return int(found[4]) if len(found) > 4 and found[4].isdigit() else 0


def unsynchronised() -> bool | None:
    """Say whether the kernel believes that nobody sets its clock; None where we may not ask it (adjtimex(2))."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: only look
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
            return None
    except (AttributeError, OSError):
        return None
    # modes (4 bytes, padded), offset, freq, maxerror, esterror, each a long; then status, an int.
    at = ctypes.sizeof(ctypes.c_long) * 5
    return bool(int.from_bytes(buffer.raw[at : at + 4], sys.byteorder) & _UNSYNC)


def clock(unsynchronised: bool | None) -> Iterator[finding.Finding]:
    """Yield what is to be said of the clock."""
    if unsynchronised:
        do = "run chrony or systemd-timesyncd: cookies, certificates and transfers' signatures go by the clock"
        yield finding.warning("clock", "the kernel says that nothing keeps its clock right", do)
    elif unsynchronised is not None:
        yield finding.ok("clock", "it is kept right")


def _geography(snapshot: model.Snapshot, now: float) -> Iterator[finding.Finding]:
    if not snapshot.geo_databases:
        return
    atlas = geography.Atlas.open(snapshot)
    for trouble in atlas.troubles:
        yield finding.error(
            "geography", trouble, "put a whole file there, and `gtm reload`; until then it places nobody"
        )
    for path, built in atlas.built_at().items():
        days = round((now - built) / DAY_S)
        if days > GEO_DAYS:
            yield finding.warning("geography", f"{path} is {days} days old", "fetch a new one, and `gtm reload`")
        else:
            yield finding.ok("geography", f"{path} is {days} days old")


def certificates(snapshot: model.Snapshot, now: float) -> Iterator[finding.Finding]:
    """Find out how long the certificates of the node itself hold."""
    pairs = (("DNS over TLS", snapshot.dns.certificate), ("the web", snapshot.web.certificate))
    for what, pair in pairs:
        if pair is not None:
            yield _certificate(f"certificate of {what}", pair.chain, now)


def _certificate(about: str, path: str, now: float) -> finding.Finding:
    renew = "renew it; a changed file is taken by itself"
    try:
        with Path(path).open(encoding="ascii") as file:
            text = file.read(FILES_MAX_BYTES)
        begin = text.index("-----BEGIN CERTIFICATE-----")
        end = text.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
        found = certificate.read(ssl.PEM_cert_to_DER_cert(text[begin:end]))
    except OSError as wrong:
        return finding.error(about, f"{path} cannot be read: {wrong.strerror or wrong}", "let the node's user read it")
    except ValueError as wrong:
        return finding.error(about, f"{path} is no certificate: {wrong}", "write the certificate and its chain as PEM")
    days = found.days_left(now)
    if days <= 0:
        return finding.error(about, f"it ran out {-days:.0f} days ago", renew)
    if now < found.not_before:
        return finding.error(about, "it does not hold yet", "look at the clock of this machine")
    if days < CERTIFICATE_DAYS:
        return finding.warning(about, f"it runs out in {days:.0f} days", renew)
    return finding.ok(about, f"it holds for {days:.0f} more days")


def _store(url: str) -> Iterator[finding.Finding]:
    if not url.startswith("sqlite://"):
        yield finding.warning(
            "store", "it is in memory: a restart forgets health and orders", "`store: sqlite:///PATH`"
        )
        return
    path = Path(url.removeprefix("sqlite://"))
    yield from _writable((path, path.parent) if path.exists() else (path.parent,))


def _writable(paths: Sequence[Path]) -> Iterable[finding.Finding]:
    for path in paths:
        if not os.access(path, os.W_OK):
            why = "cannot be written" if path.exists() else "is not there"
            return [finding.error("store", f"{path} {why}", "make it, for the node's user; answers go on without it")]
    room = os.statvfs(paths[-1])
    free = room.f_bavail * room.f_frsize
    if free < FREE_BYTES:
        return [finding.warning("store", f"{free // 1024 // 1024} MiB are left for {paths[0]}", "make room")]
    return [finding.ok("store", f"{paths[0]} can be written")]
