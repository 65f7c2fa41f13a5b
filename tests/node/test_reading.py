"""A configuration is read by a process of its own, which gives what the same reading gives here, or says why not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gtm import app, errors
from gtm.app import reading

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/gtm.yaml")), ids=lambda path: path.parent.name)
async def test_what_a_process_read_is_what_would_have_been_read_here(path: Path) -> None:
    there, here = await reading.read(str(path)), app.load_configuration(str(path))
    assert there == here
    assert there.snapshot is not None


async def test_problems_come_back_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "gtm.yaml"
    path.write_text("pools: {edges: {members: [nobody]}}\n")
    there = await reading.read(str(path))
    assert there.snapshot is None
    assert there == app.load_configuration(str(path))
    assert "nobody" in app.refused_text(there)


@pytest.mark.parametrize("trouble", [MemoryError(), errors.GtmError("this machine has no memory left")])
def test_a_process_without_memory_says_so_by_its_status(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    def load(path: str) -> None:
        raise trouble

    monkeypatch.setattr(app, "load_configuration", load)
    monkeypatch.setattr(os, "nice", lambda by: None)
    monkeypatch.setattr(sys, "argv", ["reading", "gtm.yaml"])
    with pytest.raises(SystemExit) as ended:
        reading.main()
    assert ended.value.code == os.EX_OSERR


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 71", "this machine has no memory left"),
        ("kill -9 $$", "ended with status -9"),
        (None, "no process could be started: No such file or directory"),
    ],
)
async def test_a_process_that_cannot_read_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, why: str
) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(errors.GtmError, match=why):
        await reading.read("gtm.yaml")
