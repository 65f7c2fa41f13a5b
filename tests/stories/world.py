"""A world in a bottle: a configuration and a timed script come in, real DNS answers come out; nobody sleeps.

The brain, the health engine, steering, the compiler and the responder are the real ones. Time is a number, endpoints
are a dictionary, and questions are wire packets that dnspython makes and reads.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
from collections.abc import Iterable

import dns.edns
import dns.flags
import dns.message
import dns.rcode

from gtm import brain, events, model, notify, probes, seen
from gtm.config import load
from gtm.steer import geo
from gtm.wire import pack, records, respond, unpack

WALL_S = 1_700_000_000.0


def read(text: str) -> load.Loaded:
    """Read a configuration, the way a node does."""
    kinds = {name: prober.kind for name, prober in probes.KINDS.items()}
    senders = {name: sender.kind for name, sender in notify.SENDERS.items()}
    return load.load(
        "gtm.yaml", {"gtm.yaml": text}, kinds=kinds, senders=senders, records=records.Reader(), node="ns1",
        store="memory:",
    )  # fmt: skip


class World:
    """One node and its endpoints.

    `sick[endpoint]`, or of (endpoint, name) or (endpoint, family), is why a probe fails; `blind` are endpoints, or
    (endpoint, profile), whose probes cannot run. `dead[(endpoint, name)]` is why a stream is not there on a node that
    answers; `busy[endpoint]`, or of (endpoint, profile), is how an endpoint says that it has too much to do.
    `measured[profile]`, or of (endpoint, profile), is what a probe sees there.
    """

    def __init__(
        self,
        text: str,
        *,
        networks: seen.Networks | None = None,
        geography: Iterable[tuple[int, int, int, dict[str, object]]] | None = None,
        remembered: brain.Remembered | None = None,
        orders: tuple[seen.Override, ...] = (),
        took_s: float = 0.01,
        wall_s: float = WALL_S,
    ) -> None:
        self.now, self.took_s = 1000.0, took_s
        self.sick: dict[object, str] = {}
        self.blind: set[object] = set()
        self.dead: dict[tuple[str, str], str] = {}
        self.busy: dict[object, str] = {}
        self.measured: dict[object, dict[str, model.Value]] = {}
        self.log: list[events.Event] = []
        self.kept: dict[model.CheckKey, seen.Known] = {}  # as a store would hold it
        self.probed: list[tuple[float, str]] = []
        self._results: list[tuple[float, int, seen.ProbeResult]] = []
        self._tick = itertools.count()
        self._dice = itertools.cycle((0.1, 0.5, 0.9, 0.3, 0.7))
        self.brain = brain.Brain("ns1", dice=lambda: next(self._dice), remembered=remembered)
        self.brain.wall_offset_s = wall_s - 1000.0
        self.responder: respond.Responder | None = None
        if orders:
            self.order(*orders)
        self.reload(text, networks=networks, geography=geography)

    def reload(
        self,
        text: str,
        *,
        networks: seen.Networks | None = None,
        geography: Iterable[tuple[int, int, int, dict[str, object]]] | None = None,
    ) -> None:
        """Load a configuration, the way a node does."""
        loaded = read(text)
        assert loaded.snapshot is not None, loaded.problems
        if geography is not None:
            networks = geo.networks([geography], geo.interest(loaded.snapshot))
        self.brain.feed(events.ConfigCame(loaded.snapshot, networks or seen.Networks()), self.now)
        self._carry_out()

    def order(self, *orders: seen.Override, released: tuple[str, ...] = ()) -> None:
        """Put these orders, and no others, in force."""
        self.brain.feed(events.StoreChanged(orders, released), self.now)
        self._carry_out()

    def challenge(self, *challenges: tuple[str, str]) -> None:
        """Have these names and texts answered, and no others."""
        self.brain.feed(events.ChallengesCame(tuple(seen.Challenge(*one) for one in challenges)), self.now)
        self._carry_out()

    def run(self, for_s: float) -> None:
        """Let `for_s` seconds pass."""
        end = self.now + for_s
        while True:
            wake = self.brain.wake_at()
            due = min(self._results[0][0] if self._results else end + 1, wake if wake is not None else end + 1)
            if due > end:
                break
            self.now = max(self.now, due)
            while self._results and self._results[0][0] <= self.now:
                self.brain.feed(events.ProbeCame(heapq.heappop(self._results)[2]), self.now)
            self.brain.wake(self.now)
            self._carry_out()
        self.now = end

    def _carry_out(self) -> None:
        for effect in self.brain.effects():
            match effect:
                case events.RunProbe(check):
                    self.probed.append((self.now, str(check.key)))
                    heapq.heappush(self._results, (self.now + self.took_s, next(self._tick), self._look(check.key)))
                case events.SwapTable(table):
                    table = unpack.whole(pack.pack_table(table))
                    if self.responder is None:
                        self.responder = respond.Responder(table, seed=1)
                    else:
                        self.responder.swap(table)
                case events.SwapRings(revision, rings, _, entries):
                    assert self.responder is not None
                    assert self.responder.update(*unpack.rings(pack.pack_rings(revision, rings, entries)))
                case events.Emit(event):
                    self.log.append(event)
                case events.Remember(states):
                    self.kept |= states

    def _look(self, key: model.CheckKey) -> seen.ProbeResult:
        at = self.now + self.took_s
        if key.endpoint in self.blind or (key.endpoint, key.profile) in self.blind:
            return seen.ProbeResult(key, "ns1", at, None, "no socket")
        for who in (key.endpoint, (key.endpoint, key.name), (key.endpoint, key.family)):
            if who in self.sick:
                return seen.ProbeResult(key, "ns1", at, False, self.sick[who])
        if (key.endpoint, key.name) in self.dead:
            return seen.ProbeResult(key, "ns1", at, False, self.dead[key.endpoint, key.name], reached=True)
        busy = self.busy.get((key.endpoint, key.profile), "") or self.busy.get(key.endpoint, "")
        measures = {"status": 200, **self.measured.get(key.profile, {})}
        measures |= self.measured.get((key.endpoint, key.profile), {})
        return seen.ProbeResult(key, "ns1", at, True, "", 1.0, measures, overloaded=busy, reached=True)

    def message(
        self, name: str, rtype: str = "A", *, subnet: str = "", client: str = "192.0.2.53", transport: str = "udp"
    ) -> dns.message.Message:
        """Ask the node as a resolver at `client` would, and return its whole answer."""
        options: list[dns.edns.Option] = []
        if subnet:
            network = ipaddress.ip_network(subnet)
            options.append(dns.edns.ECSOption(str(network.network_address), network.prefixlen))
        query = dns.message.make_query(name, rtype, use_edns=0, payload=1232, options=options)
        address = ipaddress.ip_address(client)
        assert self.responder is not None
        wire = self.responder.answer(query.to_wire(), address.version, int(address), transport)
        assert wire is not None
        answer = dns.message.from_wire(wire)
        assert answer.id == query.id
        return answer

    def ask(self, name: str, rtype: str = "A", **place: str) -> list[str]:
        """Return the rdata texts of one answer, in order."""
        answer = self.message(name, rtype, **place)
        return [rdata.to_text() for rrset in answer.answer for rdata in rrset]

    def ever(self, name: str, rtype: str = "A", times: int = 40, **place: str) -> set[str]:
        """Return everything that `times` answers in a row hold."""
        return {text for _ in range(times) for text in self.ask(name, rtype, **place)}

    def ttl(self, name: str, rtype: str = "A", **place: str) -> int:
        """Return the TTL of an answer's first record set."""
        return self.message(name, rtype, **place).answer[0].ttl

    def said(self, kind: str, subject: str = "") -> list[tuple[str, str]]:
        """Return (before, after) of the events of a kind, in order."""
        return [(one.before, one.after) for one in self.log if one.kind == kind and subject in ("", one.subject)]
