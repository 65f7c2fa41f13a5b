"""The JSON Schema: the same definitions, for editors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # comes with check-jsonschema
import pytest
import yaml

from gtm.config import editor
from tests.config.reading import KINDS, SENDERS, WORLD, read

SCHEMA = editor.json_schema(KINDS, SENDERS)


def settings(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        found = part.get("properties")
        for name, one in found.items() if isinstance(found, dict) and "if" not in path else ():
            yield f"{path}/{name}", one
        for name, one in part.items():
            yield from settings(one, f"{path}/{name}")
    elif isinstance(part, list):
        for index, one in enumerate(part):
            yield from settings(one, f"{path}/{index}")


def test_every_setting_is_described() -> None:
    found = [(path, one) for path, one in settings(SCHEMA) if not path.endswith("/if")]
    assert len(found) > 100
    assert [path for path, one in found if not one.get("description")] == []


def test_only_words_that_draft_07_knows_are_used() -> None:
    assert SCHEMA["$schema"] == editor.DRAFT
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    assert not [
        word for word in ("prefixItems", "unevaluated", "dependentRequired", "$dynamicRef") if f'"{word}' in text
    ]


def test_what_loads_is_valid_for_an_editor_too() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(yaml.safe_load(WORLD))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("port: 443", "prot: 443"),
        ("kind: tcp", "kind: tpc"),
        ("a: 3", "a: three"),
        ("at: EU-NL", "att: EU-NL"),
        ("members: [c]", "members: [c], answers: 9"),
        ("members: [c]", "members: [c], balance: wieghted"),
        ("play: [eu, us]", "play: {tyr: eu}"),
        ("play: [eu, us]", "play: {try: eu, when_all_down: panic}"),
    ],
)
def test_what_an_editor_refuses_the_loader_refuses_too(before: str, after: str) -> None:
    text = WORLD.replace(before, after)
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(yaml.safe_load(text))
    assert read(text).snapshot is None


def test_a_kind_is_told_apart_by_its_options() -> None:
    assert "path" in SCHEMA["$defs"]["check_http"]["properties"]
    assert "path" not in SCHEMA["$defs"]["check_tcp"]["properties"]
