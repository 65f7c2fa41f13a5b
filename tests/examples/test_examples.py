"""Every example loads without a warning, and every row of its page's table is what GTM answers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click.testing
import pytest

from gtm import app
from gtm.cli import demo_world, explain

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/gtm.yaml"))
NAMES = [path.name for path in EXAMPLES]


def rows(folder: Path) -> list[tuple[str, ...]]:
    """Return the cells of a page's table of answers."""
    table = (folder / "README.md").read_text().partition("| name | type | client | down | answers | rung |\n")[2]
    lines = [line for line in table.splitlines()[1:] if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


ROWS = [(folder.name, *row) for folder in EXAMPLES for row in rows(folder)]


def explained(folder: str, name: str, qtype: str, client: str, down: str) -> dict[str, Any]:
    assume = [f"{glob}=down" for glob in down.split()]
    return app.explain_offline(str(ROOT / "examples" / folder / "gtm.yaml"), name, qtype, client, assume)


def test_the_promised_examples_are_there_and_each_has_its_page() -> None:
    assert set(NAMES) >= {"one-node", "active-passive-ingest", "three-regions-live", "multi-cdn"}
    page = (ROOT / "examples" / "README.md").read_text()
    for name in NAMES:
        assert f"[{name}]({name}/README.md)" in page
        assert len(rows(ROOT / "examples" / name)) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_an_example_loads_without_an_error_or_a_warning(name: str) -> None:
    loaded = app.load_configuration(str(ROOT / "examples" / name / "gtm.yaml"))
    assert app.refused_text(loaded) == ""
    assert loaded.snapshot is not None


@pytest.mark.parametrize(("folder", "name", "qtype", "client", "down", "answers", "rung"), ROWS)
def test_a_row_of_an_examples_page_is_what_gtm_answers(  # noqa: PLR0917  # the columns of the table
    folder: str, name: str, qtype: str, client: str, down: str, answers: str, rung: str
) -> None:
    found = explained(folder, name, qtype, client, down)
    assert sorted(found["answers"]) == sorted(answers.split())
    assert found["rung"] == rung
    assert found["rcode"] == "NOERROR"


@pytest.mark.parametrize("name", NAMES)
def test_the_explain_command_on_an_examples_page_works_as_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "examples" / name / "README.md").read_text()
    commands = re.findall(r"^    gtm explain (.*)$", page, re.M)
    assert commands
    for line in commands:
        done = click.testing.CliRunner().invoke(explain.command, shlex.split(line))
        assert done.exit_code == 0, done.output
        assert "answers:" in done.output


@pytest.mark.parametrize("name", NAMES)
def test_the_dig_command_on_an_examples_page_asks_for_a_steered_name(name: str) -> None:
    page = (ROOT / "examples" / name / "README.md").read_text()
    asked = re.findall(r"^    dig @127\.0\.0\.1 -p 5300 (\S+)", page, re.M)
    assert asked
    for one in asked:
        assert explained(name, one, "A", "192.0.2.9", "")["rung"] == "first"
    assert "127.0.0.1:5300" in (ROOT / "examples" / name / "gtm.yaml").read_text()


def test_the_examples_geography_is_what_the_demo_writes() -> None:
    kept = (ROOT / "examples" / "three-regions-live" / "places.mmdb").read_bytes()
    assert kept == demo_world.places()
