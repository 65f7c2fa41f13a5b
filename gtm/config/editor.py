"""The models of a configuration in, JSON Schema for editors out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from gtm import model
from gtm.config import alerting, kinds, schema

DRAFT = "http://json-schema.org/draft-07/schema#"
"""What the YAML language server understands; pydantic's own dialect is newer, and only common words are used here."""


def json_schema(known: Mapping[str, model.Kind], senders: Mapping[str, model.Kind]) -> dict[str, Any]:
    """Return a JSON Schema of a whole configuration in which these probe kinds and senders are known."""
    found: dict[str, Any] = _draft_07(schema.Config.model_json_schema(by_alias=True))
    found["$schema"] = DRAFT
    found["title"] = "GTM configuration"
    checks = found["properties"]["checks"]
    check = _by_kind(found, "check", kinds.models(known), "how it looks: the probe kind")
    checks["patternProperties"] = dict.fromkeys(checks["patternProperties"], check)
    receivers = {name: alerting.receiver_model(kind) for name, kind in senders.items()}
    found["properties"]["alerts"]["items"] = _by_kind(found, "alert", receivers, "the kind of receiver")
    return found


def _by_kind(
    found: dict[str, Any], word: str, models: Mapping[str, type[pydantic.BaseModel]], meaning: str
) -> dict[str, Any]:
    """Return the schema of something that has a `kind`; its models go into the definitions of `found`."""
    chosen: list[dict[str, Any]] = []
    for name, made in models.items():
        body = _draft_07(made.model_json_schema(by_alias=True))
        found["$defs"] |= body.pop("$defs", {})
        body["properties"]["kind"] = {"const": name, "description": body["description"]}
        found["$defs"][f"{word}_{name}"] = body
        # One branch for one kind, so that an editor completes and judges by the kind that is written.
        is_kind = {"properties": {"kind": {"const": name}}, "required": ["kind"]}
        chosen.append({"if": is_kind, "then": {"$ref": f"#/$defs/{word}_{name}"}})
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(models), "description": meaning}},
        "allOf": chosen,
    }


def _draft_07(part: Any) -> Any:
    """Return a schema without machine-made titles, and with nothing beside a `$ref`: draft-07 would not see it."""
    if isinstance(part, list):
        return [_draft_07(one) for one in part]
    if not isinstance(part, dict):
        return part
    out = {
        key: {name: _draft_07(one) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else _draft_07(value)
        for key, value in part.items()
        if not (key == "title" and isinstance(value, str))
    }
    if "$ref" in out and len(out) > 1:
        out["allOf"] = [{"$ref": out.pop("$ref")}]
    return out
