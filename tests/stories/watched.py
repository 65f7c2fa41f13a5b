"""A world with alerting over it: what its node goes through in, the messages that its people would have got out."""

from __future__ import annotations

import itertools
import types
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from gtm import events, model
from gtm.alerts import rules, words
from gtm.app import node as nodes
from gtm.app import sight
from tests.stories.world import World

REVIEW_S = 30  # so often a node's herald holds what it believes against what is seen


class Watched:
    """A world with alerting over it, driven second by second. Without `receivers` those of the configuration are told.

    `at` is the wall clock when the world begins, `said` are all messages so far, each with its receiver.
    """

    def __init__(self, text: str, receivers: Sequence[model.Receiver] = (), *, at: float | None = None) -> None:
        self.world = World(text) if at is None else World(text, wall_s=at)
        self.node: Any = types.SimpleNamespace(
            brain=self.world.brain, book=types.SimpleNamespace(works=True), path="gtm.yaml",
            config_accepted=True, config_trouble="",
            in_force=lambda: self.world.brain.health.in_force(self.world.now),
        )  # fmt: skip
        snapshot = self.world.brain.snapshot
        self.node.snapshot = replace(snapshot, alerts=tuple(receivers) or snapshot.alerts)
        self.said: list[tuple[float, str, words.Message]] = []
        self._ids = map(str, itertools.count(1))
        self.sight = sight.Sight(cast(nodes.Node, self.node), lambda: self.world.now)
        self.rules = self.begun()
        self._heard = 0

    @property
    def now(self) -> float:
        """The wall clock."""
        return self.world.now + self.world.brain.wall_offset_s

    def begun(self) -> rules.Rules:
        """Return alerting as a new process has it."""
        made = rules.Rules(lambda: next(self._ids), lambda receiver, incident: False)
        made.configure(self.node.snapshot, self.sight, {})
        return made

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Let something happen on the node that no brain sees."""
        self.world.log.append(events.Event(self.now, kind, subject, before, after, cause))

    def run(self, for_s: int) -> list[words.Message]:
        """Let seconds pass; return what was said in them."""
        before = len(self.said)
        for _ in range(for_s):
            self.world.run(1)
            for event in self.world.log[self._heard :]:
                self.rules.hear(event, self.now)
            self._heard = len(self.world.log)
            if int(self.now) % REVIEW_S == 0:
                self.rules.review(self.now)
            self.said += [(self.now, receiver, message) for receiver, message in self.rules.wake(self.now)]
        return [message for _, _, message in self.said[before:]]
