"""The text of one YAML file in, plain data in which every key and value knows its line and column out.

The only door of `yaml`. PyYAML's parser gives events; the tree is built here, because the scalars must be those of
YAML 1.2 (core schema): to YAML 1.1 the country `NO` is false and `22:22` is 1342. A doubled key is an error, where
PyYAML keeps the last one. Aliases share their target and are counted, so that no file grows exponentially.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

import yaml

from gtm import errors

MAX_BYTES: Final = 64 * 1024 * 1024
"""Semantics G6: the bound of a configuration."""
MAX_DEPTH: Final = 32
"""No setting lies deeper than nine levels; the walkers recurse, and this keeps them far from Python's own limit."""
MAX_ALIASED_NODES: Final = 1_000_000
"""How many nodes aliases may stand for, all in all: enough for a big file, nothing for a bomb."""
MAX_NUMBER_CHARACTERS: Final = 40
"""Longer digit strings are text: no setting takes such a number, and reading one takes quadratic time."""
MAX_SLOW_CHARACTERS: Final = 500_000
"""How far the slow parser looks for better words: about two seconds."""

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
At = Literal["key", "value"]

_WORDS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **{word: float("nan") for word in (".nan", ".NaN", ".NAN")},
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_STR_TAGS = {"tag:yaml.org,2002:str", "!"}


class Node:
    """A scalar, a list of nodes, or a mapping of text to (key node, value node), and where it stands (from 1)."""

    __slots__ = ("column", "end", "line", "open", "size", "value")

    def __init__(self, value: Any, start: Any, end: Any) -> None:
        self.value = value
        self.line: int = start.line + 1
        self.column: int = start.column + 1
        self.end: int = end.column + 1 if end.line == start.line and end.column > start.column else start.column + 2
        self.open = False
        self.size = 1


class Document:
    """One parsed file."""

    __slots__ = ("data", "file", "root")

    def __init__(self, file: str, root: Node | None) -> None:
        self.file = file
        self.root = root
        plain = _plain(root, {}) if root else None
        self.data: dict[str, Any] = plain if isinstance(plain, dict) else {}

    def mark(self, path: Path, at: At = "value") -> errors.Mark:
        """Return where `path` stands; for what is not there, where the nearest thing above it stands.

        A mapping or a list is pointed at by its key, which is what people look for.
        """
        node, key = self.root, None
        for part in path:
            if node is None:
                break
            if isinstance(node.value, dict) and part in node.value:
                key, node = node.value[part]
            elif isinstance(node.value, list):
                item = _item(node.value, part)
                if item is not None:
                    key, node = None, item
        if node is None:
            return errors.Mark(self.file, 1, 1, 1)
        shown = key if key is not None and (at == "key" or isinstance(node.value, dict | list)) else node
        return errors.Mark(self.file, shown.line, shown.column, shown.end)


def _item(items: list[Node], part: str | int) -> Node | None:
    """Return an item of a list by its number, or by what is written there."""
    if isinstance(part, int):
        return items[part] if part < len(items) else None
    return next((one for one in items if one.value == part), None)


class _SyntaxError(Exception):
    def __init__(self, code: str, message: str, at: Any, hint: str = "", also: Node | None = None) -> None:
        self.code, self.message, self.at, self.hint, self.also = code, message, at, hint, also
        super().__init__(message)


def read(file: str, text: str) -> tuple[Document, tuple[errors.Problem, ...]]:
    """Return the parsed file and what is wrong with its YAML. A file that cannot be parsed is an empty document."""
    if len(text) > MAX_BYTES:
        return Document(file, None), (
            errors.Problem("error", "too-big", "the file is over 64 MiB", errors.Mark(file, 1, 1, 2)),
        )
    builder = _Builder(file)
    try:
        root = builder.build(yaml.parse(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader))
    except yaml.YAMLError as failure:
        builder.problems.append(_syntax(file, text, failure))
        root = None
    except _SyntaxError as failure:
        builder.report(failure)
        root = None
    if root is not None and root.value is not None and not isinstance(root.value, dict):
        mark = errors.Mark(file, root.line, root.column, root.end)
        builder.problems.append(errors.Problem("error", "wrong-type", "a configuration is a mapping of sections", mark))
        root = None
    return Document(file, root), tuple(builder.problems)


def _syntax(file: str, text: str, failure: yaml.YAMLError) -> errors.Problem:
    """Say what the parser said. The C parser is fast and terse; the Python one finds better words for the place."""
    try:
        for _event in yaml.parse(text[:MAX_SLOW_CHARACTERS], Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as better:
        failure = better
    except RecursionError:
        pass  # what the C parser said is good enough
    if isinstance(failure, yaml.MarkedYAMLError):
        message = ", ".join(part for part in (failure.context, failure.problem) if part)
        at = failure.problem_mark or failure.context_mark
        line, column = (at.line + 1, at.column + 1) if at else (1, 1)
    else:
        position = getattr(failure, "position", 0)
        line = text.count("\n", 0, position) + 1
        column = position - (text.rfind("\n", 0, position) + 1) + 1
        message = str(getattr(failure, "reason", failure))
    hint = "a tab cannot indent YAML: use blanks" if "'\\t'" in message else ""
    return errors.Problem("error", "yaml-syntax", message, errors.Mark(file, line, column, column + 1), hint=hint)


class _Builder:
    """Builds the tree from events, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[errors.Problem] = []
        self.anchors: dict[str, Node] = {}
        self.stack: list[tuple[Node, list[Node]]] = []
        self.aliased = 0

    def report(self, failure: _SyntaxError) -> None:
        at, also = failure.at, failure.also
        if isinstance(at, Node):
            mark = errors.Mark(self.file, at.line, at.column, at.end)
        else:
            mark = errors.Mark(self.file, at.line + 1, at.column + 1, at.column + 2)
        first = (errors.Mark(self.file, also.line, also.column, also.end),) if also else ()
        self.problems.append(
            errors.Problem("error", failure.code, failure.message, mark, hint=failure.hint, also=first)
        )

    def build(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                done = self._scalar(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._start(event)
                continue
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                done = self._end()
            elif isinstance(event, yaml.AliasEvent):
                done = self._alias(event)
            else:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise _SyntaxError("two-documents", "a file holds one YAML document", event.start_mark)
                continue
            if self.stack:
                self.stack[-1][1].append(done)
            else:
                root = done
        return root

    def _scalar(self, event: Any) -> Node:
        plain = event.implicit[0] and not event.style
        if event.tag and event.tag not in _STR_TAGS:
            raise _SyntaxError("yaml-tag", f"{event.tag} is not understood: values have no tags", event.start_mark)
        value = scalar(event.value) if plain and not event.tag else event.value
        node = Node(value, event.start_mark, event.end_mark)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _start(self, event: Any) -> None:
        if event.tag and not event.implicit:
            raise _SyntaxError("yaml-tag", f"{event.tag} is not understood: values have no tags", event.start_mark)
        if len(self.stack) >= MAX_DEPTH:
            raise _SyntaxError("too-deep", f"more than {MAX_DEPTH} levels inside each other", event.start_mark)
        node = Node({} if isinstance(event, yaml.MappingStartEvent) else [], event.start_mark, event.end_mark)
        node.open = True
        if event.anchor:
            self.anchors[event.anchor] = node
        self.stack.append((node, []))

    def _end(self) -> Node:
        node, parts = self.stack.pop()
        node.open = False
        node.size += sum(part.size for part in parts)
        if isinstance(node.value, list):
            node.value = parts
        else:
            self._fill(node, parts)
        return node

    def _fill(self, node: Node, parts: list[Node]) -> None:
        """Make a mapping of alternating keys and values. Keys are text, however they look."""
        merged: list[Node] = []
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if isinstance(key.value, dict | list):
                self.report(_SyntaxError("bad-key", "a key is a word, not a list or a mapping", key))
                continue
            word = key.value if isinstance(key.value, str) else _key_text(key.value)
            if word == "<<":
                merged += value.value if isinstance(value.value, list) else [value]
            elif word in node.value:
                first = node.value[word][0]
                message = f"{word!r} is written twice; the first is in line {first.line}"
                self.report(_SyntaxError("doubled-key", message, key, "rename or delete one of them", first))
            else:
                node.value[word] = (key, value)
        for other in merged:
            if not isinstance(other.value, dict):
                self.report(_SyntaxError("bad-merge", "`<<` takes an alias of a mapping", other))
                continue
            for word, entry in other.value.items():
                node.value.setdefault(word, entry)

    def _alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            raise _SyntaxError("bad-alias", f"*{event.anchor} names no anchor before it", event.start_mark)
        if node.open:
            raise _SyntaxError("bad-alias", f"*{event.anchor} is inside the thing that it names", event.start_mark)
        self.aliased += node.size
        if self.aliased > MAX_ALIASED_NODES:
            message = f"aliases stand for more than {MAX_ALIASED_NODES:,} values"
            raise _SyntaxError("alias-bomb", message, event.start_mark)
        return node


def scalar(text: str) -> Scalar:
    """Return what a plain scalar means in the core schema of YAML 1.2 (section 10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-." or len(text) > MAX_NUMBER_CHARACTERS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text


def _key_text(value: Scalar) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(node: Node, seen: dict[int, Any]) -> Any:
    """Return the node's plain data; what was one node through aliases is one object."""
    if not isinstance(node.value, dict | list):
        return node.value
    found = seen.get(id(node))
    if found is None:
        if isinstance(node.value, list):
            found = [_plain(part, seen) for part in node.value]
        else:
            found = {word: _plain(value, seen) for word, (_, value) in node.value.items()}
        seen[id(node)] = found
    return found
