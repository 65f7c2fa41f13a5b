"""Who belongs to which audience, and how long a prefix an answer holds for (semantics B9, C2, C3, C6, C7)."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtm import model, seen, table
from gtm.steer import audience
from tests.steer import world

EUROPE = seen.Location("EU")
GERMANY = seen.Location("EU", "DE")
CALIFORNIA = seen.Location("NA", "US", "CA")
TELEKOM = seen.Location(asn=3320)
PLACES = (seen.Location(), EUROPE, GERMANY, CALIFORNIA, TELEKOM)


def who(*places: str, asns: tuple[int, ...] = (), prefixes: tuple[str, ...] = ()) -> model.Audience:
    return model.Audience(places, asns, prefixes)


def divide(
    *rules: model.Audience | None, networks: seen.Networks | None = None
) -> tuple[audience.Partition, table.PrefixTable]:
    w = world.World()
    w.pool("p", "a")
    policy = model.Policy(tuple(model.Rule(one, ("p",)) for one in rules))
    found = audience.partition(world.snapshot(policy, world=w), networks or networks_of({}))
    assert found.by_policy[0].prefixes == 0
    return found, found.prefixes[0]


def networks_of(of: dict[str, seen.Location]) -> seen.Networks:
    """Networks from prefixes that do not overlap."""
    locations = list(dict.fromkeys((seen.Location(), *of.values())))
    out: dict[int, dict[int, int]] = {4: {0: 0}, 6: {0: 0}}
    for text, place in sorted(of.items(), key=lambda one: int(ipaddress.ip_network(one[0]).network_address)):
        network = ipaddress.ip_network(text)
        low = int(network.network_address)
        out[network.version][low] = locations.index(place)
        out[network.version][low + network.num_addresses] = 0
    sides = [side for family in (4, 6) for side in (tuple(out[family]), tuple(out[family].values()))]
    return seen.Networks(tuple(locations), *sides)


def ask(found: audience.Partition, prefixes: table.PrefixTable, client: str) -> tuple[int | None, int]:
    """Return the rule (from 0; None for `not a place`) and the scope for a client subnet."""
    network = ipaddress.ip_network(client)
    which, scope = audience.find(prefixes, network.version, int(network.network_address), network.prefixlen)
    return (found.by_policy[0].audiences[which].rule if which >= 0 else None), scope


def test_C3_one_rule_for_everybody_is_one_audience_without_a_table() -> None:
    w = world.World()
    w.pool("p", "a")
    found = audience.partition(world.snapshot(world.policy("p"), world=w), networks_of({"198.51.100.0/24": EUROPE}))
    assert found.by_policy == (audience.PolicyAudiences(-1, (audience.EVERYBODY,)),)
    assert found.prefixes == ()


def test_C3_rules_that_nobody_can_match_leave_one_audience_without_a_table() -> None:
    w = world.World()
    w.pool("p", "a")
    policy = model.Policy((model.Rule(who("EU"), ("p",)), model.Rule(None, ("p",))))
    found = audience.partition(world.snapshot(policy, world=w), seen.Networks())
    assert found.by_policy == (audience.PolicyAudiences(-1, (audience.Audience(1),)),)


def test_B9_the_first_rule_that_matches_wins() -> None:
    networks = networks_of({"198.51.100.0/24": GERMANY, "203.0.113.0/24": CALIFORNIA, "192.0.2.0/24": TELEKOM})
    found, prefixes = divide(who("EU-DE"), who("EU", "NA-US"), who(asns=(3320,)), None, networks=networks)
    assert ask(found, prefixes, "198.51.100.7/32")[0] == 0
    assert ask(found, prefixes, "203.0.113.7/32")[0] == 1
    assert ask(found, prefixes, "192.0.2.7/32")[0] == 2
    assert ask(found, prefixes, "8.8.8.8/32")[0] == 3


def test_B9_places_match_whole_parts_only() -> None:
    networks = networks_of({"198.51.100.0/24": CALIFORNIA, "203.0.113.0/24": EUROPE})
    found, prefixes = divide(who("NA-US-C", "EU-DE"), who("NA-US"), None, networks=networks)
    assert ask(found, prefixes, "198.51.100.1/32")[0] == 1  # CA is not C
    assert ask(found, prefixes, "203.0.113.1/32")[0] == 2  # somewhere in Europe is not Germany


def test_B9_a_prefix_and_a_place_compete_by_the_order_of_rules() -> None:
    networks = networks_of({"198.51.100.0/24": EUROPE})
    office = who(prefixes=("198.51.100.64/26",))
    found, prefixes = divide(office, who("EU"), None, networks=networks)
    assert ask(found, prefixes, "198.51.100.65/32") == (0, 26)
    assert ask(found, prefixes, "198.51.100.1/32") == (1, 26)
    assert ask(found, prefixes, "198.51.100.130/32") == (1, 25)
    found, prefixes = divide(who("EU"), office, None, networks=networks)
    assert ask(found, prefixes, "198.51.100.65/32") == (0, 24)


def test_B9_of_nested_prefixes_the_first_rule_wins_whatever_their_lengths() -> None:
    found, prefixes = divide(who(prefixes=("198.51.0.0/16",)), who(prefixes=("198.51.100.0/24",)), None)
    assert ask(found, prefixes, "198.51.100.1/32") == (0, 16)
    found, prefixes = divide(who(prefixes=("198.51.100.0/24",)), who(prefixes=("198.51.0.0/16",)), None)
    assert ask(found, prefixes, "198.51.100.1/32") == (0, 24)
    assert ask(found, prefixes, "198.51.101.1/32") == (1, 24)


def test_B9_a_client_without_a_place_matches_only_rules_without_for() -> None:
    found, prefixes = divide(who("EU", asns=(1,)), None, networks=networks_of({"198.51.100.0/24": EUROPE}))
    assert found.by_policy[0].audiences[prefixes.nowhere].rule == 1


def test_C2_neighbouring_networks_with_the_same_audience_are_merged() -> None:
    networks = networks_of({"198.51.100.0/25": GERMANY, "198.51.100.128/25": EUROPE})
    found, prefixes = divide(who("EU"), None, networks=networks)
    assert ask(found, prefixes, "198.51.100.1/32") == (0, 24)


def test_C2_the_default_is_cut_around_narrower_answers() -> None:
    found, prefixes = divide(who(prefixes=("198.51.100.0/24",)), None)
    assert ask(found, prefixes, "198.51.101.0/24") == (1, 24)
    assert ask(found, prefixes, "198.51.102.0/24") == (1, 23)
    assert ask(found, prefixes, "8.0.0.0/8") == (1, 7)  # 10/8 says nothing about a place


@pytest.mark.parametrize(
    "client",
    [
        "10.1.2.0/24", "172.16.0.0/16", "192.168.7.0/24", "100.64.0.0/24", "127.0.0.1/32", "169.254.9.9/32",
        "::1/128", "fd00:1::/48", "fe80::/64",
    ],
)  # fmt: skip
def test_C6_addresses_that_say_nothing_about_a_place_are_marked(client: str) -> None:
    found, prefixes = divide(who(prefixes=("203.0.113.0/24", "2001:db8::/32")), None)
    assert ask(found, prefixes, client) == (None, 0)
    network = ipaddress.ip_network(client)
    own = audience.find(prefixes, network.version, int(network.network_address), None)
    assert own == (prefixes.nowhere, 0)


def test_C6_a_configured_prefix_that_names_a_private_address_counts() -> None:
    found, prefixes = divide(who(prefixes=("10.1.0.0/16", "fd00:1::/48")), None)
    assert ask(found, prefixes, "10.1.2.0/24") == (0, 16)
    assert ask(found, prefixes, "fd00:1::/56") == (0, 48)
    assert ask(found, prefixes, "10.2.0.0/16") == (None, 0)
    found, prefixes = divide(who(prefixes=("0.0.0.0/0",)), None)
    assert ask(found, prefixes, "10.2.0.0/16") == (0, 0)


def test_C6_documentation_prefixes_are_ordinary_addresses() -> None:
    networks = networks_of({"192.0.2.0/24": EUROPE, "2001:db8::/32": EUROPE})
    found, prefixes = divide(who("EU"), None, networks=networks)
    assert ask(found, prefixes, "192.0.2.0/24") == (0, 24)
    assert ask(found, prefixes, "2001:db8:1::/48") == (0, 32)


def test_policies_that_tell_the_same_clients_apart_share_a_table() -> None:
    w = world.World()
    w.pool("p", "a")
    w.pool("q", "b")
    one = model.Policy((model.Rule(who("EU", "NA"), ("p",)), model.Rule(None, ("q",))), ttl_min_s=1)
    other = model.Policy((model.Rule(who("NA", "EU"), ("q",)), model.Rule(None, ("p",))))
    third = model.Policy((model.Rule(who("NA"), ("q",)), model.Rule(None, ("p",))))
    found = audience.partition(world.snapshot(one, other, third, world=w), networks_of({"192.0.2.0/24": CALIFORNIA}))
    assert [of.prefixes for of in found.by_policy] == [0, 0, 1]
    assert len(found.prefixes) == 2


def test_continents_are_there_for_counting() -> None:
    w = world.World()
    found = audience.partition(
        world.snapshot(world=w), networks_of({"192.0.2.0/24": CALIFORNIA, "2001:db8::/32": GERMANY})
    )
    assert found.places is not None
    which, _ = audience.find(found.places, 4, int(ipaddress.ip_address("192.0.2.1")), None)
    assert found.place_names[which] == "NA"
    which, _ = audience.find(found.places, 6, int(ipaddress.ip_address("2001:db8::1")), None)
    assert found.place_names[which] == "EU"
    which, _ = audience.find(found.places, 4, int(ipaddress.ip_address("10.0.0.1")), None)
    assert found.place_names[which] == "unknown"
    assert audience.partition(world.snapshot(world=w), seen.Networks()).places is None


def spread() -> world.World:
    w = world.World()
    for site, lat, lon in (("fra", 50.11, 8.68), ("ams", 52.37, 4.90), ("nyc", 40.71, -74.01)):
        w.sites[site] = model.Site(site, lat=lat, lon=lon)
        w.endpoint(site, site=site)
    w.pool("near", "fra ams nyc", balance="nearest")
    return w


def test_B8_audiences_of_a_nearest_pool_are_orders_of_sites() -> None:
    paris, denver = seen.Location("EU", "FR", lat=48.86, lon=2.35), seen.Location("NA", "US", lat=39.7, lon=-105.0)
    networks = networks_of({"192.0.2.0/24": paris, "198.51.100.0/24": denver})
    found = audience.partition(world.snapshot(world.policy("near"), world=spread()), networks)
    by_policy = found.by_policy[0]
    assert by_policy.prefixes == 0

    def near(client: str) -> Any:
        which, _ = audience.find(found.prefixes[0], 4, int(ipaddress.ip_address(client)), 32)
        return by_policy.audiences[which].near.get("near")

    assert near("192.0.2.1") == (("ams",), ("fra",), ("nyc",))  # 430 and 478 km
    assert near("198.51.100.1")[0] == ("nyc",)
    assert near("8.8.8.8") is None


def test_a_nearest_pool_in_one_site_tells_no_clients_apart() -> None:
    w = spread()
    w.endpoint("fra-2", site="fra")
    w.pool("near", "fra fra-2", balance="nearest")
    networks = networks_of({"192.0.2.0/24": seen.Location("EU", lat=48.0, lon=2.0)})
    assert audience.partition(world.snapshot(world.policy("near"), world=w), networks).by_policy[0].prefixes == -1


def test_C7_the_division_needs_no_health_and_comes_out_the_same_each_time() -> None:
    networks = networks_of({"192.0.2.0/24": seen.Location("EU", lat=48.0, lon=2.0), "198.51.100.0/24": EUROPE})
    snapshot = world.snapshot(world.policy("near"), world=spread())
    assert audience.partition(snapshot, networks) == audience.partition(snapshot, networks)


# --- against brute force -------------------------------------------------------------------------------------------

BASE = int(ipaddress.ip_address("203.0.113.0"))


@st.composite
def small_prefix(draw: st.DrawFn) -> str:
    bits = draw(st.integers(24, 32))
    size = 1 << (32 - bits)
    return f"{ipaddress.ip_address(BASE + draw(st.integers(0, 255)) // size * size)}/{bits}"


rule = st.builds(
    lambda places, prefixes: model.Audience(tuple(places), (), tuple(prefixes)),
    st.sets(st.sampled_from(["EU", "EU-DE", "NA"]), max_size=2),
    st.sets(small_prefix(), max_size=3),
)


@settings(max_examples=60)
@given(st.lists(rule, min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_C2_rule_and_scope_are_those_of_brute_force(rules: list[model.Audience], blocks: list[int]) -> None:
    networks = networks_of({f"203.0.113.{16 * index}/28": PLACES[block] for index, block in enumerate(blocks) if block})
    w = world.World()
    w.pool("p", "a")
    policy = model.Policy((*(model.Rule(one, ("p",)) for one in rules), model.Rule(None, ("p",))))
    found = audience.partition(world.snapshot(policy, world=w), networks)

    def wanted(address: int) -> int:
        place = PLACES[blocks[(address - BASE) // 16]].place
        for index, one in enumerate(rules):
            if any(place == name or place.startswith(f"{name}-") for name in one.places):
                return index
            if any(ipaddress.ip_address(address) in ipaddress.ip_network(text) for text in one.prefixes):
                return index
        return len(rules)

    truth = {BASE + offset: wanted(BASE + offset) for offset in range(256)}
    by_policy = found.by_policy[0]
    if by_policy.prefixes < 0:
        assert set(truth.values()) == {by_policy.audiences[0].rule}
        return
    for address, rule_of_address in truth.items():
        which, scope = audience.find(found.prefixes[0], 4, address, 32)
        assert by_policy.audiences[which].rule == rule_of_address
        if len(set(truth.values())) > 1:
            assert alike(truth, address, scope)
            assert not alike(truth, address, scope - 1)


def alike(truth: dict[int, int], address: int, bits: int) -> bool:
    """Say whether all addresses of the prefix around `address` have one rule; outside of the block is the default."""
    if bits < 24:
        return False
    size = 1 << (32 - bits)
    low = address // size * size
    return len({truth[one] for one in range(low, low + size)}) == 1
