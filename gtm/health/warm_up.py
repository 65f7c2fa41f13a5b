"""The checks that nobody has judged yet in, whether the node may answer from judged state out (semantics A1)."""

from __future__ import annotations

from collections.abc import Mapping, Set

from gtm import model

LEAST_S, MOST_S = 3.0, 10.0  # one slow probe at least, and at most what a restart may cost


class WarmUp:
    """One bounded round over what is unknown at the start. `until_s` is when it ends at the latest, None when over."""

    def __init__(self) -> None:
        self.until_s: float | None = None
        self._left: set[model.CheckKey] = set()

    def begin(self, unknown: Mapping[model.CheckKey, model.Profile], now: float) -> None:
        """Wait for these checks, no longer than the slowest of them may take."""
        if unknown:
            self._left = set(unknown)
            slowest_s = max(profile.detects_within_s for profile in unknown.values())
            self.until_s = now + min(max(slowest_s, LEAST_S), MOST_S)

    def heard(self, key: model.CheckKey) -> bool:
        """Take note that a check was looked at; say whether that was the last one."""
        self._left.discard(key)
        return self.until_s is not None and not self._left

    def keep(self, keys: Set[model.CheckKey]) -> bool:
        """Wait only for those that are left after a reload; say whether there are none."""
        self._left &= keys
        return self.until_s is not None and not self._left

    def end(self) -> None:
        """Wait for nothing any more."""
        self.until_s, self._left = None, set()

    def over(self, now: float) -> bool:
        """Say whether nothing is waited for, or it was waited long enough."""
        return self.until_s is None or now >= self.until_s
