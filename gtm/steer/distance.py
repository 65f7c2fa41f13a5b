"""Where clients and sites are in, the sites of a `nearest` pool in bands of like distance out (semantics B8)."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

from gtm import model, places, seen

EARTH_KM = 6371.0  # mean radius
EQUAL_SHARE = 1.1  # semantics B8: within 10 % of the nearest counts as equal
# Databases know a city at best, and coordinates are kept on a half-degree grid (39 km off at most): sites that are
# all this near are equal.
EQUAL_KM = 50.0
# The most orders of sites that one rule tells apart. Each costs three rings at every change of health.
MAX_ORDERS = 128
# How orders are made fewer when there are more: first all bands by the client's own distance, then only the first
# few (sites behind them in order of distance from the nearest site), then clients on a coarser grid, in degrees.
_WAYS: tuple[tuple[int, float], ...] = (
    (1000, 0), (3, 0), (2, 0), (1, 0), (1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (1, 32),
)  # fmt: skip

Bands = tuple[tuple[str, ...], ...]
Point = tuple[float, float]
Orders = tuple[tuple[str, Bands], ...]  # pool and its bands


def km(a: Point, b: Point) -> float:
    """Return the great-circle distance of two points (latitude, longitude in degrees), by the haversine formula."""
    lat_a, lat_b = math.radians(a[0]), math.radians(b[0])
    half_lat = math.sin((lat_b - lat_a) / 2) ** 2
    half_lon = math.sin(math.radians(b[1] - a[1]) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half_lat + math.cos(lat_a) * math.cos(lat_b) * half_lon)))


def point(site: model.Site | None) -> Point | None:
    """Return where a site is: its coordinates, else the middle of the country that `at` names, else None."""
    if site is None:
        return None
    if site.lat is not None and site.lon is not None:
        return site.lat, site.lon
    country = places.COUNTRIES.get(site.at.split("-")[1]) if "-" in site.at else None
    return country[1:] if country else None


class SiteMap:
    """The sites of one `nearest` pool."""

    def __init__(
        self, pool: model.Pool, endpoints: Mapping[str, model.Endpoint], sites: Mapping[str, model.Site]
    ) -> None:
        names = dict.fromkeys(endpoints[member.endpoint].site for member in pool.members)
        located = {name: point(sites.get(name)) for name in names}
        self.pool = pool.name
        self._points = {name: at for name, at in located.items() if at is not None}
        self._lost = tuple(name for name, at in located.items() if at is None)
        self._by_distance = functools.cache(self._measure)
        self.bands = functools.cache(self._bands)

    @property
    def matters(self) -> bool:
        """Whether a client's place can make a difference at all."""
        return bool(self._points) and len(self._points) + len(self._lost) > 1

    def _bands(self, client: Point, depth: int) -> Bands:
        """Return all sites in bands, nearest first, those without a known place last.

        Only the first `depth` bands are by the client's own distance, the rest by that of the nearest site.
        """
        left = list(self._by_distance(client))
        nearest = left[0][1]
        out: list[tuple[str, ...]] = []
        while left:
            if len(out) == depth:
                behind = {name for _, name in left}
                left = [one for one in self._by_distance(self._points[nearest]) if one[1] in behind]
            reach_km = max(left[0][0] * EQUAL_SHARE, EQUAL_KM)
            out.append(tuple(sorted(name for far_km, name in left if far_km <= reach_km)))
            left = [one for one in left if one[0] > reach_km]
        return (*out, self._lost) if self._lost else tuple(out)

    def _measure(self, client: Point) -> tuple[tuple[float, str], ...]:
        return tuple(sorted((km(client, at), name) for name, at in self._points.items()))


class Sight:
    """What the `nearest` pools of one rule look like from each place; at most `MAX_ORDERS` different sights."""

    def __init__(self, maps: Sequence[SiteMap], clients: Sequence[seen.Location]) -> None:
        self._maps = maps
        for depth, grid in _WAYS if maps else _WAYS[:1]:
            self._depth, self._grid = depth, grid
            self.orders = functools.cache(self._orders)
            if self._few(clients):
                break

    def _few(self, clients: Sequence[seen.Location]) -> bool:
        """Say whether these clients see at most `MAX_ORDERS` different orders."""
        different = set()
        for one in clients:
            different.add(self.orders(one.lat, one.lon))
            if len(different) > MAX_ORDERS:
                return False
        return True

    def _orders(self, lat: float | None, lon: float | None) -> Orders:
        """Return each pool's bands as seen from coordinates; none when they are unknown (falls back to weighted)."""
        if lat is None or lon is None:
            return ()
        client = (lat, lon) if not self._grid else (_snap(lat, self._grid), _snap(lon, self._grid))
        return tuple((one.pool, one.bands(client, self._depth)) for one in self._maps)


def _snap(degrees: float, grid: float) -> float:
    return round(degrees / grid) * grid
