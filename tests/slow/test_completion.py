"""Real shells complete our words: what fish says, and what zsh puts on the line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; autoload -Uz compinit; compinit -u -D; source <(gtm completion zsh); print lo''aded"
zpty -r shell out '*loaded*'
zpty -w -n shell $'gtm drain --dr\\t'
zpty -r shell out '*--dry-run*' && print completed
zpty -d shell
"""


@pytest.fixture
def shells(tmp_path: Path) -> dict[str, str]:
    """An environment in which `gtm` is this one."""
    gtm = tmp_path / "gtm"
    gtm.write_text(f"#!{sys.executable}\nfrom gtm.cli.main import main\nmain()\n")
    gtm.chmod(0o755)
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": here, "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gtm alerts s", ["silence", "silences"]),
        ("gtm drain --dr", ["--dry-run"]),
        ("gtm completion ", ["bash", "fish", "zsh"]),
    ],
)
def test_fish_completes(shells: dict[str, str], line: str, words: list[str]) -> None:
    asked = f"gtm completion fish | source; complete -C '{line}'"
    done = subprocess.run(["fish", "-c", asked], env=shells, capture_output=True, text=True, timeout=60, check=True)
    assert sorted(found.split("\t")[0] for found in done.stdout.splitlines()) == words


def test_zsh_completes(shells: dict[str, str]) -> None:
    done = subprocess.run(["zsh", "-f", "-c", ZSH], env=shells, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.endswith("completed\n"), done.stdout + done.stderr
