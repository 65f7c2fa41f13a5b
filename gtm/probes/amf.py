"""AMF0 bytes in, plain values out, and back: the values of RTMP's commands (Adobe's AMF0 specification, 2007).

Only what commands are made of: numbers, booleans, text, objects, arrays, null. Everything read is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

NUMBER, BOOLEAN, STRING, OBJECT, NULL, UNDEFINED = 0, 1, 2, 3, 5, 6
ECMA_ARRAY, OBJECT_END, STRICT_ARRAY, DATE, LONG_STRING = 8, 9, 10, 11, 12
MAX_DEPTH, MAX_VALUES = 8, 512  # a command is flat and has a dozen values

Value = float | bool | str | None | dict[str, Any] | list[Any]


def pack(*values: object) -> bytes:
    """Return values as AMF0. Numbers, booleans, text, None and mappings of them; raises `TypeError` for others."""
    return b"".join(map(_packed, values))


def _packed(value: object) -> bytes:
    if value is None:
        return bytes((NULL,))
    if isinstance(value, bool):
        return bytes((BOOLEAN, value))
    if isinstance(value, int | float):
        return struct.pack(">Bd", NUMBER, value)
    if isinstance(value, str):
        return bytes((STRING,)) + _name(value)
    if isinstance(value, Mapping):
        inside = b"".join(_name(str(key)) + _packed(one) for key, one in value.items())
        return bytes((OBJECT,)) + inside + bytes((0, 0, OBJECT_END))
    raise TypeError(f"AMF0 has no {type(value).__name__}")


def _name(text: str) -> bytes:
    raw = text.encode()[:0xFFFF]
    return struct.pack(">H", len(raw)) + raw


def unpack(data: bytes) -> list[Value]:
    """Return all values that stand one after another. Raises `ValueError` for what is not AMF0, or is too much."""
    reader = _Reader(data)
    found: list[Value] = []
    try:
        while reader.at < len(data):
            found.append(reader.value(0))
    except (struct.error, IndexError):
        raise ValueError("AMF0 that is cut short") from None
    return found


class _Reader:
    """One walk over the bytes; `left` counts down the values that may still come."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.left = data, 0, MAX_VALUES

    def value(self, depth: int) -> Value:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise ValueError("AMF0 with too many values")
        kind = self._number(">B", 1)
        if kind == NUMBER:
            return float(self._number(">d", 8))
        if kind == BOOLEAN:
            return bool(self._number(">B", 1))
        if kind == STRING:
            return self._text(int(self._number(">H", 2)))
        if kind == LONG_STRING:
            return self._text(int(self._number(">I", 4)))
        if kind in {NULL, UNDEFINED}:
            return None
        if kind == DATE:
            when, _ = self._number(">d", 8), self._number(">h", 2)
            return float(when)
        if kind == STRICT_ARRAY:
            return [self.value(depth + 1) for _ in range(min(int(self._number(">I", 4)), MAX_VALUES))]
        if kind == ECMA_ARRAY:
            self._number(">I", 4)  # how many, which is a hint: the end mark counts
        elif kind != OBJECT:
            raise ValueError(f"AMF0 has no use for type {kind} here")
        return self._object(depth)

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            key = self._text(int(self._number(">H", 2)))
            if not key and self.data[self.at] == OBJECT_END:
                self.at += 1
                return found
            found[key] = self.value(depth + 1)

    def _number(self, form: str, size: int) -> float:
        (found,) = struct.unpack_from(form, self.data, self.at)
        self.at += size
        return float(found) if form == ">d" else int(found)

    def _text(self, size: int) -> str:
        raw = self.data[self.at : self.at + size]
        if len(raw) < size:
            raise ValueError("AMF0 text that is cut short")
        self.at += size
        return raw.decode("utf-8", "replace")
