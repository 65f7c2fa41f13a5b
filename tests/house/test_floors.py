"""The floors of the house hold: who may import what, which words are forbidden where, and how big files may grow."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GTM = ROOT / "gtm"
GROUND = {"model", "seen", "table", "events", "ports", "errors", "units", "names", "answering", "places"}
THINKING = {"wire", "steer", "health", "config", "alerts", "drills"}
MINDS = {"brain", "view", "preview"}
DOING = {"serve", "probes", "store", "notify", "web", "files"}
TWIN = {"serve": "wire", "probes": "health", "notify": "alerts", "files": "config"}
IMPURE = {
    "asyncio", "socket", "ssl", "select", "selectors", "time", "random", "secrets", "os", "pathlib", "threading",
    "subprocess", "sqlite3", "logging", "aiohttp", "prometheus_client",
}  # fmt: skip
GROUND_STDLIB = {
    "__future__", "collections", "dataclasses", "enum", "functools", "math", "re", "typing", "struct", "marshal",
    "hashlib", "ipaddress", "types",
}  # fmt: skip
DOORS = {
    "yaml": {"config/marks.py"},
    "dnslib": {"wire/records.py", "wire/lookup.py"},
    "dns": {"wire/records.py", "probes/dns.py", "probes/ask.py", "probes/follow.py"},
    "prometheus_client": {"web/metrics.py"},
    "maxminddb": {"files.py"},
    "jinja2": {"web/page.py"},
    "pydantic": {"config"},
    "h2": {"probes/grpc.py"},
    "aiosmtplib": {"notify/email.py"},
    "aiohttp": {
        "web",
        "probes/http.py",
        "probes/hls.py",
        "probes/fetch.py",
        "notify",
        "store",
        "cli/client.py",
        "cli/demo",
    },
}
FILE_WALL, FUNCTION_WALL = 400, 60


def room(path: Path) -> str:
    return path.relative_to(GTM).parts[0].removesuffix(".py")


FILES = sorted(GTM.rglob("*.py"))
ROOMS = sorted({room(path) for path in FILES})
of_each_room = pytest.mark.parametrize("name", ROOMS)


def files(name: str) -> list[Path]:
    return [path for path in FILES if room(path) == name]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Return every imported module, `from gtm import x` as `gtm.x`."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module in {"gtm", f"gtm.{room(path)}"}:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def allowed_rooms(name: str) -> set[str]:
    if name in GROUND:
        return GROUND
    if name in THINKING:
        return GROUND | {name}
    if name in MINDS:
        return GROUND | THINKING | MINDS
    if name in DOING:
        return GROUND | {name} | ({TWIN[name]} if name in TWIN else set())
    if name == "app":
        return GROUND | THINKING | DOING | MINDS | {"app"}
    if name == "cli":
        return GROUND | THINKING | {"app", "cli", "files", "__version__"}
    return {"cli"}


@of_each_room
def test_a_file_imports_only_from_its_own_floor_and_below(name: str) -> None:
    for path in files(name):
        for module in imports(path):
            if module.startswith("gtm."):
                other = module.split(".")[1]
                assert other in allowed_rooms(name) | {"__version__"}, f"{path} must not import {module}"


@of_each_room
def test_thinking_rooms_have_no_clock_no_chance_and_no_io(name: str) -> None:
    for path in files(name):
        tops = {module.split(".")[0] for module in imports(path)}
        if name in GROUND | THINKING | MINDS:
            assert not tops & IMPURE, path
        if name in GROUND:
            assert tops <= GROUND_STDLIB | {"gtm"}, path


@of_each_room
def test_each_third_party_package_has_few_doors(name: str) -> None:
    for path in files(name):
        here = str(path.relative_to(GTM))
        for module in imports(path):
            doors = DOORS.get(module.split(".")[0])
            assert doors is None or any(here == door or here.startswith(door) for door in doors), f"{here}: {module}"


def code_lines(tree: ast.AST, first: int, last: int) -> int:
    """Count lines from `first` to `last` without docstrings."""
    lines = last - first + 1
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            head = node.body[0]
            if (
                isinstance(head, ast.Expr)
                and isinstance(head.value, ast.Constant)
                and isinstance(head.value.value, str)
            ):
                lines -= (head.end_lineno or head.lineno) - head.lineno + 1
    return lines


@of_each_room
def test_files_and_functions_stay_inside_the_walls(name: str) -> None:
    for path in files(name):
        tree = parsed(path)
        assert code_lines(tree, 1, len(path.read_text().splitlines())) <= FILE_WALL, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert code_lines(node, node.lineno, node.end_lineno or 0) <= FUNCTION_WALL, f"{path}:{node.name}"


@of_each_room
def test_a_file_opens_with_a_sentence(name: str) -> None:
    for path in files(name):
        doc = ast.get_docstring(parsed(path))
        assert doc, path
        assert doc.splitlines()[0].rstrip().endswith((".", ":", ",")) or len(doc.splitlines()) > 1, path
