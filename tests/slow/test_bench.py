"""`make bench` in its short form: the peers start, every row has figures, and JSON and pictures are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import failover_peers, report, servers, speed

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.mark.timeout(300)
def test_the_benchmark_measures_every_row_and_writes_it_down(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.run", "--short", "--into", str(tmp_path)]
    path = os.pathsep.join([str(servers.ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=servers.ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures["cpu_us_per_answer"]) == [row.label for row in speed.ROWS]
    rows = figures["cpu_us_per_answer"]
    assert [label for label, one in rows.items() if not one["rounds"][0] * one["answers_per_s"][0] > 0] == []
    assert list(figures["failover_s"]) == list(failover_peers.makers(1))
    assert set(figures["versions"]) == set(servers.PACKAGES.values())
    for label in (*figures["cpu_us_per_answer"], *figures["failover_s"]):
        assert f"\n{label} " in done.stdout
    for name, labels in (("speed", figures["cpu_us_per_answer"]), ("failover", figures["failover_s"])):
        said = {text.text for text in ElementTree.parse(tmp_path / f"{name}.svg").iter() if text.tag.endswith("text")}
        assert set(labels) <= said


def test_the_machine_is_named() -> None:
    assert all(report.machine().values())
