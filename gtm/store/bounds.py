"""How much every store keeps, whatever it is made of."""

from __future__ import annotations

MAX_EVENTS = 100_000  # some 30 MB on disk: months of a calm node, days of a flapping one
MAX_EVENT_AGE_S = 90 * 86400.0
MAX_HEALTH_AGE_S = 86400.0  # semantics A1 reads five minutes; the rest only spares checks that were removed
