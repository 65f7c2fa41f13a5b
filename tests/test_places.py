"""The table of countries is whole and sane."""

from __future__ import annotations

import pytest

from gtm import places


def test_every_country_has_a_continent_and_a_point_on_earth() -> None:
    assert len(places.COUNTRIES) == 249 + 1, "ISO 3166-1 and Kosovo"
    for code, (continent, lat, lon) in places.COUNTRIES.items():
        assert len(code) == 2
        assert code.isupper()
        assert continent in places.CONTINENTS
        assert -90 <= lat <= 90
        assert -180 <= lon <= 180


@pytest.mark.parametrize(
    ("code", "continent"),
    [
        ("DE", "EU"),
        ("NA", "AF"),
        ("US", "NA"),
        ("TR", "AS"),
        ("RU", "EU"),
        ("CY", "EU"),
        ("GE", "AS"),
        ("TL", "OC"),
        ("MX", "NA"),
    ],
)
def test_continents_are_those_of_geonames(code: str, continent: str) -> None:
    assert places.COUNTRIES[code][0] == continent
