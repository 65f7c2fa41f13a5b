"""The wire cases of reliability.md to a real node of ours and to NSD, Knot and BIND: what only we pass is noticed.

Each peer serves the same zone. What it does otherwise stands in DIFFERENT with the reason; a case that is not there
must be as wanted, one that is there must not be, and none may be in all three lists unless it is in OURS_ALONE.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks import servers
from tests.slow.test_chaos import said as show
from tests.wire import cases, test_reliability_answers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ZONE_TEXT = "$ORIGIN plain.example.\n$TTL 300\n" + test_reliability_answers.TEXT + "\n"
NSD = """
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  minimal-responses: yes
  rrl-ratelimit: 0
  nsid: "ascii_witness"
  answer-cookie: yes
  cookie-secret: "00112233445566778899aabbccddeeff"
remote-control:
  control-enable: no
zone:
  name: plain.example
  zonefile: zone
"""
KNOT = """
server:
  rundir: {folder}
  listen: 127.0.0.1@{port}
  nsid: witness
database:
  storage: {folder}
mod-cookies:
  - id: default
    secret: 0x00112233445566778899aabbccddeeff
template:
  - id: default
    global-module: mod-cookies/default
zone:
  - domain: plain.example
    storage: {folder}
    file: zone
"""
BIND = """
options {{
  directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  managed-keys-directory "{folder}";
  recursion no;
  allow-transfer {{ none; }};
  minimal-responses yes;
  server-id "witness";
  max-udp-size 1232;
  nocookie-udp-size 1232;
  cookie-secret "00112233445566778899aabbccddeeff";
}};
controls {{ }};
zone "plain.example" {{ type primary; file "zone"; check-integrity no; }};
"""
PEERS = {
    "nsd": (NSD, ("nsd", "-d", "-c", "{folder}/conf")),
    "knot": (KNOT, ("knotd", "-c", "{folder}/conf")),
    "bind": (BIND, ("named", "-g", "-c", "{folder}/conf")),
}
GTM = """
node: witness
dns: {{listen: ["127.0.0.1:0"], workers: 1}}
web: {{listen: "127.0.0.1:@WEB@"}}
store: "memory:"
zones: {{plain.example: {{file: "{folder}/zone"}}}}
"""
PATIENCE_S = 15.0
SILENCE_S = 0.25  # loopback answers in a millisecond; a question behind it shows that the server has been there

# What peers do otherwise, by a pattern of cases.
DIFFERENT: Mapping[str, Mapping[str, str]] = {
    "nsd": {
        "C0.*": "it knows no client subnet, and ignores the option whatever is in it",
        "E17 tcp": "it tells nobody its idle time (RFC 7828 leaves that to the server)",
        "A17 svcb": "it keeps one spelling of a name for all records",
    },
    "knot": {
        "C0.*": "without a geoip module it ignores the client subnet whatever is in it",
        "E17 tcp": "it tells nobody its idle time (RFC 7828 leaves that to the server)",
        "E07.1": "it takes a payload size of 1 for a broken message (RFC 6891 section 6.2.3 wants 512)",
        "E09": "it does not look at the owner of OPT (RFC 6891 section 6.1.2)",
        "H14": "it answers two questions with silence (RFC 9619 section 4 wants FORMERR)",
        "K01": "it wants a good cookie from everybody: BADCOOKIE to the first question",
        "K05": "it does not know a cookie without a question (RFC 7873 section 5.4)",
    },
    "bind": {
        r"A22\.(0|254|255)": "it says FORMERR to classes that are none (REFUSED says as much)",
        "C04 a scope in a question": "its FORMERR has no OPT record",
        "C04 two of them": "it looks at one of two client subnets",
    },
}
# What no peer does as we do, and why we do.
OURS_ALONE: Mapping[str, str] = {
    "C04 a scope in a question": "FORMERR (RFC 7871 section 7.1.2) has an OPT record, too (RFC 6891 section 6.1.1)",
    "C04 two of them": "of two clients nobody knows which one is meant (semantics C5)",
}


@contextlib.contextmanager
def peer(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Run a peer with the zone."""
    text, command = PEERS[name]
    words = {"folder": folder, "port": servers.free_port()}
    (folder / "zone").write_text(ZONE_TEXT)
    (folder / "conf").write_text(text.format(**words))
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [part.format(**words) for part in command],
            stdout=log,
            stderr=log,
            env={"PATH": path},
            start_new_session=True,
        )
    try:
        yield "127.0.0.1", int(str(words["port"]))
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # a session of its own: NSD has children
        process.wait(20)


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a node of ours with the zone."""
    (folder / "zone").write_text(ZONE_TEXT)
    with servers.gtm(GTM.format(folder=folder)) as server:
        yield server.address


def ask_udp(address: tuple[str, int], packet: bytes) -> bytes | None:
    """Return the answer; silence is known by the answer to what is asked after it."""
    last = b"\x77\x77" + cases.packet()[2:]
    until_s = time.monotonic() + PATIENCE_S
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.send(packet)
        sock.settimeout(SILENCE_S)
        while time.monotonic() < until_s:
            with contextlib.suppress(TimeoutError, ConnectionError):
                reply = sock.recv(65535)
                if reply[:2] != last[:2]:
                    return reply
                sock.settimeout(SILENCE_S)
                with contextlib.suppress(TimeoutError):  # two workers may answer in the other order
                    return sock.recv(65535)
                return None
            sock.send(last)
    raise AssertionError("the server answers no more")


def ask_tcp(address: tuple[str, int], packet: bytes) -> bytes | None:
    """Return the answer over a connection of its own, or None when that is closed."""
    with socket.create_connection(address, PATIENCE_S) as sock:
        sock.sendall(len(packet).to_bytes(2) + packet)
        return message(sock)


def message(sock: socket.socket) -> bytes | None:
    """Return the next message of a connection; None at its end."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
        more = sock.recv(2 - len(data) if len(data) < 2 else 2 + int.from_bytes(data[:2]) - len(data))
        if not more:
            return None
        data += more
    return data[2:]


def ready(address: tuple[str, int]) -> None:
    """Wait until the zone is answered."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(AssertionError, ConnectionError):
            reply = ask_udp(address, cases.packet())
            if reply is not None and reply[7]:
                return
        assert time.monotonic() < until_s


def connections(address: tuple[str, int]) -> Iterator[tuple[str, bool]]:
    """Yield what section 2.3 says of connections: the case, and whether all that was asked is answered."""
    packets = [number.to_bytes(2) + cases.packet()[2:] for number in range(20)]
    framed = b"".join(len(one).to_bytes(2) + one for one in packets)
    one = framed[: 2 + len(packets[0])]
    with socket.create_connection(address, PATIENCE_S) as sock:
        sock.sendall(framed)
        got = [message(sock) for _ in packets]
        yield "T01", {reply[:2] for reply in got if reply is not None} == {packet[:2] for packet in packets}
    with socket.create_connection(address, PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in one:
            sock.sendall(bytes((byte,)))
            time.sleep(0.002)  # else the kernel makes one segment of them
        yield "T02", message(sock) is not None
        time.sleep(1.0)  # the case: RFC 7766 section 6.2.3 wants more patience of a server
        sock.sendall(one)
        yield "T03", message(sock) is not None
    with socket.create_connection(address, PATIENCE_S) as sock:
        sock.sendall(one)
        sock.shutdown(socket.SHUT_WR)
        yield "T04", message(sock) is not None
    for name, junk in (
        ("T05 reset", one),
        ("T06 65535", b"\xff\xff" + bytes(100)),
        ("T07 0", b"\0\0"),
        ("T07 5", b"\0\5short"),
    ):
        with socket.create_connection(address, PATIENCE_S) as sock:
            sock.sendall(junk)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing is a reset
        yield name, ask_tcp(address, cases.packet()) is not None


def failing(address: tuple[str, int]) -> dict[str, dict[str, object]]:
    """Ask every case; return what is not as wanted, by case."""
    ready(address)
    ask: Mapping[str, Callable[[tuple[str, int], bytes], bytes | None]] = {"udp": ask_udp, "tcp": ask_tcp}
    found = {case.name: cases.missed(case, ask[case.transport](address, case.packet)) for case in cases.ALL}
    found |= {name: {"answered": False} for name, answered in connections(address) if not answered}
    return {name: wrong for name, wrong in found.items() if wrong}


def test_a_real_node_of_ours_answers_every_case(tmp_path: Path) -> None:
    with ours(tmp_path) as address:
        assert failing(address) == {}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_answers_every_case_but_those_that_are_explained(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with peer(name, tmp_path) as address:
        found = failing(address)
    show(capsys, f"wire cases to {name}", f"{len(cases.ALL) - len(found)} of {len(cases.ALL)}")
    known = {case.name for case in cases.ALL for pattern in DIFFERENT[name] if re.fullmatch(pattern, case.name)}
    assert {case: wrong for case, wrong in found.items() if case not in known} == {}
    assert known - found.keys() == set()


def test_no_case_is_passed_by_us_alone_without_a_reason() -> None:
    alone = {
        case.name
        for case in cases.ALL
        if all(any(re.fullmatch(pattern, case.name) for pattern in some) for some in DIFFERENT.values())
    }
    assert alone == set(OURS_ALONE)
