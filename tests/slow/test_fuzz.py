"""The packet path under a fuzzer that follows coverage, and a whole node under damaged packets, for a minute each.

`python -m tests.fuzz.packets tests/fuzz/corpus -runs=10000000` and `python -m tests.fuzz.soak --minutes 5` are longer.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import packets, soak
from tests.slow.test_chaos import said as show

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(240)]

SECONDS = 60


def test_E8_a_minute_of_fuzzing_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(packets.CORPUS, corpus)
    command = [sys.executable, "-m", "tests.fuzz.packets", str(corpus), f"-max_total_time={SECONDS}"]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/", "-rss_limit_mb=1024"],
        capture_output=True, text=True, check=False, cwd=packets.CORPUS.parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    if packets.FUZZER is not None:
        runs = int(re.findall(r"Done (\d+) runs", done.stderr)[-1])
        show(capsys, "fuzzed", f"{runs:,} inputs in {SECONDS} s, {len(list(corpus.iterdir()))} kept")
        assert runs > 10_000


def test_E8_a_node_under_damage_at_full_speed_keeps_its_memory_and_its_processes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = soak.soak(SECONDS, seed=2)
    show(capsys, "a node under damage", found.text())
    assert found.broken() == []
    assert found.taken > 1000 * SECONDS
