"""A closed world in, four real resolvers in it out, each set to be as careful and as odd as it can be."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.slow import delegated

UNBOUND = """
server:
    interface: {address}
    access-control: 0.0.0.0/0 allow
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    verbosity: 2
    module-config: "{modules}"
    root-hints: "{hints}"
    num-threads: 1
    qname-minimisation: yes
    qname-minimisation-strict: yes
    use-caps-for-id: {caps}
    local-zone: "example." nodefault
    {more}
remote-control:
    control-enable: no
"""
SUBNETS = """
    send-client-subnet: 0.0.0.0/0
    send-client-subnet: ::0/0
    client-subnet-always-forward: yes
"""

NAMED = """
options {{
    directory "{folder}";
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    listen-on {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion yes;
    allow-recursion {{ any; }};
    dnssec-validation no;
    qname-minimization strict;
    empty-zones-enable no;
}};
controls {{ }};
zone "." {{ type hint; file "{hints}"; }};
"""

# Its cache is a file of 100 MB by default. Upper-case dice (0x20) and QNAME minimisation are on unless switched off.
KRESD = """
net.listen('{address}', 53, {{ kind = 'dns' }})
trust_anchors.remove('.')
modules = {{ 'hints > iterate' }}
modules.unload('priming')
hints.root_file('{hints}')
cache.size = 10 * MB
"""

RECURSOR = """
local-address={address}
allow-from=0.0.0.0/0
socket-dir={folder}
config-dir={folder}
hint-file={hints}
dnssec=off
dont-query=
qname-minimization=yes
daemon=no
threads=1
security-poll-suffix=
edns-subnet-allow-list=0.0.0.0/0,::/0
use-incoming-edns-subnet=yes
ecs-add-for=0.0.0.0/0,::/0
ecs-ipv4-bits=24
ecs-ipv4-cache-bits=24
"""


class Recursor(NamedTuple):
    """A resolver: where it listens, its program, its configuration's file, template and what is filled in."""

    address: str
    command: tuple[str, ...]
    file: str
    text: str
    more: Mapping[str, str] = {}


ALL = {
    "unbound": Recursor(
        *("192.0.2.201", ("unbound", "-d", "-c", "{folder}/unbound.conf"), "unbound.conf", UNBOUND),
        {"modules": "iterator", "caps": "yes", "more": ""},
    ),
    "bind": Recursor("192.0.2.202", ("named", "-f", "-n", "1", "-c", "{folder}/named.conf"), "named.conf", NAMED),
    "kresd": Recursor("192.0.2.203", ("kresd", "-n", "-c", "{folder}/kresd.conf", "{folder}"), "kresd.conf", KRESD),
    "recursor": Recursor("192.0.2.204", ("pdns_recursor", "--config-dir={folder}"), "recursor.conf", RECURSOR),
    # A second unbound, because with subnets it may not cache as the first one does. Its subnets want the validator.
    "unbound-ecs": Recursor(
        *("192.0.2.205", ("unbound", "-d", "-c", "{folder}/unbound.conf"), "unbound.conf", UNBOUND),
        {"modules": "subnetcache validator iterator", "caps": "no", "more": SUBNETS},
    ),
}
SEND_SUBNETS = ("unbound-ecs", "recursor")


def start(world: delegated.World, *which: str) -> None:
    """Start those, or all, and wait until each has found the root."""
    hints = world.logs / "hints"
    hints.write_text(delegated.HINTS)
    chosen = {what: one for what, one in ALL.items() if not which or what in which}
    for what, one in chosen.items():
        world.address(one.address)
        folder = world.folder(what)
        values = {"folder": str(folder), "hints": str(hints), "address": one.address, **one.more}
        Path(folder, one.file).write_text(one.text.format(**values))
        command = [word.format(**values) for word in one.command]
        world.start(what, [delegated.have(command[0]), *command[1:]])
    for one in chosen.values():
        look = functools.partial(world.short, one.address, "example", "NS")
        world.until(look, ["a.nic.example."], delegated.SETTLE_S)
