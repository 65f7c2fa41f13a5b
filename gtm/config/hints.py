"""A problem's code in, what to try out: the hint of every problem whose finder knows no better one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gtm import errors

BY_CODE: Final = {
    "alias-bomb": "write out what the aliases stand for",
    "bad-address": "write an address in figures, such as 192.0.2.1 or 2001:db8::1",
    "bad-alert": "write one of them; NAME_env: VARIABLE keeps it out of the file",
    "bad-alias": "write out what it stands for",
    "bad-cookies": "secret_file: PATH; the one before goes into previous_file",
    "bad-domain-name": "labels of 1 to 63 bytes with dots between, 255 bytes in all",
    "bad-endpoint": "address: 192.0.2.1, or hostname: live.example.cdn.net.",
    "bad-expect": "MEASURE OP VALUE, such as `status == 200`; docs/configuration.md has the measures of each kind",
    "bad-name": "choose another name",
    "bad-record": "write it as a zone file does: 192.0.2.1, or 10 mail.example.com.",
    "bad-service": "rename one of them",
    "bad-steer": "keep one of them; `try` is short for one rule",
    "bad-token": "secret_env: NAME, or secret_file: PATH",
    "bad-tsig": "one key of a name: secret_env: NAME, or secret_file: PATH",
    "bad-value": "docs/configuration.md says what can stand here",
    "bad-zone-file": "the file is read as RFC 1035 section 5 has it: `named-checkzone` finds the place too",
    "cname-at-apex": "steer the zone itself ('@') to a pool with the host name: it is followed",
    "cname-beside": "a CNAME stands alone (RFC 1034 section 3.6.2): move the others to the name that it points to",
    "cname-loop": "let one of them lead to a name with addresses",
    "confirm-above-every": "leave it out: 500ms, or `every` where that is less",
    "doubled-name": "rename or delete one of them",
    "doubled-pool": "delete one of them",
    "empty-list": "write at least one",
    "empty-pool": "members: [ENDPOINT, ...]",
    "hidden-name": "delegated names belong to another server",
    "ipv6-only": "add an endpoint with an IPv4 address",
    "link-local": "write an address that clients can reach",
    "loop": "delete one of these references",
    "missing-file": "a readable file, UTF-8, at most 64 MiB; its path is relative to the file that names it",
    "missing-key": "docs/configuration.md has an example",
    "nameserver-cname": "give it addresses: nameservers: {ns1: [203.0.113.53]}",
    "no-effect": "delete it",
    "out-of-range": "docs/configuration.md says what can stand here",
    "outside-zone": "names without a last dot are inside the zone",
    "same-address": "delete one of them, or correct its address",
    "steered-nameserver": "steer another name: resolvers come to this one before they know any answer",
    "timeout-not-below-every": "shorten it, or look less often",
    "too-big": "split it: include: [...]",
    "too-many-names": "split the zones among several nodes",
    "two-documents": "put the second one into a file of its own, and include it",
    "unknown-measure": "a measure of the check's kind: docs/configuration.md has them",
    "unused-check": "check: NAME at a pool, or delete it",
    "unused-endpoint": "add it to the members of a pool, or delete it",
    "unused-pool": "try: [POOL] at a steered name, or delete it",
    "wrong-type": "docs/configuration.md says what can stand here",
    "yaml-syntax": "a bracket, comma, quote or blank is missing here or just before",
    "yaml-tag": "delete the tag",
}
"""Where nothing can be said for all of a code (an unknown name, a bad unit), the finder says it."""


def given(found: Iterable[errors.Problem]) -> list[errors.Problem]:
    """Return the problems, each with a hint."""
    return [one if one.hint else replace(one, hint=BY_CODE.get(one.code, "")) for one in found]
