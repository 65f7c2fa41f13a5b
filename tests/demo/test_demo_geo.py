"""The demo's small MaxMind DB writer, read back by the real reader."""

from __future__ import annotations

from pathlib import Path

import maxminddb
import pytest

from gtm.cli import demo_geo, demo_world


def opened(path: Path, data: bytes) -> maxminddb.Reader:
    file = path / "places.mmdb"
    file.write_bytes(data)
    return maxminddb.open_database(str(file))


@pytest.mark.parametrize("address", ["192.0.2.0", "192.0.2.255", "2001:db8:e000::1"])
def test_the_worlds_places_are_found_by_the_real_reader(tmp_path: Path, address: str) -> None:
    with opened(tmp_path, demo_world.places()) as reader:
        assert reader.get(address) == {
            "continent": {"code": "EU"},
            "country": {"iso_code": "DE"},
            "location": {"latitude": 50.11, "longitude": 8.68},
            "autonomous_system_number": 64496,
        }


def test_an_address_outside_of_every_prefix_has_no_place(tmp_path: Path) -> None:
    with opened(tmp_path, demo_world.places()) as reader:
        assert [reader.get(address) for address in ("192.0.3.0", "9.9.9.9", "2001:db9::1")] == [None] * 3


def test_the_whole_file_walks_as_exactly_what_was_written(tmp_path: Path) -> None:
    written: dict[str, dict[str, demo_geo.Data]] = {
        "10.0.0.0/8": {"a": "x" * 40, "n": 0},
        "11.0.0.0/8": {"list": [1, 2.5, "three"], "big": 4294967295},
        "2001:db8::/32": {"empty": [], "deep": {"er": {}}},
    }
    with opened(tmp_path, demo_geo.database(written, kind="Test", build_epoch=1_790_000_000)) as reader:
        assert {str(network): record for network, record in reader} == written
        about = reader.metadata()
        assert (about.database_type, about.build_epoch, about.record_size) == ("Test", 1_790_000_000, 24)


@pytest.mark.parametrize("pair", [("10.0.0.0/8", "10.1.0.0/16"), ("10.1.0.0/16", "10.0.0.0/8"), ("10.0.0.0/8",) * 2])
def test_prefixes_that_hold_each_other_are_refused(pair: tuple[str, str]) -> None:
    tree = [[-1, -1]]
    demo_geo._plant(tree, pair[0], -2)
    with pytest.raises(ValueError, match="another prefix"):
        demo_geo._plant(tree, pair[1], -3)


def test_a_string_too_long_for_the_small_writer_is_refused_and_not_cut() -> None:
    with pytest.raises(ValueError, match="longer"):
        demo_geo.encode("x" * 285)
