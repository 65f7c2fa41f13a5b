"""What the probe kinds declare in, pydantic models of their check profiles and of check expressions out.

Nothing about any one kind is known here: options, their types and defaults come from `model.Kind`.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pydantic

from gtm import model, units
from gtm.config import fields

PREFIX = "option_"
"""Options are fields under a prefix, so that an option named `json` or `copy` meets no method of pydantic's."""


class _Load(fields.Section):
    """When an endpoint is overloaded: its weight is halved in steps, and grows again in steps."""

    measure: fields.Text = fields.needed("a measured number, such as json.sessions")
    low: fields.Number = fields.needed("at this, or under it, the weight grows again")
    high: fields.Number = fields.needed("from this on, the weight is halved, and halved again")

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> _Load:
        if self.low >= self.high:
            message = f"`low` ({self.low:g}) must be below `high` ({self.high:g})"
            raise fields.refuse("out-of-range", message, about="low")
        return self


class Common(fields.Section):
    """What every check profile has."""

    kind: fields.Text = fields.needed("how it looks: the probe kind")
    every: fields.PositiveDuration = fields.setting("5s", "time between probes")
    timeout: fields.PositiveDuration = fields.setting("2s", "how long one probe may take; must be below `every`")
    fall: int = fields.setting(2, "bad results before it counts as down", ge=1, le=100)
    rise: int = fields.setting(3, "good results in a row before it counts as up again", ge=1, le=100)
    confirm: fields.PositiveDuration | None = fields.setting(
        None, "time to the next probe while a change of state is in doubt; default: 500ms, at most `every`"
    )
    on_stale: Literal["keep", "up", "down"] = fields.setting(
        "keep", "what to think after ten intervals in which the probe could not run"
    )
    observe: bool = fields.setting(False, "look and show, but never vote")
    expect: fields.Texts | None = fields.setting(None, "conditions: MEASURE OP VALUE; all must hold")
    warn: fields.Texts | None = fields.setting(
        None, "conditions as in `expect`; one that does not hold is a warning and fails nothing"
    )

    load: _Load | None = fields.setting(None, "watermarks between which an endpoint has enough to do, and not too much")
    publishers: fields.Text | None = fields.setting(
        None, "the measure that counts live publishers, for `failback: when_idle`"
    )

    @pydantic.model_validator(mode="after")
    def _in_time(self) -> Common:
        shown = units.show_seconds(self.every)
        if self.timeout >= self.every:
            written = "timeout" in self.model_fields_set
            told = f"`timeout` ({units.show_seconds(self.timeout)}{'' if written else ', the default'})"
            message = f"{told} must be below `every` ({shown})"
            hint = "" if written else f"write a shorter one, such as `timeout: {units.show_seconds(self.every / 2)}`"
            raise fields.refuse("timeout-not-below-every", message, hint, about="timeout" if written else "every")
        if self.confirm is not None and self.confirm > self.every:
            message = f"`confirm` ({units.show_seconds(self.confirm)}) must not be above `every` ({shown})"
            raise fields.refuse("confirm-above-every", message, about="confirm")
        return self


class _Tls(fields.Section):
    """How TLS is spoken."""

    verify: bool = fields.setting(True, "whether the certificate must be valid")
    server_name: fields.Text | None = fields.setting(None, "name to ask for; default: the check's host")
    ca: fields.Text | None = fields.setting(None, "PEM file of the authorities, relative to this file")


def _tls(value: object) -> object:
    if isinstance(value, bool):
        return _Tls() if value else None
    return value


def _command(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as wrong:
        raise fields.refuse(fields.BAD_VALUE, f"the command cannot be split: {wrong}", "write it as a list") from None


def _loose_text(value: object) -> str:
    """Return a text; empty is allowed, and a plain number is what it looks like."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else fields.text_of(value, "a text")


_LooseText = Annotated[
    str, pydantic.BeforeValidator(_loose_text), pydantic.WithJsonSchema({"type": ["string", "number"]})
]
_Port = Annotated[int, pydantic.Field(ge=1, le=65535)]
_TYPES: dict[str, Any] = {
    "text": _LooseText,
    "path": _LooseText,
    "host": fields.Text,
    "bool": bool,
    "int": int,
    "port": _Port,
    "duration": fields.Duration,
    "bytes": fields.Bytes,
    "number": fields.Number,
    "texts": fields.Texts,
    "headers": dict[str, _LooseText],
    "command": Annotated[
        list[_LooseText],
        pydantic.BeforeValidator(_command),
        pydantic.Field(min_length=1),
        pydantic.WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ],
    "tls": Annotated[
        _Tls | None,
        pydantic.BeforeValidator(_tls),
        pydantic.WithJsonSchema({"anyOf": [{"type": "boolean"}, {**_Tls.model_json_schema(), "title": "TLS"}]}),
    ],
}
_PORT = model.Option("port", "port", "port to connect to; default: the kind's, with or without TLS")
_HOST = model.Option(
    "host", "host", "name to ask for; default: the steered name if per name, else the address", fills=True
)


def options(kind: model.Kind) -> tuple[model.Option, ...]:
    """Return a kind's options, with `port` and `host` where it has a port and does not declare them itself."""
    own = {one.name for one in kind.options}
    common = (_PORT, _HOST) if kind.port or kind.tls_port else ()
    return (*(one for one in common if one.name not in own), *kind.options)


def option_fields(of_kind: Sequence[model.Option]) -> dict[str, Any]:
    """Return the fields of a model for these options; option `x` is the field `option_x`."""
    made: dict[str, Any] = {}
    for option in of_kind:
        of: Any = Literal[option.choices] if option.type == "choice" else _TYPES[option.type]
        if option.required:
            made[PREFIX + option.name] = (of, fields.needed(option.doc, alias=option.name))
        else:
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            given = of if default is not None else of | None
            made[PREFIX + option.name] = (given, fields.setting(default, option.doc, alias=option.name))
    return made


@functools.cache  # a model is made of objects that refer to each other: one for each reload would stay for ever
def profile_model(kind: model.Kind) -> type[Common]:
    """Return the model of a kind's profiles."""
    made = option_fields(options(kind))

    def apart(check: Common) -> Common:
        for one, other in kind.apart:
            if getattr(check, PREFIX + one) and getattr(check, PREFIX + other):
                message = f"`{one}` and `{other}` exclude each other"
                raise fields.refuse("options-apart", message, "write two checks", about=other)
        return check

    validators: dict[str, Any] = {"apart": pydantic.model_validator(mode="after")(apart)}
    return pydantic.create_model(
        f"Check_{kind.name}", __base__=Common, __doc__=kind.doc, __validators__=validators, **made
    )


def value_of(found: object) -> model.OptionValue:
    """Return a validated option's value as the model holds it."""
    if isinstance(found, _Tls):
        return model.Tls(found.verify, found.server_name or "", found.ca or "")
    if isinstance(found, list):
        return tuple(found)
    if isinstance(found, dict):
        return dict(sorted(found.items()))
    if found is None or isinstance(found, str | int | float | bool):
        return found
    raise TypeError(f"no option has a {type(found).__name__}")


# --- check expressions --------------------------------------------------------------------------------------------

_HINT = "write a name, a list (all must pass), {any: [...]} or {at_least: 2, of: [...]}"


def _expression(value: object) -> model.CheckExpr:
    if isinstance(value, model.CheckExpr):
        return value
    if isinstance(value, str | list):
        of = _of(value)
        return model.CheckExpr(of, len(of))
    if isinstance(value, dict) and set(value) == {"any"}:
        return model.CheckExpr(_of(value["any"]), 1)
    if isinstance(value, dict) and set(value) == {"at_least", "of"}:
        of, need = _of(value["of"]), value["at_least"]
        if not isinstance(need, int) or isinstance(need, bool) or not 1 <= need <= len(of):
            raise fields.refuse("out-of-range", f"`at_least` is a number from 1 to {len(of)}")
        return model.CheckExpr(of, need)
    raise fields.refuse("bad-check-expression", f"{fields.shown(value)} does not say which checks", _HINT)


def _of(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    if not found:
        raise fields.refuse("empty-list", "the list of checks is empty", "write `none` to have no check")
    of = tuple(fields.text_of(one, "the name of a check") for one in found)
    if len(set(of)) != len(of):
        raise fields.refuse("doubled-name", "a check is listed twice")
    return of


def _expression_or_none(value: object) -> model.CheckExpr:
    return model.CheckExpr((), 0) if value == "none" else _expression(value)


_NAME = {"type": "string"}
_NAMES = {"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1}]}


def _mapping(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_EXPRESSION = {
    "anyOf": [
        _NAME,
        {"type": "array", "items": _NAME, "minItems": 1},
        _mapping(any={**_NAMES, "description": "one of these must pass"}),
        _mapping(
            at_least={"type": "integer", "minimum": 1, "description": "how many must pass"},
            of={**_NAMES, "description": "which ones"},
        ),
    ]
}
CheckExpr = Annotated[model.CheckExpr, pydantic.BeforeValidator(_expression), pydantic.WithJsonSchema(_EXPRESSION)]
CheckExprOrNone = Annotated[
    model.CheckExpr, pydantic.BeforeValidator(_expression_or_none), pydantic.WithJsonSchema(_EXPRESSION)
]


def models(known: Mapping[str, model.Kind]) -> dict[str, type[Common]]:
    """Return the models of all kinds, by name."""
    return {name: profile_model(kind) for name, kind in known.items()}
