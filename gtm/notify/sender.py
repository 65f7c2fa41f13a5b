"""What all senders share: what one is, how it fails, and where a receiver's secrets are found."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtm import errors, model
from gtm.alerts import words

MAX_SECRET_BYTES = 4096
LEAST_SECRET = 6  # shorter parts of a path are words like `v2` or `hook`
MOST_WORDS = 200  # of what a receiver says when it refuses
CA = model.Option("ca", "path", "PEM file of the authorities, relative to this file; default: the system's")


class NotSent(errors.GtmError):
    """The receiver did not take it. `final`: nor will it take it later, as it is."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        self.final = final
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt: the receiver, the message, and where to look for secrets. The caller keeps the time."""

    receiver: model.Receiver
    message: words.Message
    environment: Mapping[str, str]
    now: float  # wall clock, seconds

    def text(self, option: str) -> str:
        """Return a plain setting as text; empty when absent."""
        value = self.receiver.options.get(option)
        return "" if value is None else str(value)

    def found(self, option: str) -> str:
        """Return what stands in the configuration, the environment or a file. Raises `NotSent` when it is not there.

        Files are read each time, so that a secret can be changed without a reload.
        """
        if variable := self.text(f"{option}_env"):
            value = self.environment.get(variable, "").strip()
            trouble = f"${variable} is not set"
        elif path := self.text(f"{option}_file"):
            value, trouble = _read(path)
        else:
            return self.text(option)
        if not value:
            raise NotSent(trouble)
        return value

    def secrets(self) -> list[str]:
        """Return every secret of this receiver that can be had: none of them may stand in what is said of it."""
        values = []
        for key in self.receiver.options:
            option = key.removesuffix("_env").removesuffix("_file")
            if option != key or f"{key}_env" in self.receiver.options:
                try:
                    values.append(self.found(option))
                except NotSent:
                    continue
        # Of a URL, what stands behind the host is the secret, and each part of it.
        behind = [one.split("/", 3)[3] for one in values if "://" in one and one.count("/") > 2]
        parts = [part for one in behind for part in (one, *re.split(r"[/?&=]", one)) if len(part) >= LEAST_SECRET]
        return sorted({one for one in (*values, *parts) if one}, key=len, reverse=True)

    def clean(self, said: str) -> str:
        """Return what somebody said, short, on one line, and without secrets."""
        for secret in self.secrets():
            said = said.replace(secret, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
        return line if len(line) <= MOST_WORDS else line[: MOST_WORDS - 1] + "…"


def _read(path: str) -> tuple[str, str]:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(MAX_SECRET_BYTES).strip(), f"{path} is empty"
    except OSError as wrong:
        return "", f"{path} cannot be read: {(wrong.strerror or str(wrong)).lower()}"
    except UnicodeDecodeError:
        return "", f"{path} cannot be read: it is not text"


@dataclass(frozen=True, slots=True)
class Sender:
    """One kind of receiver. `send` returns what came back in a few words, or raises `NotSent`; `refresh_s` is how
    often it must hear again of what goes on (0: once is enough).
    """

    kind: model.Kind
    send: Callable[[Trial], Awaitable[str]]
    refresh_s: float = 0.0


def plain(message: words.Message) -> dict[str, Any]:
    """Return a message as the JSON object that programs get."""
    return {
        "id": message.id, "incident": message.incident, "what": message.what, "node": message.node,
        "group": message.group, "severity": message.severity, "since": message.since, "at": message.at,
        "title": message.title, "text": message.text, "url": message.look,
        "facts": [{key: value for key, value in one.items() if key not in {"seen", "once"}} for one in message.facts],
        "facts_left_out": message.left_out,
    }  # fmt: skip
