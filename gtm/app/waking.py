"""Times to wake at in, a call at the first of them with how late it is out: one timer, which is never put off.

On a busy loop results come in every turn. If each set the timer anew, it would stand behind them until there is a turn
without any; what is due meanwhile would leave all at once, and so again after each interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Waking:
    """Calls `wake` with the seconds that it is late. Times are those of the loop."""

    def __init__(self, wake: Callable[[float], None]) -> None:
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None

    def by(self, at: float) -> None:
        """Wake at this time, or sooner where that was asked for before."""
        if self._timer is None or self._timer.when() > at:
            self.anew(at)

    def anew(self, at: float) -> None:
        """Wake at this time, whatever was asked for before."""
        self.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._ring, at)

    def cancel(self) -> None:
        """Wake no more, until asked again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, at: float) -> None:
        self._timer = None
        self._wake(asyncio.get_running_loop().time() - at)
