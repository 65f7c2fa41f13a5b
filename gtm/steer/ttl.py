"""The verdicts that could change an answer in, its TTL out (semantics D1)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gtm import seen


def seconds(verdicts: Iterable[seen.Verdict], *, low_s: int, high_s: int, judged: bool = True) -> int:
    """Return the soonest time in which one of `verdicts` could change, in whole seconds from `low_s` to `high_s`.

    With a member in doubt, or before the first round is judged (A1), it is the lower bound. Barred members do not
    count: no probe brings them back.
    """
    soonest_s = float(high_s)
    for verdict in verdicts:
        if verdict.barred:
            continue
        if verdict.in_doubt:
            return low_s
        soonest_s = min(soonest_s, verdict.steps_s)
    return max(low_s, math.floor(soonest_s)) if judged else low_s
