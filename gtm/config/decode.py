"""Parsed files in, the sections of all of them together as validated models out, and every problem on the way.

Sections merge by name before anything is validated; a name written in two files is an error that shows both places.
What is wrong is reported and left out, and what is left is validated again, so that one mistake hides no other.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pydantic

from gtm import errors, model
from gtm.config import fields, kinds, marks, schema

_NAMED: Final = {"checks", "endpoints", "sites", "pools", "zones", "dns", "web", "geo"}
"""Sections whose keys may stand in different files; `regions` inside `geo`, too. All others stand in one file."""
_LISTS: Final = {"include", "alerts"}
"""Sections that grow by every file."""
MAX_PASSES: Final = 20
"""How often what is wrong is cut out and the rest tried again: each pass cuts nearer to the root."""
MOST_NAMED: Final = 8
"""In one hint: a line, not a list."""

_Model = TypeVar("_Model", bound=pydantic.BaseModel)


@dataclass(slots=True)
class Report:
    """Collects problems, and knows where every setting stands."""

    problems: list[errors.Problem] = field(default_factory=list)
    origins: dict[marks.Path, tuple[marks.Document, marks.Path]] = field(default_factory=dict)

    def mark(self, path: marks.Path, at: marks.At = "value") -> errors.Mark | None:
        """Return where a setting of the merged configuration stands in its file."""
        for size in (3, 2, 1):
            found = self.origins.get(path[:size]) if len(path) >= size else None
            if found:
                document, prefix = found
                return document.mark(prefix + path[size:], at)
        return None

    def file(self, path: marks.Path) -> str:
        """Return the file that a setting stands in; empty when nobody wrote it."""
        mark = self.mark(path)
        return mark.file if mark else ""

    def only(self, path: marks.Path) -> bool:
        """Say whether the file of a setting holds nothing but the section of that setting."""
        found = self.origins.get(path)
        return found is not None and set(found[0].data) == {path[0]}

    def say(  # noqa: PLR0917  # a problem has this many parts
        self,
        severity: errors.Severity,
        code: str,
        path: marks.Path,
        message: str,
        hint: str = "",
        at: marks.At = "value",
    ) -> None:
        """Add a problem at the setting `path`."""
        self.problems.append(errors.Problem(severity, code, message, self.mark(path, at), dotted(path), hint))

    def error(self, code: str, path: marks.Path, message: str, hint: str = "", at: marks.At = "value") -> None:
        """Add an error."""
        self.say("error", code, path, message, hint, at)

    def warn(self, code: str, path: marks.Path, message: str, hint: str = "", at: marks.At = "value") -> None:
        """Add a warning."""
        self.say("warning", code, path, message, hint, at)

    def doubled(self, path: marks.Path, first: marks.Path | errors.Mark | None, message: str, hint: str = "") -> None:
        """Add an error about something that is written twice, with both places."""
        other = self.mark(first, "key") if isinstance(first, tuple) else first
        also = (other,) if other else ()
        where = f"; the other is in {other.file}:{other.line}" if other else ""
        here = self.mark(path, "key")
        self.problems.append(errors.Problem("error", "doubled-name", message + where, here, dotted(path), hint, also))

    def refused(self) -> bool:
        """Say whether there is any error."""
        return any(one.severity == "error" for one in self.problems)


@dataclass(slots=True)
class Decoded:
    """The valid part of a configuration. `broken` are paths of named things that exist, but could not be read."""

    config: schema.Config
    profiles: dict[str, kinds.Common]
    broken: set[marks.Path]
    alerts: list[Any]  # as written: `gtm.config.alerting` reads them

    def exists(self, section: str, name: str) -> bool:
        """Say whether there is such a thing, readable or not."""
        there = self.profiles if section == "checks" else getattr(self.config, section)
        return name in there or not self.broken.isdisjoint({(section,), (section, name)})

    def lost(self, section: str, key: str) -> bool:
        """Say whether anything of that section was left out whole, or lost what was written under `key`."""
        return any(one[:1] == (section,) and (len(one) < 3 or one[2] == key) for one in self.broken)

    def hurt(self, path: marks.Path) -> bool:
        """Say whether something inside `path` was left out, so that it is not to be judged as a whole."""
        return any(one[: len(path)] == path for one in self.broken)


def dotted(path: marks.Path) -> str:
    """Return a path as people write it: `pools.edge-eu.members[2]`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out


def near(word: str, known: Sequence[str] | Mapping[str, Any] | set[str]) -> str:
    """Return a hint that names the nearest known word, or nothing."""
    # Of three letters, two exchanged leave a likeness of a half only.
    found = difflib.get_close_matches(word, list(known), 1, 0.5 if len(word) <= 3 else 0.6)
    return f"did you mean {found[0]!r}?" if found else ""


def nearest(word: str, known: Collection[str]) -> str:
    """Return a hint that names the nearest known word, else some of those that there are."""
    some = sorted(known)[:MOST_NAMED]
    more = f", and {len(known) - len(some)} more" if len(known) > len(some) else ""
    return near(word, list(known)) or (f"known: {', '.join(some)}{more}" if some else "nothing of the kind is defined")


def decode(documents: Sequence[marks.Document], known: Mapping[str, model.Kind], report: Report) -> Decoded:
    """Merge and validate."""
    broken: set[marks.Path] = set()
    data = _merge(documents, report, broken)
    checks, alerts = data.pop("checks", {}), data.pop("alerts", [])
    config = validated(schema.Config, data, (), report, broken)
    profiles = {}
    models = kinds.models(known)
    for name, body in checks.items():
        made = _profile(name, body, models, report, broken)
        if made is not None:
            profiles[name] = made
        else:
            broken.add(("checks", name))
    return Decoded(config if config is not None else schema.Config(), profiles, broken, alerts)


def _merge(documents: Sequence[marks.Document], report: Report, broken: set[marks.Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for document in documents:
        for section, body in document.data.items():
            if body is None:
                continue
            if section in _NAMED:
                _merge_named(document, (section,), body, merged, report, broken)
            elif section in _LISTS:
                grown = merged.setdefault(section, [])
                for index, one in enumerate(fields.listed(body)):
                    report.origins[section, len(grown)] = document, (section, index)
                    grown.append(one)
            else:
                _place(document, (section,), body, merged, report)
    return merged


def _merge_named(  # noqa: PLR0917  # where from, where to, and where to say what is wrong
    document: marks.Document,
    path: marks.Path,
    body: Any,
    into: dict[str, Any],
    report: Report,
    broken: set[marks.Path],
) -> None:
    """Merge one file's mapping into the same mapping of the files before it."""
    if not isinstance(body, dict):
        # Said here: another file's mapping may take its place.
        mark = document.mark(path, "key")
        message = f"{fields.shown(body)} is not a mapping"
        report.problems.append(errors.Problem("error", "wrong-type", message, mark, dotted(path)))
        broken.add(path)
        return
    report.origins.setdefault(path, (document, path))
    merged = into.setdefault(str(path[-1]), {})
    for name, one in body.items():
        if (*path, name) == ("geo", "regions") and one is not None:
            _merge_named(document, (*path, name), one, merged, report, broken)
        else:
            _place(document, (*path, name), one, merged, report)


def _place(document: marks.Document, path: marks.Path, one: Any, into: dict[str, Any], report: Report) -> None:
    name = str(path[-1])
    if name in into:
        first = report.mark(path, "key")
        where = document.mark(path, "key")
        said = f"{dotted(path)} is written twice; the first is in {first.file}:{first.line}" if first else ""
        report.problems.append(
            errors.Problem(
                "error",
                "doubled-name",
                said,
                where,
                dotted(path),
                "rename or delete one of them",
                (first,) if first else (),
            )
        )
        return
    report.origins[path] = document, path
    into[name] = one


def _profile(
    name: str, body: Any, models: Mapping[str, type[kinds.Common]], report: Report, broken: set[marks.Path]
) -> kinds.Common | None:
    path: marks.Path = ("checks", name)
    if not fields.NAME.fullmatch(name) or name == "none":
        report.error("bad-name", path, f"{name!r} cannot be the name of a check", at="key")
        return None
    if not isinstance(body, dict):
        report.error("wrong-type", path, f"a check is a mapping with a `kind`, not {fields.shown(body)}")
        return None
    kind = body.get("kind")
    if kind is None:
        report.error("missing-key", path, "`kind` is missing", f"kinds are {', '.join(models)}", "key")
        return None
    if not isinstance(kind, str) or kind not in models:
        hint = near(str(kind), models) or f"kinds are {', '.join(models)}"
        report.error("unknown-kind", (*path, "kind"), f"{fields.shown(kind)} is not a kind of check", hint)
        return None
    return validated(models[kind], body, path, report, broken)


def validated(of: type[_Model], data: Any, at: marks.Path, report: Report, broken: set[marks.Path]) -> _Model | None:
    """Validate; report what is wrong, cut it out and try again. None when nothing is left.

    Later passes report nothing: what they find was made by cutting.
    """
    for turn in range(MAX_PASSES):
        try:
            return of.model_validate(data)
        except pydantic.ValidationError as wrong:
            found = wrong.errors(include_url=False)
        if turn == 0:
            for one in found:
                _tell(one, of, at, report)
        cuts = {_real(data, tuple(one["loc"])) for one in found}
        broken |= {at + path for path in cuts}
        if () in cuts:
            return None
        for path in cuts:
            _cut(data, path)
    return None


def _real(data: Any, path: marks.Path) -> marks.Path:
    """Return the part of a path of pydantic's that is there, as far as the first list (a list is cut as a whole)."""
    real: marks.Path = ()
    for part in path:
        if isinstance(part, str) and isinstance(data, dict) and part in data:
            data, real = data[part], (*real, part)
        elif isinstance(data, list):
            break
    return real


def _cut(data: Any, path: marks.Path) -> None:
    for part in path[:-1]:
        data = data.get(part)
        if not isinstance(data, dict):
            return
    data.pop(path[-1], None)


_WANTED: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a number of ordinary size",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "more than"),
    "less_than": ("lt", "less than"),
}


def _tell(one: Any, of: type[pydantic.BaseModel], at: marks.Path, report: Report) -> None:
    """Say one of pydantic's errors in our own words."""
    loc: marks.Path = tuple(one["loc"])
    path, kind, given, more = at + loc, one["type"], one["input"], one.get("ctx", {})
    last = loc[-1] if loc else ""
    shown = fields.shown(given)
    if kind == "extra_forbidden":
        siblings = _keys_at(of, loc[:-1])
        hint = near(str(last), siblings) or (f"known here: {', '.join(sorted(siblings))}" if siblings else "")
        report.error("unknown-key", path, f"{str(last)!r} is not a setting here", hint, "key")
    elif kind == "missing":
        report.error("missing-key", path[:-1], f"`{last}` is missing", _meaning(of, loc), "key")
    elif kind in _WANTED:
        hint = "put it into quotes" if kind == "string_type" and isinstance(given, int | float) else _meaning(of, loc)
        report.error("wrong-type", path, f"{shown} is not {_WANTED[kind]}", hint)
    elif kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        report.error("out-of-range", path, f"{shown} is out of range: {words} {more[bound]:g}", _meaning(of, loc))
    elif kind == "literal_error":
        hint = near(str(given), [word.strip("' ") for word in more["expected"].replace(" or ", ",").split(",")])
        report.error("bad-value", path, f"{shown} is none of {more['expected']}", hint or _meaning(of, loc))
    elif kind in {"too_short", "too_long"}:
        report.error("empty-list" if kind == "too_short" else "out-of-range", path, "the list is too " + kind[4:])
    elif "said" in more:
        in_key = last == "[key]"
        path = path[:-1] if in_key else (*path, more["about"]) if more["about"] else path
        where: marks.At = "key" if in_key or (isinstance(given, dict) and not more["about"]) else "value"
        report.error(kind, path, more["said"], more["hint"], where)
    else:
        report.error("bad-value", path, f"{shown}: {one['msg']}")


def _keys_at(of: type[pydantic.BaseModel], loc: marks.Path) -> set[str]:
    """Return the settings that the model at `loc` has: what a misspelt key may have meant."""
    here: Any = of
    for part in loc:
        if isinstance(part, str):
            members = _fields(here)
            if part in members:
                here = members[part]
    return {word for word in _fields(here) if word != "secret"}


def _meaning(of: type[pydantic.BaseModel], loc: marks.Path) -> str:
    """Return what the innermost named setting of `loc` means, as the documentation says it; empty when none does."""
    here, said = of, ""
    for part in loc:
        if isinstance(part, str) and isinstance(here, type) and part in _fields(here):
            infos = (info for name, info in here.model_fields.items() if part in {name, info.alias})
            said = f"`{part}`: {next(infos).description}"
            here = _fields(here)[part]
    return said


def _fields(of: Any) -> dict[str, Any]:
    """Return a model's settings by the name that is written, each with the model inside its annotation, if any."""
    if not (isinstance(of, type) and issubclass(of, pydantic.BaseModel)):
        return {}
    return {info.alias or name: _inner(info.annotation) for name, info in of.model_fields.items()}


def _inner(annotation: Any) -> Any:
    """Return the model that an annotation holds: `list[Rule] | None` holds Rule."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return next((found for one in typing.get_args(annotation) if (found := _inner(one)) is not None), None)
