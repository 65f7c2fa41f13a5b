"""ACME challenges come and go in single entries: beside what is steered, under wildcards, and where nothing stood."""

from __future__ import annotations

import dns.flags
import dns.rcode

from gtm import table
from gtm.wire import compile as compiler
from tests.stories.world import World

CONFIG = """
endpoints: {fra-1: {address: 192.0.2.1, check: none}}
pools: {main: {members: [fra-1]}}
zones:
  example.org:
    nameservers: {ns1: [203.0.113.53]}
    negative_ttl: 7
    records:
      _acme-challenge.old: {ttl: 300, TXT: ['"left behind"', '"two" "strings"']}
      _acme-challenge.alias: {CNAME: elsewhere.example.net.}
      sub: {NS: ns.example.net.}
      "*.texts": {TXT: '"any"'}
    steer:
      play: {try: [main]}
      "*.ch": {try: [main]}
      _acme-challenge.steered: {try: [main]}
  deep.example.org: {nameservers: {ns1: [203.0.113.53]}}
"""


def where(name: str) -> str:
    return f"_acme-challenge.{name}.".replace("..", ".")


def texts(world: World, name: str) -> set[str]:
    return set(world.ask(where(name), "TXT"))


def test_a_challenge_is_answered_at_once_and_goes_away_again() -> None:
    world = World(CONFIG)
    assert world.message(where("example.org"), "TXT").rcode() == dns.rcode.NXDOMAIN
    world.challenge((where("example.org"), "one"), (where("example.org"), "two"), (where("play.example.org"), "three"))
    assert texts(world, "example.org") == {'"one"', '"two"'}
    assert texts(world, "play.example.org") == {'"three"'}
    assert world.ask("play.example.org", "A") == ["192.0.2.1"]
    said = world.message(where("example.org"), "TXT")
    assert said.flags & dns.flags.AA
    assert said.answer[0].ttl == 10
    empty = world.message(where("example.org"), "A")  # NODATA with the SOA: RFC 2308 section 2.2
    assert (empty.rcode(), len(empty.answer), empty.authority[0].ttl) == (dns.rcode.NOERROR, 0, 7)
    assert world.ask(where("example.org"), "ANY") == ['"RFC8482" ""']
    world.challenge((where("example.org"), "two"))
    assert texts(world, "example.org") == {'"two"'}
    world.challenge()
    for name in ("example.org", "play.example.org"):
        assert world.message(where(name), "TXT").rcode() == dns.rcode.NXDOMAIN


def test_names_above_a_challenge_exist_without_data_and_go_away_with_it() -> None:
    world = World(CONFIG)
    world.challenge((where("a.b.example.org"), "x"))
    for name in ("a.b.example.org", "b.example.org"):  # RFC 8020 section 2
        assert world.message(name, "A").rcode() == dns.rcode.NOERROR
        assert world.ask(name, "A") == []
    assert world.message("c.b.example.org", "A").rcode() == dns.rcode.NXDOMAIN
    world.challenge()
    for name in ("a.b.example.org", "b.example.org"):
        assert world.message(name, "A").rcode() == dns.rcode.NXDOMAIN


def test_what_a_wildcard_covers_goes_on_being_answered_above_and_beside_a_challenge() -> None:
    world = World(CONFIG)
    world.challenge((where("one.ch.example.org"), "x"), (where("texts.example.org"), "y"))
    assert texts(world, "one.ch.example.org") == {'"x"'}
    assert texts(world, "texts.example.org") == {'"y"'}
    for name in ("one.ch.example.org", "two.ch.example.org", "below.one.ch.example.org"):
        assert world.ask(name, "A") == ["192.0.2.1"]
    assert world.ask("else.texts.example.org", "TXT") == ['"any"']
    assert world.ask(where("one.ch.example.org"), "A") == []  # it is a name of its own (RFC 4592 section 2.2.1)
    world.challenge()
    assert world.ask(where("one.ch.example.org"), "A") == ["192.0.2.1"]
    assert texts(world, "texts.example.org") == {'"any"'}


def test_a_static_text_at_the_same_name_stays_beside_it_with_one_ttl() -> None:
    world = World(CONFIG)
    world.challenge((where("old.example.org"), "new"), (where("old.example.org"), "left behind"))
    assert texts(world, "old.example.org") == {'"new"', '"left behind"', '"two" "strings"'}
    assert world.ttl(where("old.example.org"), "TXT") == 10  # RFC 2181 section 5.2
    world.challenge()
    assert texts(world, "old.example.org") == {'"left behind"', '"two" "strings"'}
    assert world.ttl(where("old.example.org"), "TXT") == 300


def test_challenges_survive_a_reload_that_has_a_place_for_them() -> None:
    world = World(CONFIG)
    world.challenge((where("example.org"), "one"), (where("deep.example.org"), "two"))
    assert texts(world, "deep.example.org") == {'"two"'}
    without = CONFIG.partition("  deep.example.org")[0]
    world.reload(without.replace("play:", "game:"))
    assert texts(world, "example.org") == {'"one"'}
    assert texts(world, "deep.example.org") == {'"two"'}  # it is a name of the zone above now
    assert world.ask("game.example.org", "A") == ["192.0.2.1"]
    world.reload(CONFIG.replace("example.org", "example.com"))
    assert world.message(where("example.org"), "TXT").rcode() == dns.rcode.REFUSED
    world.reload(CONFIG)
    assert texts(world, "example.org") == {'"one"'}
    assert world.brain.current_table().names[b"\x0f_acme-challenge\x07example\x03org\0"].fixed


def test_where_no_challenge_can_stand_is_said_and_answers_do_not_change() -> None:
    world = World(CONFIG)
    reasons = {
        where("example.net"): "no zone",
        where("sub.example.org"): "delegated",
        where("x.sub.example.org"): "delegated",
        where("alias.example.org"): "alias",
        where("steered.example.org"): "steered",
        "www.example.org.": "_acme-challenge",
    }
    for name, why in reasons.items():
        key = b"".join(bytes((len(one),)) + one.encode() for one in name.split("."))
        assert why in world.brain.overlay.why_not(key)
    world.challenge(*((name, "x") for name in reasons))
    assert world.brain.current_table().names == world.brain.table.names


def test_entries_that_are_not_of_the_table_are_refused_whole() -> None:
    world = World(CONFIG)
    responder = world.responder
    assert responder is not None
    good = table.Entry(0, {16: compiler.any_answer()})
    for bad in (table.Entry(9, {}), table.Entry(-1, {}), table.Entry(0, {}, steering=99), table.Entry(0, {}, -2)):
        assert not responder.update(responder.revision + 1, {}, {b"\x01a\0": good, b"\x01b\0": bad})
    assert not responder.update(responder.revision - 1, {}, {b"\x01a\0": good})
    assert world.message("a.", "TXT").rcode() == dns.rcode.REFUSED
