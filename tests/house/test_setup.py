"""What a fresh clone promises: locked dependencies for plain pip, make targets, pages, and a hardened unit."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging import requirements, utils, version

import gtm

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN = PROJECT["project"]["dependencies"]
DEV = PROJECT["dependency-groups"]["dev"]
BUILD = PROJECT["build-system"]["requires"]


def pins(name: str) -> dict[str, tuple[version.Version, int]]:
    """Return package, version and number of hashes from a lock file."""
    found: dict[str, tuple[version.Version, int]] = {}
    for entry in (ROOT / name).read_text().replace("\\\n", "").splitlines():
        pin = requirements.Requirement(entry.partition("--hash")[0])
        (exact,) = pin.specifier
        assert exact.operator == "=="
        found[utils.canonicalize_name(pin.name)] = (version.Version(exact.version), entry.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("requirements.lock", RUN), ("requirements-dev.lock", RUN + DEV), ("requirements-build.lock", BUILD)],
)
def test_a_lock_file_pins_by_hash_everything_that_the_project_asks_for(name: str, wanted: list[str]) -> None:
    locked = pins(name)
    assert all(hashes for _, hashes in locked.values())
    for line in wanted:
        asked = requirements.Requirement(line)
        assert asked.specifier.contains(locked[utils.canonicalize_name(asked.name)][0]), f"{line}: run `make lock`"


def test_the_lock_files_agree_on_versions() -> None:
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev[name] for name in run} == run


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_a_lock_file_names_no_registry(name: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", (ROOT / name).read_text())


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "slow", "format", "lock", "clean", "help"])
def test_every_promised_make_target_is_there(target: str) -> None:
    run = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def test_ci_makes_check_test_and_slow() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    assert "make check test slow" in script.read_text()


def test_the_pages_that_a_newcomer_looks_for_say_what_they_should() -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(words in readme for words in ("make demo", "make test", "dig @127.0.0.1 -p 5300", "## Why"))
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    assert "make check" in (ROOT / "CONTRIBUTING.md").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", gtm.__version__)


PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "zones/README.md", "examples/README.md", "systemd/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


# --- systemd -------------------------------------------------------------------------------------------------------


def unit(name: str) -> dict[str, list[str]]:
    """Return a unit's directives; a name given more than once keeps all its values."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "systemd" / name).read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("User", "gtm"),
        ("AmbientCapabilities", "CAP_NET_BIND_SERVICE"),
        ("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("MemoryDenyWriteExecute", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectProc", "invisible"),
        ("RestrictNamespaces", "yes"),
        ("SystemCallFilter", "@system-service"),
        ("StateDirectory", "gtm"),
        ("Restart", "always"),
        ("ExecReload", "/opt/gtm/bin/python3 -P -m gtm.serve.reloading $MAINPID"),
    ],
)
def test_the_service_keeps_its_hardening(key: str, value: str) -> None:
    assert value in unit("gtm.service")[key]


def test_the_watchdog_leaves_time_for_a_hung_worker_to_be_replaced_first() -> None:
    (watchdog,) = unit("gtm.service")["WatchdogSec"]
    assert 5 <= int(watchdog.removesuffix("s")) <= 30


def test_the_service_starts_the_command_that_the_project_installs() -> None:
    words = shlex.split(unit("gtm.service")["ExecStart"][0])
    assert Path(words[0]).name in PROJECT["project"]["scripts"]
    assert words[1:] == ["serve", "-c", "/etc/gtm/gtm.yaml"]


def test_the_socket_unit_opens_udp_and_tcp_on_the_same_addresses() -> None:
    found = unit("gtm.socket")
    assert found["ListenDatagram"] == found["ListenStream"] == ["0.0.0.0:53", "[::]:53"]
    assert found["BindIPv6Only"] == ["ipv6-only"]


def test_the_user_and_the_folders_of_the_unit_are_made_before_it_runs() -> None:
    user = unit("gtm.service")["User"][0]
    assert re.search(rf"^u {user} ", (ROOT / "systemd/sysusers.d/gtm.conf").read_text(), re.M)
    made = (ROOT / "systemd/tmpfiles.d/gtm.conf").read_text()
    assert re.search(rf"^d /etc/gtm +0750 root {user} -$", made, re.M)
    assert re.search(rf"^d /var/lib/gtm +0750 {user} +{user} -$", made, re.M)


def test_no_file_holds_the_marks_of_a_merge() -> None:
    marks = "^(<{7} |>{7} |={7}$)"
    done = subprocess.run(["git", "grep", "-InE", marks], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, ""), "a merge was not finished"


def test_every_line_of_a_unit_is_a_section_a_setting_or_a_comment() -> None:
    for name in ("gtm.service", "gtm.socket"):
        lines = (ROOT / "systemd" / name).read_text().splitlines()
        assert [line for line in lines if line and not re.match(r"#|\[\w+\]$|[A-Z]\w*=", line)] == []
