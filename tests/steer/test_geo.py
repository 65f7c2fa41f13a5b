"""Databases of any vendor, read down to what the rules can tell apart (semantics B8, B9)."""

from __future__ import annotations

import bisect
import ipaddress
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import errors, model, seen
from gtm.steer import geo
from tests.steer import world

Row = tuple[int, int, int, Mapping[str, Any]]

MAXMIND = {
    "continent": {"code": "NA", "names": {"en": "North America"}},
    "country": {"iso_code": "US"},
    "registered_country": {"iso_code": "DE"},
    "subdivisions": [{"iso_code": "CA"}, {"iso_code": "XX"}],
    "location": {"latitude": 37.77, "longitude": -122.42, "accuracy_radius": 20},
}


US = seen.Location("NA", "US", lat=39.8, lon=-98.6)  # somewhere in the country: its middle


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (MAXMIND, seen.Location("NA", "US", "CA", 0, 37.77, -122.42)),
        ({"autonomous_system_number": 3320, "autonomous_system_organization": "DT"}, seen.Location(asn=3320)),
        ({"country_code": "US", "continent_code": "NA", "asn": "AS15169"}, replace(US, asn=15169)),
        ({"country": "US", "continent": "NA", "asn": 42}, replace(US, asn=42)),
        ({"country_code": "us", "region": "California", "state": "US-CA"}, replace(US, subdivision="CA")),
        ({"country_code": "US", "latitude": "37.5", "longitude": "-122"}, replace(US, lat=37.5, lon=-122.0)),
        (
            {"country_code": "US", "region_code": "CA", "lat": 9, "lng": -8},
            seen.Location("NA", "US", "CA", 0, 9.0, -8.0),
        ),
        ({"country": {"iso_code": "US"}, "subdivisions": [{"names": {"en": "California"}}]}, US),
        ({"registered_country": {"iso_code": "US"}}, US),
        ({"continent": {"code": "EU"}}, seen.Location("EU")),
        ({"country": "United States", "continent": "North America"}, seen.Location()),
        ({"country_code": "ZZ", "continent_code": "QQ", "asn": "AS-SET"}, seen.Location()),
        ({"country_code": "-", "latitude": 0.0, "longitude": 0.0}, seen.Location()),
        ({"latitude": "north", "longitude": 999, "location": None, "subdivisions": []}, seen.Location()),
        ({"country": ["US"], "continent": 7, "subdivisions": "CA", "asn": None}, seen.Location()),
        ({}, seen.Location()),
    ],
)
def test_records_of_all_vendors_say_the_same(record: Mapping[str, Any], wanted: seen.Location) -> None:
    assert geo.location(record) == wanted


def test_a_country_is_on_the_continent_that_the_configuration_says() -> None:
    assert geo.location({"country_code": "CY", "continent_code": "AS"}).place == "EU-CY"


def row(text: str, record: Mapping[str, Any]) -> Row:
    network = ipaddress.ip_network(text)
    return network.version, int(network.network_address), network.prefixlen, record


def at(networks: seen.Networks, client: str) -> seen.Location:
    address = ipaddress.ip_address(client)
    starts, values = (
        (networks.v4_starts, networks.v4_values) if address.version == 4 else (networks.v6_starts, networks.v6_values)
    )
    return networks.locations[values[bisect.bisect_right(starts, int(address)) - 1]]


def country(code: str) -> dict[str, Any]:
    return {"country": {"iso_code": code}}


def test_only_what_rules_name_is_kept_and_neighbours_are_merged() -> None:
    rows = [
        row("192.0.2.0/26", country("DE")),
        row("192.0.2.64/26", country("FR")),
        row("192.0.2.128/26", country("IT")),
    ]
    found = geo.networks([rows], geo.Interest(frozenset({"EU-DE", "NA"})))
    assert at(found, "192.0.2.1") == seen.Location("EU", "DE")
    assert at(found, "192.0.2.65") == at(found, "192.0.2.130") == seen.Location("EU")
    assert len(found.v4_starts) == 4
    assert found.v6_starts == (0,)


def test_subdivisions_are_kept_where_one_of_the_country_is_named() -> None:
    rows = [
        row("192.0.2.0/26", country("US") | {"subdivisions": [{"iso_code": "CA"}]}),
        row("192.0.2.64/26", country("US") | {"subdivisions": [{"iso_code": "NY"}]}),
        row("192.0.2.128/26", country("CA") | {"subdivisions": [{"iso_code": "ON"}]}),
    ]
    found = geo.networks([rows], geo.Interest(frozenset({"NA-US-CA"})))
    assert [at(found, f"192.0.2.{n}").place for n in (1, 65, 129)] == ["NA-US-CA", "NA", "NA"]


def test_coordinates_are_kept_on_a_grid_and_only_when_they_matter() -> None:
    rows = [row("192.0.2.0/24", MAXMIND), row("198.51.100.0/24", country("DE"))]
    assert at(geo.networks([rows], geo.Interest()), "192.0.2.1") == seen.Location("NA")
    found = geo.networks([rows], geo.Interest(coordinates=True))
    assert at(found, "192.0.2.1") == seen.Location("NA", lat=38.0, lon=-122.5)
    assert at(found, "198.51.100.1") == seen.Location("EU", lat=51.1, lon=10.4)


def test_B9_databases_are_asked_in_order_field_by_field() -> None:
    first = [row("192.0.2.0/25", country("DE")), row("192.0.2.128/25", {"continent": {"code": "NA"}})]
    second = [row("192.0.2.0/24", country("US") | {"autonomous_system_number": 3320})]
    third = [row("192.0.2.0/24", {"asn": "AS9"}), row("203.0.113.0/24", {"asn": "AS9"})]
    interest = geo.Interest(frozenset({"EU-DE", "NA-US"}), frozenset({3320, 9}))
    found = geo.networks([first, second, third], interest)
    assert at(found, "192.0.2.1") == seen.Location("EU", "DE", asn=3320)
    assert at(found, "192.0.2.129") == seen.Location("NA", "US", asn=3320)  # refined, not contradicted
    assert at(found, "203.0.113.1") == seen.Location(asn=9)
    assert at(found, "8.8.8.8") == seen.Location()


def test_a_later_database_never_contradicts_an_earlier_one_even_in_a_country_that_no_rule_names() -> None:
    found = geo.networks(
        [[row("192.0.2.0/24", country("DE"))], [row("192.0.2.0/24", country("FR"))]], geo.Interest(frozenset({"EU-FR"}))
    )
    assert at(found, "192.0.2.1").place == "EU"


def test_gaps_and_the_ends_of_the_address_space_are_known_to_be_unknown() -> None:
    rows = [row("0.0.0.0/8", country("DE")), row("2.0.0.0/8", country("DE")), row("255.0.0.0/8", country("DE"))]
    rows += [row("::/16", country("US")), row("ffff::/16", country("US"))]
    found = geo.networks([rows], geo.Interest())
    assert [at(found, f"{n}.1.1.1").place for n in (0, 1, 2, 3, 254, 255)] == ["EU", "", "EU", "", "", "EU"]
    assert [at(found, text).place for text in ("::1", "1::", "fffe::", "ffff::")] == ["NA", "", "", "NA"]


def test_a_database_out_of_order_is_refused() -> None:
    rows = [row("192.0.2.0/24", country("DE")), row("192.0.2.0/25", country("FR"))]
    with pytest.raises(errors.GtmError, match="address order"):
        geo.networks([rows], geo.Interest())


def test_no_database_is_fine() -> None:
    assert geo.networks([], geo.Interest()) == seen.Networks()


@given(
    st.lists(st.lists(st.sampled_from(["", "DE", "FR", "US", "CA"]), min_size=16, max_size=16), min_size=1, max_size=3)
)
def test_several_databases_are_joined_as_brute_force_would(databases: list[list[str]]) -> None:
    rows = [
        [row(f"192.0.2.{16 * block}/28", country(code)) for block, code in enumerate(one) if code] for one in databases
    ]
    found = geo.networks(rows, geo.Interest(frozenset({"EU-DE", "EU-FR", "NA-US", "NA-CA"})))
    assert all(one != other for one, other in itertools.pairwise(found.v4_values))
    for block in range(16):
        wanted = next((one[block] for one in databases if one[block]), "")
        assert at(found, f"192.0.2.{16 * block + 5}").country == wanted


def test_the_interest_of_a_configuration_is_what_its_rules_and_nearest_pools_can_tell_apart() -> None:
    w = world.World()
    w.pool("plain", "a")
    w.pool("near", "a b", balance="nearest")
    rules = (
        model.Rule(model.Audience(("EU-DE", "NA"), (3320,), ("192.0.2.0/24",)), ("plain",)),
        model.Rule(None, ("plain",)),
    )
    plain, near = model.Policy(rules), world.policy("near")
    assert geo.interest(world.snapshot(plain, world=w)) == geo.Interest(
        frozenset({"EU-DE", "NA"}), frozenset({3320}), coordinates=False
    )
    assert geo.interest(world.snapshot(near, world=w)) == geo.Interest(coordinates=True)
