"""Two scrapes of a node in, how late its probes left between them out."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_BUCKET = re.compile(r'^gtm_probe_late_seconds_bucket{le="([^"]+)"} (\S+)$', re.MULTILINE)


class Late(NamedTuple):
    """How many probes left, and within how many milliseconds 99 of 100 and all of them did (bounds of buckets)."""

    probes: int
    most_of_them_ms: float
    all_ms: float

    def text(self) -> str:
        """Return this in words."""
        return f"{self.probes:,} probes, p99 within {self.most_of_them_ms:g} ms, all within {self.all_ms:g} ms"


def between(before: str, after: str) -> Late:
    """Return what two scrapes tell, `before` the earlier one."""
    old = dict(_BUCKET.findall(before))
    counts = [(float(le), float(count) - float(old.get(le, 0))) for le, count in _BUCKET.findall(after)]
    probes = counts[-1][1] if counts else 0.0
    if not probes:
        return Late(0, math.inf, math.inf)
    within = [next(le for le, count in counts if count >= share * probes) * 1000 for share in (0.99, 1.0)]
    return Late(int(probes), *within)
