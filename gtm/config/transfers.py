"""The settings of zone transfers as sections in, model settings out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic

from gtm import answering, model, names
from gtm.config import fields

_PORT = 53


def _targets(value: object) -> list[Any]:
    """An address alone is told at port 53."""
    return [_at_port(one) if isinstance(one, str) else one for one in fields.listed(value)]


def _at_port(text: str) -> str:
    if text.count(":") > 1 and not text.startswith("["):
        return f"[{text}]:{_PORT}"
    return text if ":" in text.rpartition("]")[2] else f"{text}:{_PORT}"


class Tsig(fields.Section):
    """A key that signs messages on both sides (RFC 8945)."""

    name: fields.Host = fields.needed("the key's name, as the other side has it")
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224"] = fields.setting(
        "hmac-sha256", "how it signs"
    )
    secret_env: fields.Text | None = fields.setting(None, "environment variable with the secret, in base64")
    secret_file: fields.Text | None = fields.setting(None, "file with the secret, in base64, relative to this file")

    @pydantic.model_validator(mode="after")
    def _one_secret(self) -> Tsig:
        if (self.secret_env is None) == (self.secret_file is None):
            raise fields.refuse("bad-tsig", "a key has one of `secret_env` and `secret_file`")
        return self


class Transfer(fields.Section):
    """Secondaries that follow the zone: who may have it, and who is told when it changes."""

    allow: fields.Networks = fields.needed("networks of the secondaries", min_length=1)
    tsig: Tsig | None = fields.setting(None, "the key that they must sign with, too; none when absent")
    notify: Annotated[list[fields.Listen], pydantic.BeforeValidator(_targets)] = fields.setting(
        [], "who is told of changes (RFC 1996): addresses, with a port unless it is 53", max_length=32
    )


def transfer(written: Transfer | None, relative: Callable[[str], str]) -> answering.Transfer | None:
    """Return who may have a zone; `relative` makes a path seen from where the command runs."""
    if written is None:
        return None
    signing = key(written.tsig, relative) if written.tsig is not None else None
    return answering.Transfer(tuple(written.allow), signing, tuple((one.host, one.port) for one in written.notify))


def key(written: Tsig, relative: Callable[[str], str]) -> answering.Tsig:
    """Return a key, without its secret."""
    where = answering.Secret(written.secret_env or "", relative(written.secret_file) if written.secret_file else "")
    return answering.Tsig(names.text(names.key(written.name)), written.algorithm, where)


def doubled(zones: tuple[model.Zone, ...]) -> str:
    """Return the name of a key that two zones say in different words; empty when there is none."""
    known: dict[str, answering.Tsig] = {}
    for zone in zones:
        said: list[answering.Tsig] = list(zone.acme)
        if zone.transfer is not None and zone.transfer.tsig is not None:
            said.append(zone.transfer.tsig)
        for one in said:
            if known.setdefault(one.name, one) != one:
                return one.name
    return ""
