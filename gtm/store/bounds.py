"""How much every store keeps, whatever it is made of."""

from __future__ import annotations

MAX_EVENTS = 100_000  # some 30 MB on disk: months of a calm node, days of a flapping one
MAX_EVENT_AGE_S = 90 * 86400.0
# Orders that have run out stay for as long as events do, for it may be the clock that is wrong, but no more in all than
# this: twice as many as may be in force.
MAX_ORDERS = 2000
MAX_HEALTH_AGE_S = 86400.0  # semantics A1 reads five minutes; the rest only spares checks that were removed
# How long measurements are kept, by the length of their periods: plots of a day and of a month. A dozen divisions of at
# most 200 names make a hundred megabytes of the busiest node, and two of a small one.
MAX_MEASURED_AGE_S = {60: 86400.0, 600: 31 * 86400.0}

MAX_AHEAD_S = 86400.0  # what is of a later day than tomorrow comes from a clock that was wrong
