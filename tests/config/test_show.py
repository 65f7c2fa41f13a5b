"""Problems for people and for machines."""

from __future__ import annotations

from gtm import errors
from gtm.config import show
from tests.config.reading import WORLD, read, snapshot


def test_a_problem_shows_its_line_a_caret_and_a_hint() -> None:
    text = "endpoints:\n  a: {adress: 192.0.2.1}\n"
    shown = show.problems(read(text).problems, {"gtm.yaml": text})
    assert shown.splitlines()[:4] == [
        "gtm.yaml:2:7: error[unknown-key]: 'adress' is not a setting here",
        "  |   a: {adress: 192.0.2.1}",
        "  |       ^^^^^^",
        "  hint: did you mean 'address'?",
    ]


def test_colour_is_added_only_when_asked_for() -> None:
    one = errors.Problem("warning", "x", "doubtful", hint="look")
    assert show.problems([one], {}) == "warning[x]: doubtful\n  hint: look"
    assert "\x1b[1;33m" in show.problems([one], {}, color=True)


def test_a_terminal_never_sees_control_characters() -> None:
    text = "a: '\x1b[31m'\n"
    one = errors.Problem("error", "x", "bad \x1b]0;", errors.Mark("f", 1, 4, 9))
    assert "\x1b" not in show.problems([one], {"f": text})


def test_the_caret_stands_under_wide_signs_and_tabs() -> None:
    one = errors.Problem("error", "x", "m", errors.Mark("f", 1, 6, 8))
    assert show.problems([one], {"f": "\t日本: x y"}).splitlines()[2] == "  | \t      ^^"


def test_a_long_line_is_cut_around_the_place() -> None:
    text = "x" * 1000 + "culprit" + "y" * 1000
    one = errors.Problem("error", "x", "m", errors.Mark("f", 1, 1001, 1008))
    _, line, caret = show.problems([one], {"f": text}).splitlines()
    assert len(line) <= show.MAX_LINE + 4
    assert line[caret.index("^") : caret.rindex("^") + 1] == "culprit"


def test_a_secret_in_the_open_is_not_shown_once_more() -> None:
    text = WORLD + "web: {tokens: [{name: x, role: viewer, secret: hush-hush}]}\n"
    shown = show.problems(read(text).problems, {"gtm.yaml": text})
    assert "secret-in-the-open" in shown
    assert "hush" not in shown


def test_only_so_many_are_shown_but_all_are_counted() -> None:
    many = [errors.Problem("error", "x", "m")] * (show.MAX_SHOWN + 5)
    assert show.problems(many, {}).endswith("... and 5 more")
    assert show.tally(many) == "105 errors, 0 warnings"
    assert len(show.as_json(many)) == 105


def test_machines_get_every_field() -> None:
    found = show.as_json(read("a: 1\na: 2\n").problems)
    assert found[1] == {
        "severity": "error",
        "file": "gtm.yaml",
        "line": 2,
        "column": 1,
        "end_column": 2,
        "code": "doubled-key",
        "path": "",
        "message": "'a' is written twice; the first is in line 1",
        "hint": "rename or delete one of them",
        "also": [{"file": "gtm.yaml", "line": 1, "column": 1, "end_column": 2}],
    }


def test_the_summary_counts_what_there_is() -> None:
    assert show.summary(snapshot(WORLD)) == "1 zone, 2 steered names, 3 pools, 4 endpoints, 4 checks"
