"""One receiver and the outbox in, its letters sent out, one after the other, each tried until it is taken.

Every receiver has a courier of its own, so that one which hangs keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gtm import model, notify, units
from gtm.alerts import outbox, words
from gtm.notify import sender

# So long an attempt may go on when this process ends: most receivers answer in less, and then nothing is sent twice.
GRACE_S = 1.0

log = logging.getLogger("gtm")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: `said` is what came back, or why it failed; `final`: it will always fail."""

    ok: bool
    said: str
    final: bool = False
    took_s: float = 0.0


async def attempt(receiver: model.Receiver, message: words.Message) -> Outcome:
    """Try once, within the receiver's time. Never raises."""
    began_s = time.monotonic()
    trial = sender.Trial(receiver, message, os.environ, time.time())
    try:
        async with asyncio.timeout(receiver.timeout_s):
            said = await notify.SENDERS[receiver.kind].send(trial)
        return Outcome(True, said, took_s=time.monotonic() - began_s)
    except TimeoutError:
        return Outcome(False, f"no answer within {units.show_seconds(receiver.timeout_s)}")
    except sender.NotSent as wrong:
        return Outcome(False, trial.clean(str(wrong)), wrong.final, time.monotonic() - began_s)
    except Exception as wrong:  # whatever it is, the other receivers and the node know nothing of it
        # Its text may hold a secret: its kind and its place are enough to find it.
        where = wrong.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "?"
        log.error("the sender of kind %s failed: %s at %s", receiver.kind, type(wrong).__name__, line)
        return Outcome(False, f"the sender itself failed: {type(wrong).__name__}")


def missing(receiver: model.Receiver, message: words.Message) -> str:
    """Return which of a receiver's secrets cannot be had, or nothing."""
    trial = sender.Trial(receiver, message, os.environ, time.time())
    for option in notify.SENDERS[receiver.kind].kind.options:
        if option.type in {"secret", "url"}:
            try:
                trial.found(option.name)
            except sender.NotSent as wrong:
                return str(wrong)
    return ""


class Courier:
    """Carries one receiver's letters. `now` is alerting's clock; `done(letter, outcome, given_up)` hears each time."""

    def __init__(
        self,
        receiver: model.Receiver,
        letters: outbox.Outbox,
        now: Callable[[], float],
        done: Callable[[words.Letter, Outcome, bool], Awaitable[None]],
    ) -> None:
        self.receiver = receiver
        self.trouble = ""
        self.sent_at = 0.0
        self._letters, self._now, self._done = letters, now, done
        self._news = asyncio.Event()
        self._sending = self._closing = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    def wake(self) -> None:
        """Look whether there is something to carry."""
        self._news.set()

    async def close(self) -> None:
        """Stop, after an attempt that is soon over, else in its midst: what was not taken stays in the outbox."""
        self._closing = True
        if self._sending:
            await asyncio.wait({self._task}, timeout=GRACE_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._letters.release(self.receiver.name)

    async def _run(self) -> None:
        name = self.receiver.name
        while not self._closing:
            self._news.clear()
            letter = self._letters.take(name, self._now())
            if letter is None:
                due = self._letters.due(name)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - self._now()) if due is not None else None):
                        await self._news.wait()
                continue
            self._sending = True
            outcome = await attempt(self.receiver, letter.message)
            given_up = False
            if outcome.ok:
                self._letters.sent(letter)
                self.trouble, self.sent_at = "", self._now()
            else:
                given_up = self._letters.failed(letter, outcome.said, outcome.final, self._now(), random.random)
                self.trouble = outcome.said
            await self._done(letter, outcome, given_up)
            self._sending = False
