"""The route table in, an OpenAPI 3.1 description out: made from what is served, so that the two cannot differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp.typedefs import Handler

from gtm import __version__
from gtm.web import auth, shapes

_PLACEHOLDER = re.compile(r"\{(\w+)(?::[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked for. `query` and `body` map a name to what it means; `needs` is the role; `answers`
    are the shapes of what comes back, by status.
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
    answers: shapes.Answers = field(default_factory=lambda: {200: ("Done.", shapes.TEXT)})

    @property
    def canonical(self) -> str:
        """The path with bare placeholders, as OpenAPI and aiohttp's resources name it."""
        return _PLACEHOLDER.sub(r"{\1}", self.path)


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
            "schemas": shapes.SCHEMAS,
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
    wrong = {"content": {"application/json": {"schema": shapes.named("Error")}}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": WHO[route.needs],
        "responses": {
            **{
                str(status): {"description": says, "content": {route.media: {"schema": shape}}}
                for status, (says, shape) in route.answers.items()
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
