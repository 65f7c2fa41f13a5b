"""Requests that were refused at the door to orders in, few enough events out: an attacker must not fill the history."""

from __future__ import annotations

from gtm.web import node

EVERY_S = 60.0  # one event a minute for an address and reason says all that there is to say
MOST = 32  # addresses and reasons told apart at a time; the others are counted together
OTHERS = "other addresses"


class Audit:
    """Writes one event for the first refusal of an address and reason, then one a minute with how many there were."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[float, int]] = {}  # when it was last said, and how many since then

    def denied(self, of: node.WebNode, address: str, code: str, what: str, now_s: float) -> None:
        """Take note of one refusal. `now_s` is the monotonic clock."""
        key = (address, code)
        if key not in self._since and len(self._since) >= MOST:
            self._forget(now_s)
            if len(self._since) >= MOST:
                key = (OTHERS, "denied")
        said_s, untold = self._since.get(key, (-EVERY_S, 0))
        if now_s < said_s + EVERY_S:
            self._since[key] = (said_s, untold + 1)
            return
        more = f", and {untold} times more before" if untold else ""
        self._since[key] = (now_s, 0)
        of.denied(key[0], f"{key[1]}: {what}{more}")

    def _forget(self, now_s: float) -> None:
        self._since = {key: one for key, one in self._since.items() if now_s < one[0] + 2 * EVERY_S}
