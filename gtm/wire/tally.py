"""What was answered, as numbers: plain cells that answering adds to, turned into labelled counts when drained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from gtm import names
from gtm.wire import runtime, steps

Counts = dict[str, dict[tuple[str, ...], int]]

# The types that are counted by name; labels stay few whatever is asked (house section 4.1: bounded cardinality).
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR",
    43: "DS", 48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
_LABELS = {kind.to_bytes(2, "big") + runtime.IN: name for kind, name in TYPES.items()}
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH", 16: "BADVERS",
    23: "BADCOOKIE",
}  # fmt: skip


def _none() -> defaultdict[bytes, int]:
    return defaultdict(int)


class Tally:
    """Everything that one responder counts between two drains.

    `asked` is by transport (`udp` is one of it), then by type and class as they stand in a question; `rcodes` by
    number, `seen_from` by owner and then by number of the place. `subnets` are the questions that told a client subnet.
    """

    def __init__(self) -> None:
        self.udp: defaultdict[bytes, int] = defaultdict(int)
        self.asked = {"udp": self.udp, "tcp": _none(), "tls": _none(), "https": _none()}
        self.rcodes = [0] * 24
        self.dropped: dict[str, int] = {}
        self.truncated = 0
        self.subnets = 0
        self.seen_from: dict[bytes, list[int]] = {}
        self._steered: dict[tuple[bytes, str], int] = {}
        self._answers: dict[str, int] = {}
        self._drawn: dict[tuple[str, str], int] = {}
        self._intended: dict[tuple[str, str], float] = {}
        self._places: dict[tuple[bytes, str], int] = {}

    def drop(self, reason: str) -> None:
        """Count a packet that gets no answer."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def gather(self, turns: Iterable[runtime.Turn]) -> None:
        """Take over what these rings have counted; to be done before a ring changes."""
        steps.finish(self.gathering(turns))

    def gathering(self, turns: Iterable[runtime.Turn]) -> steps.Steps[None]:
        """Do as `gather`, step by step; what is answered meanwhile is counted now or the next time."""
        steered, answers = self._steered, self._answers
        for at, turn in enumerate(turns):
            if not at % steps.ITEMS:
                yield
            if not any(turn.hits):
                continue
            self._weigh(turn)
            for reply, hits in enumerate(turn.hits):
                if hits:
                    turn.hits[reply] = 0
                    for endpoint in turn.endpoints[reply]:
                        answers[endpoint] = answers.get(endpoint, 0) + hits
            # A list, because a name that is asked for the first time may come between two steps.
            for number, (owner, cell) in enumerate(list(turn.cells.items()), 1):
                if cell[0] != cell[1]:
                    key = owner, turn.pool
                    steered[key] = steered.get(key, 0) + cell[0] - cell[1]
                    cell[1] = cell[0]
                if not number % steps.ITEMS:
                    yield

    def _weigh(self, turn: runtime.Turn) -> None:
        """Add what this ring has given of each endpoint, and what it would have given in whole turns."""
        drawn, intended, total = self._drawn, self._intended, sum(turn.hits)
        for hits, share, endpoints in zip(turn.hits, turn.shares, turn.endpoints, strict=True):
            for endpoint in endpoints:
                key = turn.pool, endpoint
                drawn[key] = drawn.get(key, 0) + hits
                intended[key] = intended.get(key, 0.0) + share * total

    def place(self, place_names: Sequence[str]) -> None:
        """Take over what was seen from where; to be done before places get other numbers."""
        steps.finish(self.placing(place_names))

    def placing(self, place_names: Sequence[str]) -> steps.Steps[None]:
        """Do as `place`, step by step."""
        while self.seen_from:
            for _ in range(min(steps.ITEMS, len(self.seen_from))):
                owner, numbers = self.seen_from.popitem()
                for place, number in zip(place_names, numbers, strict=True):
                    if number:
                        self._places[owner, place] = self._places.get((owner, place), 0) + number
            yield

    def labelling(self) -> steps.Steps[Counts]:
        """Return the counts under their labels. What rings hold has to be gathered first, and what was seen placed."""
        steered = yield from _by_text(self._steered)
        places = yield from _by_text(self._places)
        counts: Counts = {
            "queries": {},
            "responses": {(RCODES[rcode],): number for rcode, number in enumerate(self.rcodes) if number},
            "dropped": {(reason,): number for reason, number in self.dropped.items()},
            "steered": steered,
            "answers": {(endpoint,): number for endpoint, number in self._answers.items()},
            "drawn": {key: number for key, number in self._drawn.items() if number},
            # In thousandths: a second of a quiet name is less than one answer of each endpoint.
            "intended": {key: round(1000 * number) for key, number in self._intended.items()},
            "places": places,
            "truncated": {(): self.truncated} if self.truncated else {},
            "subnets": {(): self.subnets} if self.subnets else {},
        }
        for transport, asked in self.asked.items():
            for question, number in asked.items():
                label = transport, _LABELS.get(question, "other")
                counts["queries"][label] = counts["queries"].get(label, 0) + number
        return counts


def _by_text(counted: dict[tuple[bytes, str], int]) -> steps.Steps[dict[tuple[str, ...], int]]:
    """Return what was counted by owner with the owners as text; a hundred thousand of them take a while."""
    found: dict[tuple[str, ...], int] = {}
    for at, ((owner, of), number) in enumerate(counted.items(), 1):
        found[names.text(owner), of] = number
        if not at % steps.ITEMS:
            yield
    return found
