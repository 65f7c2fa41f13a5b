"""The settings of what UPDATE may change in a zone as a section in, the keys that may out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pydantic

from gtm import answering
from gtm.config import fields, transfers

MOST_KEYS = 8  # machines that get certificates by themselves; they may share a key


class Acme(fields.Section):
    """ACME clients that prove the zone by UPDATE (RFC 2136): TXT at `_acme-challenge`, and nothing else."""

    tsig: Annotated[list[transfers.Tsig], pydantic.BeforeValidator(fields.listed)] = fields.needed(
        "the key that they sign with, or a list of keys", min_length=1, max_length=MOST_KEYS
    )


def keys(written: Acme | None, relative: Callable[[str], str]) -> tuple[answering.Tsig, ...]:
    """Return the keys; `relative` makes a path seen from where the command runs."""
    return tuple(transfers.key(one, relative) for one in written.tsig) if written is not None else ()
