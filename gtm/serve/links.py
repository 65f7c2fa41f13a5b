"""The control process's end: tables and rings go out to the workers, counts and confirmations come back.

    links = links.Links.from_environment(on_counts=..., on_swapped=..., on_supervisor=...)
    bound = await links.open(listen=[("127.0.0.1", 5300)], workers=2, tcp=(1024, 32, 15.0), rate_limit=None)
    links.publish_table(pack.pack_table(table), table.revision)       # revision above bound.revision
    links.ready()

A control process that is restarted finds workers that answer from an earlier one's table: its first revision must be
above `bound.revision`, or they refuse it (semantics G1).
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gtm import errors, table
from gtm.serve import channel, counters, journal, keys, shared, tap
from gtm.wire import pack, unpack

# Rings in a journal may take this much, or as much as the table, before they are merged into one record.
_MERGE_BYTES = 1024 * 1024
_BEAT_S = 1.0  # the supervisor looks for 10 s of silence


@dataclass(frozen=True, slots=True)
class Bound:
    """What the supervisor opened: addresses with their real ports, and the highest revision in use already."""

    listen: tuple[tuple[str, int], ...]
    workers: int
    revision: int
    also: tuple[tuple[str, int, str], ...] = ()  # where DNS is spoken inside of something: `tls`, `proxy`


class _Line:
    """One channel that always wants the newest journal and secrets; one that is full gets them when it has drained."""

    def __init__(self, line: channel.Channel, loop: asyncio.AbstractEventLoop) -> None:
        self.channel = line
        self._loop = loop
        self._unsent: dict[str, int] = {}

    def give(self, kind: str, fd: int) -> None:
        """Send the newest `journal` or `keys`, now or later."""
        waiting = bool(self._unsent)
        self._unsent[kind] = fd
        if not waiting and not self._sent():
            self._loop.add_writer(self.channel.fileno(), self._drained)

    def _sent(self) -> bool:
        while self._unsent:
            kind, fd = next(iter(self._unsent.items()))
            if not self.channel.send(kind, fd=fd):
                return False
            del self._unsent[kind]
        return True

    def _drained(self) -> None:
        if self._sent():
            self._loop.remove_writer(self.channel.fileno())

    def close(self) -> None:
        self._loop.remove_writer(self.channel.fileno())
        self._loop.remove_reader(self.channel.fileno())
        self.channel.close()


class Links:
    """The channels to the supervisor and to all workers. Belongs to one running asyncio loop.

    `on_counts(worker, counts)` is called about once a second and worker; `on_swapped(worker, revision)` when a worker
    answers from a revision, and when one says hello (0: from none yet); `on_supervisor(kind, body)` with `reload`
    (SIGHUP; answer with `ready()` when done, whatever became of it) and `processes`: `{"processes": [{"role", "pid"}],
    "restarts": {"worker": n, "control": n}}`.
    """

    def __init__(
        self,
        supervisor: channel.Channel,
        *,
        on_counts: Callable[[int, counters.Counts], None],
        on_swapped: Callable[[int, int], None],
        on_supervisor: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._supervisor = _Line(supervisor, self._loop)
        self._workers: list[_Line] = []
        self.taps: list[tap.Reader] = []  # what workers let us see of their answers, where we ask for it
        self._on_counts, self._on_swapped, self._on_supervisor = on_counts, on_swapped, on_supervisor
        self._page: shared.Page | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._journal: journal.Writer | None = None
        self._keys = -1
        self._table = b""
        self._rings: list[bytes] = []
        self._revision = self._table_revision = 0
        self._bound: asyncio.Future[Bound] = self._loop.create_future()
        self.on_passed: Callable[[str, bytes, int], None] = _let_go  # `transfer` with a connection, or `knock`
        # What workers pass on of UPDATE; the last argument takes the answer.
        self.on_update: Callable[[str, bytes, Callable[[bytes], object]], None] = lambda kind, body, reply: None
        self.candidates: list[channel.Channel] = []  # workers on trial that this process is to judge

    @classmethod
    def from_environment(
        cls,
        *,
        on_counts: Callable[[int, counters.Counts], None],
        on_swapped: Callable[[int, int], None],
        on_supervisor: Callable[[str, Mapping[str, Any]], None],
    ) -> Links:
        """Return the links of a process that the supervisor started. Raises `GtmError` in any other."""
        fd = os.environ.pop(channel.VARIABLE, "")
        if not fd.isdigit():
            raise errors.GtmError("this process is started by `gtm serve`, not by hand")
        os.set_inheritable(int(fd), False)  # probes of kind exec must not get it
        line = channel.Channel.of_fd(int(fd))
        return cls(line, on_counts=on_counts, on_swapped=on_swapped, on_supervisor=on_supervisor)

    async def open(
        self,
        *,
        listen: Sequence[tuple[str, int]],
        workers: int,
        tcp: tuple[int, int, float] = (1024, 32, 15.0),
        rate_limit: tuple[float, int] | None = None,
        guards: Mapping[str, Any] | None = None,
        also: Sequence[tuple[str, int, str]] = (),
    ) -> Bound:
        """Say what the accepted configuration wants; return what the supervisor opened.

        `tcp` is (connections, of one client, idle seconds), `guards` what `serve.keys` reads, `also` are addresses
        where DNS is spoken inside of something (`sockets.TLS`, `sockets.PROXY`). When the supervisor
        cannot open an address it ends this process. After a restart the sockets are those that were opened first.
        """
        wanted: dict[str, Any] = {"listen": list(listen), "workers": workers, "tcp": tcp, "rate_limit": rate_limit}
        wanted |= {"guards": dict(guards or {}), "also": list(also)}
        self._supervisor.channel.send_json("listen", wanted)
        self._loop.add_reader(self._supervisor.channel.fileno(), self._hear_supervisor)
        return await self._bound

    def publish_keys(self, secret: keys.Keys) -> None:
        """Give every worker, those that start later too, these secrets. Before `open` they have them from the start."""
        old, self._keys = self._keys, keys.write(secret)
        for line in (self._supervisor, *self._workers):
            line.give("keys", self._keys)
        if old >= 0:
            os.close(old)

    def publish_table(self, packed: bytes, revision: int) -> None:
        """Give every worker, those that start later too, this table."""
        self._table, self._rings = packed, []
        self._revision = self._table_revision = revision
        self._renew()

    def publish_rings(self, packed: bytes, revision: int) -> None:
        """Give every worker these rings. Needs a table before."""
        if self._journal is None:
            raise errors.GtmError("rings came before any table")
        self._rings.append(packed)
        self._revision = revision
        self._journal.rings(packed, revision)
        if self._journal.size_bytes - len(self._table) > max(_MERGE_BYTES, len(self._table)):
            self._merge()
            return
        for line in self._workers:
            # A doorbell that does not fit falls behind others that nobody has answered yet: nothing is lost.
            line.channel.send("rings")

    def publish_journal(self, kept: bytes) -> int:
        """Give every worker what an earlier node answered (a copy of its journal); return its revision.

        Raises `TableError` when it is cut off or empty.
        """
        for kind, revision, body in list(journal.records(kept)):
            if kind == journal.TABLE:
                self.publish_table(body, revision)
            else:
                self.publish_rings(body, revision)
        if self._journal is None:
            raise errors.TableError("there is no table in it")
        return self._revision

    def copy(self) -> Callable[[], bytes] | None:
        """Return what reads all that was published (see `journal.Writer.copy`), or None before the first table."""
        return self._journal.copy() if self._journal is not None else None

    def _merge(self) -> None:
        """Begin a new journal with the newest of every ring and entry, so that it never grows without end."""
        newest: dict[int, table.Ring] = {}
        names: dict[bytes, table.Entry | None] = {}
        for packed in self._rings:
            _, rings, entries = unpack.rings(packed)
            newest.update(rings)
            names.update(entries)
        self._rings = [pack.pack_rings(self._revision, newest, names)]
        self._renew()

    def _renew(self) -> None:
        old = self._journal
        # A worker that has this table already skips it by its revision, and takes only the rings behind it.
        self._journal = journal.Writer(self._table, self._table_revision)
        for packed in self._rings:
            self._journal.rings(packed, self._revision)
        for line in (self._supervisor, *self._workers):
            line.give("journal", self._journal.fd)
        if old is not None:
            old.close()

    def answered_by_all(self, revision: int) -> bool:
        """Say whether every worker answers from `revision` or a later one."""
        return self._page is not None and min(self._page.revisions()) >= revision

    def ready(self, *, accepted: bool = True) -> None:
        """Say that what was published last is what should be served; the supervisor tells systemd when it is.

        Not `accepted`: the configuration on disk was refused, and this is served in spite of it.
        """
        self._supervisor.channel.send_json("ready", {"revision": self._revision, "accepted": accepted})

    def tell(self, kind: str, body: Mapping[str, Any]) -> None:
        """Tell the supervisor something of a replacement: `replace`, `verdict`, or why this version is `kept`."""
        self._supervisor.channel.send_json(kind, body)

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._supervisor.channel.send_json("status", {"text": text})

    def _hear_supervisor(self) -> None:
        try:
            while (message := self._supervisor.channel.receive()) is not None:
                self._from_supervisor(message)
        except EOFError:  # it is gone; the kernel is about to end us
            self._loop.remove_reader(self._supervisor.channel.fileno())

    def _from_supervisor(self, message: channel.Message) -> None:
        if message.kind == "worker":
            number, line = len(self._workers), _Line(channel.Channel.of_fd(message.fd), self._loop)
            self._workers.append(line)
            if self._keys >= 0:  # they may have those of a control process before this one
                line.give("keys", self._keys)
            self.taps.append(tap.Reader())
            line.give("tap", self.taps[number].fd)
            self._loop.add_reader(line.channel.fileno(), self._hear_worker, number, line.channel)
        elif message.kind == "candidate":
            self.candidates.append(channel.Channel.of_fd(message.fd))
        elif message.kind == "bound":
            told = message.json()
            self._page = shared.Page(message.fd, int(told["workers"]))
            listen = tuple((str(host), int(port)) for host, port in told["listen"])
            # The page is new in a generation that is to replace another, whose revision is told.
            self._revision = max(*self._page.revisions(), int(told.get("revision", 0)))
            self._beat(self._page)
            also = tuple((str(host), int(port), str(kind)) for host, port, kind in told.get("also", ()))
            self._bound.set_result(Bound(listen, self._page.workers, self._revision, also))
        else:
            self._on_supervisor(message.kind, message.json())

    def _beat(self, page: shared.Page) -> None:
        """Prove to the supervisor that this loop turns."""
        page.beat(page.workers, time.monotonic_ns())
        self._beating = self._loop.call_later(_BEAT_S, self._beat, page)

    def _hear_worker(self, number: int, line: channel.Channel) -> None:
        try:
            while (message := line.receive()) is not None:
                if message.kind == "counts":
                    self._on_counts(number, counters.unpack(message.body))
                    return  # each takes milliseconds: the next comes in the next turn
                if message.kind == "hello":
                    self._workers[number].give("tap", self.taps[number].fd)
                    if self._journal is not None:  # the one that it was started with may be the one before
                        self._workers[number].give("journal", self._journal.fd)
                elif message.kind in {"transfer", "knock"}:
                    self.on_passed(*message)
                elif message.kind in {"update", "update-refused"}:
                    self.on_update(message.kind, message.body, functools.partial(line.send, "updated"))
                elif message.kind == "swapped":
                    self._on_swapped(number, int(message.json()["revision"]))
        except EOFError:
            self._loop.remove_reader(line.fileno())

    def close(self) -> None:
        """Let go of every channel. The workers answer on."""
        if self._beating is not None:
            self._beating.cancel()
        for line in (self._supervisor, *self._workers):
            line.close()
        for one in self.taps:
            one.close()
        if self._journal is not None:
            self._journal.close()
        if self._keys >= 0:
            os.close(self._keys)
            self._keys = -1


def _let_go(kind: str, body: bytes, fd: int) -> None:
    if fd >= 0:
        os.close(fd)
