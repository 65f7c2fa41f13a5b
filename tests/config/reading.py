"""Texts in, what the loader makes of them out: the real probe kinds and the real reader of records."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from gtm import model, notify, probes
from gtm.config import load
from gtm.wire import records

KINDS = {name: prober.kind for name, prober in probes.KINDS.items()}
SENDERS = {name: sender.kind for name, sender in notify.SENDERS.items()}
READER = records.Reader()


def read(text: str, files: Mapping[str, str] | None = None, missing: Mapping[str, str] | None = None) -> load.Loaded:
    """Load `text` as gtm.yaml, beside `files`."""
    texts = {"gtm.yaml": textwrap.dedent(text), **{name: textwrap.dedent(one) for name, one in (files or {}).items()}}
    return load.load(
        "gtm.yaml", texts,
        kinds=KINDS, senders=SENDERS, records=READER, node="ns1", store="memory:", missing=missing or {},
    )  # fmt: skip


def snapshot(text: str, files: Mapping[str, str] | None = None) -> model.Snapshot:
    """Load what must be valid."""
    loaded = read(text, files)
    assert loaded.snapshot is not None, [one for one in loaded.problems if one.severity == "error"]
    return loaded.snapshot


def said(loaded: load.Loaded) -> list[str]:
    """Return `error[code] line:column` of all problems."""
    return [
        f"{one.severity}[{one.code}]" + (f" {one.mark.line}:{one.mark.column}" if one.mark else "")
        for one in loaded.problems
    ]


def codes(loaded: load.Loaded) -> set[str]:
    """Return the codes of all problems."""
    return {one.code for one in loaded.problems}


WORLD = """
checks:
  answers: {kind: tcp, port: 443}
  channel: {kind: http, path: "/{label}/live.m3u8"}
endpoints:
  a: {address: [192.0.2.1, "2001:db8::1"], site: fra}
  b: {address: 192.0.2.2, site: ams}
  c: {address: 198.51.100.1, site: nyc}
  cdn: {hostname: edge.cdn.example.net., check: none}
sites:
  fra: {at: EU-DE, lat: 50.1, lon: 8.7}
  ams: {at: EU-NL}
  nyc: {at: NA-US-NY, lat: 40.7, lon: -74}
pools:
  eu: {members: {a: 3, b: 1}, check: answers}
  us: {members: [c], check: answers}
  far: {members: [cdn]}
zones:
  example.org:
    nameservers: {ns1: [203.0.113.53]}
    hostmaster: ops@example.org
    records:
      www: {A: 192.0.2.80}
    steer:
      play: [eu, us]
      live:
        rules:
          - {for: [NA, SA], try: [us, eu]}
          - {try: [eu, us, far]}
"""
