"""The definitions that validate a configuration in, the tables of settings for its documentation out, as Markdown."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pydantic

from gtm import model
from gtm.config import alerting, kinds, schema


def markdown(known: Mapping[str, model.Kind], senders: Mapping[str, model.Kind]) -> str:
    """Return one table for each section, and one for each kind of check and of receiver of alerts."""
    parts = [_table(heading, of) for heading, of in _sections(schema.Config, "")]
    parts.append(_table("checks.NAME", kinds.Common))
    parts += [_kind("Checks", kind, kinds.options(kind)) for kind in known.values()]
    parts.append(_table("alerts[]", alerting.Common))
    parts += [_kind("Receivers", kind, alerting.settings(kind)) for kind in senders.values()]
    return "\n".join(parts)


def _sections(of: type[pydantic.BaseModel], path: str) -> Iterator[tuple[str, type[pydantic.BaseModel]]]:
    """Yield every model with the path at which it is written, outer ones first."""
    yield path or "top level", of
    for name, info in of.model_fields.items():
        for inner, suffix in _inner(info.annotation):
            yield from _sections(inner, f"{path}.{info.alias or name}".lstrip(".") + suffix)


def _inner(annotation: Any) -> Iterator[tuple[type[pydantic.BaseModel], str]]:
    """Yield the models inside an annotation: `dict[str, Pool]` holds Pool under `.NAME`, a list under `[]`."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation, ""
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    wrapped = {dict: ".NAME", list: "[]"}.get(origin, "") if origin else ""
    for argument in arguments[1:] if origin is dict else arguments:
        for found, suffix in _inner(argument):
            yield found, wrapped + suffix


def _table(heading: str, of: type[pydantic.BaseModel]) -> str:
    rows = [
        _row(info.alias or name, _default(info), _meaning(info.description or "", info.annotation))
        for name, info in of.model_fields.items()
    ]
    return "\n".join([f"### `{heading}`" if heading != "top level" else "### Top level", "", *_HEAD, *rows, ""])


_HEAD = ("| setting | default | meaning |", "|---|---|---|")


def _row(setting: str, default: str, meaning: str) -> str:
    return f"| `{setting}` | {default} | {meaning.replace('|', chr(92) + '|')} |"


def _default(info: pydantic.fields.FieldInfo) -> str:
    if info.is_required():
        return "required"
    return _written(info.default)


def _written(value: object) -> str:
    """Return a default as it would be written in YAML."""
    if value is None or value in ("", {}, [], ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | tuple):
        return "`[" + ", ".join(str(one) for one in value) + "]`"
    return f"`{value}`"


def _meaning(doc: str, annotation: Any) -> str:
    choices = [one for part in (annotation, *typing.get_args(annotation)) for one in _choices(part)]
    return doc + (f" ({', '.join(f'`{one}`' for one in dict.fromkeys(choices))})" if choices else "")


def _choices(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def _kind(what: str, kind: model.Kind, options: Sequence[model.Option]) -> str:
    lines = [
        f"### {what} of `kind: {kind.name}`",
        "",
        kind.doc[:1].upper() + kind.doc[1:] + ("" if kind.doc.endswith(".") else "."),
    ]
    if options:
        lines += ["", *_HEAD]
        for one in options:
            filled = "; placeholders are filled in" if one.fills else ""
            choices = f" ({', '.join(f'`{word}`' for word in one.choices)})" if one.choices else ""
            default = (
                "required"
                if one.required
                else _port(kind)
                if one.name == "port" and not one.default
                else _written(one.default)
            )
            lines.append(_row(one.name, default, one.doc + choices + filled))
    if kind.measures:
        lines += ["", "| measure | unit | meaning |", "|---|---|---|"]
        lines += [
            _row(one.name, {"s": "duration", "": "number"}.get(one.unit, one.unit), one.doc) for one in kind.measures
        ]
    if kind.expect:
        lines += ["", "Expected when nothing is said: " + ", ".join(f"`{line}`" for line in kind.expect) + "."]
    if kind.warn:
        lines += ["", "Warned about when nothing is said: " + ", ".join(f"`{line}`" for line in kind.warn) + "."]
    return "\n".join([*lines, ""])


def _port(kind: model.Kind) -> str:
    ports = [f"`{kind.port}`"] if kind.port else []
    if kind.tls_port and kind.tls_port != kind.port:
        ports.append(f"`{kind.tls_port}` with TLS")
    return ", ".join(ports)
