"""What documents tell people to type exists: commands parse, metrics are exported, linked files are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from gtm.cli import main
from gtm.web import metrics

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder in (
        ROOT,
        ROOT / "docs",
        ROOT / "systemd",
        ROOT / "zones",
        ROOT / "healthchecks",
        *(ROOT / "examples").iterdir(),
    )
    for path in folder.glob("*.md")
)
COMMANDS = [
    (page, line.strip())
    for page in PAGES
    for line in page.read_text().splitlines()
    if re.match(r"(    |\$ )gtm ", line) and "..." not in line
]


def ids(of: object) -> str:
    return str(of.relative_to(ROOT)) if isinstance(of, Path) else str(of)


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=ids)
def test_a_command_in_a_document_is_one_that_gtm_knows(page: Path, line: str) -> None:
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    command: click.Command = main.cli
    context = click.Context(command)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: {line}"
        command, words = found, words[1:]
    command.make_context("gtm", words)  # raises for an unknown option or a missing argument


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_metric_in_a_document_is_exported(page: Path) -> None:
    exported = {f"gtm_{metric.name}" for metric in metrics.METRICS}
    named = set(re.findall(r"`(gtm_[a-z_]+)(?:\{[^`]*\})?`", page.read_text()))
    assert named <= exported


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_file_that_a_document_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target
