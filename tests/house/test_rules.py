"""Every rule of the semantics, sections A to E, is named by a test: `test_A2_...`, or `..._A2` at the end."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
RULES = [
    f"{section}{n}"
    for section, last in (("A", 13), ("B", 12), ("C", 7), ("D", 3), ("E", 8))
    for n in range(1, last + 1)
]


@functools.cache
def named() -> set[str]:
    """Return the rules that test names mention."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.update(re.findall(r"(?<=_)[A-E]\d+(?=_|$)", node.name))
    return found


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_test_that_names_it(rule: str) -> None:
    assert rule in named()
