"""Degrees or a place in words in, a point on the page's world map out.

The map is drawn by `tools/world_map.mjs` in the same projection: Natural Earth I (Tom Patterson, 2011), in the
polynomial form of Bojan Šavrič and others, which is also d3-geo's. If one of the two changes, so must the other.
"""

from __future__ import annotations

import math

from gtm import places

SCALE, MIDDLE = 180.0, (500.0, 262.0)
# Where answers go of which only the continent is known: where its people are rather than its mountains.
CONTINENTS = {
    "AF": (5.0, 20.0),
    "AN": (-75.0, 0.0),
    "AS": (30.0, 95.0),
    "EU": (50.0, 12.0),
    "NA": (40.0, -97.0),
    "OC": (-26.0, 136.0),
    "SA": (-14.0, -56.0),
}


def point(lat: float, lon: float) -> tuple[float, float]:
    """Return x and y in units of the map's view box, for degrees."""
    phi, lam = math.radians(lat), math.radians(lon)
    p2 = phi * phi
    p4 = p2 * p2
    x = lam * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4)))
    y = phi * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)))
    return round(MIDDLE[0] + SCALE * x, 1), round(MIDDLE[1] - SCALE * y, 1)


def of_place(place: str) -> tuple[float, float] | None:
    """Return the point of `EU`, `EU-DE` or `NA-US-CA` (the country's), or None when there is no such place."""
    continent, _, rest = place.partition("-")
    country = rest.partition("-")[0]
    if country in places.COUNTRIES:
        return point(*places.COUNTRIES[country][1:])
    return point(*CONTINENTS[continent]) if continent in CONTINENTS else None
