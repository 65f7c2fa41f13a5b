"""A node's name and digest in, the answers that say who and what it is out: class CH, type TXT (RFC 4892 section 3)."""

from __future__ import annotations

import struct

from gtm import __version__, names, table
from gtm.wire import runtime

TXT, CLASS = 16, 3
_AA = 0x0400


def answers(node: str, digest: str) -> dict[bytes, runtime.Static]:
    """Return the answers by name; the names are BIND's and NSD's, but for that of the configuration's digest (F6)."""
    version, name = _answer(f"GTM {__version__}"), _answer(node)
    by_name = {"id.server": name, "hostname.bind": name, "version.server": version, "version.bind": version}
    by_name["digest.server"] = _answer(digest)
    return {names.key(owner): one for owner, one in by_name.items()}


def _answer(text: str) -> runtime.Static:
    data = text.encode()[:255]
    rdata = bytes((len(data),)) + data
    head = b"\xc0\x0c" + struct.pack(">HHIH", TXT, CLASS, 0, len(rdata))
    return runtime.Static(table.Fixed(_AA, 1, 0, 0, head + rdata))
