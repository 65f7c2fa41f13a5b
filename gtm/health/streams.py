"""The checks of one profile for many names on one node in, whether the node itself has failed out (semantics A12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gtm import model

MIN_STREAMS = 3  # fewer say too little about the node
Node = tuple[str, str, model.Family]  # profile, endpoint, family
Stream = tuple[str, str, model.Family]  # profile, name, family
StatusOf = Callable[[model.CheckKey], model.Status]


class Streams:
    """An index of the checks per name, by node and by stream."""

    def __init__(self, checks: Mapping[model.CheckKey, model.Check]) -> None:
        self._on_node: dict[Node, list[model.CheckKey]] = {}
        self._of_stream: dict[Stream, list[model.CheckKey]] = {}
        self._profiles: dict[tuple[str, model.Family], list[str]] = {}
        for key, check in checks.items():
            if not key.name or check.profile.observe:
                continue
            node = (key.profile, key.endpoint, key.family)
            if node not in self._on_node:
                self._profiles.setdefault((key.endpoint, key.family), []).append(key.profile)
            self._on_node.setdefault(node, []).append(key)
            self._of_stream.setdefault((key.profile, key.name, key.family), []).append(key)

    def failed(
        self,
        endpoint: str,
        family: model.Family,
        status_of: StatusOf,
        excused: Callable[[model.CheckKey], bool],
        lost: dict[Stream, bool],
    ) -> str:
        """Return why the node as a whole has failed (`3 of 5 streams failed on this node`), or nothing.

        More than half of at least three streams must be down. A stream that is down on every node that carries it
        has lost its source and says nothing about one of them (channels go off the air), unless nothing at all
        works on this node; and even then where `excused` says that this node answers, so that it is not to blame.
        `lost` remembers which streams those are, for one sweep over many nodes.
        """
        for profile in self._profiles.get((endpoint, family), ()):
            keys = self._on_node[profile, endpoint, family]
            down = [key for key in keys if status_of(key) == "down" and not excused(key)]
            if len(keys) < MIN_STREAMS or 2 * len(down) <= len(keys):
                continue
            blamed = sum(not self._lost(key, status_of, lost) for key in down)
            if 2 * blamed > len(keys) or len(down) == len(keys):
                return f"{len(down)} of {len(keys)} streams failed on this node"
        return ""

    def companions(self, key: model.CheckKey, status_of: StatusOf) -> Iterable[str]:
        """Yield the other carriers of a stream whose check has just changed, when that may change their judgement.

        It may when this check decides whether the stream is down everywhere.
        """
        carriers = self.carriers(key)
        if len(carriers) > 1 and all(status_of(other) == "down" for other in carriers if other != key):
            yield from (other.endpoint for other in carriers if other != key)

    def carriers(self, key: model.CheckKey) -> Sequence[model.CheckKey]:
        """Return the checks of the same stream on every node that carries it; nothing for a check that has no name."""
        return self._of_stream.get((key.profile, key.name, key.family), ()) if key.name else ()

    def all(self) -> Iterable[Sequence[model.CheckKey]]:
        """Yield the carriers of every stream."""
        yield from self._of_stream.values()

    def _lost(self, key: model.CheckKey, status_of: StatusOf, lost: dict[Stream, bool]) -> bool:
        stream = (key.profile, key.name, key.family)
        if stream not in lost:
            carriers = self._of_stream[stream]
            lost[stream] = len(carriers) > 1 and all(status_of(other) == "down" for other in carriers)
        return lost[stream]
