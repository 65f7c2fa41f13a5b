"""Cookies as RFC 7873 and RFC 9018 want them: made, renewed, refused, remembered for a while, and never dear."""

from __future__ import annotations

import struct

import dns.edns
import dns.message
import pytest

from gtm import model, table
from gtm.wire import cookies, edns, extras, guard, limit, respond
from tests.wire import test_questions, world

NOW_S = 1_559_731_985
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
NEW = bytes.fromhex("445536bcd2513298075a5d379663c962")
CLIENT = bytes.fromhex("2464c4abcf10c957")


class Asker:
    """A server with cookies, and somebody who asks it."""

    def __init__(self, *secrets: bytes, require: bool = False) -> None:
        self.jar = cookies.Jar(secrets or (SECRET,), NOW_S, require=require)
        whole = world.snapshot(
            test_questions.ZONE,
            endpoints=[model.Endpoint("e", ipv4="192.0.2.1")],
            pools=[world.pool("p", "e")],
            policies=[world.policy("p")],
        )
        steering = table.Steering(-1, (0,), (0,), (0,))
        built = world.build(whole, steerings=[steering], rings=world.rings(world.decision(["192.0.2.1"])))
        self.server = world.Server(built)
        self.server.responder = respond.Responder(built, seed=1, more=extras.Extras(self.jar))

    def ask(self, cookie: bytes, name: str = "txt.live.example.", **more: str) -> dns.message.Message:
        option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)
        return self.server.ask(name, "TXT", options=[option], **more)  # type: ignore[arg-type]

    def told(self, cookie: bytes, **more: str) -> bytes:
        """Return the cookie of the answer."""
        return told(self.ask(cookie, **more))


def told(answer: dns.message.Message) -> bytes:
    (option,) = [one for one in answer.options if one.otype == dns.edns.OptionType.COOKIE]
    wire = option.to_wire()
    assert wire is not None
    return bytes(wire)


def question(cookie: bytes, name: bytes = test_questions.NAME) -> bytes:
    data = struct.pack(">HH", 10, len(cookie)) + cookie
    return test_questions.packet(
        counts=(1, 0, 0, 1), question=name + test_questions.TXT_IN, rest=test_questions.opt(data=data)
    )


@pytest.mark.parametrize(
    ("secrets", "now_s", "sender", "asked", "answered"),
    [
        ((SECRET,), NOW_S, "198.51.100.100", "2464c4abcf10c957", "2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
        (
            (SECRET,), NOW_S + 2400, "198.51.100.100",
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
        ),
        (  # its reserved bytes are not zero, and it is older than an hour
            (SECRET,), 0x5CF7A9AC, "203.0.113.203",
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e",
        ),
        (
            (NEW, OLD), 0x5CF7C609, "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8", "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
        ),
    ],
    ids=["A.1", "A.2", "A.3", "A.4"],
)  # fmt: skip
def test_the_cookies_are_those_of_rfc_9018_appendix_a(
    secrets: tuple[bytes, ...], now_s: int, sender: str, asked: str, answered: str
) -> None:
    one = Asker(*secrets)
    one.jar.tick(now_s)
    assert one.told(bytes.fromhex(asked), sender=sender).hex() == answered


@pytest.mark.parametrize(
    ("secret", "sender", "cookie"),
    [
        (SECRET, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
        (SECRET, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"),
        (OLD, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8"),
    ],
    ids=["A.2", "A.3", "A.4"],
)
def test_the_cookies_that_are_asked_with_in_rfc_9018_appendix_a_were_good(
    secret: bytes, sender: str, cookie: str
) -> None:
    one, sent = Asker(secret, require=True), bytes.fromhex(cookie)
    one.jar.tick(int.from_bytes(sent[12:16]))
    assert world.values(one.ask(sent, sender=sender)) == ['"hello"']
    assert world.rcode(one.ask(sent[:-1] + b"\0", sender=sender)) == "BADCOOKIE"


def test_a_good_cookie_comes_back_as_it_is_for_half_an_hour_and_is_renewed_then() -> None:
    one = Asker()
    given = one.told(CLIENT)
    for age_s, renewed in ((0, False), (1800, False), (1800 + cookies.KEPT_S, True), (3600, True)):
        one.jar.tick(NOW_S + age_s)
        again = one.told(given)
        assert (again != given) is renewed
        assert again[12:16] == (NOW_S + age_s * renewed).to_bytes(4, "big")


@pytest.mark.parametrize(("age_s", "good"), [(-301, False), (-300, True), (3600, True), (3601, False)])
def test_a_cookie_is_good_for_an_hour_and_from_five_minutes_ahead(age_s: int, good: bool) -> None:
    one = Asker(require=True)
    given = one.told(CLIENT)
    one.jar.tick(NOW_S + age_s)
    assert world.rcode(one.ask(given)) == ("NOERROR" if good else "BADCOOKIE")


@pytest.mark.parametrize(("age_s", "good"), [(-300, True), (100, True), (3600, True), (3601, False)])
def test_the_time_in_a_cookie_wraps(age_s: int, good: bool) -> None:
    one = Asker(require=True)
    one.jar.tick(2**32 - 50)
    given = one.told(CLIENT)
    assert given[12:16] == (2**32 - 50).to_bytes(4)
    one.jar.tick(2**32 - 50 + age_s)
    assert world.rcode(one.ask(given)) == ("NOERROR" if good else "BADCOOKIE")


def test_a_wrong_cookie_is_answered_with_a_fresh_one() -> None:
    one = Asker()
    given = one.told(CLIENT)
    for wrong in (given[:-1] + b"\0", given[:8] + b"\2" + given[9:], CLIENT + bytes(8), CLIENT + bytes(32)):
        answer = one.ask(wrong)
        assert world.values(answer) == ['"hello"']
        assert told(answer) == given
    assert one.told(given, sender="198.51.100.10") != given  # another's cookie proves nothing


def test_an_earlier_secret_is_still_good_and_what_it_made_is_renewed() -> None:
    before = Asker(OLD).told(CLIENT)
    one = Asker(SECRET, OLD, require=True)
    answer = one.ask(before)
    assert world.values(answer) == ['"hello"']
    assert told(answer)[:16] == before[:16]
    assert told(answer) == told(one.ask(told(answer))) != before
    assert world.rcode(Asker(SECRET, require=True).ask(before)) == "BADCOOKIE"


@pytest.mark.parametrize("length", [1, 7, 9, 15, 41])
def test_a_cookie_of_a_wrong_length_is_formerr(length: int) -> None:
    assert world.rcode(Asker().ask(bytes(length))) == "FORMERR"


def test_of_two_cookies_the_first_counts() -> None:
    options = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, one) for one in (CLIENT, bytes(3))]
    assert told(Asker().server.ask("txt.live.example.", "TXT", options=options))[:8] == CLIENT


def test_a_required_cookie_is_asked_for_over_udp_only() -> None:
    one = Asker(require=True)
    refused = one.ask(CLIENT)
    assert (world.rcode(refused), refused.answer) == ("BADCOOKIE", [])
    assert world.values(one.ask(told(refused))) == ['"hello"']
    assert world.values(one.ask(CLIENT, transport="tcp")) == ['"hello"']
    assert world.rcode(one.ask(CLIENT)) == "BADCOOKIE"  # nothing that TCP was answered is remembered for UDP
    assert world.values(one.server.ask("txt.live.example.", "TXT", edns=True)) == ['"hello"']


def test_without_a_question_a_cookie_is_all_that_is_answered() -> None:
    data = struct.pack(">HH", 10, 8) + CLIENT
    asked = test_questions.packet(counts=(0, 0, 0, 1), question=b"", rest=test_questions.opt(data=data))
    one = Asker()
    reply = one.server.raw(asked)
    assert reply is not None
    answer = dns.message.from_wire(reply)
    assert (world.rcode(answer), answer.question, told(answer)[:8]) == ("NOERROR", [], CLIENT)
    bare = one.server.raw(test_questions.packet(counts=(0, 0, 0, 1), question=b"", rest=test_questions.opt()))
    assert bare is not None
    assert bare[3] & 15 == 1  # FORMERR


def test_every_sort_of_answer_carries_it() -> None:
    one = Asker()
    given = one.told(CLIENT)
    for name in ("txt.live.example.", "play.live.example.", "nope.live.example.", "com.", "live.example."):
        for cookie in (CLIENT, given, given):  # the short road takes what the long one left
            assert told(one.ask(cookie, name)) == given


def test_cookies_that_are_not_wanted_are_an_unknown_option() -> None:
    whole = Asker().server.table
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, CLIENT)
    assert world.Server(whole).ask("txt.live.example.", "TXT", options=[option]).options == ()


def test_G6_what_is_remembered_stays_bounded_and_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookies, "MAX_KEPT", 10)
    one = Asker()
    for at in range(100):
        given = one.told(at.to_bytes(8, "big"))
        assert one.told(given) == given
        assert len(one.jar.kept) <= 10
    assert one.jar.kept
    one.jar.tick(NOW_S + cookies.KEPT_S)
    assert not one.jar.kept


def test_G6_long_packets_are_answered_and_not_remembered() -> None:
    one = Asker()
    given = one.told(CLIENT)
    held = len(one.jar.kept)
    options = [
        dns.edns.GenericOption(dns.edns.OptionType.COOKIE, given),
        dns.edns.GenericOption(dns.edns.OptionType.make(65001), bytes(1000)),
    ]
    answer = one.server.ask("txt.live.example.", "TXT", options=options)
    assert (told(answer), len(one.jar.kept)) == (given, held)


def test_G6_forged_cookies_cost_no_more_than_a_second_s_worth_and_prove_nothing() -> None:
    one = Asker(require=True)
    given = one.told(CLIENT)
    stamp = given[8:16]
    for at in range(cookies.HASHES_A_SECOND):
        assert world.rcode(one.ask(at.to_bytes(8, "big") + stamp + bytes(8))) == "BADCOOKIE"
    # Now nobody is looked at any more: neither zeros nor a good cookie that is not remembered are believed.
    assert world.rcode(one.ask(CLIENT + stamp + bytes(8))) == "BADCOOKIE"
    assert world.rcode(one.ask(given)) == "BADCOOKIE"
    one.jar.tick(NOW_S + 1)
    assert world.values(one.ask(given)) == ['"hello"']


# --- what a good cookie is good for --------------------------------------------------------------------------------


def guarded(one: Asker, **more: float) -> guard.Answer:
    held = guard.Guard(limit.Limiter(1, 0, seed=1), one.jar, exempt=["203.0.113.0/24"], most_times=more.get("times", 0))
    return held.over(one.server.responder.answer, 1000.0)


def test_a_good_cookie_and_an_exempt_network_are_not_rate_limited() -> None:
    one = Asker()
    good = question(one.told(CLIENT))
    answer = guarded(one)
    bare, stranger, exempt = test_questions.packet(), world.number(world.STRANGER), world.number("203.0.113.9")
    assert [answer(bare, *stranger, "udp") is not None for _ in range(5)] == [True, False, False, False, False]
    assert all(answer(good, *stranger, "udp") for _ in range(5))
    assert all(answer(bare, *exempt, "udp") for _ in range(5))
    assert answer(question(CLIENT), *stranger, "udp") is None
    assert answer(question(good[-24:-1] + b"\0"), *stranger, "udp") is None


def test_an_answer_to_who_is_not_proved_is_at_most_so_many_times_its_question() -> None:
    one = Asker()
    given = one.told(CLIENT)
    held = guard.Guard(None, one.jar, most_times=3)
    assert held.is_needed
    answer, stranger = held.over(one.server.responder.answer, 1000.0), world.number(world.STRANGER)
    big = b"\3big\4live\7example\0"
    for asked, whole in ((question(CLIENT, big), False), (question(given, big), True)):
        packet = asked.replace(big + test_questions.TXT_IN, big + b"\0\1\0\1")
        reply = answer(packet, *stranger, "udp")
        assert reply is not None
        assert bool(reply[2] & 2) is not whole
        assert (len(reply) <= 3 * len(packet)) is not whole
    assert held.drain_counts() == {"truncated": {(): 1}}
    assert held.drain_counts() == {}


def test_who_is_held_back_gets_a_cookie_with_the_truncated_answer_and_is_free_with_it() -> None:
    one, stranger = Asker(), world.number(world.STRANGER)
    big = b"\3big\4live\7example\0"
    for held in (
        guard.Guard(limit.Limiter(1, 1, seed=1), one.jar),
        guard.Guard(None, one.jar, most_times=3),
    ):
        answer = held.over(one.server.responder.answer, 1000.0)
        first = question(CLIENT, big).replace(big + test_questions.TXT_IN, big + b"\0\1\0\1")
        answer(first, *stranger, "udp")
        reply = answer(first, *stranger, "udp")
        assert reply is not None
        cut = dns.message.from_wire(reply)
        assert cut.flags & dns.flags.TC
        assert (cut.answer, [int(option.otype) for option in cut.options]) == ([], [edns.COOKIE])
        given = cut.options[0].to_wire()
        assert given[:8] == CLIENT
        second = question(given, big).replace(big + test_questions.TXT_IN, big + b"\0\1\0\1")
        whole = answer(second, *stranger, "udp")
        assert whole is not None
        assert dns.message.from_wire(whole).answer


@pytest.mark.parametrize("times", [1, 1.1, 1.3, 2])
def test_a_cookie_makes_no_answer_longer_than_so_many_times_its_question(times: float) -> None:
    one, stranger = Asker(), world.number(world.STRANGER)
    answer = guard.Guard(None, one.jar, most_times=times).over(one.server.responder.answer, 1000.0)
    for name in (b"\3big\4live\7example\0", b"\3txt\4live\7example\0"):
        packet = question(CLIENT, name)
        reply = answer(packet, *stranger, "udp")
        assert reply is not None
        assert len(reply) <= times * len(packet)


def test_G6_of_whom_much_is_held_back_is_noted_and_of_no_more_networks_than_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "MOST_NOTED", 3)
    one = Asker()
    held = guard.Guard(limit.Limiter(1, 2, seed=1), one.jar)
    answer, packet = held.over(one.server.responder.answer, 1000.0), test_questions.packet()
    for at in range(5):
        for _ in range(1000):
            answer(packet, *world.number(f"10.0.{at}.{at}"), "udp")
    floods = held.drain_floods()
    assert set(floods) == {(4, 0x0A0000), (4, 0x0A0001), (4, 0x0A0002)}
    assert all(abs(number - 999) <= guard.NOTED for number in floods.values())
    assert held.drain_floods() == {}


# --- other options ------------------------------------------------------------------------------------------------


def test_keepalive_is_told_over_connections_only() -> None:
    one = Asker()
    one.server.responder._more.idle_s = 12.34
    option = dns.edns.GenericOption(dns.edns.OptionType.make(edns.KEEPALIVE), b"")
    for transport, expected in (("udp", []), ("tcp", [b"\0\x7b"]), ("tls", [b"\0\x7b"]), ("https", [])):
        answer = one.server.ask("txt.live.example.", "TXT", options=[option], transport=transport)
        assert [found.to_wire() for found in answer.options] == expected


@pytest.mark.parametrize("name", ["txt.live.example.", "nope.live.example.", "com.", "wide.live.example."])
def test_answers_are_padded_where_that_was_asked_for_and_the_transport_is_encrypted(name: str) -> None:
    one = Asker()
    option = dns.edns.GenericOption(dns.edns.OptionType.make(edns.PADDING), bytes(5))
    query = dns.message.make_query(name, "A", use_edns=0, options=[option])
    for transport in ("tls", "https"):
        reply = one.server.raw(query.to_wire(), transport=transport)
        assert reply is not None
        assert len(reply) % edns.PADDED_BYTES == 0
        assert not any(dns.message.from_wire(reply).options[-1].to_wire() or b"")
    for transport in ("udp", "tcp"):
        reply = one.server.raw(query.to_wire(), transport=transport)
        assert reply is not None
        assert not any(found.otype == edns.PADDING for found in dns.message.from_wire(reply).options)
    plain = one.server.raw(dns.message.make_query(name, "A", use_edns=0).to_wire(), transport="tls")
    assert plain is not None
    assert len(plain) % edns.PADDED_BYTES != 0
