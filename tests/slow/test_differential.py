"""A hundred thousand questions about random zones to NSD and to us: the same, but for what is explained here."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest

from benchmarks import servers
from tests.slow.test_chaos import said as show
from tests.wire import random_zones, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ZONES, QUESTIONS = 40, 2500
SEED = 20261123

CONFIG = """
server:
  ip-address: 127.0.0.1@{port}
  do-ip6: no
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  logfile: "{folder}/nsd.log"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  minimal-responses: yes
  round-robin: no
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""


class Nsd:
    """NSD with zones, asked over one socket."""

    def __init__(self, folder: Path, zones: dict[str, str]) -> None:
        port = servers.free_port()
        lines = [CONFIG.format(port=port, folder=folder)]
        for apex, text in zones.items():
            (folder / f"{apex}zone").write_text(text)
            lines.append(f'zone:\n  name: "{apex}"\n  zonefile: "{apex}zone"\n')
        (folder / "nsd.conf").write_text("".join(lines))
        self.process = subprocess.Popen(["nsd", "-d", "-c", str(folder / "nsd.conf")])
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.connect(("127.0.0.1", port))
        self._sock.settimeout(0.2)
        asked = dns.message.make_query(next(iter(zones)), "SOA").to_wire()
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            try:
                self.ask(asked)
                break
            except (TimeoutError, ConnectionError):
                continue
        self._sock.settimeout(5)

    def ask(self, packet: bytes) -> bytes:
        """Return the answer to `packet`."""
        self._sock.send(packet)
        while (reply := self._sock.recv(65535))[:2] != packet[:2]:
            continue
        return reply

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._sock.close()


def explained(ours: random_zones.Said, theirs: random_zones.Said, rtype: str) -> str:
    """Return why two answers may differ, or nothing: then one of them is wrong."""
    if ours == theirs:
        return "the same"
    aliases = bool(theirs.answer) and {kind for _, kind, _, _ in theirs.answer} == {"CNAME"}
    alike = ours[:3] == theirs[:3]
    if alike and aliases and {kind for _, kind, _, _ in theirs.authority} == {"NS"} and not ours.authority:
        # RFC 1034 section 4.3.2 step 3b goes on to the referral; the asker has to ask for the target anyway.
        return "a CNAME into a delegation: NSD puts the referral behind it"
    if alike and aliases and rtype == "DS" and {kind for _, kind, _, _ in theirs.authority} == {"SOA"}:
        # RFC 4035 section 3.1.4.1: the parent side answers it; the asker has to ask for the target anyway.
        return "a CNAME to a delegation, and its DS: NSD says behind it that there is none"
    return ""


@pytest.fixture
def zones() -> dict[str, str]:
    dice = random.Random(SEED)
    return {f"z{at}.example.": random_zones.text(dice) for at in range(ZONES)}


@pytest.fixture
def nsd(tmp_path: Path, zones: dict[str, str]) -> Iterator[Nsd]:
    one = Nsd(tmp_path, zones)
    yield one
    one.close()


def test_a_hundred_thousand_questions_are_answered_as_nsd_answers_them(
    nsd: Nsd, zones: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    dice, found = random.Random(SEED), Counter[str]()
    server = world.serve(*(world.zone(apex, text) for apex, text in zones.items()))
    for apex, text in zones.items():
        for at in range(QUESTIONS):
            name, rtype = random_zones.question(dice, text, apex)
            packet = dns.message.make_query(name, rtype, use_edns=0, payload=1232, id=at + 1).to_wire()
            reply = server.raw(packet)
            assert reply is not None
            ours = random_zones.said(dns.message.from_wire(reply))
            theirs = random_zones.said(dns.message.from_wire(nsd.ask(packet)))
            why = explained(ours, theirs, rtype)
            assert why, f"{name} {rtype}\nours   {ours}\ntheirs {theirs}\n{text}"
            found[why] += 1
    show(capsys, "beside NSD", "; ".join(f"{number:,} {why}" for why, number in found.most_common()))
    assert sum(found.values()) == ZONES * QUESTIONS
