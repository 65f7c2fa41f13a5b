"""The settings that keep DNS from being used against others, as sections in, model settings out."""

from __future__ import annotations

from collections.abc import Callable

import pydantic

from gtm import answering
from gtm.config import fields


class RateLimit(fields.Section):
    """Response rate limiting, per client network (/24, /56) and kind of answer."""

    responses_per_second: int = fields.needed("answers of one kind that one client network may get in a second", ge=1)
    slip: int = fields.setting(2, "every how many dropped answers one is sent truncated; 0: none", ge=0, le=10)
    exempt: fields.Networks = fields.setting([], "networks that are never held back: your own resolvers, monitors")


class Cookies(fields.Section):
    """DNS cookies: who shows a good one has proved its address. Nameservers of one address share the secret."""

    enabled: bool = fields.setting(True, "whether cookies are given and looked at")
    secret_env: fields.Text | None = fields.setting(None, "environment variable with the secret: 32 hexadecimal digits")
    secret_file: fields.Text | None = fields.setting(None, "file with the secret, relative to this file")
    previous_env: fields.Text | None = fields.setting(
        None, "variable with the secret before, accepted while it changes"
    )
    previous_file: fields.Text | None = fields.setting(None, "file with the secret before, accepted while it changes")
    require: bool = fields.setting(False, "answer BADCOOKIE over UDP to who sends a cookie without our part")

    @pydantic.model_validator(mode="after")
    def _one_of_each(self) -> Cookies:
        if self.secret_env and self.secret_file:
            raise fields.refuse("bad-cookies", "cookies have one of `secret_env` and `secret_file`")
        if self.previous_env and self.previous_file:
            raise fields.refuse("bad-cookies", "cookies have one of `previous_env` and `previous_file`")
        if (self.previous_env or self.previous_file) and not (self.secret_env or self.secret_file):
            raise fields.refuse("bad-cookies", "there is a previous secret of cookies, and no secret")
        return self


def cookies(written: Cookies, relative: Callable[[str], str]) -> answering.Cookies:
    """Return what is wanted of cookies; `relative` makes a path seen from where the command runs."""
    pairs = ((written.secret_env, written.secret_file), (written.previous_env, written.previous_file))
    secrets = tuple(answering.Secret(env or "", relative(file) if file else "") for env, file in pairs if env or file)
    return answering.Cookies(written.enabled, written.require, secrets)
