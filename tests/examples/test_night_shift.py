"""The night shift is replayed: what is said, when and to whom, and who is answered, is what the script says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.examples import night


@pytest.fixture(scope="module")
def replayed() -> tuple[night.Night, list[tuple[night.Step, list[str], dict[str, set[str]]]]]:
    it = night.Night()
    return it, list(it.replay())


Replayed = tuple[night.Night, list[tuple[night.Step, list[str], dict[str, set[str]]]]]


def test_each_step_says_what_the_script_says_and_nothing_else(replayed: Replayed) -> None:
    for step, said, _ in replayed[1]:
        assert (step.what, said) == (step.what, list(step.said))


def test_at_the_end_of_each_step_those_are_answered_who_the_script_says(replayed: Replayed) -> None:
    it, steps = replayed
    assert sum(len(step.answers) for step, _, _ in steps) >= 15
    for step, _, answered in steps:
        for name, patterns in step.answers.items():
            assert (step.what, name, sorted(answered[name])) == (step.what, name, sorted(it.endpoints(patterns)))


def test_before_the_night_nothing_is_said(replayed: Replayed) -> None:
    assert replayed[0].quiet[1] == 0


def test_all_that_was_told_to_be_wrong_is_told_to_be_over(replayed: Replayed) -> None:
    open_of: Counter[tuple[str, str]] = Counter()
    for _, who, message in replayed[0].it.said:
        open_of[who, message.incident] += {"firing": 1, "resolved": -1}.get(message.what, 0)
    assert set(open_of.values()) == {0}


def test_the_log_is_what_a_replay_writes(replayed: Replayed) -> None:
    assert (night.FOLDER / "log.txt").read_text() == night.log(replayed[0]), "python -m tests.examples.night"


def test_the_page_shows_a_message_of_the_log_and_counts_the_rings_right(replayed: Replayed) -> None:
    page, log = (night.FOLDER / "README.md").read_text(), (night.FOLDER / "log.txt").read_text()
    (shown,) = re.findall(r"^```\n(.*?)```$", page, re.M | re.S)
    assert shown in log
    rings = [one for _, who, one in replayed[0].it.said if who == "pager" and one.what == "firing"]
    words = ("no", "one", "two", "three", "four", "five", "six")
    assert f"The pager rings {words[len(rings)]} times" in page
