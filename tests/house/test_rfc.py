"""The table of RFCs tells the truth: its modules cite them, its tests exist, and no citation lacks its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (ROOT / "docs/rfc.md").read_text().splitlines()
    if re.match(r"\| \d+ \|", line)
]
# Where packets are read, answers are made and sockets are held.
ANSWERING = [*(ROOT / "gtm/wire").glob("*.py"), *(ROOT / "gtm/serve").glob("*.py"), ROOT / "gtm/table.py"]


def cited(path: Path) -> set[str]:
    """Return the numbers of the RFCs that a file names, also in `RFC 1035, 6891 and 7871`."""
    lists = re.findall(r"RFC ?(\d{3,5}(?:(?:,| and) \d{4,5}\b)*)", path.read_text())
    return {number for one in lists for number in re.findall(r"\d{3,5}", one)}


def sections(path: Path, number: str) -> set[str]:
    """Return the sections that stand behind an RFC in a file, as in `RFC 1035 sections 2.3.4 and 3.1, RFC 2181 8`."""
    text = " ".join(path.read_text().split()).replace(" # ", " ")
    behind = re.findall(rf"\b{number}:? (?:(?:sections?|appendix) )?((?:(?:, |,? and |,? or )?\d[\d.]*\b)+)", text)
    return {one for some in behind for one in re.findall(r"\d[\d.]*\d|\d", some)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[2][:20]}")
def test_a_row_names_a_module_that_cites_the_rfc_and_a_test_that_exists(row: tuple[str, ...]) -> None:
    number, _, _, module, test = row
    assert number in cited(ROOT / module.strip("`"))
    path, _, name = test.strip("`").partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert name in {one.name for one in tree.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[2][:20]}")
def test_the_sections_of_a_row_stand_beside_the_rfc_in_its_module(row: tuple[str, ...]) -> None:
    number, named, _, module, _ = row
    there = sections(ROOT / module.strip("`"), number)
    for section in re.findall(r"[\d.]+", named):
        assert any(one == section or one.startswith(f"{section}.") for one in there), (section, there)


def test_whatever_the_answering_code_cites_has_a_row() -> None:
    rows = {row[0] for row in ROWS}
    missing = {
        (str(path.relative_to(ROOT)), number) for path in ANSWERING for number in cited(path) if number not in rows
    }
    assert not missing
