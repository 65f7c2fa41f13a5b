"""Falls, returns and the share of endpoints alive in, which verdicts are held because we distrust our own eyes out.

Semantics A9. Endpoints without a check are left out of the share: nobody looks at them, so they cannot tell whether
this node is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gtm import model

# After enough endpoints are back, the rest have this many worst-case recoveries to come back too before what is
# measured counts again: cables are plugged in at one moment, but probes come round one after the other.
SETTLE_ROUNDS = 2.0


class Guard:
    """Watches one run of falls. `held` maps checks to the status that they had before the run began.

    `checked` are the endpoints that are looked at at all.
    """

    def __init__(self) -> None:
        self.tripped = False
        self.checked: frozenset[str] = frozenset()
        self._dead: set[str] = set()
        self.held: dict[model.CheckKey, model.Status] = {}
        self.settles_at_s: float | None = None
        self._run: dict[model.CheckKey, model.Status] = {}
        self._last_fall_s = self._run_ends_s = float("-inf")

    def fell(self, key: model.CheckKey, before: model.Status, now: float, gap_s: float) -> None:
        """Note a fall. Falls more than `gap_s` apart are different runs: one cut shows everywhere within that time."""
        if now - self._last_fall_s > gap_s:
            self._run = {}
        self._last_fall_s, self._run_ends_s = now, now + gap_s
        before = self._run.setdefault(key, before)
        if self.tripped:
            self.held.setdefault(key, before)

    def rose(self, key: model.CheckKey) -> None:
        """Note that a check is really up: what is measured counts for it again."""
        self._run.pop(key, None)
        self.held.pop(key, None)

    def forget(self, gone: Iterable[model.CheckKey]) -> None:
        """Drop checks that are no longer configured."""
        for key in gone:
            self.rose(key)

    def watch(self, checked: Iterable[str], alive: Callable[[str], bool]) -> None:
        """Take the endpoints of a configuration."""
        self.checked = frozenset(checked)
        self._dead = {endpoint for endpoint in self.checked if not alive(endpoint)}

    def look(self, endpoints: Iterable[str], alive: Callable[[str], bool]) -> None:
        """See anew whether these endpoints are alive, by what is measured."""
        for endpoint in self.checked.intersection(endpoints):
            (self._dead.discard if alive(endpoint) else self._dead.add)(endpoint)

    @property
    def alive(self) -> int:
        """How many of the endpoints that are looked at are alive."""
        return len(self.checked) - len(self._dead)

    def weigh(self, min_alive: float | None, settle_s: float, now: float) -> None:
        """Trip, begin to settle, or fall back into distrust, by the share of endpoints measured alive."""
        if min_alive is None or not self.checked:
            self.release()
        elif self.alive / len(self.checked) < min_alive:
            self.settles_at_s = None
            if not self.tripped:
                # What fell long before belongs to no cut: it stays as it is measured.
                self.tripped, self.held = True, dict(self._run) if now <= self._run_ends_s else {}
        elif self.tripped and self.settles_at_s is None:
            self.settles_at_s = now + SETTLE_ROUNDS * settle_s

    def release(self) -> None:
        """Trust our own eyes again."""
        self.tripped, self.held, self.settles_at_s, self._run = False, {}, None, {}
