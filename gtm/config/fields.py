"""What single values may look like, as annotated types: durations, addresses, names, places to listen on.

Each type reads the operator's text into the value that the model wants (seconds, canonical addresses), refuses with a
sentence and a hint, and describes itself to JSON Schema.
"""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Any
from urllib import parse

import pydantic
import pydantic_core

from gtm import errors, model, names, units

BAD_VALUE = "bad-value"


def setting(default: Any, doc: str, **more: Any) -> Any:
    """Return a field. The default is in the operator's own words, and is read like anything that they write."""
    return pydantic.Field(default, description=doc, validate_default=True, **more)


def needed(doc: str, **more: Any) -> Any:
    """Return a field that must be written."""
    return pydantic.Field(description=doc, **more)


class Section(pydantic.BaseModel):
    """What all sections share: unknown keys are refused, and nothing is converted behind the operator's back."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True)


def refuse(code: str, message: str, hint: str = "", about: str = "") -> pydantic_core.PydanticCustomError:
    """Return the error that carries our own code, words and hint through pydantic.

    A model that refuses several settings together names in `about` the one to point at.
    """
    words: dict[str, Any] = {"said": message, "hint": hint, "about": about}
    return pydantic_core.PydanticCustomError(code, "{said}", words)


def _schema(**words: Any) -> pydantic.WithJsonSchema:
    return pydantic.WithJsonSchema(words)


def text_of(value: object, what: str) -> str:
    """Return a text. Raises pydantic's custom error for anything else; `what` says what it should be."""
    if isinstance(value, str):
        return value
    if value is None:
        raise refuse("wrong-type", f"nothing is written where {what} should be")
    hint = "put it into quotes" if isinstance(value, bool | int | float) else ""
    raise refuse("wrong-type", f"{shown(value)} is not {what}", hint)


def shown(value: object) -> str:
    """Return a YAML value in a few words, for messages."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "...'"


def _word(value: object) -> str:
    text = text_of(value, "a text")
    if not text:
        raise refuse(BAD_VALUE, "the text is empty")
    if "\0" in text:  # no path, name or header can hold one, and the system's calls raise on it
        raise refuse(BAD_VALUE, "the text has a zero byte in it")
    return text


def _name(value: object) -> str:
    text = text_of(value, "a name")
    if not NAME.fullmatch(text):
        raise refuse("bad-name", f"{shown(text)} is not a name", "a name has letters, digits, `.`, `_` and `-` only")
    return text


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _seconds(value: object) -> float:
    try:
        if isinstance(value, str | int | float):
            return units.seconds(value)
    except errors.UnitError as wrong:
        raise refuse("bad-unit", str(wrong).partition(":")[0], "write 500ms, 5s, 2m or 1h30m") from None
    raise refuse("wrong-type", f"{shown(value)} is not a duration", "write 500ms, 5s, 2m or 1h30m")


def _positive_s(value: object) -> float:
    duration_s = _seconds(value)
    if duration_s <= 0:
        raise refuse("out-of-range", "the duration must be longer than nothing")
    if duration_s > 86400 * 7:
        raise refuse("out-of-range", "the duration must not be longer than seven days")
    return duration_s


WHEN_IDLE_S = 12 * 3600.0
"""How long a member waits at most for its stand-in's publishers to go: by then, somebody has looked at it."""


def _failback(value: object) -> tuple[float, bool]:
    if value == "when_idle":
        return WHEN_IDLE_S, True
    if isinstance(value, dict) and set(value) == {"when_idle"}:
        return _positive_s(value["when_idle"]), True
    return (model.MANUAL_S if value == "manual" else _seconds(value)), False


def _ttl(value: object) -> int:
    ttl_s = _seconds(value)
    # RFC 2181 section 8: 31 bits of whole seconds.
    if ttl_s != int(ttl_s) or ttl_s > 2**31 - 1:
        raise refuse("out-of-range", f"{shown(value)} is not a TTL: a TTL is whole seconds, up to 2147483647")
    return int(ttl_s)


def _ttl_bounds(value: object) -> tuple[int, int]:
    if isinstance(value, str) and ".." in value:
        low_text, _, high_text = value.partition("..")
        low, high = _ttl(low_text.strip()), _ttl(high_text.strip())
        if low > high:
            raise refuse("out-of-range", f"the lower bound of {shown(value)} is above the upper one")
        return low, high
    ttl_s = _ttl(value)
    return ttl_s, ttl_s


def _percent(value: object) -> float:
    try:
        if isinstance(value, str):
            return units.percent(value)
    except errors.UnitError as wrong:
        raise refuse("bad-unit", str(wrong), "write a percentage such as 30%") from None
    raise refuse("wrong-type", f"{shown(value)} is not a percentage", "write it as 30%")


def _min_up(value: object) -> tuple[int, float]:
    """Return (count, 0.0) or (0, share)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise refuse("out-of-range", "min_up is at least 1")
        return value, 0.0
    share = _percent(value)
    if share == 0:
        raise refuse("out-of-range", "min_up is more than 0%")
    return 0, share


SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KiB|MB|MiB)?")
BYTES = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}


def _bytes(value: object) -> int:
    found = SIZE.fullmatch(value) if isinstance(value, str) else None
    if found:
        return int(float(found[1]) * BYTES[found[2] or "B"])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise refuse("bad-unit", f"{shown(value)} is not a size", "write 65536 or 64KiB")


def address_of(value: object) -> str:
    """Return an IP address in canonical form. Raises pydantic's custom error."""
    text = text_of(value, "an IP address")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        hint = "an address with its prefix length is a network; leave the `/` away" if "/" in text else ""
        raise refuse("bad-address", f"{shown(text)} is not an IP address", hint) from None


def network_of(value: object) -> str:
    """Return an address prefix in canonical form; a bare address is a prefix of full length."""
    text = text_of(value, "an address prefix")
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        hint = f"the network that it is in is {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        raise refuse("bad-address", f"{shown(text)} is not an address prefix") from None
    raise refuse("bad-address", f"{shown(text)} has bits set behind its length", hint)


def _listen(value: object) -> model.Listen:
    if isinstance(value, model.Listen):
        return value
    text = text_of(value, "an address and port")
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise refuse("bad-address", f"{shown(text)} is not an address and port", "write IPv6 as [::1]:53")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise refuse("bad-address", f"{shown(text)} is not an address and port", "write 127.0.0.1:5300 or [::1]:5300")
    return model.Listen(address_of(host or "?"), int(port))


def _listen_or_off(value: object) -> model.Listen | None:
    return None if value in ("off", False) else _listen(value)


def _host(value: object) -> str:
    """Return an absolute lower-case host name."""
    text = text_of(value, "a host name")
    try:
        ipaddress.ip_address(text.rstrip("."))
    except ValueError:
        pass
    else:
        raise refuse("bad-hostname", f"{shown(text)} is an address, not a host name", "write it as `address`")
    return domain_of(text)


def domain_of(text: str) -> str:
    """Return a domain name absolute and in lower case. Raises pydantic's custom error."""
    try:
        return names.text(names.key(text))
    except errors.DomainNameError as wrong:
        raise refuse("bad-domain-name", str(wrong)) from None


def _web_url(value: object) -> str:
    text = text_of(value, "a URL").rstrip("/")
    try:
        found = parse.urlsplit(text)
        fits = found.scheme in {"http", "https"} and bool(found.hostname) and found.port != 0 and not found.query
    except ValueError:
        fits = False
    if not fits or not text.isascii() or not text.isprintable() or " " in text:
        raise refuse(BAD_VALUE, f"{shown(value)} is not the address of a page", "https://gtm.example.com")
    return text


def listed(value: object) -> list[Any]:
    """One thing may be written where a list may stand."""
    return value if isinstance(value, list) else [value]


def _filled(value: list[Any]) -> list[Any]:
    if not value:
        raise refuse("empty-list", "the list is empty")
    return value


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise refuse("wrong-type", f"{shown(value)} is not a number")


_DURATION = _schema(
    type=["string", "number"],
    pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d))+$|^\d+(\.\d+)?$",
    minimum=0,
    examples=["500ms", "5s"],
)
_TTL = _schema(type=["string", "integer"], pattern=r"^(\d+(ms|s|m|h|d))+$|^\d+$", minimum=0, examples=["300", "5m"])
_SHARE = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["30%"]}
_ADDRESS = {"type": "string", "examples": ["192.0.2.1", "2001:db8::1"]}
_LISTEN = {
    "type": "string",
    "pattern": r"^(\[[0-9a-fA-F:.]+\]|[0-9.]+):\d+$",
    "examples": ["127.0.0.1:5300", "[::]:53"],
}

Text = Annotated[str, pydantic.BeforeValidator(_word), _schema(type="string", minLength=1)]
Name = Annotated[str, pydantic.BeforeValidator(_name), _schema(type="string", pattern=f"^{NAME.pattern}$")]
Duration = Annotated[float, pydantic.BeforeValidator(_seconds), _DURATION]
PositiveDuration = Annotated[float, pydantic.BeforeValidator(_positive_s), _DURATION]
Failback = Annotated[
    tuple[float, bool],
    pydantic.BeforeValidator(_failback),
    _schema(
        anyOf=[
            {"type": ["string", "number"], "pattern": r"^manual$|^when_idle$|^(\d+(\.\d+)?(ms|s|m|h|d))+$"},
            {
                "type": "object",
                "properties": {"when_idle": {"type": ["string", "number"], "description": "but no longer than this"}},
                "required": ["when_idle"],
                "additionalProperties": False,
            },
        ],
        examples=["30s", "manual", "when_idle"],
    ),
]
Ttl = Annotated[int, pydantic.BeforeValidator(_ttl), _TTL]
TtlBounds = Annotated[
    tuple[int, int],
    pydantic.BeforeValidator(_ttl_bounds),
    _schema(type=["string", "integer"], examples=["5s..30s", "15s", 30]),
]
Percent = Annotated[float, pydantic.BeforeValidator(_percent), _schema(**_SHARE)]
MinUp = Annotated[
    tuple[int, float],
    pydantic.BeforeValidator(_min_up),
    _schema(anyOf=[{"type": "integer", "minimum": 1}, _SHARE]),
]
Bytes = Annotated[int, pydantic.BeforeValidator(_bytes), _schema(type=["integer", "string"], examples=["64KiB"])]
Number = Annotated[float, pydantic.BeforeValidator(_number), _schema(type="number")]
Address = Annotated[str, pydantic.BeforeValidator(address_of), _schema(**_ADDRESS)]
Network = Annotated[str, pydantic.BeforeValidator(network_of), _schema(type="string", examples=["203.0.113.0/24"])]
WebUrl = Annotated[str, pydantic.BeforeValidator(_web_url), _schema(type="string", pattern="^https?://")]
Host = Annotated[str, pydantic.BeforeValidator(_host), _schema(type="string", examples=["live.example.net."])]
Listen = Annotated[model.Listen, pydantic.BeforeValidator(_listen), _schema(**_LISTEN)]
ListenOrOff = Annotated[
    model.Listen | None,
    pydantic.BeforeValidator(_listen_or_off),
    _schema(anyOf=[_LISTEN, {"enum": ["off", False]}]),
]


def _list_schema(item: dict[str, Any]) -> pydantic.WithJsonSchema:
    return _schema(
        anyOf=[
            item,
            {
                "type": "array",
                "items": item,
            },
        ]
    )


_ANY = (pydantic.BeforeValidator(listed),)
_ONE_OR_MORE = (pydantic.BeforeValidator(listed), pydantic.AfterValidator(_filled))
Texts = Annotated[list[Text], *_ANY, _list_schema({"type": "string", "minLength": 1})]
SomeTexts = Annotated[list[Text], *_ONE_OR_MORE, _list_schema({"type": "string", "minLength": 1})]
Names = Annotated[list[Name], *_ONE_OR_MORE, _list_schema({"type": "string"})]
Addresses = Annotated[list[Address], *_ONE_OR_MORE, _list_schema(_ADDRESS)]
Networks = Annotated[list[Network], *_ANY, _list_schema({"type": "string"})]
Listens = Annotated[list[Listen], *_ONE_OR_MORE, _list_schema(_LISTEN)]
