"""What the fuzzer kept: every input of the corpus, whole and damaged, is answered well or not at all (E8)."""

from __future__ import annotations

import pytest

from tests.fuzz import packets


@pytest.mark.parametrize("seed", range(2))
def test_E8_the_corpus_and_damage_of_it_raise_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "_REPLAYED", 4000)
    packets.replay(seed)
