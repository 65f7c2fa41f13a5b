"""Writes tests/vectors/: a small table in plain JSON and packed, and packets with answers, for any reader of tables.

Run `python -m tests.wire.make_vectors` after a change of the wire that is meant; `test_vectors` holds us to the files.
A case is (transport, sender, query, answer); answers that turn with the ring are left out by giving exact
rings one slot, so a reader needs no seed to be held to these. Bytes are hexadecimal.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from gtm import seen, table
from gtm.wire import compile as compiler
from gtm.wire import overlay, pack
from tests.wire import test_any_bytes, test_questions, test_subnet, world

FOLDER = Path(__file__).resolve().parents[1] / "vectors"


def plain(value: Any) -> Any:
    """Return dataclasses as objects, bytes as hexadecimal, mappings as lists of pairs."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return [[plain(key), plain(of)] for key, of in value.items()]
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def queries() -> Iterator[tuple[str, bytes]]:
    """Yield what is asked, with a word for what it is about."""
    opts = {
        "no OPT": b"",
        "OPT": test_any_bytes.record(1232, 0, 0, b""),
        "OPT with DO, 4096": test_any_bytes.record(4096, 0x8000, 0, b""),
        "NSID": test_any_bytes.record(1232, 0, 0, b"\0\3\0\0"),
        "version 1": test_any_bytes.record(1232, 0, 1, b""),
        "subnet 203.0.113.0/24": test_any_bytes.record(1232, 0, 0, test_subnet.ecs(1, 24, 0, b"\xcb\0\x71")),
        "subnet 203.0.113.128/25": test_any_bytes.record(1232, 0, 0, test_subnet.ecs(1, 25, 0, b"\xcb\0\x71\x80")),
        "subnet 2001:db8:5::/48": test_any_bytes.record(1232, 0, 0, test_subnet.ecs(2, 48, 0, b"\x20\1\x0d\xb8\0\5")),
        "subnet 10.0.0.0/8": test_any_bytes.record(1232, 0, 0, test_subnet.ecs(1, 8, 0, b"\x0a")),
        "subnet opted out": test_any_bytes.record(1232, 0, 0, test_subnet.ecs(1, 0, 0, b"")),
    }
    few = [(word, opts[word]) for word in ("no OPT", "OPT", "subnet 203.0.113.0/24")]
    for name in test_any_bytes.ASKED:
        steered = name.lower().removesuffix(".live.example.") in {*test_subnet.NAMES, "x.ch"}
        for kind in (1, 28, 16, 6, 255):
            for word, opt in opts.items() if steered else few:
                yield (
                    f"{name} {kind} {word}",
                    test_any_bytes.packet(0x0120, test_any_bytes.question(name, kind, 1), opt, b""),
                )
    for word, data in test_subnet.BAD.items():
        asked = test_any_bytes.question("geo.live.example.", 1, 1)
        yield f"subnet: {word}", test_any_bytes.packet(0, asked, test_any_bytes.record(1232, 0, 0, data), b"")
    for word, query in test_questions.FORMERR.items():
        yield f"malformed: {word}", query
    yield "an answer", test_questions.packet(0x8000)
    yield "opcode 4", test_questions.packet(4 << 11)
    yield "11 bytes", test_questions.packet()[:11]


def cases(whole: table.AnswerTable) -> Iterator[dict[str, Any]]:
    """Yield every query with its answer, from two senders."""
    server = world.Server(whole)
    for word, query in queries():
        for sender in ("198.51.100.9", "2001:db8:5::1"):
            reply = server.raw(query, sender=sender)
            yield {
                "about": word,
                "transport": "udp",
                "sender": sender,
                "query": query.hex(),
                "answer": None if reply is None else reply.hex(),
            }


def challenged(whole: table.AnswerTable) -> tuple[bytes, list[dict[str, Any]]]:
    """Return a frame that changes single names of `whole`, and questions with their answers after it."""
    over = overlay.Overlay()
    over.over(compiler.Grown(whole.zones, whole.names, {}))
    places = (
        "_acme-challenge.live.example.",
        "_acme-challenge.new.x.live.example.",
        "_acme-challenge.one.ch.live.example.",
    )
    entries = over.want([seen.Challenge(name, word) for name in places for word in ("first", "second")])
    server = world.Server(replace(whole, names=over.names()))
    found = []
    for name in (*places, *(name.partition(".")[2] for name in places), "x.live.example.", "two.ch.live.example."):
        for kind in (16, 1, 255):
            query = test_any_bytes.packet(0x0100, test_any_bytes.question(name, kind, 1), b"", b"")
            reply = server.raw(query, sender="198.51.100.9")
            found.append({"about": f"{name} {kind}", "query": query.hex(), "answer": reply.hex() if reply else None})
    return pack.pack_rings(whole.revision + 1, {}, entries), found


def files() -> dict[str, str]:
    """Return the content of every vector file by name."""
    whole = test_subnet.geography()
    lines = ",\n".join(json.dumps(one) for one in cases(whole))
    packed = "\n".join(textwrap.wrap(pack.pack_table(whole).hex(), 120))
    frame, after = challenged(whole)
    return {
        "table.json": json.dumps(plain(whole), indent=1) + "\n",
        "table-version-3.hex": packed + "\n",
        "answers.json": f"[\n{lines}\n]\n",
        "names-version-3.hex": "\n".join(textwrap.wrap(frame.hex(), 120)) + "\n",
        "answers-after-names.json": "[\n" + ",\n".join(map(json.dumps, after)) + "\n]\n",
    }


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_text(content)
