"""Tables and rings as they are published in, answers to messages that came over HTTPS out, as a worker gives them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping

from gtm import table
from gtm.serve import counters
from gtm.wire import freshness, respond

_Rings = tuple[int, dict[int, table.Ring], dict[bytes, table.Entry | None]]
_COUNTS_S = 1.0  # between two tellings of what was counted: one goes through all rings


class Answerer:
    """One more reader of the table, in the control process. `counted` hears what was asked, about once a second."""

    def __init__(self, counted: Callable[[counters.Counts], None]) -> None:
        self._counted = counted
        self._told_s = 0.0
        self._responder: respond.Responder | None = None
        self._making: asyncio.Task[None] | None = None
        self._wanted: table.AnswerTable | None = None
        # What came while a table was made ready: the newest of every ring and name, as many as the table has.
        self._later: _Rings = 0, {}, {}

    def use(self, whole: table.AnswerTable) -> None:
        """Answer from `whole` as soon as it is made ready, which is done beside the loop."""
        self._wanted, self._later = whole, (0, {}, {})
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make())

    async def _make(self) -> None:
        try:
            while (whole := self._wanted) is not None:
                made = await asyncio.to_thread(respond.Responder, whole, seed=random.getrandbits(56))  # spreads clients
                if self._wanted is whole:
                    self._wanted = None
                    if self._later[0]:
                        made.update(*self._later)
                    self._responder, self._later = made, (0, {}, {})
        finally:
            self._making = None

    def rings(self, revision: int, rings: Mapping[int, table.Ring], entries: table.Changed) -> None:
        """Put rings and single entries in place."""
        if self._wanted is not None:
            _, before, names = self._later
            self._later = revision, {**before, **rings}, {**names, **entries}
        elif self._responder is not None:
            self._responder.update(revision, rings, entries)

    @property
    def is_ready(self) -> bool:
        """Whether there is a table to answer from."""
        return self._responder is not None

    def answer(self, packet: bytes, family: int, address: int) -> tuple[bytes, int] | None:
        """Return the answer and for how many seconds it holds; None for what gets none, or before there is a table."""
        if self._responder is None:
            return None
        reply = self._responder.answer(packet, family, address, "https")
        now_s = time.monotonic()
        if now_s - self._told_s >= _COUNTS_S:
            self._told_s = now_s
            self._counted(self._responder.drain_counts())
        return None if reply is None else (reply, freshness.seconds(reply))
