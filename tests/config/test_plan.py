"""What a reload would change, and whether somebody must say yes first."""

from __future__ import annotations

import pytest

from gtm.config import plan
from tests.config.reading import WORLD, snapshot

OLD = snapshot(WORLD)


def planned(*changes: tuple[str, str], old: str = WORLD) -> plan.Plan:
    text = old
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return plan.compare(snapshot(old), snapshot(text))


def test_the_same_configuration_changes_nothing() -> None:
    assert planned() == plan.Plan()
    assert not planned().needs_yes


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("a: 3, b: 1", "a: 1, b: 1", "pool eu: a weight 3 → 1"),
        ("a: 3, b: 1", "a: 3, b: 1, c: 2", "pool eu: c joins with weight 2"),
        ("a: 3, b: 1", "a: 3", "pool eu: b leaves"),
        ("a: 3, b: 1", "b: 1, a: 3", "pool eu: its members change their order"),
        ("members: [c]", "failback: manual, members: [c]", "pool us: failback 0s → manual"),
        ("port: 443", "every: 10s, port: 443", "check answers: every 5s → 10s"),
        ("192.0.2.2,", "192.0.2.3,", "endpoint b: ipv4 192.0.2.2 → 192.0.2.3"),
        ("at: EU-NL", "at: EU-BE", "site ams: at EU-NL → EU-BE"),
        ("  far: {members: [cdn]}\n", "  far: {members: [cdn]}\n  new: {members: [c]}\n", "pool new: added"),
        (
            "play: [eu, us]",
            "play: [eu, us]\n      more: us",
            "zone example.org: steered names added: more.example.org",
        ),
        ("play: [eu, us]", "play: [eu]", "zone example.org: rules changed for: play.example.org"),
        ("A: 192.0.2.80", "A: 192.0.2.81", "zone example.org: 1 static records added, 1 removed"),
        ("hostmaster: ops", "hostmaster: dns", "zone example.org: hostmaster ops@example.org → dns@example.org"),
        ("zones:\n", "guard: {min_alive: 30%}\nzones:\n", "guard: min_alive off → 30%"),
        ("zones:\n", "geo: {regions: {x: [EU, AS1]}}\nzones:\n", "region x: added"),
        ("zones:\n", "flap: off\nzones:\n", "flap: returns 4 → 0"),
    ],
)
def test_every_change_is_said_in_words(before: str, after: str, line: str) -> None:
    assert line in planned((before, after)).lines


def test_what_needs_a_restart_is_named() -> None:
    text = "dns: {listen: ['127.0.0.1:53'], workers: 2}\nweb: {listen: off}\nstore: sqlite:///x.db\n"
    found = planned(("zones:\n", text + "zones:\n"))
    assert found.restart == ("dns.listen", "dns.workers", "store", "web.listen")
    assert not found.needs_yes


def test_G3_the_share_of_answers_that_move_is_counted_by_weight() -> None:
    # Both names begin at eu, where b takes a quarter; IPv6 answers, all from a, stay.
    assert planned(("192.0.2.2,", "192.0.2.3,")).moved_share == pytest.approx(0.25 / 2)
    only_four = WORLD.replace('[192.0.2.1, "2001:db8::1"]', "192.0.2.1")
    assert planned(("a: 3, b: 1", "a: 1, b: 1"), old=only_four).moved_share == pytest.approx(0.25)
    assert planned(("play: [eu, us]", "play: [us, eu]"), old=only_four).moved_share == pytest.approx(0.5)


def test_G3_standbys_and_lower_tiers_move_nothing() -> None:
    assert planned(("b: 1}", "b: 1, c: {weight: 5, tier: 2}}")).moved_share == 0
    assert planned(("b: 1}", "b: 1, c: 0}")).moved_share == 0


def test_G3_more_than_half_needs_a_yes() -> None:
    found = planned(("192.0.2.1,", "192.0.2.9,"), ("2001:db8::1", "2001:db8::9"))
    assert found.moved_share == pytest.approx((0.75 + 1) / 2)
    assert found.needs_yes
    assert not found.emptied


def test_G3_a_name_that_is_gone_needs_a_yes_unless_something_else_answers() -> None:
    gone = planned(("      play: [eu, us]\n", ""))
    assert (gone.emptied, gone.needs_yes) == (("play.example.org.",), True)
    static = planned(("      play: [eu, us]\n", ""), ("A: 192.0.2.80}", "A: 192.0.2.80}\n      play: {A: 192.0.2.1}"))
    assert (static.emptied, static.moved_share) == ((), 0.5)
    wild = planned(("      play: [eu, us]\n", "      '*': [eu, us]\n"))
    assert (wild.emptied, wild.moved_share) == ((), 0)


def test_G3_a_name_without_ipv4_or_a_zone_that_is_gone_needs_a_yes() -> None:
    text = WORLD.replace("site: nyc}", "site: nyc}\n  six: {address: '2001:db8::6'}").replace(
        "  far: ", "  six: {members: [six]}\n  far: "
    )
    assert planned(("play: [eu, us]", "play: six"), old=text).emptied == ("play.example.org.",)
    more = WORLD + "  example.net:\n    nameservers: [ns.example.com]\n"
    found = plan.compare(snapshot(more), OLD)
    assert found.emptied == ("example.net.",)
    assert found.lines == ("zone example.net: removed",)


def test_many_names_are_one_line() -> None:
    more = "".join(f"      n{index}: us\n" for index in range(7))
    found = planned(("      play: [eu, us]\n", "      play: [eu, us]\n" + more))
    listed = ", ".join(f"n{index}.example.org" for index in range(5))
    assert found.lines == (f"zone example.org: steered names added: {listed} and 2 more",)


def test_a_first_name_moves_nothing() -> None:
    bare = WORLD.partition("    steer:")[0]
    assert plan.compare(snapshot(bare), OLD).moved_share == 0
