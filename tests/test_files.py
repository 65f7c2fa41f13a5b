"""Files at the edge: whole configurations from disk, geography databases, and writing that is never half done."""

from __future__ import annotations

import ipaddress
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import mmdb_writer
import netaddr  # type: ignore[import-untyped]  # comes with mmdb-writer
import pytest

from gtm import errors, files
from gtm.config import load, marks
from tests.config.reading import KINDS, READER, WORLD


def read(path: Path, **more: Any) -> load.Loaded:
    return files.load(str(path), kinds=KINDS, records=READER, **more)


def codes(loaded: load.Loaded) -> list[str]:
    return [one.code for one in loaded.problems if one.severity == "error"]


def write(directory: Path, **texts: str) -> Path:
    for name, text in texts.items():
        target = directory / name.replace("__", "/").replace("_yaml", ".yaml").replace("_zone", ".zone")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return directory / "gtm.yaml"


def test_a_configuration_is_read_with_all_that_it_includes(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        gtm_yaml="include: ['conf/*.yaml']\n" + WORLD.replace("    steer:", "    file: conf/x.zone\n    steer:"),
        conf__a_yaml="include: [../gtm.yaml, b.yaml]\nsites: {x: {}}\n",
        conf__b_yaml="sites: {y: {}}\n",
        conf__x_zone="mail A 192.0.2.25\n",
    )
    loaded = read(main)
    assert loaded.snapshot is not None
    assert loaded.snapshot.files == tuple(
        str(tmp_path / name) for name in ("gtm.yaml", "conf/a.yaml", "conf/b.yaml", "conf/x.zone")
    )
    assert set(loaded.snapshot.sites) == {"fra", "ams", "nyc", "x", "y"}
    assert len(loaded.snapshot.zones[0].records) == 2


def test_the_node_and_the_store_have_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    found = read(write(tmp_path, gtm_yaml=WORLD)).snapshot
    assert found is not None
    assert found.store == f"sqlite://{tmp_path}/gtm.db"
    assert found.node
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/gtm:/elsewhere")
    found = read(tmp_path / "gtm.yaml").snapshot
    assert found is not None
    assert found.store == "sqlite:///var/lib/gtm/gtm.db"
    found = read(tmp_path / "gtm.yaml", node="ns9", store="memory:").snapshot
    assert found is not None
    assert (found.node, found.store) == ("ns9", "memory:")


def test_a_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    assert codes(read(tmp_path / "no.yaml")) == ["missing-file"]
    assert "no such file" in read(tmp_path / "no.yaml").problems[0].message
    loaded = read(write(tmp_path, gtm_yaml="include: [no.yaml, 'none/*.yaml']\n" + WORLD))
    assert codes(loaded) == ["missing-file"]


def test_a_directory_or_a_name_with_a_zero_byte_is_a_problem(tmp_path: Path) -> None:
    assert codes(read(tmp_path)) == ["missing-file"]
    assert codes(read(tmp_path / "a\0b")) == ["missing-file"]


def test_a_file_that_is_not_utf8_is_a_problem_with_the_place_that_names_it(tmp_path: Path) -> None:
    main = write(tmp_path, gtm_yaml="include: ['*.yaml']\n" + WORLD)
    (tmp_path / "bad.yaml").write_bytes(b"node: \xff\n")
    loaded = read(main)
    problem = next(one for one in loaded.problems if one.severity == "error")
    assert "not UTF-8: byte 6" in problem.message
    assert problem.mark == errors.Mark(str(main), 1, 11, 19)


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    main = tmp_path / "gtm.yaml"
    main.write_bytes(b"\xef\xbb\xbf" + WORLD.encode())
    assert read(main).snapshot is not None


def test_G6_a_file_over_the_bound_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MAX_BYTES", 100)
    loaded = read(write(tmp_path, gtm_yaml=WORLD))
    assert codes(loaded) == ["missing-file"]
    assert "over 64 MiB" in loaded.problems[0].message


def test_G6_many_files_are_over_the_bound_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = write(tmp_path, gtm_yaml=WORLD + "include: ['more/*.yaml']\n")
    (tmp_path / "more").mkdir()
    for at in range(5):
        (tmp_path / "more" / f"{at}.yaml").write_text("#" * 1000 + "\n")
    assert read(main).snapshot is not None
    monkeypatch.setattr(marks, "MAX_BYTES", main.stat().st_size + 3500)
    found = [one.message for one in read(main).problems if "cannot be read" in one.message]
    assert len(found) == 2
    assert all(one.endswith("it is over 64 MiB, with what was read before it") for one in found)


# --- writing --------------------------------------------------------------------------------------------------------


def test_G6_what_processes_left_that_died_while_they_wrote_is_deleted(tmp_path: Path) -> None:
    target = tmp_path / "last.table"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for at in range(5):
        (tmp_path / f".last.table.{process.pid}.{at}").write_bytes(b"half")
    kept = [f".last.table.{os.getpid()}.x", f".other.{process.pid}.x", ".last.table.old", "last.table"]
    for name in kept:
        (tmp_path / name).write_bytes(b"whole")
    files.write_atomically(str(target), b"new")
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(kept)


def test_a_file_is_written_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "x"
    files.write_atomically(str(target), b"one")
    assert target.read_bytes() == b"one"
    target.chmod(0o640)
    files.write_atomically(str(target), b"two")
    assert target.read_bytes() == b"two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x"
    target.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


# --- geography ------------------------------------------------------------------------------------------------------


def database(path: Path, records: dict[str, dict[str, Any]], ip_version: int = 6) -> Path:
    writer = mmdb_writer.MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6)
    for network, record in records.items():
        writer.insert_network(netaddr.IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


DE, SE = {"country": {"iso_code": "DE"}}, {"country": {"iso_code": "SE"}}
RECORDS: dict[str, dict[str, Any]] = {
    "192.0.2.0/24": DE,
    "198.51.100.0/25": SE,
    "2001:db8::/32": DE,
    "2002:c000:200::/40": SE,
}


def test_ranges_come_in_address_order_with_ipv4_mapped_back_and_aliases_left_out(tmp_path: Path) -> None:
    reader = files.open_geo(str(database(tmp_path / "x.mmdb", RECORDS)))
    found = list(reader.ranges())
    assert found == [
        (4, int(ipaddress.ip_address("192.0.2.0")), 24, DE),
        (4, int(ipaddress.ip_address("198.51.100.0")), 25, SE),
        (6, int(ipaddress.ip_address("2001:db8::")), 32, DE),
    ]
    assert reader.build_epoch > 1_600_000_000
    reader.close()


def test_an_address_is_looked_up(tmp_path: Path) -> None:
    reader = files.open_geo(str(database(tmp_path / "x.mmdb", RECORDS)))
    assert reader.get("192.0.2.77") == DE
    assert reader.get("2001:db8::1") == DE
    assert reader.get("203.0.113.1") is None


def test_a_database_of_ipv4_alone_will_do(tmp_path: Path) -> None:
    reader = files.open_geo(str(database(tmp_path / "x.mmdb", {"192.0.2.0/24": DE}, 4)))
    assert [one[:3] for one in reader.ranges()] == [(4, int(ipaddress.ip_address("192.0.2.0")), 24)]
    assert reader.get("2001:db8::1") is None


def test_a_missing_or_corrupt_database_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.GtmError, match="no such file"):
        files.open_geo(str(tmp_path / "no.mmdb"))
    (tmp_path / "bad.mmdb").write_bytes(b"not a database" * 100)
    with pytest.raises(errors.GtmError, match="no MaxMind database"):
        files.open_geo(str(tmp_path / "bad.mmdb"))
    (tmp_path / "empty.mmdb").touch()
    with pytest.raises(errors.GtmError, match="no MaxMind database"):
        files.open_geo(str(tmp_path / "empty.mmdb"))


def test_a_truncated_database_never_raises_anything_else(tmp_path: Path) -> None:
    whole = database(tmp_path / "x.mmdb", RECORDS).read_bytes()
    for size in range(0, len(whole), 7):
        for damaged in (
            whole[:size],
            whole[:size] + bytes(len(whole) - size),
            whole[:size] + b"\xff" * 9 + whole[size + 9 :],
        ):
            (tmp_path / "t.mmdb").write_bytes(damaged)
            try:
                reader = files.open_geo(str(tmp_path / "t.mmdb"))
                list(reader.ranges())
                reader.get("192.0.2.77")
            except errors.GtmError:
                continue


def test_a_database_that_is_overwritten_in_place_stays_readable(tmp_path: Path) -> None:
    path = database(tmp_path / "x.mmdb", RECORDS)
    reader = files.open_geo(str(path))
    path.write_bytes(b"")
    assert len(list(reader.ranges())) == 3


def test_a_missing_database_is_a_warning_at_load(tmp_path: Path) -> None:
    database(tmp_path / "good.mmdb", RECORDS)
    loaded = read(write(tmp_path, gtm_yaml=WORLD + "geo: {databases: [good.mmdb, no.mmdb]}\n"))
    assert loaded.snapshot is not None
    assert [one.message for one in loaded.problems if one.code == "geo-database"] == [
        f"{tmp_path}/no.mmdb cannot be used: no such file or directory"
    ]
