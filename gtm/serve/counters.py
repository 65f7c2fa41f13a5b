"""Plain numbers that grow while answering in, deltas in messages of bounded size out.

Counts have the shape of `Responder.drain_counts()`: {counter: {labels: number}}.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping

Counts = dict[str, dict[tuple[str, ...], int]]

# One message costs the answering loop about a millisecond; a node with very many busy names sends several.
ENTRIES_A_MESSAGE = 1000


def add(total: Counts, more: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
    """Add `more` to `total`."""
    for counter, values in more.items():
        if counter not in total:  # as it is nearly always: a copy takes no time
            total[counter] = dict(values)
            continue
        into = total[counter]
        for labels, number in values.items():
            into[labels] = into.get(labels, 0) + number


def pack(counts: Counts) -> Iterator[bytes]:
    """Yield messages that together hold all of `counts`; none for nothing."""
    rows = ((counter, *labels, number) for counter, values in counts.items() for labels, number in values.items())
    while some := list(itertools.islice(rows, ENTRIES_A_MESSAGE)):
        yield json.dumps(some, separators=(",", ":")).encode()


def unpack(message: bytes) -> Counts:
    """Return the counts in one message. (JSON, because a worker faces strangers and its words are taken with care.)"""
    counts: Counts = {}
    for counter, *labels, number in json.loads(message):
        counts.setdefault(str(counter), {})[tuple(str(label) for label in labels)] = int(number)
    return counts
