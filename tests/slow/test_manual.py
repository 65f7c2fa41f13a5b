"""A real `man` reads our page."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli import manual

pytestmark = pytest.mark.slow


def test_man_reads_the_page_without_a_complaint() -> None:
    done = subprocess.run(
        ["man", "--warnings", "-l", str(manual.PATH)], capture_output=True, text=True, check=False,
        env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "gtm drain [OPTIONS] TARGET" in done.stdout
    assert "--dry-run" in done.stdout
