"""What a steered name answers beside addresses: settings in, model settings and the records of their targets out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated

import pydantic

from gtm import answering, errors, model, names
from gtm.config import decode, fields, marks

_SERVICE = re.compile(r"_[a-z0-9]([a-z0-9-]*[a-z0-9])?\._(tcp|udp|sctp|tls|quic)", re.IGNORECASE)
_MOST_PROTOCOLS = 8  # they stand in every answer; three are in use: h2, h3, http/1.1


def _service(text: str) -> str:
    if not _SERVICE.fullmatch(text) or max(map(len, text.split("."))) > names.MAX_LABEL_BYTES:
        raise fields.refuse("bad-service", f"{fields.shown(text)} is not a service", "srv: {_rtmp._tcp: 1935}")
    return text.lower()


def _protocol(text: str) -> str:
    # A comma or a backslash would need escapes wherever it is shown (RFC 9460 appendix A.1); no protocol has one.
    if not re.fullmatch(r"[!-+\--\[\]-~]{1,255}", text):
        raise fields.refuse(fields.BAD_VALUE, f"{fields.shown(text)} is not a protocol", "alpn: [h2, h3]")
    return text


_Port = Annotated[int, pydantic.Field(ge=1, le=65535)]
Srv = dict[Annotated[str, pydantic.AfterValidator(_service)], _Port]


class Https(fields.Section):
    """An HTTPS record (RFC 9460) beside the addresses, with the addresses that are answered now as hints."""

    alpn: Annotated[
        list[Annotated[str, pydantic.AfterValidator(_protocol)]], pydantic.BeforeValidator(fields.listed)
    ] = fields.setting(["h2"], "protocols that every member speaks beside HTTP/1.1", max_length=_MOST_PROTOCOLS)
    port: _Port | None = fields.setting(None, "the port; default: 443")


def https(written: Https | None) -> answering.Https | None:
    """Return what is wanted of an HTTPS record."""
    return None if written is None else answering.Https(tuple(dict.fromkeys(written.alpn)), written.port or 0)


def srv(written: Srv) -> tuple[answering.Service, ...]:
    """Return the services, in the order of their names: names that say the same share a policy."""
    return tuple(answering.Service(name, port) for name, port in sorted(written.items()))


class Targets:
    """The names that stand for endpoints in SRV records of one zone, and where they were first wanted."""

    def __init__(self, zone: str, report: decode.Report) -> None:
        self._zone, self._report = zone, report
        self._found: dict[bytes, tuple[model.Endpoint, marks.Path]] = {}
        self._seen: set[str] = set()

    def want(self, endpoint: model.Endpoint, path: marks.Path) -> None:
        """Take an endpoint into the zone; a host name stands for itself."""
        if endpoint.hostname or endpoint.name in self._seen:
            return
        self._seen.add(endpoint.name)
        name = answering.target(endpoint.name, self._zone)
        try:
            key = names.key(name)
        except errors.DomainNameError as wrong:
            self._report.error("bad-service", path, f"{endpoint.name!r} makes no name for SRV: {wrong}")
            return
        if key in self._found:
            self._report.error("bad-service", path, f"{names.shown(name)} would stand for two endpoints")
        self._found[key] = endpoint, path

    def reserve(self, taken: Iterator[bytes]) -> None:
        """Refuse names of the zone that stand where the targets do."""
        if not self._found:
            return
        place = names.key(f"{answering.TARGETS}.{self._zone}")
        for owner in taken:
            if names.within(owner, place):
                path = next(iter(self._found.values()))[1]
                shown = [names.shown(names.text(one)) for one in (owner, place)]
                message = f"{shown[0]} stands where the targets of SRV records are: *.{shown[1]}"
                self._report.error("bad-service", path, message, "give it another name")

    def records(self, ttl_s: int) -> Iterator[model.Record]:
        """Yield the addresses of every target. They do not follow health: SRV leaves out whom nobody should use."""
        for key, (endpoint, _) in sorted(self._found.items()):
            for kind, address in ((1, endpoint.ipv4), (28, endpoint.ipv6)):
                if address:
                    yield model.Record(key, kind, ttl_s, ipaddress.ip_address(address).packed)
