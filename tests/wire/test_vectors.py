"""The committed vectors are what this reader answers, so that another reader of the same table can be held to them."""

from __future__ import annotations

import json

from gtm.wire import respond, unpack
from tests.wire import make_vectors


def test_the_vectors_are_what_is_answered() -> None:
    for name, content in make_vectors.files().items():
        assert (make_vectors.FOLDER / name).read_text() == content, f"{name}: see make_vectors"


def test_a_frame_of_names_makes_of_the_table_what_its_answers_say() -> None:
    packed = [bytes.fromhex((make_vectors.FOLDER / f"{one}-version-3.hex").read_text()) for one in ("table", "names")]
    reader = respond.Responder(unpack.whole(packed[0]), seed=1)
    assert reader.update(*unpack.rings(packed[1]))
    for one in json.loads((make_vectors.FOLDER / "answers-after-names.json").read_text()):
        reply = reader.answer(bytes.fromhex(one["query"]), 4, 0xC6336409, "udp")
        assert reply is not None
        assert reply.hex() == one["answer"], one["about"]
