"""Secrets in, one piece of anonymous memory out, and back: how they reach workers without a file, argument or log line.

The supervisor holds the memory as it holds the journal, for workers that start while there is no control process.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gtm.serve import shared
from gtm.wire import cookies, extras, guard, limit, tsig


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What workers must know and nobody else may. `cookies` are secrets of 16 bytes, the newest first;
    `certificate` (a chain) and `key` are PEM, empty for none. `tsig` are keys of TSIG, `secondaries` the networks that
    may ask for transfers at all, `updating` the names of keys that may send UPDATE.
    """

    cookies: tuple[bytes, ...] = ()
    certificate: str = ""
    key: str = ""
    tsig: tuple[tsig.Key, ...] = ()
    secondaries: tuple[str, ...] = ()
    updating: tuple[str, ...] = ()


def write(keys: Keys) -> int:
    """Return a descriptor of memory that holds `keys`."""
    fd = os.memfd_create("gtm-keys", os.MFD_CLOEXEC)
    told: dict[str, Any] = {
        "cookies": [one.hex() for one in keys.cookies],
        "certificate": keys.certificate,
        "key": keys.key,
    }
    told["tsig"] = [(one.name.hex(), one.algorithm, one.secret.hex()) for one in keys.tsig]
    told["secondaries"], told["updating"] = list(keys.secondaries), list(keys.updating)
    os.pwrite(fd, json.dumps(told).encode(), 0)
    return fd


def read(fd: int) -> Keys:
    """Return what the memory behind a descriptor holds; -1 is nothing."""
    if fd < 0:
        return Keys()
    told = json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
    signing = (tsig.Key(bytes.fromhex(name), how, bytes.fromhex(secret)) for name, how, secret in told.get("tsig", ()))
    return Keys(
        tuple(bytes.fromhex(one) for one in told["cookies"]), told["certificate"], told["key"],
        tuple(signing), tuple(told.get("secondaries", ())), tuple(told.get("updating", ())),
    )  # fmt: skip


def extras_of(guards: Mapping[str, Any], keys: Keys, page: shared.Page, now_s: float) -> extras.Extras:
    """Return what answers depend on besides the table. `guards` is `Settings.guards` of a worker."""
    if not guards.get("cookies", False):
        return extras.Extras()
    return extras.Extras(cookies.Jar(secrets(keys, page), now_s, require=bool(guards.get("require", False))))


def secrets(keys: Keys, page: shared.Page) -> Sequence[bytes]:
    """Return the secrets of cookies: those that were configured, else one that the workers of this node share."""
    return keys.cookies or (hashlib.blake2b(b"cookies", digest_size=cookies.SECRET_BYTES, key=page.secret).digest(),)


def guard_of(
    guards: Mapping[str, Any], rate_limit: Sequence[float] | None, workers: int, jar: cookies.Jar | None, seed: int
) -> guard.Guard:
    """Return what holds a worker's UDP answers to their bounds. `rate_limit` is (responses per second, slip)."""
    limiter = None
    if rate_limit is not None:
        per_second, slip = rate_limit
        # The kernel spreads a network's questions over the workers by their ports: each holds it to its part.
        limiter = limit.Limiter(max(1.0, per_second / workers), int(slip), seed=seed)
    most_times = float(guards.get("most_times", 0.0))
    return guard.Guard(limiter, jar, exempt=guards.get("exempt", ()), most_times=most_times)
