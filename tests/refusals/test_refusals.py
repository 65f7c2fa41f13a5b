"""Every broken configuration in `broken/` is refused with exactly the errors that its first lines expect.

A file begins with lines `# expect: error[CODE] LINE:COLUMN WORDS`, the place as `FILE:LINE:COLUMN` outside the main
file, `-` for none; WORDS stand in the message or the hint. `#### NAME` begins a further file.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gtm import errors
from gtm.config import load, show
from tests.config import reading

CASES = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
_EXPECTED = re.compile(r"# expect: error\[([a-z-]+)\] (\S+) ?(.*)")
_FILE = re.compile(r"^#### (.*)\n", re.MULTILINE)


def place(one: errors.Problem) -> str:
    if one.mark is None:
        return "-"
    file = "" if one.mark.file == "gtm.yaml" else f"{one.mark.file}:"
    return f"{file}{one.mark.line}:{one.mark.column}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_broken_configuration_is_refused_with_all_its_errors_and_no_other(path: Path) -> None:
    parts = _FILE.split(path.read_text())
    texts = {"gtm.yaml": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    expected = [match.groups() for line in parts[0].splitlines() if (match := _EXPECTED.fullmatch(line))]
    loaded = load.load(
        "gtm.yaml", texts,
        kinds=reading.KINDS, senders=reading.SENDERS, records=reading.READER, node="ns1", store="memory:",
    )  # fmt: skip
    left = [one for one in loaded.problems if one.severity == "error"]
    assert expected
    assert loaded.snapshot is None
    for code, where, words in expected:
        found = [
            one for one in left if (one.code, place(one)) == (code, where) and words in f"{one.message} {one.hint}"
        ]
        assert found, (
            f"{code} at {where} was not said; said was {[(one.code, place(one), one.message) for one in left]}"
        )
        left.remove(found[0])
    assert not left
    assert [one.code for one in loaded.problems if not one.hint] == []  # what to do about it is said of everything
    shown = show.problems(loaded.problems, loaded.texts)
    assert all(f"[{code}]" in shown for code, _, _ in expected)


def test_there_are_many_ways_to_be_refused() -> None:
    assert len(CASES) >= 45
