"""A stranger's first steps: clone, `make demo`, build the wheel, run what is installed from it. Needs PyPI, by pip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
# What this test run was given by its own virtual environment must not help the stranger.
PLAIN = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS"}}


def run(*command: str | Path, cwd: Path, environment: dict[str, str] = PLAIN) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("stranger") / "gtm"
    run("git", "clone", "--quiet", ROOT, where, cwd=ROOT)
    return where


def test_make_demo_installs_from_the_locks_and_the_drill_moves_every_answer_and_back(clone: Path) -> None:
    done = run("make", "demo", "ARGS=--drill --json --dns-port 0 --web-port 0 --edge-port 0", cwd=clone)
    steps = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(steps) == 7
    assert all(step["ok"] for step in steps)
    assert all(step["why"] for step in steps)
    assert (steps[0]["before"], steps[0]["after"]) == (["ams-1", "fra-1"], ["ams-1"])
    assert 1 < steps[0]["seconds"] < 15, "a playlist is stale after three segments of a second"
    assert steps[2]["seconds"] < 5, "a refused connection needs no patience"
    again = run("make", "demo", "ARGS=--seconds 0 --dns-port 0 --web-port 0 --edge-port 0", cwd=clone)
    assert "installing" not in again.stdout
    assert "+subnet=192.0.2.0/24" in again.stdout
    assert "now 127.0.0.11 127.0.0.12" in again.stdout


def test_the_wheel_carries_its_data_and_works_away_from_the_source(clone: Path, tmp_path: Path) -> None:
    pip = (clone / ".venv/bin/python", "-m", "pip", "--disable-pip-version-check", "-qq")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, clone, cwd=tmp_path)
    (wheel,) = tmp_path.glob("gtm_dns-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("zones", "healthchecks"):
        kept = run("git", "ls-files", folder, cwd=clone).stdout.split()
        assert kept
        assert {f"gtm/data/{name}" for name in kept} <= names
    assert any(name.startswith("gtm/web/static/") for name in names)
    assert any(name.endswith("/share/man/man1/gtm.1") for name in names)
    assert not any(name.startswith(("tests/", "examples/")) for name in names)

    installed = tmp_path / "installed"
    run(*pip, "install", "--no-deps", "--target", installed, wheel, cwd=tmp_path)
    alone = PLAIN | {"PYTHONPATH": str(installed)}
    gtm = (clone / ".venv/bin/python", "-c", "from gtm.cli.main import main; main()")
    run(*gtm, "init", tmp_path / "etc", cwd=tmp_path, environment=alone)
    run(*gtm, "check", tmp_path / "etc/gtm.yaml", cwd=tmp_path, environment=alone)
    assert (tmp_path / "etc/zones/live.example.com.yaml").is_file()
    demo = run(
        *gtm, "demo", "--seconds", "0", "--dns-port", "0", "--web-port", "0", "--edge-port", "0", "--json",
        cwd=tmp_path, environment=alone,
    )  # fmt: skip
    assert [viewer["answers"] for viewer in json.loads(demo.stdout)["viewers"]] == [
        ["127.0.0.11", "127.0.0.12"],
        ["127.0.0.21", "127.0.0.22"],
        ["127.0.0.31"],
    ]


def test_nothing_of_a_demo_is_left_when_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from gtm.cli.main import main; main()", "demo", "--json"]
    ports = ["--dns-port", "0", "--web-port", "0", "--edge-port", "0"]
    environment = PLAIN | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as demo:
        assert demo.stdout
        shown = json.loads(demo.stdout.readline())
        assert list(tmp_path.glob("gtm-demo-*"))
        edge = subprocess.run(
            ["pgrep", "-f", f"gtm.cli.demo_edges 127.0.0.11 {shown['edge_port']} "], capture_output=True, check=False
        )
        assert edge.returncode == 0
        demo.terminate()
        demo.wait(20)
    assert not list(tmp_path.glob("gtm-demo-*"))
    left = subprocess.run(["pgrep", "-f", f"gtm.*{tmp_path}|demo_edges .* {shown['edge_port']} "], check=False)
    assert left.returncode == 1
