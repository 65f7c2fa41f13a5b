"""`gtm check`, `gtm schema` and `gtm init`, as they are typed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import click.testing
import jsonschema  # type: ignore[import-untyped]  # comes with check-jsonschema
import pytest
import yaml

from gtm import app
from gtm.cli import check, init, schema
from tests.config.reading import WORLD
from tests.config.test_advice import CLEAN


def run(command: click.Command, *words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, words)


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "gtm.yaml"
    path.write_text(CLEAN)
    return path


def test_a_good_configuration_is_one_line_and_exit_0(main: Path) -> None:
    result = run(check.command, str(main))
    assert (result.exit_code, result.output) == (0, "1 zone, 2 steered names, 3 pools, 4 endpoints, 4 checks\n")


def test_a_bad_one_is_shown_and_exit_1(main: Path) -> None:
    main.write_text(WORLD.replace("a: 3", "a: three"))
    result = run(check.command, str(main))
    assert result.exit_code == 1
    assert "error[wrong-type]" in result.output
    assert result.output.splitlines()[-1].startswith("1 error, ")
    assert run(check.command, str(main.parent / "no.yaml")).exit_code == 1


def test_strict_makes_warnings_errors(main: Path) -> None:
    main.write_text(WORLD)
    assert run(check.command, str(main)).exit_code == 0
    result = run(check.command, "--strict", str(main))
    assert result.exit_code == 1
    assert "warning[unused-check]" in result.output


def test_A3_verbose_shows_how_long_detection_takes_at_worst(main: Path) -> None:
    result = run(check.command, "-v", str(main))
    assert "check answers: a failure is seen within 9.5s\n" in result.output
    assert "a silent death is seen within 9.5s, and no resolver answers it after 14.5s\n" in result.output
    assert "probes a second" in result.output


LINT = """
checks:
  slow: {kind: hls, path: /a.m3u8, every: 60s, timeout: 20s}
  busy: {kind: hls, path: "/{label}.m3u8", every: 500ms, timeout: 400ms}
endpoints:
  a: {address: 192.0.2.1}
  b: {address: 192.0.2.2}
pools:
  one: {members: [a], check: slow}
  two: {members: [a, b], check: busy}
zones:
  tv.example.org:
    nameservers: {ns1: 192.0.2.53}
    hostmaster: ops@example.org
    steer:
      short: {try: [one], ttl: 10s}
      long: {try: [two, one], ttl: 300s}
      promised: {try: [one], ttl: 30s, failover_within: 10s}
      "*.ch": {try: two, ttl: 30s, check: busy, labels: [LABELS]}
"""
LINTED = (
    "browsers keep an address for 60s anyway (short.tv.example.org)",
    "is longer than a player's buffer of about 30s (long.tv.example.org)",
    "one address for playback: a browser keeps it for 60s; with two it tries the other (",
    "viewers will see a failure before the checks do (",
    "a gets 24 probes a second from 13 checks",
)


def test_the_linters_eye_sees_ttls_single_addresses_slow_checks_and_budgets(tmp_path: Path) -> None:
    path = tmp_path / "gtm.yaml"
    path.write_text(LINT.replace("LABELS", ", ".join(f"c{number}" for number in range(11))))
    result = run(check.command, str(path))
    assert result.exit_code == 0
    for one in LINTED:
        assert len([line for line in result.output.splitlines() if line.startswith("note: ") and one in line]) == 1, one
    assert "warning[too-slow]" in result.output
    assert (
        "short.tv.example.org: a silent death is seen within 100.5s, no resolver answers it after 110.5s, and no "
        in (run(check.command, "-v", str(path)).output)
    )
    found = json.loads(run(check.command, "--json", str(path)).output)
    assert found["ok"] is True
    assert {one["note"] for one in found["notes"]} == {
        line.removeprefix("note: ").partition(" (")[0]
        for line in result.output.splitlines()
        if line.startswith("note: ")
    }


def test_machines_get_json(main: Path) -> None:
    main.write_text(WORLD)
    found = json.loads(run(check.command, "--format", "json", "-v", str(main)).output)
    assert (found["ok"], found["detection_s"], len(found["digest"])) == (True, {"answers": 9.5}, 64)
    assert {one["severity"] for one in found["problems"]} == {"warning"}
    main.write_text("a: 1")
    result = run(check.command, "--json", str(main))
    assert (result.exit_code, json.loads(result.output)["ok"]) == (1, False)


def test_wrong_usage_is_exit_2(main: Path) -> None:
    assert run(check.command).exit_code == 2
    assert run(check.command, "--format", "xml", str(main)).exit_code == 2


def test_the_schema_is_printed() -> None:
    result = run(schema.command)
    assert result.exit_code == 0
    assert json.loads(result.output)["title"] == "GTM configuration"


def test_init_writes_what_loads_without_a_warning_and_fits_its_schema(tmp_path: Path) -> None:
    result = run(init.command, str(tmp_path / "etc"))
    assert (result.exit_code, result.exception) == (0, None)
    loaded = app.load_configuration(str(tmp_path / "etc/gtm.yaml"))
    assert loaded.problems == ()
    text = (tmp_path / "etc/gtm.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=gtm.schema.json\n")
    written = json.loads((tmp_path / "etc/gtm.schema.json").read_text())
    jsonschema.Draft7Validator(written).validate(yaml.safe_load(text))


def test_init_copies_the_ready_files_with_their_modes_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ready/healthchecks/scripts").mkdir(parents=True)
    script = tmp_path / "ready/healthchecks/scripts/look"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (tmp_path / "ready/zones").mkdir()
    (tmp_path / "ready/zones/a.zone").write_text("new")
    monkeypatch.setattr(init, "ready", lambda: tmp_path / "ready")
    (tmp_path / "etc/zones").mkdir(parents=True)
    (tmp_path / "etc/zones/a.zone").write_text("mine")
    assert run(init.command, str(tmp_path / "etc")).exit_code == 0
    assert (tmp_path / "etc/zones/a.zone").read_text() == "mine"
    assert stat.S_IMODE((tmp_path / "etc/healthchecks/scripts/look").stat().st_mode) == 0o755
    again = run(init.command, str(tmp_path / "etc"))
    assert again.exit_code == 1
    assert "exists already" in again.output


def test_init_says_why_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(init.command, str(tmp_path / "file/etc"))
    assert result.exit_code == 1
    assert "Error: " in result.output
