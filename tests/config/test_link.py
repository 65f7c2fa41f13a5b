"""What a valid configuration means, piece by piece."""

from __future__ import annotations

import pytest

from gtm import model, names
from tests.config.reading import WORLD, read, snapshot


def test_endpoints_know_their_families() -> None:
    found = snapshot(WORLD).endpoints
    assert found["a"] == model.Endpoint("a", ipv4="192.0.2.1", ipv6="2001:db8::1", site="fra")
    assert found["cdn"].families() == ("cname",)
    assert found["cdn"].hostname == "edge.cdn.example.net."
    assert found["cdn"].check == model.CheckExpr((), 0)


def test_members_are_weights_mappings_or_a_list() -> None:
    text = WORLD.replace("{a: 3, b: 1}", "{a: 3, b: {weight: 0, tier: 2}}")
    assert snapshot(text).pools["eu"].members == (model.Member("a", 3), model.Member("b", 0, 2))
    assert snapshot(WORLD).pools["us"].members == (model.Member("c"),)


@pytest.mark.parametrize(
    ("written", "expr"),
    [
        ("answers", model.CheckExpr(("answers",), 1)),
        ("[answers, channel]", model.CheckExpr(("answers", "channel"), 2)),
        ("{any: [answers, channel]}", model.CheckExpr(("answers", "channel"), 1)),
        ("{at_least: 1, of: [answers]}", model.CheckExpr(("answers",), 1)),
        ("none", None),
    ],
)
def test_a_check_is_a_name_a_list_any_or_at_least_A5(written: str, expr: model.CheckExpr | None) -> None:
    text = WORLD.replace("members: [c], check: answers", f"members: [c], check: {written}")
    assert snapshot(text).pools["us"].check == expr


@pytest.mark.parametrize(
    ("written", "count", "share"), [("min_up: 2", 2, 0.0), ('min_up: "50%"', 0, 0.5), ("min_up: 50%", 0, 0.5)]
)
def test_min_up_is_a_count_or_a_share(written: str, count: int, share: float) -> None:
    pool = snapshot(WORLD.replace("b: 1}, check", f"b: 1}}, {written}, check")).pools["eu"]
    assert (pool.min_up, pool.min_up_share) == (count, share)


def test_B11_failback_may_wait_for_an_operator() -> None:
    pools = snapshot(
        WORLD.replace("check: answers}\n  us", "check: answers, failback: manual, slow_start: 1m}\n  us")
    ).pools
    assert (pools["eu"].failback_s, pools["eu"].slow_start_s) == (model.MANUAL_S, 60.0)
    assert pools["us"].failback_s == 0


def test_sticky_prefixes_can_be_set() -> None:
    text = WORLD.replace("members: [c]", "balance: sticky, sticky: {ipv4: 20, ipv6: 48}, members: [c]")
    assert snapshot(text).pools["us"].sticky == (20, 48)
    assert snapshot(WORLD).pools["us"].sticky == (24, 56)


def test_defaults_are_those_of_the_contract() -> None:
    found = snapshot(WORLD)
    assert found.dns == model.DnsSettings()
    assert found.web == model.WebSettings()
    assert (found.node, found.store, found.flap, found.guard_min_alive) == (
        "ns1",
        "memory:",
        model.FlapSettings(900.0, 4, 30.0, 600.0),
        None,
    )
    profile = found.profiles["answers"]
    assert (profile.every_s, profile.timeout_s, profile.fall, profile.rise) == (5, 2, 2, 3)
    assert (profile.confirm_s, profile.on_stale, profile.observe) == (0.5, "keep", False)
    policy = found.policies[found.zones[0].steer["play.example.org."]]
    assert (policy.ttl_min_s, policy.ttl_max_s, policy.when_all_down.kind) == (5, 30, "serve-all")


def test_a_short_interval_shortens_the_confirmation_that_was_not_said() -> None:
    profile = snapshot(WORLD.replace("port: 443}", "port: 443, every: 400ms, timeout: 100ms}")).profiles["answers"]
    assert (profile.every_s, profile.timeout_s, profile.confirm_s) == (0.4, 0.1, 0.4)


def test_settings_are_read() -> None:
    found = snapshot(
        WORLD
        + """
node: ns7
dns:
  listen: ["0.0.0.0:53", "[::]:53"]
  workers: 3
  rate_limit: {responses_per_second: 50}
  explain_to: 10.0.0.0/8
  tcp: {connections: 10, per_client: 2, idle: 3s}
web: {listen: off, tokens: [{name: ops, role: operator, secret_file: ops.token}]}
store: sqlite:///var/lib/gtm/gtm.db
geo: {databases: city.mmdb}
guard: {min_alive: 30%}
flap: off
"""
    )
    assert (found.node, found.store) == ("ns7", "sqlite:///var/lib/gtm/gtm.db")
    assert found.dns == model.DnsSettings(
        listen=(model.Listen("0.0.0.0", 53), model.Listen("::", 53)),
        workers=3,
        rate_limit=(50.0, 2),
        explain_to=("10.0.0.0/8",),
        tcp_connections=10,
        tcp_per_client=2,
        tcp_idle_s=3.0,
    )
    assert found.web == model.WebSettings(None, (model.Token("ops", "operator", secret_file="ops.token"),))
    assert (found.geo_databases, found.guard_min_alive, found.flap.returns) == (("city.mmdb",), 0.3, 0)


def test_files_are_relative_to_the_file_that_names_them() -> None:
    found = snapshot(
        "include: [/etc/gtm/conf/*.yaml]\n" + WORLD,
        {
            "/etc/gtm/conf/a.yaml": "geo: {databases: [../city.mmdb, /x.mmdb]}\n"
            "checks: {ca: {kind: tls, tls: {ca: our.pem}}, sh: {kind: exec, command: ./run.sh -x}}\n"
            "zones: {example.net: {file: z/example.net.zone}}\n",
            "/etc/gtm/conf/z/example.net.zone": "@ NS ns.example.com.\nwww A 192.0.2.9\n",
        },
    )
    assert found.geo_databases == ("/etc/gtm/city.mmdb", "/x.mmdb")
    assert found.profiles["ca"].options["tls"] == model.Tls(ca="/etc/gtm/conf/our.pem")
    assert found.profiles["sh"].options["command"] == ("/etc/gtm/conf/run.sh", "-x")
    assert [zone.name for zone in found.zones] == ["example.net.", "example.org."]
    assert found.files == ("gtm.yaml", "/etc/gtm/conf/a.yaml", "/etc/gtm/conf/z/example.net.zone")


def test_includes_may_go_in_a_circle_and_overlap() -> None:
    loaded = read(
        "include: ['*.yaml', a.yaml]\n" + WORLD,
        {"a.yaml": "include: [gtm.yaml]\nsites: {x: {}}\n", ".hidden.yaml": "no\n", "d/b.yaml": "no\n"},
    )
    assert loaded.snapshot is not None
    assert loaded.snapshot.files == ("gtm.yaml", "a.yaml")


def test_sections_merge_by_name_and_settings_by_key() -> None:
    found = snapshot(
        "include: a.yaml\ndns: {workers: 2}\ngeo: {regions: {x: [EU]}}\n" + WORLD,
        {"a.yaml": "dns: {listen: ['127.0.0.1:53']}\ngeo: {regions: {y: [x, AS1]}}\nalerts: []\n"},
    )
    assert (found.dns.workers, found.dns.listen) == (2, (model.Listen("127.0.0.1", 53),))
    assert found.regions["y"] == model.Audience(("EU",), (1,), (), "y")


# --- places ---------------------------------------------------------------------------------------------------------


def test_B9_places_become_audiences_with_regions_resolved() -> None:
    text = WORLD.replace(
        "for: [NA, SA]", 'for: [NA-US-CA, AS3320, 203.0.113.0/24, "2001:db8::/32", nordics, 192.0.2.7/32]'
    )
    found = snapshot(text + "geo: {regions: {nordics: [EU-SE, EU-NO]}}\n")
    rules = found.policies[found.zones[0].steer["live.example.org."]].rules
    assert rules[0].audience == model.Audience(
        places=("EU-NO", "EU-SE", "NA-US-CA"),
        asns=(3320,),
        prefixes=("192.0.2.7/32", "203.0.113.0/24", "2001:db8::/32"),
        text="NA-US-CA, AS3320, 203.0.113.0/24, 2001:db8::/32, nordics, 192.0.2.7/32",
    )
    assert rules[1] == model.Rule(None, ("eu", "us", "far"))


# --- checks ---------------------------------------------------------------------------------------------------------


def key(text: str) -> model.CheckKey:
    profile, endpoint, family, *name = text.split("/")
    assert family in {"ipv4", "ipv6", "cname"}
    return model.CheckKey(profile, endpoint, family, *name)  # type: ignore[arg-type]  # just checked


def test_A4_each_address_family_is_checked_apart_and_A8_each_check_is_there_once() -> None:
    found = snapshot(WORLD).checks
    assert {str(one) for one in found} == {"answers/a/ipv4", "answers/a/ipv6", "answers/b/ipv4", "answers/c/ipv4"}
    one = found[key("answers/a/ipv6")]
    assert (one.address, one.port, one.host) == ("2001:db8::1", 443, "2001:db8::1")


def test_A12_a_profile_that_mentions_the_name_is_run_per_steered_name() -> None:
    found = snapshot(WORLD.replace("members: [c], check: answers", "members: [c], check: channel"))
    assert found.profiles["channel"].per_name
    assert {str(one) for one in found.checks if one.profile == "channel"} == {
        "channel/c/ipv4/live.example.org.",
        "channel/c/ipv4/play.example.org.",
    }
    one = found.checks[key("channel/c/ipv4/live.example.org.")]
    assert (one.options["path"], one.host, one.port) == ("/live/live.m3u8", "live.example.org", 80)
    steer = found.zones[0].steer
    assert {found.policies[index].name for index in steer.values()} == {"play.example.org.", "live.example.org."}


def test_every_placeholder_is_filled_in() -> None:
    text = WORLD.replace(
        'path: "/{label}/live.m3u8"',
        "path: '/{name}/{label}/{zone}/{endpoint}/{address}/{site}/{other}', tls: {server_name: '{endpoint}.x'}",
    )
    found = snapshot(text.replace("play: [eu, us]", "play: {try: us, check: channel}"))
    one = found.checks[key("channel/c/ipv4/play.example.org.")]
    assert one.options["path"] == "/play.example.org/play/example.org/c/198.51.100.1/nyc/{other}"
    assert one.options["tls"] == model.Tls(server_name="c.x")
    assert one.port == 443


def test_A13_an_endpoints_own_check_stands_in_for_the_pools() -> None:
    text = WORLD.replace("site: nyc}", "site: nyc, check: own}").replace("checks:\n", "checks:\n  own: {kind: icmp}\n")
    found = snapshot(text)
    assert {str(one) for one in found.checks if one.endpoint == "c"} == {"own/c/ipv4"}
    assert found.checks[key("own/c/ipv4")].port == 0


def test_A13_a_names_own_check_is_laid_on_top() -> None:
    text = WORLD.replace("play: [eu, us]", "play: {try: [us, far], check: own}")
    found = snapshot(text.replace("checks:\n", "checks:\n  own: {kind: tcp}\n"))
    assert {str(one) for one in found.checks if one.endpoint in {"c", "cdn"}} == {
        "answers/c/ipv4",
        "own/c/ipv4",
        "own/cdn/cname",
    }
    assert found.checks[key("own/cdn/cname")].address == "edge.cdn.example.net."


def test_an_endpoint_outside_all_pools_is_checked_when_it_has_its_own_check_A6() -> None:
    text = WORLD.replace("endpoints:\n", "endpoints:\n  router: {address: 192.0.2.99, check: answers}\n")
    found = snapshot(text.replace("at: EU-NL}", "at: EU-NL, depends_on: [router, 'site:fra']}"))
    assert key("answers/router/ipv4") in found.checks
    assert found.sites["ams"].depends_on == ("router", "site:fra")


def test_a_check_address_is_probed_in_place_of_the_one_that_is_served() -> None:
    text = WORLD.replace("site: nyc}", "site: nyc, check_address: 10.1.0.1}").replace(
        "site: ams}", "site: ams, check_address: 'fd00::2'}"
    )
    found = snapshot(text)
    assert found.checks[key("answers/c/ipv4")].address == "10.1.0.1"
    assert found.checks[key("answers/b/ipv4")].address == "fd00::2", "a management network of the other family"
    assert found.endpoints["c"].answer("ipv4") == "198.51.100.1"


# --- zones ----------------------------------------------------------------------------------------------------------


def test_names_that_say_the_same_share_one_policy() -> None:
    more = "".join(f"      n{index}: [eu, us]\n" for index in range(50))
    found = snapshot(WORLD.replace("      play: [eu, us]\n", "      play: [eu, us]\n" + more))
    assert len(found.zones[0].steer) == 52
    assert len(found.policies) == 2


def test_a_wildcard_steers_and_its_labels_are_checked_one_by_one_A12() -> None:
    found = snapshot(
        WORLD.replace("play: [eu, us]", "'*.ch': {try: us, check: channel, labels: [news, sport]}\n      '*': eu")
    )
    steer = found.zones[0].steer
    assert list(steer) == [
        "*.ch.example.org.",
        "*.example.org.",
        "live.example.org.",
        "news.ch.example.org.",
        "sport.ch.example.org.",
    ]
    assert found.policies[steer["*.ch.example.org."]].check is None, "other names use the pool's own check alone"
    assert found.policies[steer["news.ch.example.org."]].name == "news.ch.example.org."
    assert {str(one) for one in found.checks if one.name} == {
        "channel/c/ipv4/news.ch.example.org.",
        "channel/c/ipv4/sport.ch.example.org.",
    }


def test_a_wildcard_without_labels_keeps_a_check_that_is_not_per_name() -> None:
    found = snapshot(WORLD.replace("play: [eu, us]", "'*.ch': {try: us, check: answers}"))
    assert found.policies[found.zones[0].steer["*.ch.example.org."]].check == model.CheckExpr(("answers",), 1)


def test_owners_are_relative_absolute_or_the_apex() -> None:
    found = snapshot(WORLD.replace("play: [eu, us]", "'@': [eu]\n      PLAY.example.org.: us\n      a.b: us"))
    assert set(found.zones[0].steer) == {"example.org.", "play.example.org.", "a.b.example.org.", "live.example.org."}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("nodata", model.LastResort("nodata")),
        ("servfail", model.LastResort("servfail")),
        ("{address: 192.0.2.99}", model.LastResort("address", ("192.0.2.99",))),
        ("{address: [192.0.2.99, '2001:DB8::0']}", model.LastResort("address", ("192.0.2.99", "2001:db8::"))),
        ("{cname: Sorry.Example.NET}", model.LastResort("cname", cname="sorry.example.net.")),
    ],
)
def test_B4_what_is_answered_when_all_are_down(written: str, meant: model.LastResort) -> None:
    found = snapshot(WORLD.replace("play: [eu, us]", f"play: {{try: eu, when_all_down: {written}}}"))
    assert found.policies[found.zones[0].steer["play.example.org."]].when_all_down == meant


@pytest.mark.parametrize(
    ("written", "bounds"), [("15s", (15, 15)), ("30", (30, 30)), ("5s..2m", (5, 120)), ("0", (0, 0))]
)
def test_a_ttl_is_a_value_or_bounds(written: str, bounds: tuple[int, int]) -> None:
    found = snapshot(WORLD.replace("play: [eu, us]", f"play: {{try: eu, ttl: {written}}}"))
    policy = found.policies[found.zones[0].steer["play.example.org."]]
    assert (policy.ttl_min_s, policy.ttl_max_s) == bounds


def test_nameservers_have_glue_inside_the_zone_only() -> None:
    text = WORLD.replace("{ns1: [203.0.113.53]}", "{ns1: 203.0.113.53, ns.x: '2001:db8::53', ns2.example.net.: }")
    assert snapshot(text).zones[0].nameservers == (
        ("ns1.example.org.", ("203.0.113.53",)),
        ("ns.x.example.org.", ("2001:db8::53",)),
        ("ns2.example.net.", ()),
    )
    listed = snapshot(WORLD.replace("{ns1: [203.0.113.53]}", "[ns1.example.net, ns2.example.net.]")).zones[0]
    assert listed.nameservers == (("ns1.example.net.", ()), ("ns2.example.net.", ()))


def test_static_records_come_from_the_yaml_and_a_zone_file() -> None:
    zone = snapshot(
        WORLD.replace("    steer:", "    ttl: 60\n    file: z.zone\n    steer:").replace(
            "www: {A: 192.0.2.80}", "www: {A: [192.0.2.80, 192.0.2.81], ttl: 1h}"
        ),
        {"z.zone": "@ SOA ns. me. 1 2 3 4 5\n@ NS other.\nwww A 192.0.2.80\nmail A 192.0.2.25\n"},
    ).zones[0]
    assert [(names.text(one.owner), one.type, one.ttl_s, one.rdata[-1]) for one in zone.records] == [
        ("www.example.org.", 1, 3600, 80),
        ("www.example.org.", 1, 3600, 81),
        ("mail.example.org.", 1, 60, 25),
    ]


def test_a_zone_file_brings_its_soa_and_ns_when_the_yaml_has_none() -> None:
    zone = snapshot(
        WORLD.replace("    nameservers: {ns1: [203.0.113.53]}\n", "    file: z.zone\n"),
        {"z.zone": "@ SOA ns. me. 1 2 3 4 5\n@ NS other.\n"},
    ).zones[0]
    assert zone.nameservers == ()
    assert {one.type for one in zone.records} == {1, 2, 6}


# --- the digest -----------------------------------------------------------------------------------------------------


def test_F6_the_digest_is_of_what_is_meant_not_of_how_it_is_written() -> None:
    whole = snapshot(WORLD).digest
    head, _, tail = WORLD.partition("pools:\n")
    split = snapshot(
        "# a comment\ninclude: [b.yaml]\npools:\n" + tail, {"b.yaml": "node: other\ndns: {workers: 9}\n" + head}
    )
    assert split.digest == whole
    assert snapshot(WORLD.replace("a: 3", "a: 4")).digest != whole
    assert snapshot(WORLD.replace("192.0.2.80", "192.0.2.81")).digest != whole


@pytest.mark.parametrize(("promise", "told"), [("9s", True), ("10s", False)])
def test_a_promise_that_the_checks_cannot_keep_is_warned_about(promise: str, told: bool) -> None:
    loaded = read(WORLD.replace("rules:", f"failover_within: {promise}\n        rules:"))
    assert loaded.snapshot is not None
    found = [one for one in loaded.problems if one.code == "too-slow"]
    assert bool(found) == told
    if told:
        assert "may take 9.5s to see a silent death" in found[0].message
