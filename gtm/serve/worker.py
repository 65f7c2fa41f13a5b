"""One process that answers DNS: packets and the newest journal in, answers and counts out.

It needs nothing but its last table: neither the control process, nor the supervisor's attention, nor a file.
`python -m gtm.serve.worker SETTINGS` is started by the supervisor only; SETTINGS is `Settings` as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gtm import errors
from gtm.serve import (
    channel,
    counters,
    doors,
    handover,
    journal,
    keys,
    making,
    privileges,
    quench,
    shared,
    sockets,
    tap,
    tcp,
    udp,
    updates,
)
from gtm.wire import extras, respond, unpack

_BEAT_S = 0.25  # the supervisor looks for 1.5 s of silence
_COUNTS_S = 1.0
_WHOLE_COLLECTION_S = 60  # of all that lives: cursors of a hundred thousand names take ten milliseconds to walk over
_LAST_BATCHES = 16  # of datagrams, answered before the end
_RETIRED_S = 15.0  # a retired worker's connections have idled out by then (semantics G6)
_COMPLAINTS_A_SECOND = 1  # tracebacks in the log: a flood of bad packets must not become a flood of lines


class Settings(NamedTuple):
    """What a worker is started with; descriptors are inherited. `journal` -1: none yet.

    `sockets` are (UDP descriptor or -1, TCP listener or -1) for each address, `kinds` what is spoken on each.
    `rate_limit` is (responses per second, slip) or None, `guards` what else holds answers back (see `keys`), `keys` the
    memory of secrets or -1. `trial` is -1, or a channel over which test questions come, and at last the word to serve
    (`go`).
    Whoever adds a setting gives it a default: a running supervisor may be older than the worker that it starts.
    """

    worker: int
    workers: int
    channel: int
    page: int
    journal: int
    sockets: list[tuple[int, int]]
    tcp: tuple[int, int, float]
    rate_limit: tuple[float, int] | None
    trial: int = -1
    keys: int = -1
    guards: Mapping[str, Any] | None = None
    kinds: Sequence[str] = ()


class Worker:
    """Everything that one worker has."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._channel = channel.Channel.of_fd(settings.channel)
        self._page = shared.Page(settings.page, settings.workers)
        guards, secret = settings.guards or {}, keys.read(settings.keys)
        self._more = keys.extras_of(guards, secret, self._page, time.time())
        self._guard = keys.guard_of(guards, settings.rate_limit, settings.workers, self._more.jar, making.seed())
        self._judge = channel.Channel.of_fd(settings.trial) if settings.trial >= 0 else None
        self._journal: journal.Reader | None = None
        self._responder: respond.Responder | None = None
        self._counts: counters.Counts = {}
        self._unsent: Iterator[bytes] = iter(())
        self._message: bytes | None = None  # the next to send
        self._complaints = 0
        self._applying: asyncio.Task[None] | None = None
        self._collecting: asyncio.Task[None] | None = None
        self._gathering = asyncio.Lock()
        self._seconds = 0
        self._rung = False
        self._tap = tap.Writer()
        limits = tcp.Limits(*settings.tcp)
        answer = self._tapped(self._answer)
        self._tcp = tcp.Server(answer, self._oops, limits, self._page, settings.worker, drop=self._drop)
        self._doors = doors.Doors(self._tcp, guards, self._drop)
        self._handover = handover.Handover(self._channel)
        self._tcp.hand_over = self._handover.pass_on
        self._updates = updates.Updates(self._channel)
        self._tcp.later = self._updates.pass_on
        self._take_secrets(secret)
        self._listeners: list[asyncio.Server] = []
        self._quench = quench.Quench()
        self._drains: list[tuple[socket.socket, Callable[[], None]]] = []
        self.stopped = asyncio.Event()

    # --- the start and the end ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; answers begin when there is a table. Until then packets wait in the kernel."""
        self._beat()
        self._keep_house()
        self._loop.add_reader(self._channel.fileno(), self._hear)
        if self._settings.journal >= 0:
            self._journal = journal.Reader(self._settings.journal)
        if self._judge is not None:
            self._loop.add_reader(self._judge.fileno(), self._tried, self._judge)
        self._channel.send("hello")
        self._apply()

    async def stop(self) -> None:
        """Answer what waits, then let go of everything."""
        for sock, ready in self._drains:
            self._loop.remove_reader(sock)
            for _ in range(_LAST_BATCHES):
                ready()
        for listener in self._listeners:
            listener.close()
        self._tcp.close()
        await asyncio.sleep(0)  # connections write out what they can in this turn
        if self._collecting is not None:
            await asyncio.wait([self._collecting])
        await self._collect()
        self.stopped.set()

    def _retire(self) -> None:
        """Read no more: another worker reads from these sockets. Connections may end in their own time."""
        for sock, _ in self._drains:
            self._loop.remove_reader(sock)
            sock.close()
        self._drains = []
        self._quench.forget()
        for listener in self._listeners:
            listener.close()
        self._wait_for_connections(self._loop.time() + _RETIRED_S)

    def _wait_for_connections(self, until: float) -> None:
        if len(self._tcp) and self._loop.time() < until:
            self._loop.call_later(_BEAT_S, self._wait_for_connections, until)
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    async def _listen(self) -> None:
        pairs = self._settings.sockets
        for (datagrams, connections), kind in zip(pairs, self._settings.kinds or [""] * len(pairs), strict=True):
            if datagrams >= 0:
                sock = socket.socket(fileno=datagrams)
                sock.setblocking(False)
                if kind != sockets.PROXY:  # there the kernel sees the proxy
                    self._quench.add(sock)
                ready = self._drain(sock, kind)
                self._drains.append((sock, ready))
                self._loop.add_reader(sock, ready)
            if connections >= 0:
                listener = socket.socket(fileno=connections)
                # asyncio's backlog is how many it accepts in one turn, and what it tells the kernel to hold
                made = self._doors.connection(kind)
                more = await self._loop.create_server(made, sock=listener, backlog=tcp.ACCEPTED)
                listener.listen(sockets.BACKLOG)  # which is to hold a burst
                self._listeners.append(more)

    # --- on trial ----------------------------------------------------------------------------------------------

    def _tried(self, judge: channel.Channel) -> None:
        """Answer test questions; serve when told to."""
        try:
            while (message := judge.receive()) is not None:
                if message.kind == "ask":
                    family, address, packet = message.json()
                    reply = self._answer(bytes.fromhex(packet), int(family), int(address), "tcp") or b""
                    judge.send("answer", reply)
                elif message.kind == "go":
                    self._judge = None
                    self._loop.create_task(self._begin(judge)).add_done_callback(asyncio.Task.result)
        except EOFError:  # the trial is over without us; the supervisor will say how
            self._loop.remove_reader(judge.fileno())

    async def _begin(self, judge: channel.Channel) -> None:
        await self._listen()
        judge.send("listening")
        self._loop.remove_reader(judge.fileno())
        judge.close()

    # --- answering ---------------------------------------------------------------------------------------------

    def _answer(self, packet: bytes, family: int, address: int, transport: str) -> bytes | None:
        if self._responder is None:  # sockets are read from only when there is a table
            return None
        return self._responder.answer(packet, family, address, transport)

    def _drain(self, sock: socket.socket, kind: str) -> Callable[[], None]:
        if kind == sockets.PROXY:  # what is asked, and by whom, stands behind the proxy's header
            return udp.drain(sock, self._doors.answering(kind, lambda: self._tapped(self._answering())), self._oops)
        answering = self._doors.answering(kind, self._answering)
        return udp.drain(sock, answering, self._oops, self._tap, self._updates.pass_on)

    def _tapped(self, answer: udp.Answer) -> udp.Answer:
        """Return what answers, and puts what is picked into the tap."""

        def tapped(packet: bytes, family: int, address: int, transport: str) -> bytes | None:
            reply = answer(packet, family, address, transport)
            if self._tap.picks(1):
                self._tap.put(tap.Sample(time.time(), 1, family, address, 0, transport, packet, reply or b""))
            return reply

        return tapped

    def _answering(self) -> udp.Answer:
        """Return what answers datagrams now: the responder itself, or what holds it to its bounds.

        TCP needs none: its askers are who they say.
        """
        if self._responder is None:
            return self._answer
        if not self._guard.is_needed:
            return self._responder.answer
        # One look at the clock for a batch: it takes a millisecond.
        return self._guard.over(self._responder.answer, time.monotonic())

    def _drop(self, reason: str) -> None:
        counters.add(self._counts, {"dropped": {(reason,): 1}})

    def _oops(self, reason: str, error: BaseException) -> None:
        """Count what went wrong with one packet; show the first of a second."""
        self._drop(reason)
        if reason == "internal" and self._complaints < _COMPLAINTS_A_SECOND:
            self._complaints += 1
            traceback.print_exception(error, file=sys.stderr)

    # --- the table ---------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                if message.kind == "journal":
                    if self._journal is not None:
                        self._journal.close()
                    self._journal = journal.Reader(message.fd)
                elif message.kind == "keys":
                    self._take_secrets(keys.read(message.fd))
                    os.close(message.fd)
                elif message.kind == "tap":
                    self._tap.use(message.fd)
                elif message.kind == "updated":
                    self._updates.done(message.body)
                elif message.kind == "retire":
                    self._retire()
        except EOFError:  # nobody holds the other end any more: the supervisor is gone, and so are we soon
            self._loop.remove_reader(self._channel.fileno())
        self._apply()

    def _take_secrets(self, secret: keys.Keys) -> None:
        if self._more.jar is not None:
            self._more.jar.use(keys.secrets(secret, self._page))
        self._doors.take(secret)
        self._handover.take(secret)
        self._more.keyring.use(secret.tsig)
        self._more.keyring.now_s = time.time()
        self._more.updates = self._updates.answer if self._updates.take(secret) else extras.nobody

    def _apply(self) -> None:
        """Read the journal to its end, unless that is under way; then read it again when it is done."""
        self._rung = True
        if self._applying is None and self._journal is not None:
            self._applying = self._loop.create_task(self._read_journal())
            self._applying.add_done_callback(self._applied)

    def _applied(self, task: asyncio.Task[None]) -> None:
        self._applying = None
        if (error := task.exception()) is not None:
            self._oops("internal", error)
        if self._rung:
            self._apply()

    async def _read_journal(self) -> None:
        while self._rung:
            self._rung = False
            while self._journal is not None and (record := self._journal.next()) is not None:
                if record.revision > self._revision:  # semantics G1; also skips what is already in use
                    try:
                        await self._take(record.kind, self._journal.body(record))
                    except errors.TableError as error:  # what there is goes on answering
                        self._oops("internal", error)
            self._page.answers(self._settings.worker, self._revision)
            self._channel.send_json("swapped", {"revision": self._revision})

    @property
    def _revision(self) -> int:
        return self._responder.revision if self._responder is not None else 0

    async def _take(self, kind: int, body: memoryview) -> None:
        if kind == journal.TABLE:
            await self._take_table(body)
        elif self._responder is not None:
            self._responder.update(*unpack.rings(body))
            gc.freeze()

    async def _take_table(self, body: memoryview) -> None:
        """Make a responder for a new table beside the answering, then put it in the place of the old one.

        Both are done in slices, and so is the end of the old one: with 100,000 names it takes half a second, in which
        a question waits for a slice at most. The collector is off (see `main`), so nothing walks the hundred thousand
        new objects; `freeze` keeps them out of every later collection, too.
        """
        new = await making.in_slices(making.responder(body, self._more))
        gc.freeze()
        old, self._responder = self._responder, new
        if old is None:
            if self._judge is None:
                await self._listen()
        else:
            async with self._gathering:
                counters.add(self._counts, await making.in_slices(old.draining()))
            await making.in_slices(old.ending())

    # --- beside the answering ----------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Prove to the supervisor that this loop turns, and close connections that idle."""
        self._loop.call_later(_BEAT_S, self._beat)
        self._page.beat(self._settings.worker, time.monotonic_ns())
        self._tcp.sweep(self._loop.time())
        self._more.idle_s = self._tcp.idle_s()
        if self._more.jar is not None:
            self._more.jar.tick(time.time())
        self._more.keyring.now_s = time.time()

    def _keep_house(self) -> None:
        """Send counts, and collect the little garbage that there is at a time that we choose."""
        self._loop.call_later(_COUNTS_S, self._keep_house)
        self._complaints, self._seconds = 0, self._seconds + 1
        for network in self._quench.look(self._guard.drain_floods(), self._loop.time()):
            print(f"gtm: {quench.text(network)} floods; the kernel drops most of it", file=sys.stderr)
        if self._collecting is None:
            self._collecting = self._loop.create_task(self._collect())
            self._collecting.add_done_callback(self._collected)
        if self._applying is None:  # else it would walk over half a table, which is no garbage
            gc.collect(2 if not self._seconds % _WHOLE_COLLECTION_S else 1)

    def _collected(self, task: asyncio.Task[None]) -> None:
        self._collecting = None
        if (error := task.exception()) is not None:
            self._oops("internal", error)

    async def _collect(self) -> None:
        """Send the counts. What the control process does not take (it may be dead) is kept and grows by addition.

        It is gathered all the same: labels are few, while kinds of question are as many as anybody likes. Of a
        hundred thousand busy names it is much: it is gathered in slices, and one message goes a turn.
        """
        async with self._gathering:  # an old table's are gathered before it is taken apart
            if self._responder is not None:
                counters.add(self._counts, await making.in_slices(self._responder.draining()))
        counters.add(self._counts, self._guard.drain_counts())
        if self._message is None:
            self._unsent, self._counts = counters.pack(self._counts), {}
            self._message = next(self._unsent, None)
        while self._send_counts():  # noqa: ASYNC110 - one message a turn: nothing is waited for
            await asyncio.sleep(0)

    def _send_counts(self) -> bool:
        """Send one message; say whether it went."""
        if self._message is None or not self._channel.send("counts", self._message):
            return False
        self._message = next(self._unsent, None)
        return True


async def _run(settings: Settings) -> None:
    worker = Worker(settings)
    loop = asyncio.get_running_loop()
    endings: list[asyncio.Task[None]] = []
    loop.add_signal_handler(signal.SIGTERM, lambda: endings.append(loop.create_task(worker.stop())))
    worker.start()
    await worker.stopped.wait()


def main() -> None:
    """Run one worker until SIGTERM."""
    told = json.loads(sys.argv[1])
    settings = Settings(**{name: told[name] for name in Settings._fields if name in told})
    privileges.give_up()
    gc.disable()
    gc.freeze()
    asyncio.run(_run(settings))


if __name__ == "__main__":
    main()
