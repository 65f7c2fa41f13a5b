"""The packet path under a fuzzer that follows coverage, for a minute; what it found before is replayed first."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import packets
from tests.slow.test_chaos import said as show

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

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
