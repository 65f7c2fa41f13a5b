"""`gtm serve` becomes the supervisor of the configuration that it finds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click import testing

from gtm import errors
from gtm.cli import serve


def ran(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the command that this process would have become."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: became.append(command))
    done = testing.CliRunner().invoke(serve.command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return became[0]


def test_serve_becomes_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ran(["-c", "node.yaml", "--user", "gtm"], monkeypatch)
    assert command[0] == sys.executable
    assert command[command.index("-m") :] == [
        "-m", "gtm.serve.supervisor", "--config", "node.yaml", "--user", "gtm",
    ]  # fmt: skip


def test_serve_takes_the_first_configuration_that_exists_and_never_code_from_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "_PLACES", (tmp_path / "etc.yaml", Path("gtm.yaml")))
    with pytest.raises(errors.GtmError, match="no configuration"):
        ran([], monkeypatch)
    Path("gtm.yaml").touch()
    command = ran([], monkeypatch)
    assert "gtm.yaml" in command
    assert "-P" in command
