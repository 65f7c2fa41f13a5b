"""What was answered, as numbers: plain cells that answering adds to, turned into labelled counts when drained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from gtm import names
from gtm.wire import runtime

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
        steered, answers = self._steered, self._answers
        for turn in turns:
            if not any(turn.hits):
                continue
            self._weigh(turn)
            for reply, hits in enumerate(turn.hits):
                if hits:
                    turn.hits[reply] = 0
                    for endpoint in turn.endpoints[reply]:
                        answers[endpoint] = answers.get(endpoint, 0) + hits
            for owner, cell in turn.cells.items():
                if cell[0] != cell[1]:
                    key = owner, turn.pool
                    steered[key] = steered.get(key, 0) + cell[0] - cell[1]
                    cell[1] = cell[0]

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
        for owner, numbers in self.seen_from.items():
            for place, number in zip(place_names, numbers, strict=True):
                if number:
                    self._places[owner, place] = self._places.get((owner, place), 0) + number
        self.seen_from.clear()

    def labelled(self) -> Counts:
        """Return the counts under their labels. What rings hold has to be gathered first, and what was seen placed."""
        counts: Counts = {
            "queries": {},
            "responses": {(RCODES[rcode],): number for rcode, number in enumerate(self.rcodes) if number},
            "dropped": {(reason,): number for reason, number in self.dropped.items()},
            "steered": {(names.text(owner), pool): number for (owner, pool), number in self._steered.items()},
            "answers": {(endpoint,): number for endpoint, number in self._answers.items()},
            "drawn": {key: number for key, number in self._drawn.items() if number},
            # In thousandths: a second of a quiet name is less than one answer of each endpoint.
            "intended": {key: round(1000 * number) for key, number in self._intended.items()},
            "places": {(names.text(owner), place): number for (owner, place), number in self._places.items()},
            "truncated": {(): self.truncated} if self.truncated else {},
            "subnets": {(): self.subnets} if self.subnets else {},
        }
        for transport, asked in self.asked.items():
            for question, number in asked.items():
                label = transport, _LABELS.get(question, "other")
                counts["queries"][label] = counts["queries"].get(label, 0) + number
        return counts
