"""What travels between the processes: messages, the journal, the shared page, counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from gtm.serve import channel, children, counters, journal, shared

Ends = tuple[channel.Channel, channel.Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = channel.pair()
    yield one, other
    one.close()
    other.close()


def received(end: channel.Channel) -> channel.Message:
    message = end.receive()
    assert message is not None
    return message


def test_messages_arrive_whole_and_in_order_whatever_their_size(ends: Ends) -> None:
    one, other = ends
    bodies = [b"", b"a\nb", os.urandom(channel.PACKET_BYTES), os.urandom(3 * channel.PACKET_BYTES)]
    for body in bodies:
        assert one.send("counts", body)
    assert [received(other) for _ in bodies] == [channel.Message("counts", body) for body in bodies]
    assert other.receive() is None


def test_a_descriptor_travels_with_a_message(ends: Ends) -> None:
    one, other = ends
    reading, writing = os.pipe()
    assert one.send_json("bound", {"workers": 2}, writing)
    os.close(writing)
    message = received(other)
    assert message.json() == {"workers": 2}
    os.write(message.fd, b"through")
    assert os.read(reading, 10) == b"through"
    os.close(message.fd)
    os.close(reading)


def test_G6_a_body_that_none_of_ours_would_send_is_not_read(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ends
    assert one.send("counts", bytes(2 * channel.PACKET_BYTES))
    with monkeypatch.context() as small:
        small.setattr(channel, "MOST_BYTES", channel.PACKET_BYTES)
        with pytest.raises(EOFError):
            other.receive()
        with pytest.raises(ValueError, match="too long"):
            one.send("counts", bytes(2 * channel.PACKET_BYTES))
    assert one.send("counts", b"on")
    assert received(other).body == b"on"


def test_a_full_channel_and_a_closed_one_say_so_and_never_block(ends: Ends) -> None:
    one, other = ends
    sent = 0
    while one.send("rings", b"x" * 1000):
        sent += 1
    assert sent > 3
    received(other)
    while other.receive() is not None:
        continue
    assert one.send("rings")
    other.close()
    assert not one.send("rings")
    with pytest.raises(EOFError):
        one.receive()


def test_a_journal_is_read_by_whoever_holds_its_descriptor_at_their_own_pace() -> None:
    writer = journal.Writer(b"table", 7)
    early = journal.Reader(os.dup(writer.fd))
    first = early.next()
    assert first is not None
    assert (first.kind, first.revision, bytes(early.body(first))) == (journal.TABLE, 7, b"table")
    assert early.next() is None
    writer.rings(b"rings", 8)
    late = journal.Reader(os.dup(writer.fd))
    assert [bytes(late.body(record)) for record in (late.next(), late.next()) if record] == [b"table", b"rings"]
    second = early.next()
    assert second is not None
    assert (second.kind, second.revision, bytes(early.body(second))) == (journal.RINGS, 8, b"rings")


def test_a_body_that_is_written_before_its_head_is_not_seen_yet() -> None:
    writer = journal.Writer(b"table", 7)
    os.pwrite(writer.fd, b"rings", writer.size_bytes + 24)
    reader = journal.Reader(os.dup(writer.fd))
    assert reader.next() is not None
    assert reader.next() is None


@pytest.mark.parametrize("written", range(24))
def test_a_head_that_a_dying_writer_left_half_done_is_not_seen_either(written: int) -> None:
    writer = journal.Writer(b"table", 7)
    at = writer.size_bytes
    writer.rings(b"rings", 8)
    head = os.pread(writer.fd, 24, at)
    os.pwrite(writer.fd, head[:written] + bytes(24 - written), at)
    reader = journal.Reader(os.dup(writer.fd))
    assert reader.next() is not None
    assert (reader.next() is None) == (written <= 16)


def test_all_processes_see_one_page_and_a_dead_workers_row_is_cleared() -> None:
    page = shared.Page.new(3)
    same = shared.Page(page.fd, 3)
    page.beat(1, 123)
    page.answers(2, 9)
    cell = page.cell(b"client")
    assert same.cell(b"client") == cell
    page.count(0, cell, 1)
    same.count(2, cell, 1)
    assert (same.beaten_ns(1), same.revisions()) == (123, [0, 0, 9])
    assert (page.connections(), page.connections_of(cell), page.connections_of((cell + 1) % shared.CELLS)) == (2, 2, 0)
    page.clear(2)
    assert (page.connections(), page.connections_of(cell), page.revisions()) == (1, 1, [0, 0, 0])
    assert page.cell(b"client") == cell


BEATING = """
import sys
from gtm.serve import shared
page = shared.Page(int(sys.argv[1]), 1)
page.beat(0, 2**62 + 1)
print("beating", flush=True)
while True:
    for number in range(1000):
        page.beat(0, 2**62 + 1)
        page.answers(0, 2**62 + 1)
"""


def test_a_number_on_the_page_is_never_seen_half_written() -> None:
    page = shared.Page.new(1)
    started = [sys.executable, "-c", BEATING, str(page.fd)]
    with subprocess.Popen(started, pass_fds=[page.fd], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = {page.beaten_ns(0) for _ in range(50_000)}
        until_s = time.monotonic() + 20
        while not page.revisions()[0] and time.monotonic() < until_s:
            pass
        seen |= {page.revisions()[0] for _ in range(50_000)}
        writer.kill()
    page.close()
    assert seen == {2**62 + 1}


def test_counts_come_back_as_they_were_in_messages_of_bounded_size() -> None:
    counts: counters.Counts = {
        "queries": {("udp", "A"): 3, ("tcp", "AAAA"): 1},
        "steered": {(f"n{number}.example.", "pool"): number for number in range(2500)},
        "truncated": {(): 2},
    }
    messages = list(counters.pack(counts))
    assert len(messages) == 3
    back: counters.Counts = {}
    for message in messages:
        counters.add(back, counters.unpack(message))
    assert back == counts
    assert list(counters.pack({"queries": {}})) == []


def test_a_process_that_keeps_dying_is_started_at_once_then_ever_later_up_to_five_seconds() -> None:
    backoff = children.Backoff()
    assert [backoff.after_death(0.01) for _ in range(9)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert backoff.after_death(31) == 0
    assert backoff.after_death(1) == 0.1
