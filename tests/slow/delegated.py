"""A closed DNS world: a fake root, a top level, two GTM nodes below it, and whatever else a test puts beside them.

All of it stands on port 53 of documentation addresses in a network namespace: nothing is stubbed or forwarded, whoever
looks must find GTM from the root, through NS records and glue, as everybody else on earth does.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.slow import hosts

SETTLE_S = 30.0
ZONE = "gtm.example"
ROOT, TLD, CHILD = "192.0.2.1", "192.0.2.2", "192.0.2.30"
OURS = {"ns1": ("192.0.2.10", "2001:db8::10"), "ns2": ("192.0.2.20", "2001:db8:1::10")}
EDGES = {"a": ("192.0.2.101", "2001:db8::101"), "b": ("192.0.2.102", "2001:db8::102")}
PLACES = {"203.0.113.0/24": "192.0.2.111", "198.51.100.0/24": "192.0.2.112", "": "192.0.2.113"}
LONG_TEXT = " ".join(f'"{number:03} {"x" * 200}"' for number in range(8))  # does not fit into a datagram

HINTS = f"""
.                  3600000 IN NS   a.root.
a.root.            3600000 IN A    {ROOT}
"""

# The TTLs are short enough for Zonemaster's taste, and long enough to outlive a test.
SOA = "3600 IN SOA {ns} hostmaster.{ns} 2026010101 14400 3600 1209600 3600"
ROOT_ZONE = f"""
.                  {SOA.format(ns="a.root.")}
.                  3600 IN NS   a.root.
a.root.            3600 IN A    {ROOT}
example.           3600 IN NS   a.nic.example.
a.nic.example.     3600 IN A    {TLD}
"""
TLD_ZONE = f"""
example.           {SOA.format(ns="a.nic.example.")}
example.           3600 IN NS   a.nic.example.
a.nic.example.     3600 IN A    {TLD}
edge.cdn.example.  60   IN A    192.0.2.120
lame.example.      3600 IN NS   ns1.{ZONE}.
""" + "".join(
    f"{ZONE}. 3600 IN NS {host}.{ZONE}.\n{host}.{ZONE}. 3600 IN A {ipv4}\n{host}.{ZONE}. 3600 IN AAAA {ipv6}\n"
    for host, (ipv4, ipv6) in OURS.items()
)
CHILD_ZONE = f"""
child.{ZONE}.      {SOA.format(ns=f"ns.child.{ZONE}.")}
child.{ZONE}.      3600 IN NS   ns.child.{ZONE}.
ns.child.{ZONE}.   3600 IN A    {CHILD}
www.child.{ZONE}.  60   IN A    192.0.2.130
"""

NSD = """
server:
  ip-address: {address}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  database: ""
  pidfile: "{folder}/nsd.pid"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "{folder}/zone"
"""

GTM = """
node: {node}
dns: {{listen: ["{ipv4}:53", "[{ipv6}]:53"], workers: 1, explain_to: [{explain_to}]}}
web: {{listen: "127.0.0.1:{web}"}}
store: "memory:"
flap: off
checks:
  alive: {{kind: tcp, port: 80, every: 1s, timeout: 500ms, confirm: 200ms, fall: 2, rise: 2}}
endpoints:
  a: {{address: [{a}]}}
  b: {{address: [{b}]}}
  only-v4: {{address: 192.0.2.103, check: none}}
  region-one: {{address: 192.0.2.111, check: none}}
  region-two: {{address: 192.0.2.112, check: none}}
  elsewhere: {{address: 192.0.2.113, check: none}}
  cdn: {{hostname: edge.cdn.example., check: none}}
pools:
  pair: {{members: {{a: {{tier: 1}}, b: {{tier: 2}}}}, answers: 1, check: alive}}
  only-v4: {{members: [only-v4]}}
  one: {{members: [region-one]}}
  two: {{members: [region-two]}}
  rest: {{members: [elsewhere]}}
  cdn: {{members: [cdn]}}
zones:
  gtm.example:
    nameservers: {nameservers}
    hostmaster: ops@gtm.example
    ttl: 3600
    negative_ttl: 300
    records:
      "@": {{TXT: "hello", CAA: '0 issue "ca.example"', MX: "10 mail"}}
      mail: {{A: 192.0.2.140, AAAA: "2001:db8::140"}}
      two: {{A: [192.0.2.141, 192.0.2.142]}}
      _rtmp._tcp: {{SRV: "10 5 1935 mail"}}
      svc: {{HTTPS: '1 . alpn="h2,h3" ipv4hint="192.0.2.143"'}}
      strange: {{TYPE65280: '\\# 4 01020304'}}
      long: {{TXT: '{long}'}}
      deep.under.nothing: {{A: 192.0.2.144}}
      "*.wild": {{A: 192.0.2.145, TXT: "any"}}
      sibling.wild: {{A: 192.0.2.146}}
      alias: {{CNAME: mail}}
      away: {{CNAME: edge.cdn.example.}}
      child: {{NS: ns.child}}
      ns.child: {{A: {child}}}
    steer:
      "@": {{try: only-v4, ttl: 60s}}
      play: {{try: pair, ttl: 1s..2s}}
      single: {{try: only-v4, ttl: 60s}}
      "*.ch": {{try: only-v4, ttl: 60s}}
      pool: {{try: cdn, ttl: 60s}}
      "*.geo":
        ttl: 60s
        rules:
          - {{for: [203.0.113.0/24], try: one}}
          - {{for: [198.51.100.0/24], try: two}}
          - {{try: rest}}
"""

EDGE = """
import select, socket, sys
family = lambda one: socket.AF_INET6 if ":" in one else socket.AF_INET
held = [socket.create_server((one, 80), family=family(one)) for one in sys.argv[1:]]
while True:
    for one in select.select(held, [], [])[0]:
        one.accept()[0].close()
"""


class World(hosts.Namespace):
    """The namespace with root, top level, child, edges and both nodes in it; `explain_to` is the nodes' setting."""

    explain_to = "127.0.0.0/8"

    def address(self, *addresses: str, do: str = "add") -> None:
        """Give loopback more addresses, or take some away."""
        for one in addresses:
            bits = "128" if ":" in one else "32"
            subprocess.run(["ip", "-n", self.name, "addr", do, f"{one}/{bits}", "dev", "lo"], check=True)

    @contextmanager
    def without_us(self) -> Iterator[None]:
        """Take our nameservers' addresses off the network for a while."""
        with self.without(*(one for addresses in OURS.values() for one in addresses)):
            yield

    @contextmanager
    def without(self, *addresses: str) -> Iterator[None]:
        """Take addresses off the network for a while."""
        self.address(*addresses, do="del")
        try:
            yield
        finally:
            self.address(*addresses)

    def folder(self, what: str) -> Path:
        """Return a folder that everybody may write to: some servers insist on leaving root."""
        made = self.logs / what
        made.mkdir()
        made.chmod(0o777)
        return made

    def nsd(self, what: str, zone: str, address: str, text: str) -> None:
        """Start an NSD with one zone."""
        self.address(address)
        folder = self.folder(what)
        (folder / "zone").write_text(text)
        (folder / "nsd.conf").write_text(NSD.format(address=address, folder=folder, zone=zone))
        self.start(what, ["nsd", "-d", "-c", str(folder / "nsd.conf")])

    def edge(self, which: str) -> None:
        """Start an edge: something that takes connections on port 80."""
        self.start(f"edge-{which}", [sys.executable, "-c", EDGE, *EDGES[which]])

    def gtm(self, node: str) -> None:
        """Start one of our nameservers."""
        ipv4, ipv6 = OURS[node]
        self.address(ipv4, ipv6)
        folder = self.folder(node)
        (folder / "gtm.yaml").write_text(
            GTM.format(
                node=node,
                ipv4=ipv4,
                ipv6=ipv6,
                explain_to=self.explain_to,
                web=8050 + int(node[-1]),
                child=CHILD,
                long=LONG_TEXT,
                nameservers={host: list(addresses) for host, addresses in OURS.items()},
                **{which: ", ".join(f'"{one}"' for one in addresses) for which, addresses in EDGES.items()},
            )
        )
        self.start(node, [*hosts.GTM, "serve", "-c", str(folder / "gtm.yaml")])

    def dig(self, server: str, *words: str) -> str:
        """Return what dig prints."""
        return self.run("dig", f"@{server}", "+time=5", "+tries=1", *words)

    def answers(self, server: str, zone: str) -> bool:
        """Say whether a nameserver knows its zone."""
        return bool(self.short(server, zone, "SOA"))

    def short(self, server: str, *words: str) -> list[str]:
        """Return the data that dig gets, sorted."""
        return sorted(line for line in self.dig(server, "+short", *words).splitlines() if not line.startswith(";"))


@contextmanager
def world(logs: Path, kind: type[World] = World) -> Iterator[World]:
    """Make the closed world, and wait until both nodes answer from judged health."""
    logs.chmod(0o777)
    for parent in list(logs.parents)[:3]:  # pytest keeps its folders to itself; servers that leave root pass through
        parent.chmod(parent.stat().st_mode | 0o011)
    with hosts.namespace(f"gtm-closed-{os.getpid()}", logs, kind) as made:
        made.address(*(one for addresses in EDGES.values() for one in addresses))
        made.nsd("root", ".", ROOT, ROOT_ZONE)
        made.nsd("tld", "example", TLD, TLD_ZONE)
        made.nsd("child", f"child.{ZONE}", CHILD, CHILD_ZONE)
        for which in EDGES:
            made.edge(which)
        for node in OURS:
            made.gtm(node)
        ready = {node: [EDGES["a"][0]] for node in OURS}
        made.until(lambda: {node: made.short(OURS[node][0], f"play.{ZONE}") for node in OURS}, ready, SETTLE_S)
        for server, zone in {ROOT: ".", TLD: "example", CHILD: f"child.{ZONE}"}.items():
            made.until(functools.partial(made.answers, server, zone), True, SETTLE_S)
        yield made


def have(program: str) -> str:
    """Return where a program is; Debian keeps servers where only root looks."""
    found = shutil.which(program, path=hosts.SBIN)
    assert found, f"{program} is missing: tests/slow/needs.sh installs it"
    return found
