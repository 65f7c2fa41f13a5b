"""What is written under `alerts` in, the receivers of alerts out.

What kinds of receivers there are, and their settings, say the senders (`model.Kind`), as probes do for checks.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, get_args

import pydantic

from gtm import model
from gtm.config import decode, fields, kinds, marks, nodes

MAX_RECEIVERS: Final = 32
"""Each has a task and a queue of its own."""
_FOUND: Final = {"secret", "url"}
"""Types of options that may stand in the environment or in a file; a `secret` should."""
On = Literal["endpoint", "check", "pool", "name", "config", "guard", "order", "worker", "node", "store", "geo"]


class Common(fields.Section):
    """What every receiver of alerts has."""

    kind: fields.Text = fields.needed("the kind of receiver")
    name: fields.Name | None = fields.setting(None, "what it is called; default: its kind")
    on: list[On] = fields.setting(["pool", "name", "guard"], "what to send", min_length=1)
    hold: fields.Duration = fields.setting("0s", "send only what still holds after this time", le=86400)
    remind: fields.Duration = fields.setting("0s", "say again what still holds after this time; 0s: never")
    severity: Literal["info", "warning", "error", "critical"] = fields.setting("info", "send nothing below this")
    match: fields.Texts = fields.setting(
        [], "only what one of these names: a subject or a glob, `pool:eu`, `name:*.example.com.`, `site:fra`"
    )
    timeout: fields.PositiveDuration = fields.setting("10s", "how long one attempt may take", le=120)

    @pydantic.model_validator(mode="after")
    def _reminds_slowly(self) -> Common:
        if 0 < self.remind < 60:
            raise fields.refuse("out-of-range", "a reminder comes once a minute at most", "remind: 1h", "remind")
        return self


def settings(kind: model.Kind) -> tuple[model.Option, ...]:
    """Return the options of a kind as they are written: what may be found elsewhere has `_env` and `_file` too."""
    return tuple(_settings(kind))


def _settings(kind: model.Kind) -> Iterator[model.Option]:
    for one in kind.options:
        if one.type not in _FOUND:
            yield one
            continue
        warned = "; in the open, which is warned about" if one.type == "secret" else ""
        yield model.Option(f"{one.name}_env", "text", f"environment variable that holds it: {one.doc}")
        yield model.Option(f"{one.name}_file", "path", f"file that holds it: {one.doc}")
        yield model.Option(one.name, "text", one.doc + warned)


@functools.cache  # as in `kinds.profile_model`
def receiver_model(kind: model.Kind) -> type[Common]:
    """Return the model of the receivers of one kind."""

    def one_each(self: Common) -> Common:
        for option in kind.options:
            if option.type not in _FOUND:
                continue
            names = [f"{option.name}_env", f"{option.name}_file", option.name]
            given = sum(bool(getattr(self, kinds.PREFIX + name)) for name in names)
            if given > 1 or (option.required and not given):
                listed = f"`{names[0]}`, `{names[1]}` and `{names[2]}`"
                many = "one" if option.required else "at most one"
                raise fields.refuse("bad-alert", f"{kind.name} has {many} of {listed}")
        return self

    validators: dict[str, Any] = {"one_each": pydantic.model_validator(mode="after")(one_each)}
    return pydantic.create_model(
        f"Alert_{kind.name}",
        __base__=Common,
        __doc__=kind.doc,
        __validators__=validators,
        **kinds.option_fields(settings(kind)),
    )


def read(
    written: Sequence[Any],
    senders: Mapping[str, model.Kind],
    report: decode.Report,
    subjects: Mapping[str, Collection[str]],
) -> tuple[model.Receiver, ...]:
    """Return the receivers; what is wrong with them is reported.

    `subjects` are the names of what there are alerts about, by what may stand before the colon of a `match`.
    """
    if len(written) > MAX_RECEIVERS:
        report.error("out-of-range", ("alerts", 0), f"{len(written)} receivers are more than {MAX_RECEIVERS}")
    found: dict[str, model.Receiver] = {}
    places: dict[str, marks.Path] = {}
    for index, body in enumerate(written):
        path: marks.Path = ("alerts", index)
        one = _receiver(body, path, senders, report)
        if one is None:
            continue
        if one.name in found and isinstance(body, dict) and "name" in body:
            report.doubled((*path, "name"), places[one.name], f"two receivers are called {one.name!r}")
            continue
        name, count = one.name, 1
        while name in found:
            count += 1
            name = f"{one.name}-{count}"
        found[name], places[name] = replace(one, name=name), path
        for pattern in one.match:
            if not _names_anything(pattern, subjects):
                message = f"{pattern!r} names nothing that there are alerts about"
                report.warn("no-effect", (*path, "match"), message, "site:fra, pool:eu, name:*.example.com, fra-*")
    return tuple(found.values())


def _names_anything(pattern: str, subjects: Mapping[str, Collection[str]]) -> bool:
    kind, colon, glob = pattern.partition(":")
    if colon and kind in subjects:
        return any(fnmatch.fnmatchcase(one.rstrip("."), glob.rstrip(".")) for one in subjects[kind])
    if colon and kind in get_args(On):
        return True
    return any(fnmatch.fnmatchcase(one.rstrip("."), pattern.rstrip(".")) for of in subjects.values() for one in of)


def _receiver(
    body: Any, path: marks.Path, senders: Mapping[str, model.Kind], report: decode.Report
) -> model.Receiver | None:
    if not isinstance(body, dict):
        report.error("wrong-type", path, f"a receiver is a mapping with a `kind`, not {fields.shown(body)}")
        return None
    kind = body.get("kind")
    if kind is None:
        report.error("missing-key", path, "`kind` is missing", f"kinds are {', '.join(senders)}", "key")
        return None
    if not isinstance(kind, str) or kind not in senders:
        hint = decode.near(str(kind), senders) or f"kinds are {', '.join(senders)}"
        report.error("unknown-kind", (*path, "kind"), f"{fields.shown(kind)} is not a kind of receiver", hint)
        return None
    broken: set[marks.Path] = set()
    made = decode.validated(receiver_model(senders[kind]), dict(body), path, report, broken)
    if made is None or broken:
        return None
    return model.Receiver(
        name=made.name or kind,
        kind=kind,
        on=tuple(dict.fromkeys(made.on)),
        hold_s=made.hold,
        remind_s=made.remind,
        severity=made.severity,
        match=tuple(made.match),
        timeout_s=made.timeout,
        options=_options(made, senders[kind], path, report),
    )


def _options(
    made: Common, kind: model.Kind, path: marks.Path, report: decode.Report
) -> Mapping[str, model.OptionValue]:
    options: dict[str, model.OptionValue] = {}
    for one in settings(kind):
        value = kinds.value_of(getattr(made, kinds.PREFIX + one.name))
        if one.type == "path" and isinstance(value, str) and value:
            value = nodes.relative(report, path, value)
        options[one.name] = value
    for one in kind.options:
        if one.type == "secret" and options[one.name]:
            hint = f"{one.name}_env: NAME, or {one.name}_file: PATH"
            report.warn("secret-in-the-open", (*path, one.name), "a secret is written in the open", hint, "key")
    return options
