"""What the doctor says of the machine under a node: each thing well, and each thing wrong."""

from __future__ import annotations

import datetime
import os
import resource
import shutil
from pathlib import Path

import pytest
import trustme

from gtm import app, model
from gtm.app import doctor, finding, machine

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
node: ns1
store: "sqlite://{folder}/state/gtm.db"
dns: {{listen: "127.0.0.1:{port}", tls: {{listen: "127.0.0.1:0", certificate: chain.pem, key: key.pem}}}}
geo: {{databases: [places.mmdb]}}
zones:
  live.example:
    nameservers: {{NS1: [192.0.2.53, "2001:DB8::0053"], ns2: 192.0.2.54}}
    hostmaster: ops@example.com
    records:
      short: {{TXT: "x"}}
      "*.wild": {{TXT: '{long} "and more"'}}
      long: {{TXT: '{long}'}}
  filed.example:
    file: filed.zone
"""
ZONE_FILE = """
$ORIGIN filed.example.
$TTL 60
@ IN SOA ns1 ops 1 1 1 1 1
@ IN NS ns1
@ IN NS NS.elsewhere.example.
ns1 IN A 192.0.2.55
"""
LONG = " ".join(f'"{"x" * 200}"' for _ in range(4))


def load(folder: Path, *, port: int = 53, days: float = 60) -> model.Snapshot:
    """Write a whole node's files, and load them."""
    (folder / "state").mkdir(exist_ok=True)
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = trustme.CA().issue_cert("ns1.example", not_before=ends - datetime.timedelta(days=90), not_after=ends)
    (folder / "chain.pem").write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    shutil.copy(ROOT / "examples" / "three-regions-live" / "places.mmdb", folder)
    (folder / "filed.zone").write_text(ZONE_FILE)
    (folder / "gtm.yaml").write_text(CONFIG.format(folder=folder, port=port, long=LONG))
    loaded = app.load_configuration(str(folder / "gtm.yaml"))
    assert loaded.snapshot is not None, loaded.problems
    return loaded.snapshot


def about(snapshot: model.Snapshot, what: str) -> finding.Finding:
    """Return the one finding about something."""
    (found,) = [one for one in machine.examine(snapshot) if one.about == what]
    assert bool(found.do) == (found.level != "ok")
    return found


def test_a_machine_that_is_well_is_said_to_be(tmp_path: Path) -> None:
    snapshot = load(tmp_path)
    assert about(snapshot, "ports") == finding.ok("ports", "DNS listens on 127.0.0.1:53")
    assert about(snapshot, "file limits").level == "ok"
    assert about(snapshot, "store").what == f"{tmp_path}/state can be written"
    assert about(snapshot, "certificate of DNS over TLS").what in {f"it holds for {one} more days" for one in (59, 60)}
    assert about(snapshot, "geography").what.startswith(f"{tmp_path}/places.mmdb is ")


def test_another_port_than_53_is_a_warning(tmp_path: Path) -> None:
    assert about(load(tmp_path, port=5300), "ports").what == "DNS listens on port 5300; resolvers ask on 53"


@pytest.mark.parametrize(
    ("days", "level", "what"),
    [(9.4, "warning", "it runs out in 9 days"), (-2.4, "error", "it ran out 2 days ago"),
     (95.0, "error", "it does not hold yet")],
)  # fmt: skip
def test_certificates_that_run_out_or_do_not_hold_yet_are_told(
    tmp_path: Path, days: float, level: str, what: str
) -> None:
    found = about(load(tmp_path, days=days), "certificate of DNS over TLS")
    assert (found.level, found.what) == (level, what)


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate_and_one_that_is_not_there_are_errors(tmp_path: Path, text: str) -> None:
    snapshot = load(tmp_path)
    (tmp_path / "chain.pem").write_text(text)
    assert "is no certificate" in about(snapshot, "certificate of DNS over TLS").what
    (tmp_path / "chain.pem").unlink()
    assert "cannot be read: No such file" in about(snapshot, "certificate of DNS over TLS").what


def test_old_and_broken_geography_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = load(tmp_path)
    monkeypatch.setattr(machine, "GEO_DAYS", -1)
    assert about(snapshot, "geography").level == "warning"
    (tmp_path / "places.mmdb").write_bytes(b"nothing")
    assert about(snapshot, "geography").level == "error"


def test_a_store_that_is_not_there_or_has_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = load(tmp_path)
    monkeypatch.setattr(machine, "FREE_BYTES", 2**62)
    assert about(snapshot, "store").level == "warning"
    (tmp_path / "state").rmdir()
    found = about(snapshot, "store")
    assert (found.level, found.what) == ("error", f"{tmp_path}/state is not there")


def test_few_files_are_a_warning_with_the_number_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = load(tmp_path)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    monkeypatch.setattr(machine, "SPARE_FILES", most)
    (found,) = [one for one in machine.examine(snapshot, {"worker 7": os.getpid()}) if one.about == "file limits"]
    assert found.what == f"worker 7 may open {most} files and may need {most + 1024}"
    assert f"LimitNOFILE={most + 1024}" in found.do


def test_the_clock_is_told_as_the_kernel_tells_it() -> None:
    assert [one.level for one in machine.clock(True)] == ["warning"]
    assert [one.level for one in machine.clock(False)] == ["ok"]
    assert list(machine.clock(None)) == []
    assert machine.unsynchronised() in {True, False}, "this kernel has adjtimex"


def test_the_facts_are_the_zones_as_nameservers_and_parents_see_them(tmp_path: Path) -> None:
    told = doctor.facts(load(tmp_path), "")
    assert {one["name"]: (one["nameservers"], one["long"]) for one in told["zones"]} == {
        "live.example.": (
            {"ns1.live.example.": ("192.0.2.53", "2001:db8::53"), "ns2.live.example.": ("192.0.2.54",)},
            ("long.live.example.", "TXT"),
        ),
        "filed.example.": ({"ns1.filed.example.": ("192.0.2.55",), "ns.elsewhere.example.": ()}, ("", "")),
    }
    assert [one["name"] for one in doctor.facts(load(tmp_path), "Live.Example")["zones"]] == ["live.example."]


def test_more_zones_than_are_looked_at_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MOST_ZONES", 1)
    told = doctor.facts(load(tmp_path), "")
    assert (len(told["zones"]), told["left_out"]) == (1, 1)
