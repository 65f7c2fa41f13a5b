"""What is allowed and probably not meant is said, and nothing else."""

from __future__ import annotations

import pytest

from tests.config.reading import WORLD, codes, read, said, snapshot

# A configuration without a doubt: what each case changes is all that is warned about.
CLEAN = WORLD.replace("  channel: {", "  # channel: {").replace(
    "  far: {members: [cdn]}", "  far: {members: [cdn], check: none}"
)


def test_a_configuration_without_doubts_has_no_problems() -> None:
    assert said(read(CLEAN)) == []


WARNED = {
    "pool-without-check": ("members: [c], check: answers", "members: [c]"),
    "unused-pool": ("zones:\n", "  spare: {members: [c], check: answers}\nzones:\n"),
    "unused-endpoint": ("  cdn: {", "  d: {address: 192.0.2.9}\n  cdn: {"),
    "unused-check": ("checks:\n", "checks:\n  pong: {kind: icmp}\n"),
    "unchecked-dependency": ("  ams: {at: EU-NL}", "  ams: {at: EU-NL, depends_on: [gate]}"),
    "unreachable-rule": (
        "- {try: [eu, us, far]}",
        "- {for: [NA-US, SA-BR], try: eu}\n          - {try: [eu, us, far]}",
    ),
    "doubled-pool": ("play: [eu, us]", "play: [eu, us, eu]"),
    "ipv6-only": ("play: [eu, us]", "play: [six]"),
    "same-address": ("b: {address: 192.0.2.2", "b: {address: 192.0.2.1"),
    "no-position": ("members: [c], check", "balance: nearest, members: [c, nowhere], check"),
    "unlisted-names": ("play: [eu, us]", "play: [eu, us]\n      '*.ch': {try: us, check: channel}"),
    "cname-loop": ("www: {A: 192.0.2.80}", "x: {CNAME: y}\n      y: {CNAME: x}"),
    "no-nameservers": ("    nameservers: {ns1: [203.0.113.53]}\n", ""),
    "no-glue": ("{ns1: [203.0.113.53]}", "[ns1.example.org]"),
    "outside-glue": ("{ns1: [203.0.113.53]}", "{ns1: 203.0.113.53, ns2.example.net.: 203.0.113.54}"),
    "doubled-zone": ("play:", "play.example.org:"),
    "hidden-name": ("www: {A: 192.0.2.80}", "play: {}\n      sub: {NS: ns.example.net.}"),
    "secret-in-the-open": ("zones:\n", "web: {tokens: [{name: x, role: viewer, secret: hush}]}\nzones:\n"),
    "unknown-placeholder": ("port: 443", "send: '{nmae}'"),
}
EXTRA = {
    "unchecked-dependency": ("  cdn: {", "  gate: {address: 192.0.2.9}\n  cdn: {"),
    "ipv6-only": ("  cdn: {", "  six: {address: '2001:db8::6'}\n  cdn: {"),
    "no-position": ("  cdn: {", "  nowhere: {address: 192.0.2.9}\n  cdn: {"),
    "unlisted-names": ("# channel", "channel"),
    "hidden-name": ("play: [eu, us]", "play: [eu, us]\n      a.sub: us"),
}
MORE = {"ipv6-only": ("zones:\n", "  six: {members: [six], check: answers}\nzones:\n")}


@pytest.mark.parametrize("code", WARNED)
def test_what_is_doubtful_is_warned_about(code: str) -> None:
    text = CLEAN
    for old, new in filter(None, (WARNED[code], EXTRA.get(code), MORE.get(code))):
        assert old in text
        text = text.replace(old, new, 1)
    loaded = read(text)
    assert [one.code for one in loaded.problems] == [code]
    assert loaded.problems[0].severity == "warning"
    assert loaded.problems[0].mark is not None
    assert loaded.snapshot is not None


def test_A5_a_pool_whose_checks_only_look_is_one_without_a_check() -> None:
    text = CLEAN.replace("members: [c], check: answers", "members: [c], check: pong")
    loaded = read(text.replace("checks:\n", "checks:\n  pong: {kind: icmp, observe: true}\n"))
    (only,) = loaded.problems
    assert (only.code, "no check that votes" in only.message) == ("pool-without-check", True)


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        ("members: [a, b], failback: when_idle", False),
        ("members: [a, b], failback: when_idle, balance: sticky, answers: 1", False),
        ("members: [a, b], failback: when_idle, balance: weighted", True),
        ("members: [a, b], failback: {when_idle: 1h}, balance: all", True),
        ("members: [a, b], failback: when_idle, answers: 2", True),
        ("members: {a: {tier: 1}, b: {tier: 2}}, failback: when_idle, balance: weighted", False),
        ("members: [a], failback: when_idle, balance: weighted, answers: 2", False),
        ("members: [a, b], failback: 10m", False),
    ],
)
def test_an_ingest_whose_publishers_would_move_is_warned_about(written: str, warned: bool) -> None:
    text = CLEAN.replace("zones:\n", f"  studio: {{{written}, check: answers}}\nzones:\n")
    text = text.replace("play: [eu, us]", "play: [eu, us]\n      studio: studio")
    assert codes(read(text)) == ({"no-affinity"} if warned else set())


def test_an_ingest_is_sticky_and_gives_one_address_when_nothing_is_said() -> None:
    for failback, balance, answers in (("when_idle", "sticky", 1), ("10m", "weighted", 2)):
        text = CLEAN.replace(
            "zones:\n", f"  studio: {{members: [a, b], failback: {failback}, check: answers}}\nzones:\n"
        )
        pool = snapshot(text.replace("play: [eu, us]", "play: [eu, us]\n      studio: studio")).pools["studio"]
        assert (pool.balance, pool.answers) == (balance, answers)


def test_B8_round_robin_with_weights_that_differ_is_warned_about() -> None:
    assert codes(read(CLEAN.replace("b: 1}", "b: 1}, balance: round-robin"))) == {"no-effect"}
    assert codes(read(CLEAN.replace("a: 3, b: 1}", "a: 1, b: 1}, balance: round-robin"))) == set()


@pytest.mark.parametrize(
    ("match", "warned"),
    [
        ("site:fra", False), ("pool:e*", False), ("name:play.example.org", False), ("a", False), ("guard:*", False),
        ("site:far", True), ("pool:play.example.org", True), ("sites:fra", True), ("x-*", True),
    ],
)  # fmt: skip
def test_a_match_of_alerts_that_names_nothing_is_warned_about(match: str, warned: bool) -> None:
    text = CLEAN.replace("zones:\n", f"alerts: [{{kind: slack, url_env: X, match: '{match}'}}]\nzones:\n", 1)
    assert codes(read(text)) == ({"no-effect"} if warned else set())


def test_a_secret_of_a_receiver_in_the_open_is_warned_about_and_an_address_is_not() -> None:
    for receiver, warned in (
        ("{kind: slack, url: 'https://hooks.example.com/x'}", True),
        ("{kind: alertmanager, url: 'http://127.0.0.1:9093'}", False),
        ("{kind: pagerduty, key: hush}", True),
    ):
        text = CLEAN.replace("zones:\n", f"alerts: [{receiver}]\nzones:\n", 1)
        assert codes(read(text)) == ({"secret-in-the-open"} if warned else set())


@pytest.mark.parametrize("written", ["balance: all, answers: 3", "sticky: {ipv4: 20}"])
def test_settings_without_effect_are_warned_about(written: str) -> None:
    assert codes(read(CLEAN.replace("members: [c]", f"{written}, members: [c]"))) == {"no-effect"}


@pytest.mark.parametrize(
    "rules",
    [
        "{try: eu}, {for: EU, try: us}, {try: us}",
        "{for: [EU, NA], try: eu}, {for: [EU-DE, NA-US-CA], try: us}, {try: us}",
        "{for: x, try: eu}, {for: [EU-SE], try: us}, {try: us}",
        "{for: [192.0.2.0/25, 192.0.2.128/25], try: eu}, {for: 192.0.2.0/24, try: us}, {try: us}",
        "{for: AS1, try: eu}, {for: EU, try: eu}, {for: [AS1, EU-DE], try: us}, {try: us}",
        "{for: '2001:db8::/32', try: eu}, {for: '2001:db8:1::/48', try: us}, {try: us}",
    ],
)
def test_a_rule_that_an_earlier_one_covers_is_warned_about(rules: str) -> None:
    text = CLEAN.replace("play: [eu, us]", f"play: {{rules: [{rules}]}}") + "geo: {regions: {x: [EU-SE, EU-NO]}}\n"
    assert codes(read(text)) == {"unreachable-rule"}


@pytest.mark.parametrize(
    "rules",
    [
        "{for: EU-DE, try: eu}, {for: EU, try: us}, {try: us}",
        "{for: EU, try: eu}, {for: [EU-DE, AS1], try: us}, {try: us}",
        "{for: 192.0.2.0/25, try: eu}, {for: 192.0.2.0/24, try: us}, {try: us}",
        "{for: NA-US, try: eu}, {for: NA, try: eu}, {try: us}",
        "{for: '::/0', try: eu}, {for: 0.0.0.0/0, try: us}, {try: us}",
    ],
)
def test_a_rule_that_can_still_match_is_not(rules: str) -> None:
    assert codes(read(CLEAN.replace("play: [eu, us]", f"play: {{rules: [{rules}]}}"))) == set()


def test_A9_a_guard_is_advised_from_ten_endpoints_on() -> None:
    names = [f"n{index}" for index in range(10)]
    more = "".join(f"  {name}: {{address: 192.0.2.{index + 100}}}\n" for index, name in enumerate(names))
    text = CLEAN.replace("endpoints:\n", f"endpoints:\n{more}").replace(
        "members: [c]", f"members: [c, {', '.join(names)}]"
    )
    assert codes(read(text)) == {"guard-advised"}
    assert codes(read(text + "guard: {min_alive: 30%}\n")) == set()


@pytest.mark.parametrize("header", ["Authorization", "cookie", "X-Api-Key", "X-Auth-Token"])
def test_secrets_in_headers_are_warned_about(header: str) -> None:
    text = CLEAN.replace(
        "answers: {kind: tcp, port: 443}", f"answers: {{kind: http, headers: {{{header}: hush, Accept: x}}}}"
    )
    loaded = read(text)
    assert codes(loaded) == {"secret-in-the-open"}
    assert "hush" not in str([(one.message, one.hint) for one in loaded.problems])


def test_a_collection_of_checks_may_hold_more_than_is_used() -> None:
    loaded = read("include: checks.yaml\n" + CLEAN, {"checks.yaml": "checks:\n  pong: {kind: icmp}\n"})
    assert said(loaded) == []


def test_a_geography_database_that_is_missing_or_corrupt_is_a_warning_G5() -> None:
    loaded = read(CLEAN + "geo: {databases: [city.mmdb, asn.mmdb]}\n", missing={"asn.mmdb": "no such file"})
    assert codes(loaded) == {"geo-database"}
    assert snapshot(CLEAN + "geo: {databases: [city.mmdb]}\n").geo_databases == ("city.mmdb",)


def test_a_pool_of_a_wildcard_is_judged_without_its_check_per_name() -> None:
    text = CLEAN.replace("# channel", "channel").replace("members: [c], check: answers", "members: [c], check: channel")
    loaded = read(text.replace("play: [eu, us]", "'*.ch': us"))
    assert codes(loaded) == {"unlisted-names"}
