"""The committed vectors are what this reader answers, so that another reader of the same table can be held to them."""

from __future__ import annotations

from tests.wire import make_vectors


def test_the_vectors_are_what_is_answered() -> None:
    for name, content in make_vectors.files().items():
        assert (make_vectors.FOLDER / name).read_text() == content, f"{name}: see make_vectors"
