"""An answer's CMSD headers in, measures out (CTA-5006; RFC 8941 structured fields).

A packager or cache says here how it fares: that it is under duress, how much it can deliver, how good the media is.
What cannot be read is passed over, for these headers are remarks, and no reason to fail anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import multidict

from gtm import model

MAX_CHARACTERS = 4096  # of one header with all its lines; each hop adds some 60
MAX_MEMBERS = 64

DURESS = "cmsd.du"
MEASURES = (
    model.Measure(DURESS, "", "whether a server on the way says that it is under duress (CMSD)"),
    model.Measure("cmsd.mqcs", "", "media quality confidence score, 0 to 100 (CMSD)"),
    model.Measure("cmsd.mb", "", "the highest bit rate that the server suggests, in kbit/s (CMSD)"),
    model.Measure("cmsd.etp", "", "the server's estimate of the throughput, in kbit/s (CMSD)"),
    model.Measure("cmsd.rtt", "s", "the server's estimate of the round trip (CMSD)"),
    model.Measure("cmsd.rd", "s", "for how long the server waited for the answer (CMSD response delay)"),
    model.Measure("cmsd.held", "s", "for how long the origin held the request back (CMSD ht)"),
    model.Measure("cmsd.age", "s", "since the object became available at the origin (CMSD at)"),
    model.Measure("cmsd.br", "", "the object's bit rate, in kbit/s (CMSD)"),
)

# By key: the measure, and what one unit of it is.
_DYNAMIC = {"mb": ("cmsd.mb", 1.0), "etp": ("cmsd.etp", 1.0), "rtt": ("cmsd.rtt", 1e-3), "rd": ("cmsd.rd", 1e-3)}
_STATIC = {"br": ("cmsd.br", 1.0), "ht": ("cmsd.held", 1e-3)}
_SCORE = "mqcs"  # a custom key, which carries its owner's name before it: the last word tells

# A key, and a bare item: a string, a number, a boolean, a token, or an inner list or byte sequence (passed over).
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]{0,63}")
_ITEM = re.compile(
    r'"((?:[^"\\]|\\.){0,512})"|(-?\d{1,15}(?:\.\d{1,3})?)|\?([01])|([A-Za-z*][!#$%&\'*+\-.^_`|~:/0-9A-Za-z]{0,255})'
    r"|\([^)]{0,512}\)|:[A-Za-z0-9+/=]{0,512}:"
)
Item = model.Value | None


def read(headers: multidict.CIMultiDictProxy[str], wall: float) -> dict[str, model.Value]:
    """Return what the headers measure; nothing where there are none. `wall` is the time now, for `cmsd.age`."""
    found: dict[str, model.Value] = {}
    if "CMSD-Static" in headers:
        _static(parameters(_joined(headers, "CMSD-Static"), ","), wall, found)
    if "CMSD-Dynamic" in headers:
        found[DURESS] = False
        for hop in _members(_joined(headers, "CMSD-Dynamic")):
            _dynamic(parameters(hop, ";"), found)
    return found


def parameters(text: str, sign: str) -> Mapping[str, Item]:
    """Return `key=item` pairs that `sign` parts; a key without an item is true. What is none is passed over."""
    found: dict[str, Item] = {}
    at, end = 0, len(text)
    while at < end and len(found) < MAX_MEMBERS:
        key = _KEY.match(text, at)
        if key:
            at = key.end()
            value: Item = True
            if at < end and text[at] == "=":
                item = _ITEM.match(text, at + 1)
                value = _value(item) if item else None
                at = item.end() if item else at + 1
            found[key[0]] = value
        else:  # the name of the hop, which stands first in a member, or noise
            item = _ITEM.match(text, at)
            at = item.end() if item else at
        at = text.find(sign, at) + 1 or end
        while at < end and text[at] in " \t":
            at += 1
    return found


def _static(said: Mapping[str, Item], wall: float, found: dict[str, model.Value]) -> None:
    _take(said, _STATIC, found)
    at = said.get("at")
    if _is_number(at):
        found["cmsd.age"] = wall - float(at or 0) / 1000


def _dynamic(said: Mapping[str, Item], found: dict[str, model.Value]) -> None:
    """Take one hop's word: that of the last, which is the nearest, holds; duress anywhere on the way is duress."""
    _take(said, _DYNAMIC, found)
    if said.get("du") is True:
        found[DURESS] = True


def _take(said: Mapping[str, Item], known: Mapping[str, tuple[str, float]], found: dict[str, model.Value]) -> None:
    for key, value in said.items():
        if not _is_number(value):
            continue
        if key in known:
            measure, unit = known[key]
            found[measure] = float(value or 0) * unit
        elif re.split(r"[.\-]", key)[-1] == _SCORE:
            found["cmsd.mqcs"] = float(value or 0)


def _is_number(value: Item) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _value(item: re.Match[str]) -> Item:
    text, number, flag, token = item.groups()
    if number is not None:
        return float(number)
    if flag is not None:
        return flag == "1"
    return text if text is not None else token


def _joined(headers: multidict.CIMultiDictProxy[str], name: str) -> str:
    return ", ".join(headers.getall(name))[:MAX_CHARACTERS]


def _members(text: str) -> Iterator[str]:
    """Yield the members of a list: commas part them, save those inside quotes."""
    start, quoted, count = 0, False, 0
    for at, sign in enumerate(text):
        if sign == '"' and (at == 0 or text[at - 1] != "\\"):
            quoted = not quoted
        elif sign == "," and not quoted:
            yield text[start:at].strip()
            start, count = at + 1, count + 1
            if count >= MAX_MEMBERS:
                return
    yield text[start:].strip()
