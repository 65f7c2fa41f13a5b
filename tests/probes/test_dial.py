"""Where probes may go, and how a host name becomes an address."""

from __future__ import annotations

import errno
import ipaddress
import itertools
import socket
import threading
from typing import Any

import pytest

from gtm import model, probes
from gtm.probes import dial, http, prober
from tests.probes.probe_servers import Servers, make, page, run

BARRED = [
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",
    "::",
    "::ffff:0.0.0.0",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
]
NOT_ADDRESSES = [
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "localhost",
    "[::1]",
    "1.2.3.4:80",
    "",
]


@pytest.mark.parametrize("address", BARRED)
@pytest.mark.parametrize("kind", ["http", "hls", "tcp", "tls", "dns", "icmp"])
async def test_G7_link_local_and_metadata_addresses_are_refused_however_spelled(kind: str, address: str) -> None:
    family: Any = "ipv6" if ":" in address else "ipv4"
    result = await run(make(kind, 80, address=address, family=family, path="/"))
    assert result.ok is None
    assert result.reason.endswith(("where probes do not go", "is not the address of one machine"))


@pytest.mark.parametrize("address", NOT_ADDRESSES)
@pytest.mark.parametrize("kind", ["http", "tcp", "dns"])
async def test_G7_what_is_not_an_ip_address_is_not_interpreted(kind: str, address: str) -> None:
    result = await run(make(kind, 80, address=address))
    assert (result.ok, result.reason) == (None, f"{address!r} is not an IP address")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.0.11", "192.0.2.1", "2001:db8::1", "fd00::1"])
def test_G7_ordinary_addresses_are_allowed(address: str) -> None:
    assert dial.barred(ipaddress.ip_address(address)) == ""


def resolver(monkeypatch: pytest.MonkeyPatch, answer: list[str] | OSError) -> None:
    def getaddrinfo(*_: object, **__: object) -> list[tuple[Any, ...]]:
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_host_name_is_resolved_and_dialled(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    port = await servers.http(page())
    resolver(monkeypatch, ["127.0.0.1"])
    assert (await run(make("http", port, family="cname", address="cdn.example."))).ok is True


async def test_G7_a_host_name_that_leads_to_a_metadata_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, ["169.254.169.254"])
    result = await run(make("http", 80, family="cname", address="cdn.example."))
    assert (result.ok, result.reason) == (None, "169.254.169.254 is link-local, where probes do not go")


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
async def test_a_host_name_that_does_not_exist_is_a_failure(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    resolver(monkeypatch, socket.gaierror(code, "no"))
    result = await run(make("http", 80, family="cname", address="cdn.example."))
    assert (result.ok, result.reason) == (False, "cdn.example does not exist or has no address")


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
async def test_A7_a_broken_resolver_is_no_failure_of_the_endpoint(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    resolver(monkeypatch, socket.gaierror(code, "broken"))
    result = await run(make("http", 80, family="cname", address="cdn.example."))
    assert result.ok is None
    assert result.reason.startswith("this machine's resolver failed for cdn.example: ")


async def test_A7_a_silent_resolver_is_no_failure_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    # By its clock a tenth of a second of ten is left to the resolver: no busy machine reaches the whole limit first.
    clock = itertools.chain([0.0], itertools.repeat(9.9))
    hurried = prober.Prober(http.KIND, http.look, monotonic=clock.__next__)
    try:
        result = await hurried.run(make("http", 80, family="cname", address="cdn.example."), {})
    finally:
        release.set()
    assert (result.ok, result.reason) == (None, "this machine's resolver said nothing about cdn.example")


@pytest.mark.parametrize(
    "number",
    [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EACCES, errno.EPERM, *prober.NO_WAY, errno.EADDRNOTAVAIL],
)
async def test_A7_what_this_machine_lacks_is_no_failure_of_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_socket(*_: object, **__: object) -> socket.socket:
        raise OSError(number, "no")

    monkeypatch.setattr(socket, "socket", no_socket)
    result = await run(make("tcp", 80))
    assert result.ok is None
    assert result.reason
    assert result.cut_off == (number in {errno.ENETUNREACH, errno.ENETDOWN}), "the guard counts these alone (A9)"


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ECONNRESET, errno.ETIMEDOUT])
def test_what_the_endpoint_lacks_is_its_failure(number: int) -> None:
    assert isinstance(prober.blame(OSError(number, "x")), prober.Failed)


@pytest.mark.parametrize("prober_", probes.KINDS.values(), ids=probes.KINDS)
def test_each_kind_is_called_what_it_is_registered_as(prober_: Any) -> None:
    kind: model.Kind = prober_.kind
    assert probes.KINDS[kind.name] is prober_
    assert kind.doc
    assert all(option.doc for option in kind.options)
    measures = {measure.name for measure in kind.measures}
    for condition in kind.expect:
        words = condition.split()
        assert words[0] in measures
        assert words[-1] in measures or "*" not in words
