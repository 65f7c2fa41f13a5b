"""Distances and the bands of a `nearest` pool (semantics B8)."""

from __future__ import annotations

import random

import pytest

from gtm import model, places, seen
from gtm.steer import distance
from tests.steer import world

FRANKFURT, NEW_YORK, SYDNEY = (50.11, 8.68), (40.71, -74.01), (-33.87, 151.21)


def site_map(**sites: model.Site) -> distance.SiteMap:
    w = world.World()
    for name, site in sites.items():
        w.sites[name] = site
        w.endpoint(f"e-{name}", site=name)
    return distance.SiteMap(w.pool("p", " ".join(w.endpoints)), w.endpoints, w.sites)


def sites_at(*points: distance.Point) -> distance.SiteMap:
    return site_map(**{f"s{i}": model.Site(f"s{i}", lat=at[0], lon=at[1]) for i, at in enumerate(points)})


@pytest.mark.parametrize(
    ("a", "b", "wanted_km"),
    [
        (FRANKFURT, NEW_YORK, 6203), (NEW_YORK, SYDNEY, 15989), (FRANKFURT, FRANKFURT, 0), ((0, 179), (0, -179), 222),
        ((90, 0), (-90, 0), 20015),
    ],
)  # fmt: skip
def test_B8_distances_are_great_circles(a: distance.Point, b: distance.Point, wanted_km: float) -> None:
    assert distance.km(a, b) == pytest.approx(wanted_km, rel=0.002, abs=0.5)
    assert distance.km(a, b) == pytest.approx(distance.km(b, a))


def test_B8_sites_within_10_percent_of_the_nearest_count_as_equal() -> None:
    one = sites_at((0, 10), (0, -10.9), (0, 11.1), (0, 30))
    assert one.bands((0, 0), 9) == (("s0", "s1"), ("s2",), ("s3",))


def test_sites_in_reach_of_a_database_s_error_are_equal() -> None:
    one = sites_at((50.0, 8.0), (50.3, 8.0), (53.0, 8.0))
    assert one.bands((50.05, 8.0), 9) == (("s0", "s1"), ("s2",))


def test_sites_without_coordinates_stand_in_their_country_and_without_a_country_last() -> None:
    one = site_map(
        us=model.Site("us", at="NA-US-NY"),
        de=model.Site("de", at="EU-DE"),
        lost=model.Site("lost"),
        eu=model.Site("eu", at="EU"),
    )
    assert one.bands(FRANKFURT, 9) == (("de",), ("us",), ("lost", "eu"))


def test_a_place_matters_only_where_sites_differ_and_one_is_known() -> None:
    assert sites_at(FRANKFURT, NEW_YORK).matters
    assert site_map(a=model.Site("a", lat=1, lon=1), b=model.Site("b")).matters
    assert not sites_at(FRANKFURT).matters
    assert not site_map(a=model.Site("a"), b=model.Site("b")).matters


def test_bands_behind_the_depth_follow_the_nearest_site() -> None:
    one = sites_at((0, 0), (0, -20), (0, 16), (0, 60))
    client = (0.0, -5.0)
    assert one.bands(client, 9) == (("s0",), ("s1",), ("s2",), ("s3",))
    assert one.bands(client, 1) == (("s0",), ("s2",), ("s1",), ("s3",))


def scattered(sites: int, clients: int) -> tuple[distance.SiteMap, list[seen.Location]]:
    dice = random.Random(7)
    one = sites_at(*((dice.uniform(-60, 70), dice.uniform(-180, 180)) for _ in range(sites)))
    return one, [seen.Location(lat=dice.randint(-60, 70), lon=dice.randint(-180, 180)) for _ in range(clients)]


@pytest.mark.parametrize(("sites", "clients"), [(3, 300), (12, 1500), (60, 1500)])
def test_the_number_of_orders_of_sites_is_bounded(sites: int, clients: int) -> None:
    one, where = scattered(sites, clients)
    sight = distance.Sight([one], where)
    orders = {sight.orders(place.lat, place.lon) for place in where}
    assert len(orders) <= distance.MAX_ORDERS


def test_a_few_sites_are_ordered_in_full_by_each_client_s_own_distance() -> None:
    one, where = scattered(4, 400)
    sight = distance.Sight([one], where)
    for place in where:
        assert place.lat is not None
        assert place.lon is not None
        assert sight.orders(place.lat, place.lon) == (("p", one.bands((place.lat, place.lon), 1000)),)


def test_an_unknown_place_has_no_order() -> None:
    one, where = scattered(4, 40)
    assert distance.Sight([one], where).orders(None, None) == ()


def test_every_country_has_a_point_from_which_sites_can_be_ordered() -> None:
    one = sites_at(FRANKFURT, NEW_YORK, SYDNEY)
    sight = distance.Sight([one], [])
    nearest = {code: sight.orders(lat, lon)[0][1][0] for code, (_, lat, lon) in places.COUNTRIES.items()}
    assert (nearest["DE"], nearest["CA"], nearest["NZ"]) == (("s0",), ("s1",), ("s2",))
