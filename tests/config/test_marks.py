"""YAML in, data and places out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gtm import errors
from gtm.config import marks


def data(text: str) -> dict[str, object]:
    document, problems = marks.read("x.yaml", text)
    assert problems == ()
    return document.data


def codes(text: str) -> list[str]:
    return [one.code for one in marks.read("x.yaml", text)[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in ("NO", "no", "on", "off", "yes", "22:22", "1:2:3", "2026-01-01", "192.0.2.1", "1.2.3")
        ),
        *((word, None) for word in ("~", "null", "Null", "NULL", "")),
        *(("true", True), ("False", False), ("tRUE", "tRUE")),
        *(("0x1f", 31), ("0o17", 15), ("010", 10), ("-3", -3), ("+3", 3), ("1_000", "1_000"), ("0b1", "0b1")),
        *(
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            (".", "."),
            ("-", "-"),
            (".inf", float("inf")),
            ("1e999", float("inf")),
        ),
        *(("9" * 5000, "9" * 5000), ("5s..30s", "5s..30s"), ("30%", "30%")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = marks.scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_and_block_scalars_are_text() -> None:
    assert data("a: '1'\nb: \"true\"\nc: |\n  2\nd: !!str 3\n") == {"a": "1", "b": "true", "c": "2\n", "d": "3"}


def test_keys_are_text_as_written() -> None:
    assert data("NO: 1\n10: 2\ntrue: 3\nnull: 4\n") == {"NO": 1, "10": 2, "true": 3, "null": 4}


def test_every_value_and_key_knows_its_place() -> None:
    document, _ = marks.read("x.yaml", "a:\n  bc: [1, {de: fg}]\n  h: two words\n")
    assert document.mark(("a", "bc", 1, "de"), "key") == errors.Mark("x.yaml", 2, 12, 14)
    assert document.mark(("a", "bc", 1, "de")) == errors.Mark("x.yaml", 2, 16, 18)
    assert document.mark(("a", "h")) == errors.Mark("x.yaml", 3, 6, 15)
    assert document.mark(("a", "bc")) == errors.Mark("x.yaml", 2, 3, 5), "a list is pointed at by its key"
    assert document.mark(("a", "h", "nothing")) == document.mark(("a", "h")), "the nearest thing above"


def test_an_item_of_a_list_is_found_by_what_is_written() -> None:
    document, _ = marks.read("x.yaml", "a: [x, yy]\n")
    assert document.mark(("a", "yy")).column == 8


def test_merge_keys_are_overridden_by_what_is_written() -> None:
    assert data("x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\nz: {<<: [*x, {c: 4}]}\n") == {
        "x": {"a": 1, "b": 2},
        "y": {"b": 3, "a": 1},
        "z": {"a": 1, "b": 2, "c": 4},
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\na: 2\n", "doubled-key"),
        ("a: {<<: 3}\n", "bad-merge"),
        ("? [a]\n: b\n", "bad-key"),
        ("a: *nothing\n", "bad-alias"),
        ("a: &b {c: *b}\n", "bad-alias"),
        ("[" * 100_000, "too-deep"),
        ("a: " + "{b: " * 40 + "1" + "}" * 40, "too-deep"),
        ("a: 'open\n", "yaml-syntax"),
        ("a: \x07\n", "yaml-syntax"),
        ("a: !!binary aGk=\n", "yaml-tag"),
        ("just words\n", "wrong-type"),
    ],
)
def test_bad_yaml_is_a_problem_with_a_place(text: str, code: str) -> None:
    found = marks.read("x.yaml", text)[1]
    assert [one.code for one in found] == [code]
    assert found[0].mark is not None


def test_the_first_of_a_doubled_key_is_shown_too() -> None:
    found = marks.read("x.yaml", "a: 1\nb: 2\na: 3\n")[1]
    assert (found[0].mark, found[0].also) == (
        errors.Mark("x.yaml", 3, 1, 2),
        (errors.Mark("x.yaml", 1, 1, 2),),
    )


def test_aliases_share_but_do_not_multiply() -> None:
    lines = ["a: &a [" + ",".join("x" * 10) + "]"]
    lines += [
        f"{name}: &{name} [{','.join(['*' + last] * 10)}]" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert codes("\n".join(lines)) == ["alias-bomb"]


def test_a_file_over_the_bound_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MAX_BYTES", 10)
    assert codes("a: 1234567890\n") == ["too-big"]


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert data("") == {}
    assert data("# nothing\n") == {}


@given(some.text(alphabet=some.sampled_from("ab: -[]{}&*!|>'\"%@#,?\n\t01.~"), max_size=80))
def test_nothing_that_is_read_raises(text: str) -> None:
    document, problems = marks.read("x.yaml", text)
    assert isinstance(document.data, dict)
    assert all(one.mark is not None and one.mark.line >= 1 for one in problems)
