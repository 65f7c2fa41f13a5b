"""Presentation-format text in, words out: the lexical half of RFC 1035 section 5.1, escapes and parentheses included.

A *word* is kept as it was written (quotes and escapes too), so that it can be handed on unharmed; `plain` and
`strings` give the bytes that it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gtm import errors

_QUOTED = r'"(?:[^"\\\n]|\\[^\n])*"'
_BARE = r'(?:[^\s;()"\\]|\\[^\n])+'
_TOKEN = re.compile(
    rf"(?P<comment>;[^\n]*)|(?P<line>\n)|(?P<blank>[^\S\n]+)|(?P<open>\()|(?P<close>\))|(?P<word>(?:{_QUOTED}|{_BARE})+)"
)
_PIECE = re.compile(rf"{_QUOTED}|{_BARE}")
_ESCAPE = re.compile(r"\\([0-9]{3}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a zone file. `line` counts from 1; `indented` says that it begins with a blank (owner as before)."""

    line: int
    indented: bool
    words: tuple[str, ...]


def entries(text: str) -> Iterator[Entry]:
    """Yield the entries of a zone file or of one record's text. Raises `RecordError` with the line."""
    depth, first, indented, fresh = 0, 1, False, True
    words: list[str] = []
    for kind, line, word in _tokens(text):
        if kind == "line" and depth == 0:
            if words:
                yield Entry(first, indented, tuple(words))
            indented, words, fresh = False, [], True
        elif kind == "word":
            first = line if not words else first
            words.append(word)
            fresh = False
        elif kind == "blank":  # as the first thing of a line: the owner is the one before
            indented, fresh = indented or fresh, False
        elif kind in {"open", "close"}:
            depth, fresh = depth + (1 if kind == "open" else -1), False
            if depth < 0:
                raise errors.RecordError("a closing parenthesis without an opening one", line)
    if depth:
        raise errors.RecordError("a parenthesis that is not closed", first)
    if words:
        yield Entry(first, indented, tuple(words))


def _tokens(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield (kind, line, text as written) for everything in `text`, blanks, line ends and comments too."""
    at, line = 0, 1
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            what = "a quote that is not closed" if text[at] == '"' else "a lone backslash"
            raise errors.RecordError(what, line)
        yield token.lastgroup or "", line, token.group()
        line += token.lastgroup == "line"
        at = token.end()


def words(text: str) -> tuple[str, ...]:
    """Return the words of one record's text; line ends count as blanks. Raises `RecordError`."""
    return tuple(word for entry in entries(text) for word in entry.words)


def strings(word: str) -> list[bytes]:
    """Return the character strings that a word holds: `a` is one, `"a b"` is one, `"a""b"` are two."""
    return [unescaped(piece[1:-1] if piece[0] == '"' else piece) for piece in _PIECE.findall(word)]


def plain(word: str) -> bytes:
    """Return the bytes that a word stands for, its pieces joined."""
    return b"".join(strings(word))


def unescaped(text: str) -> bytes:
    """Resolve `\\.` and `\\000`; what is not ASCII becomes UTF-8."""
    if "\\" not in text:
        return text.encode()
    out, at = bytearray(), 0
    for found in _ESCAPE.finditer(text):
        out += text[at : found.start()].encode()
        escaped = found[1]
        if len(escaped) == 3:
            if int(escaped) > 255:
                raise errors.RecordError(f"\\{escaped} is above \\255")
            out.append(int(escaped))
        else:
            out += escaped.encode()
        at = found.end()
    return bytes(out + text[at:].encode())
