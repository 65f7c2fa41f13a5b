"""Where secrets are in, what workers must know of them out: files are read here, as the control process's own user."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gtm import model
from gtm.serve import keys
from gtm.wire import cookies

MAX_BYTES = 4096  # of a file with one secret


def guards(dns: model.DnsSettings) -> dict[str, Any]:
    """Return what else holds answers back, as workers read it (see `gtm.serve.keys`). There is no secret in it."""
    return {
        "cookies": dns.cookies.enabled,
        "require": dns.cookies.require,
        "exempt": list(dns.rate_exempt),
        "most_times": dns.max_amplification,
    }


def keys_of(dns: model.DnsSettings, trouble: Callable[[str], None]) -> keys.Keys:
    """Return the secrets of the workers; each that cannot be had is said to `trouble`, and done without."""
    return keys.Keys(tuple(_cookie_secrets(dns.cookies.secrets, os.environ, trouble)))


def _cookie_secrets(
    where: Sequence[model.Secret], environment: Mapping[str, str], trouble: Callable[[str], None]
) -> list[bytes]:
    """Return the secrets of cookies, the newest first; none when the newest cannot be had.

    Then the node makes its own: cookies of others are not good here, and nobody is refused for that.
    """
    found: list[bytes] = []
    for at, one in enumerate(where):
        name = one.file or f"${one.env}"
        try:
            text = _text(Path(one.file)) if one.file else environment.get(one.env, "")
            secret = bytes.fromhex(text.strip())
            if len(secret) != cookies.SECRET_BYTES:
                raise ValueError(name)
        except OSError as wrong:
            trouble(f"the secret of cookies cannot be read: {name}: {wrong.strerror or wrong}")
        except ValueError:  # what it holds is never shown
            trouble(f"the secret of cookies is not 32 hexadecimal digits: {name}")
        else:
            found.append(secret)
            continue
        if at == 0:
            return []
    return found


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(MAX_BYTES)
