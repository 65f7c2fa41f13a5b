"""What waits to be sent: in order, tried again more and more slowly, bounded, and remembered."""

from __future__ import annotations

import itertools

import pytest

from gtm.alerts import outbox, words

NOW = 1_700_000_000.0
_numbers = itertools.count(1)


class Box(outbox.Outbox):
    """An outbox in which everything is written at once."""

    def put(self, receiver: str, message: words.Message, now: float) -> words.Letter | None:
        dropped = super().put(receiver, message, now)
        self.ready()
        return dropped


def message(what: words.What = "firing", incident: str = "i1") -> words.Message:
    return words.Message(
        id=f"m{next(_numbers)}", incident=incident, node="ns1", what=what, group="site:fra", severity="error",
        since=NOW, at=NOW, title="title", text="text", facts=({"kind": "pool", "subject": "eu"},),
    )  # fmt: skip


def fail(box: outbox.Outbox, letter: words.Letter | None, now: float, *, final: bool = False) -> bool:
    assert letter is not None
    return box.failed(letter, "refused", final, now, lambda: 1.0)


def test_letters_go_in_order_one_at_a_time_and_each_receiver_by_itself() -> None:
    box = Box()
    first, second = message(), message("resolved")
    box.put("ops", first, NOW)
    box.put("ops", second, NOW)
    box.put("pager", message(), NOW)
    one = box.take("ops", NOW)
    assert one is not None
    assert one.message == first
    assert box.take("ops", NOW) is None, "the second waits for the first"
    assert box.take("pager", NOW) is not None
    box.sent(one)
    assert box.take("ops", NOW).message == second  # type: ignore[union-attr]
    assert box.take("nobody", NOW) is None


def test_what_fails_is_tried_more_and_more_slowly_and_given_up_after_a_day() -> None:
    box, now, waits = Box(), NOW, []
    box.put("ops", message(), now)
    while True:
        if fail(box, box.take("ops", now), now):
            break
        due = box.due("ops")
        assert due is not None
        waits.append(due - now)
        assert box.take("ops", due - 0.01) is None
        now = due
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert max(waits) == outbox.LONGEST_WAIT_S
    assert now - NOW == pytest.approx(outbox.GIVE_UP_S, abs=outbox.LONGEST_WAIT_S)
    assert len(box) == 0


def test_chance_spreads_attempts_over_half_of_the_wait() -> None:
    for dice, wait in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        box = Box()
        box.put("ops", message(), NOW)
        letter = box.take("ops", NOW)
        assert letter is not None
        box.failed(letter, "refused", False, NOW, lambda dice=dice: dice)  # type: ignore[misc]
        assert box.due("ops") == NOW + wait


def test_what_can_never_be_sent_is_given_up_at_once() -> None:
    box = Box()
    box.put("ops", message(), NOW)
    assert fail(box, box.take("ops", NOW), NOW, final=True)
    assert len(box) == 0


def test_a_newer_word_replaces_an_update_that_waits_but_no_first_word() -> None:
    box = Box()
    for what in ("firing", "update", "reminder", "resolved"):
        box.put("ops", message(what), NOW)
    box.put("ops", message("update", "i2"), NOW)
    assert [one.message.what for one in box] == ["firing", "resolved", "update"]


def test_an_incident_waits_for_a_receiver_until_it_took_all_that_is_said_of_it() -> None:
    box = Box()
    box.put("ops", message(), NOW)
    assert box.waits("ops", "i1")
    assert not box.waits("pager", "i1")
    assert not box.waits("ops", "i2")
    letter = box.take("ops", NOW)
    assert box.waits("ops", "i1"), "it is under way"
    assert letter is not None
    box.sent(letter)
    assert not box.waits("ops", "i1")


def test_what_is_under_way_is_not_replaced() -> None:
    box = Box()
    box.put("ops", message("update"), NOW)
    letter = box.take("ops", NOW)
    box.put("ops", message("resolved"), NOW)
    assert [one.message.what for one in box] == ["update", "resolved"]
    assert not fail(box, letter, NOW)
    assert [one.message.what for one in box] == ["update", "resolved"], "and the order stays"


def test_more_than_the_bound_drops_the_oldest_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_LETTERS", 3)
    box = Box()
    letters = [message(incident=str(n)) for n in range(5)]
    dropped = [box.put("ops", one, NOW) for one in letters]
    assert [one.message if one else None for one in dropped] == [None, None, None, letters[0], letters[1]]
    assert len(box) == 3


def test_it_is_the_same_after_it_was_written_and_read() -> None:
    box = Box()
    box.put("ops", message(), NOW)
    box.put("ops", message("resolved"), NOW + 1)
    fail(box, box.take("ops", NOW), NOW)
    kept = box.written()
    assert box.written() == {}
    again = outbox.Outbox()
    again.recall(words.letter(body) for body in kept.values() if body)
    assert list(again) == list(box)
    assert again.due("ops") == NOW + 1
    letter = again.take("ops", NOW + 1)
    assert letter is not None
    assert (letter.tries, letter.trouble) == (1, "refused")
    again.sent(letter)
    assert again.written() == {("letter", letter.id): None}


def test_a_refresh_is_not_worth_a_write() -> None:
    box = Box()
    box.put("am", message("refresh"), NOW)
    fail(box, box.take("am", NOW), NOW)
    box.put("am", message("refresh"), NOW)
    assert len(box) == 1
    assert box.written() == {}


def test_a_refresh_adds_nothing_to_what_waits() -> None:
    box = Box()
    box.put("am", message(), NOW)
    box.put("am", message("refresh"), NOW)
    box.put("am", message("refresh", "i2"), NOW)
    assert [(one.message.incident, one.message.what) for one in box] == [("i1", "firing"), ("i2", "refresh")]


def test_who_is_configured_no_more_gets_nothing_more() -> None:
    box = Box()
    box.put("ops", message(), NOW)
    box.put("gone", message(), NOW)
    box.forget({"ops"})
    assert [one.receiver for one in box] == ["ops"]


def test_a_courier_that_stopped_in_the_midst_leaves_its_letter_to_the_next() -> None:
    box = Box()
    box.put("ops", message(), NOW)
    assert box.take("ops", NOW) is not None
    assert box.take("ops", NOW) is None
    box.release("ops")
    assert box.take("ops", NOW) is not None


def test_a_receiver_that_was_mended_is_tried_at_once() -> None:
    box = Box()
    box.put("ops", message(), NOW)
    now = NOW
    for _ in range(8):
        fail(box, box.take("ops", now), now)
        now = box.due("ops") or 0.0
    fail(box, box.take("ops", now), now)
    assert box.take("ops", now + 1) is None
    box.hurry("ops")
    letter = box.take("ops", now + 1)
    assert letter is not None
    assert letter.tries == 9


def test_what_is_not_written_yet_is_not_sent_yet() -> None:
    box = outbox.Outbox()
    box.put("ops", message(), NOW)
    assert (box.take("ops", NOW), box.due("ops"), box.unwritten) == (None, None, 1)
    box.written()
    box.ready()
    assert box.take("ops", NOW) is not None
