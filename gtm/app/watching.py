"""Samples of the workers' answers in; analytics, lines of the query log and dnstap frames out.

Workers put one of so many answers into shared memory; how many, is decided here once a second, by what is wanted and
how much is asked. However much comes, this takes a bounded part of the control process's time: what is too much is lost
there, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import Callable, Sequence

from gtm import __version__, brain, model, seen, view
from gtm.app import analytics, geography, querylog
from gtm.serve import stream, tap
from gtm.wire import dnstap, limit, report

LOOK_S, AIM_S = 0.1, 1.0
ENOUGH_A_SECOND = 50  # samples of one worker, for analytics: 180,000 an hour
# As long as analytics alone wants samples, so many bytes of them (about fifty) may wait between two looks: what comes
# all of a sudden is not looked at one by one for a second, until it is known how much that is.
ENOUGH_BYTES = 8192
# Taken at a time (about a millisecond); then there is a rest of so many times as long: a fifth of one core is the most
# that this takes, and a probe waits a millisecond for it at worst.
MOST_A_TURN, REST = 50, 4
MOST_KNOWN = 10_000  # names and networks of which it is remembered what was found

_HEAD_OF_FAMILY = {4: 4, 6: 16}


class _Thinner:
    """Lets a share of what comes through, evenly."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._due = 0.0

    def passes(self, every: int) -> bool:
        """Say whether the next sample, which stands for `every` answers, is one of this share of all answers."""
        self._due = min(self._due + every * self.share, 2.0)
        if self._due < 1.0:
            return False
        self._due -= 1.0
        return True


class _Eye:
    """One worker's tap, how many samples it gave since the last aim, and which part of them analytics takes."""

    def __init__(self, of: tap.Reader) -> None:
        self.tap = of
        self.seen = 0
        self.enough = _Thinner(1.0)


class Watching:
    """The reading end of every worker's tap. `lost` and `taken` count samples."""

    def __init__(self, into: analytics.Analytics, happened: analytics.Happened) -> None:
        self.taken = self.lost = 0
        self.log: querylog.Writer | None = None
        self.sender: stream.Sender | None = None
        self._into, self._happened = into, happened
        self._eyes: list[_Eye] = []
        self._node, self._wanted = "", model.DnsSettings()
        self._brain: brain.Brain | None = None
        self._atlas = geography.Atlas()
        self._policies: dict[str, int | None] = {}
        self._policies_of = ""
        self._located: dict[str, seen.Location] = {}
        self._at_work = False
        self._over = asyncio.Event()

    # --- what is wanted --------------------------------------------------------------------------------------------

    async def configure(self, snapshot: model.Snapshot, mind: brain.Brain, atlas: geography.Atlas) -> None:
        """Take a configuration that is in force now; connections that it leaves as they were go on."""
        self._node, self._wanted, self._brain, self._atlas = snapshot.node, snapshot.dns, mind, atlas
        self._located = {}
        if self._at_work:
            await self._open()

    async def _open(self) -> None:
        to_log, to_tap = self._wanted.query_log, self._wanted.dnstap
        if self.log is not None and self.log.to != to_log:
            await asyncio.to_thread(self.log.close)
            self.log = None
        if self.log is None and to_log is not None:
            self.log, self._log_share = querylog.Writer(to_log, self._from_thread("query log")), _Thinner(to_log.sample)
        if self.sender is not None and self.sender.to != to_tap:
            await self.sender.close()
            self.sender = None
        if self.sender is None and to_tap is not None:
            self.sender = stream.Sender(to_tap, lambda *words: self._happened("node", "dnstap", *words))
            self._tap_share = _Thinner(to_tap.sample)
            self._head = dnstap.head(self._node.encode(), f"GTM {__version__}".encode())

    def _from_thread(self, subject: str) -> Callable[[str, str, str], None]:
        loop = asyncio.get_running_loop()

        def said(before: str, after: str, cause: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._happened, "node", subject, before, after, cause)

        return said

    async def run(self, taps: Sequence[tap.Reader]) -> None:
        """Look at the taps (there may come to be more), again and again, until `close`."""
        self._at_work, aimed_s = True, time.monotonic()
        await self._open()
        while not self._over.is_set():
            self._eyes += [_Eye(one) for one in taps[len(self._eyes) :]]
            await self._look(aimed_s + AIM_S)
            now_s = time.monotonic()
            if now_s - aimed_s >= AIM_S:
                for eye in self._eyes:
                    self._aim(eye, now_s - aimed_s)
                aimed_s = now_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._over.wait()

    async def close(self) -> None:
        """End, with everything that was opened."""
        self._over.set()
        for eye in self._eyes:
            eye.tap.want(0)
        if self.log is not None:
            await asyncio.to_thread(self.log.close)
        if self.sender is not None:
            await self.sender.close()

    def _aim(self, eye: _Eye, passed_s: float) -> None:
        """Choose which part of a worker's answers to sample, by how many there were since the last time."""
        lost = eye.tap.lost()
        answers_a_second = (eye.seen + lost) / passed_s * max(1, eye.tap.every)
        self.lost, eye.seen = self.lost + lost, 0
        steps = [next((step for step in tap.EVERY if answers_a_second / step <= ENOUGH_A_SECOND), tap.EVERY[-1])]
        eye.enough.share = 1.0 / steps[0]
        if self.log is not None:
            steps.append(tap.every(self.log.to.sample))
        if self.sender is not None:
            steps.append(tap.every(self.sender.to.sample))
        eye.tap.want(min(step for step in steps if step), ENOUGH_BYTES if len(steps) == 1 else tap.RING_BYTES)

    # --- one sample ------------------------------------------------------------------------------------------------

    async def _look(self, until_s: float) -> None:
        """Take what is there, one turn of each worker after the other, with pauses, until `until_s` at the latest."""
        if self._brain is not None and self._brain.growing:
            return  # who answered what is known when the new configuration is decided; samples can wait for that
        more = True
        while more and not self._over.is_set() and time.monotonic() < until_s:
            more = False
            for eye in self._eyes:
                began_s, count = time.monotonic(), 0
                for sample in eye.tap.read(MOST_A_TURN):
                    self._take(sample, eye.enough)
                    count += 1
                eye.seen += count
                self.taken += count
                if count == MOST_A_TURN:
                    more = True
                    await asyncio.sleep(REST * (time.monotonic() - began_s))

    def _take(self, sample: tap.Sample, enough: _Thinner) -> None:
        if self.sender is not None and self._tap_share.passes(sample.every):
            self.sender.offer(
                dnstap.frames(
                    self._head, sample.at, sample.family, sample.address, sample.port, sample.transport,
                    sample.question, sample.answer,
                )
            )  # fmt: skip
        counts = enough.passes(sample.every)
        logs = self.log is not None and self._log_share.passes(sample.every) and self.log.wants(sample.at)
        if not counts and not logs:
            return
        found = report.read(sample.question, sample.answer)
        index = self._policy(found.name)
        if counts:
            weight = max(float(sample.every), 1.0 / enough.share)
            self._into.sampled(sample, weight, found, index is not None, self.locate)
        if logs and self.log is not None:
            self.log.offer(self._line(sample, found, index, whole=self.log.to.full_addresses))

    def _policy(self, name: str) -> int | None:
        if self._brain is None or not name:
            return None
        if self._brain.snapshot.digest != self._policies_of:
            self._policies, self._policies_of = {}, self._brain.snapshot.digest
        if name not in self._policies:
            if len(self._policies) >= MOST_KNOWN:
                self._policies.clear()
            self._policies[name] = view.steered(self._brain, name)
        return self._policies[name]

    def locate(self, client: str) -> seen.Location:
        """Return where an address or prefix is."""
        if client not in self._located:
            if len(self._located) >= MOST_KNOWN:
                self._located.clear()
            self._located[client] = self._atlas.location(client)
        return self._located[client]

    def _line(self, sample: tap.Sample, found: report.Report, index: int | None, *, whole: bool) -> bytes:
        bits = (32 if sample.family == 4 else 128) if whole else limit.PREFIX_BITS[sample.family]
        line = {
            "at": round(sample.at, 6), "node": self._node, "transport": sample.transport,
            "client": _cut(sample.family, sample.address, bits, 128), "ecs": None,
            "name": found.name, "type": found.type, "rcode": found.rcode or None, "ttl": found.ttl_s,
            "answers": list(found.values), "truncated": found.truncated,
            "pool": None, "endpoints": [], "rung": None, "rule": None, "one_of": sample.every,
        }  # fmt: skip
        if found.subnet is not None:
            family, network, source = found.subnet
            line["ecs"] = _cut(family, network, source, 128 if whole else limit.PREFIX_BITS[family])
        decided = self._decided(sample, found, index)
        if decided is not None:
            decision, endpoints = decided
            line |= {
                "pool": decision.pool, "endpoints": endpoints, "rung": decision.rung, "rule": decision.rule or None
            }  # fmt: skip
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    def _decided(
        self, sample: tap.Sample, found: report.Report, index: int | None
    ) -> tuple[seen.Decision, list[str]] | None:
        """Return by which decision this was answered, and who is in it; None when it is in force no more."""
        if index is None or self._brain is None:
            return None
        family, network, bits = found.subnet or (sample.family, sample.address, 8 * _HEAD_OF_FAMILY[sample.family])
        client = ipaddress.ip_network((network.to_bytes(_HEAD_OF_FAMILY[family], "big"), bits), strict=False)
        decision = view.decision(self._brain, index, found.type, client)
        for reply in decision.replies:
            if sorted(one.value for one in reply) == sorted(found.values):
                return decision, [one.endpoint for one in reply if one.endpoint]
        return (decision, []) if not found.values and not decision.replies else None


def _cut(family: int, address: int, bits: int, most: int) -> str:
    bits = min(bits, most)
    dropped = 8 * _HEAD_OF_FAMILY[family] - bits
    return analytics.shown(family, address >> dropped << dropped, bits)
