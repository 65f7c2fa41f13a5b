"""What of the answers is written down and where to: the query log and dnstap, as sections, and as what they mean."""

from __future__ import annotations

from collections.abc import Callable

import pydantic

from gtm import answering
from gtm.config import fields, marks

Relative = Callable[[marks.Path, str], str]  # a path as written, and what wrote it, to where it is


class QueryLog(fields.Section):
    """Some of the answers with their reasons, as JSON lines."""

    path: fields.Text = fields.needed("a file, relative to this file, or `stdout`; it is opened anew at a reload")
    sample: fields.Percent = fields.setting("1%", "share of the answers that are written down: 1%, 100%")
    per_second: int = fields.setting(100, "at most so many lines a second; more are counted", ge=1, le=10_000)
    full_addresses: bool = fields.setting(False, "write whole addresses of clients, not their /24 and /56")
    max_size: fields.Bytes = fields.setting(
        "256MiB", "a file of this size becomes PATH.1, whose content goes: twice this is on the disk", ge=65536
    )


class Dnstap(fields.Section):
    """Questions and answers for tools that read dnstap (Frame Streams), over a Unix socket or TCP."""

    socket: fields.Text | None = fields.setting(None, "a Unix socket, relative to this file, that a reader listens on")
    tcp: fields.Listen | None = fields.setting(None, "address and port that a reader listens on")
    sample: fields.Percent = fields.setting("100%", "share of the answers that are sent")

    @pydantic.model_validator(mode="after")
    def _one_reader(self) -> Dnstap:
        if (self.socket is None) == (self.tcp is None):
            raise fields.refuse("bad-dnstap", "dnstap has either `socket` or `tcp`", "socket: /run/dnstap.sock")
        return self


def query_log(written: QueryLog | None, relative: Relative) -> answering.QueryLog | None:
    """Return what a `query_log` section means; None for none."""
    if written is None:
        return None
    path = written.path
    if path != "stdout":
        path = relative(("dns", "query_log"), path)
    return answering.QueryLog(path, written.sample, written.per_second, written.full_addresses, written.max_size)


def dnstap(written: Dnstap | None, relative: Relative) -> answering.Dnstap | None:
    """Return what a `dnstap` section means; None for none."""
    if written is None:
        return None
    path = relative(("dns", "dnstap"), written.socket) if written.socket else ""
    return answering.Dnstap(path, (written.tcp.host, written.tcp.port) if written.tcp else None, written.sample)
