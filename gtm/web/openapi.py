"""The route table in, an OpenAPI 3.1 description out: made from what is served, so that the two cannot differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp.typedefs import Handler

from gtm import __version__
from gtm.web import auth

_PLACEHOLDER = re.compile(r"\{(\w+)(?::[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked for. `query` and `body` map a name to what it means; `needs` is the role; `answers`
    are the shapes of what comes back, by status, where they are described.
    """

    method: str
    path: str
    needs: auth.Role
    handler: Handler
    summary: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Mapping[str, Any]] | None = None
    required: tuple[str, ...] = ()
    media: str = "application/json"
    answers: Mapping[int | str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def canonical(self) -> str:
        """The path with bare placeholders, as OpenAPI and aiohttp's resources name it."""
        return _PLACEHOLDER.sub(r"{\1}", self.path)


ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint"],
            "properties": {name: {"type": "string"} for name in ("code", "message", "hint")},
        }
    },
}
_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}


def _list(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _or_null(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [of, {"type": "null"}]}


ORDER = _object(
    order=_object(
        id=_TEXT, target=_TEXT, order=_TEXT, value=_NUMBER, by=_TEXT, why=_TEXT, at=_NUMBER, until=_or_null(_NUMBER),
        break_glass=_FLAG,
        safe_at={**_or_null(_NUMBER), "description": "when the last old answer has died; null while unknown"},
        safe={**_FLAG, "description": "whether that is past: a drained node may be stopped"},
        endpoints=_list(_TEXT),
        overruled_by={**_list(_TEXT), "description": "newer orders that win on some of its endpoints"},
        unconfirmed={**_list(_TEXT), "description": "nodes that have not swapped to it yet"},
    )
)  # fmt: skip
_STANDS = _object(rung=_TEXT, pool=_TEXT)
_POOL = _object(usable=_FLAG, up={"type": "integer"})
PREVIEW = _object(
    dry_run={"const": True},
    endpoints={**_list(_TEXT), "description": "whom it would cover"},
    names={
        **_list(_object(name=_TEXT, before=_STANDS, after=_STANDS, share=_NUMBER, left_with_nothing=_FLAG)),
        "description": "names of which answers move, worst first, at most 100; share of each name's answers, 0 to 1",
    },
    names_total={"type": "integer", "description": "how many there are"},
    left_with_nothing={"type": "integer", "description": "how many of them would have no answer for some clients"},
    pools=_list(_object(pool=_TEXT, members={"type": "integer"}, before=_POOL, after=_POOL)),
    share={**_NUMBER, "description": "share of all answers that would move, 0 to 1"},
    share_by={"enum": ["answers", "names"], "description": "weighed by answers of late, or each name alike"},
    refused={**_or_null(ERROR["properties"]["error"]), "description": "why it would be refused (`below-floor`)"},
)  # fmt: skip
WHO = {
    "open": "Open to everybody.",
    "glance": "As `read`, and with `web: {public: names}` open to everybody, with nothing but names and rungs.",
    "read": "Open to loopback, to viewers' and to operators' tokens.",
    "push": "Needs a pusher's or an operator's token, or loopback when no tokens are set.",
    "acme": "Needs an operator's token or one of `role: acme`, or loopback when no tokens are set.",
    "operate": "Needs an operator's token, or loopback when no tokens are set.",
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the description of `routes`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.canonical, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "GTM", "version": __version__, "description": "DNS failover and global traffic manager."},
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACEHOLDER.findall(route.path)
    ] + [
        {"name": name, "in": "query", "description": says, "schema": {"type": "string"}}
        for name, says in route.query.items()
    ]
    done: Mapping[int | str, tuple[str, Mapping[str, Any]]] = {"2XX": ("Done.", {})}
    answers = route.answers or done
    wrong = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": WHO[route.needs],
        "responses": {
            **{
                str(status): {"description": says, "content": {route.media: {"schema": shape}}}
                for status, (says, shape) in answers.items()
            },
            "4XX": {"description": "Refused; the error says why.", **wrong},
            "5XX": {"description": "Not possible now.", **wrong},
        },
        "security": [] if route.needs == "open" else [{}, {"token": []}],
    }
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = {"type": "object", "properties": dict(route.body), "required": list(route.required)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation
